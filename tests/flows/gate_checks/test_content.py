"""What the bundle holds."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace

from fairlead.core.bundle import HELDOUT, PROFILE, Golden, ModelCard
from fairlead.core.contract import Feature, Kind, Policy
from fairlead.core.verdict import Outcome
from fairlead.flows.gate_checks.content import check_card, check_digest, check_schema
from fairlead.flows.gate_checks.subject import Subject
from fairlead.testing.bundles import ScriptedBundles
from fairlead.testing.candidate import CONTRACT, FULL_CARD, Parts

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]
AGE, NIGHTS, CITY = CONTRACT.features


def test_a_bundle_as_registered_holds(put: Put, bundles: ScriptedBundles) -> None:
    """All files are counted and weighed."""
    found = check_digest(bundles, put())
    assert found.outcome is Outcome.HOLDS
    assert found.measured["files"] == 7


@pytest.mark.parametrize("name", [HELDOUT, PROFILE, "model/model.skops"])
def test_a_tampered_file_is_named(put: Put, bundles: ScriptedBundles, name: str) -> None:
    """One changed byte anywhere breaks the digest, and the reason names the file."""
    digest = put()
    file = bundles.path(digest) / name
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    found = check_digest(bundles, digest)
    assert found.outcome is Outcome.BREACHED
    assert name in found.reason


def test_a_bundle_that_is_gone_breaks_the_digest(bundles: ScriptedBundles) -> None:
    """A version whose bundle nobody has is not ready."""
    assert check_digest(bundles, "0" * 64).outcome is Outcome.BREACHED


def test_a_card_without_fields_names_them(put: Put, subject: MakeSubject) -> None:
    """The missing fields are in the reason."""
    card = replace(FULL_CARD, owner="", maintenance_plan="  ")
    found = check_card(subject(put(Parts(card=card))))
    assert found.outcome is Outcome.BREACHED
    assert "owner, maintenance_plan" in found.reason
    assert check_card(subject(put())).outcome is Outcome.HOLDS
    assert check_card(subject(put(Parts(card=ModelCard())))).measured["filled"] == 0


def test_the_contract_of_the_training_data_holds(put: Put, subject: MakeSubject) -> None:
    """Names, order, kinds and categories agree on all sides."""
    found = check_schema(subject(put()))
    assert found.outcome is Outcome.HOLDS
    assert found.measured == {
        "features": 3,
        "heldout_rows": 600,
        "golden_rows": 40,
        "strange_rows": 0,
        "differences": 0,
    }


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ((AGE, CITY, NIGHTS), "another order"),
        ((AGE, NIGHTS), "also has city"),
        ((AGE, NIGHTS, CITY, Feature("rooms", Kind.INTEGER, nullable=True)), "lacks rooms"),
        ((AGE, NIGHTS, Feature("city", Kind.NUMBER)), "categories in the reference profile"),
        ((Feature("age", Kind.CATEGORY), NIGHTS, CITY), "numbers in the reference profile"),
        ((AGE, NIGHTS, replace(CITY, categories=("aspen", "berlin"))), "'cairo' in training"),
        ((replace(AGE, out_of_range=Policy.REJECT, maximum=60.0), NIGHTS, CITY), "held-out row"),
        ((Feature("age", Kind.INTEGER), NIGHTS, CITY), "expected an integer"),
        ((replace(AGE, maximum=60.0), NIGHTS, CITY), "hold values that training did not show (first: age"),
    ],
)
def test_another_contract_than_that_of_training_is_found(
    put: Put, subject: MakeSubject, features: tuple[Feature, ...], said: str
) -> None:
    """Each way in which a contract can differ from the data has its words."""
    found = check_schema(subject(put(Parts(contract=replace(CONTRACT, features=features)))))
    assert found.outcome is Outcome.BREACHED
    assert said in found.reason


def test_a_golden_row_that_the_contract_refuses_is_found(put: Put, subject: MakeSubject) -> None:
    """The golden set must be answerable, whatever the order of its fields."""
    examined = subject(put())
    turned = tuple({name: row[name] for name in ("city", "age", "nights")} for row in examined.golden.rows)
    examined.__dict__["golden"] = Golden(turned, examined.golden.outputs)
    assert check_schema(examined).outcome is Outcome.HOLDS
    examined.__dict__["golden"] = Golden(({**turned[0], "age": None}, *turned[1:]), examined.golden.outputs)
    assert "golden row 0: age" in check_schema(examined).reason


def test_no_held_out_rows_decide_nothing(put: Put, subject: MakeSubject) -> None:
    """An empty held-out set is undecided."""

    class Empty:
        names = ("age", "nights", "city", "canceled")
        rows = 0

        def tuples(self, names: object, indices: object) -> list[tuple[object, ...]]:
            return []

    examined = subject(put())
    examined.__dict__["heldout"] = Empty()
    assert check_schema(examined).outcome is Outcome.UNDECIDED


def test_a_profile_that_cannot_be_read_is_an_error(put: Put, subject: MakeSubject, bundles: ScriptedBundles) -> None:
    """What is no profile raises, and the gate calls it unmeasured."""
    examined = subject(put())
    (examined.folder / PROFILE).write_bytes(msgspec.json.encode({"rows": "many"}))
    with pytest.raises(Exception, match=r"profile\.json of the bundle cannot be read"):
        check_schema(examined)
