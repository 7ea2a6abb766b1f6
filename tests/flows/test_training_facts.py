"""What a registration measures of its training rows: each fact where it is so, and where it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
import numpy as np
import pytest
from msgspec import UnsetType

from fairlead.core.contract import Contract, Rule, Task
from fairlead.core.event import canonical
from fairlead.core.training import Spread, TrainingFacts
from fairlead.flows.training_facts import Asking, Trained, training_facts
from fairlead.stats.leakage import remembered
from fairlead.testing.candidate import CONTRACT, StayPredictor, draw
from fairlead.testing.dataset import MemoryDataset
from fairlead.testing.predictor import FailingPredictor

T = TypeVar("T")
NAMES = ("age", "nights", "city")


def table(rows: int, seed: int, **more: Sequence[Any]) -> dict[str, list[Any]]:
    """Drawn rows with their outcomes, as columns; `more` replaces or adds some."""
    drawn, truth = draw(rows, seed)
    columns: dict[str, list[Any]] = {name: [row[at] for row in drawn] for at, name in enumerate(NAMES)}
    return {**columns, "canceled": truth.tolist(), **{name: list(values) for name, values in more.items()}}


def trained(
    train: Mapping[str, Sequence[Any]], held: Mapping[str, Sequence[Any]], contract: Contract = CONTRACT, **how: Any
) -> Trained:
    """A registration of the formula over these columns."""
    reference, heldout = MemoryDataset(train), MemoryDataset(held)
    predictor = how.pop("predictor", StayPredictor())
    rows = heldout.tuples(NAMES, slice(None))
    truth = np.array([float(label) for (label,) in heldout.tuples(["canceled"], slice(None))])
    return Trained(contract, reference, heldout, Asking(predictor, truth, StayPredictor().predict(rows)), 0.5, **how)


def facts(train: Mapping[str, Sequence[Any]], held: Mapping[str, Sequence[Any]], **how: Any) -> TrainingFacts:
    """Of training columns and held-out columns."""
    return training_facts(trained(train, held, **how))


@pytest.fixture(scope="module")
def plain() -> TrainingFacts:
    """A good registration."""
    return facts(table(1500, 1), table(600, 2))


def given(value: T | UnsetType) -> T:
    """A fact that must be there."""
    assert not isinstance(value, UnsetType)
    return value


def test_a_good_registration_has_every_fact(plain: TrainingFacts) -> None:
    """None is missing, none is a problem, and the file says it all again."""
    assert plain.problems == {}
    assert [name for name in plain.__struct_fields__ if isinstance(getattr(plain, name), UnsetType)] == []
    assert msgspec.json.decode(canonical(plain), type=TrainingFacts) == plain


def test_what_the_file_leaves_out_reads_as_unset() -> None:
    """A file of a release that knew less, and one of a release that knows more."""
    assert msgspec.json.decode(b"{}", type=TrainingFacts) == TrainingFacts()
    assert msgspec.json.decode(b'{"later": 1}', type=TrainingFacts) == TrainingFacts()


def test_rows_that_are_in_both_parts_are_counted(plain: TrainingFacts) -> None:
    """A held-out set that is a part of training is all twins; a drawn one hardly holds any."""
    train = table(1500, 1)
    inside = facts(train, {name: values[:300] for name, values in train.items()})
    assert given(inside.twins).across == 300
    assert isinstance(given(inside.twins).fresh, UnsetType)
    assert given(plain.twins).across < 120
    fresh = given(plain.twins).fresh
    assert isinstance(fresh, Spread)
    assert fresh.low < 0.87 < fresh.high


def test_the_sketch_knows_the_rows_that_were_trained_on(plain: TrainingFacts) -> None:
    """Also of a table whose outcomes are written otherwise."""
    again = facts(table(1500, 1, canceled=[str(one) for one in table(1500, 1)["canceled"]]), table(600, 2))
    assert again.sketch == plain.sketch
    assert given(plain.sketch).columns == ("age", "city", "nights")
    assert remembered(given(plain.sketch), np.array(given(plain.sketch).hashes, np.uint64))[1] == 1000


def test_a_copy_of_the_target_is_found() -> None:
    """As a feature under another name."""
    train = table(800, 1)
    leaking = {**train, "nights": [1 if one else 7 for one in train["canceled"]]}
    found = facts(leaking, table(400, 2))
    assert given(found.copies) == ("nights",)
    assert given(found.single)["nights"] == 1.0
    assert given(found.single)["age"] < 0.9


@pytest.mark.parametrize(("days", "early"), [(1500, 0), (1000, 500)])
def test_times_are_compared(days: int, early: int) -> None:
    """Of dates, of ISO texts and of numbers: how many held-out rows are earlier than the last training row."""
    start = datetime(2020, 1, 1)  # noqa: DTZ001  # tables hold times without a zone
    own, held = range(1500), range(days, days + 600)
    as_times = [[start + timedelta(days=day) for day in part] for part in (own, held)]
    as_texts = [[day.isoformat() for day in part] for part in as_times]
    for one, two in (as_times, as_texts, [list(own), list(held)]):
        found = given(facts(table(1500, 1, at=one), table(600, 2, at=two), time_column="at").times)
        assert found.problem == ""
        assert found.early == (early - 1 if early else 0)


def test_times_that_cannot_be_compared_say_why() -> None:
    """A column that the held-out rows lack, that holds no times, or dates in one part and numbers in the other."""
    dates = [f"2020-01-{1 + row % 28:02}" for row in range(1500)]
    lacking = facts(table(1500, 1, at=dates), table(600, 2), time_column="at")
    assert given(lacking.times).problem == "the held-out rows have no column at"
    words = facts(table(1500, 1, at=["soon"] * 1500), table(600, 2, at=dates[:600]), time_column="at")
    assert given(words.times).problem == "no training row holds a time in at"
    mixed = facts(table(1500, 1, at=dates), table(600, 2, at=list(range(600))), time_column="at")
    assert "numbers in one part" in given(mixed.times).problem
    assert given(facts(table(1500, 1, at=dates), table(600, 2)).times).unnamed == ("at",)


def test_values_and_rules_are_counted_over_the_training_rows() -> None:
    """Out of range, unseen, infinite, and against a rule."""
    train = table(1000, 1)
    train["age"][:3] = [120.0, 7.0, float("inf")]
    train["city"][:2] = ["delhi", "delhi"]
    contract = msgspec.structs.replace(CONTRACT, rules=(Rule("nights <= 13"),))
    found = facts(train, table(400, 2), contract=contract)
    assert given(found.outside) == {"age": 3, "city": 2}
    assert given(found.infinite) == {"age": 1}
    assert given(found.broken_rules) == {"nights <= 13": train["nights"].count(14)}


def test_a_table_in_order_of_its_target_is_seen(plain: TrainingFacts) -> None:
    """The target's shares differ by far more than chance; of a fair split they do not."""
    rows = table(2000, 1)
    order = np.argsort(rows["canceled"], kind="stable")
    ordered = {name: [values[place] for place in order] for name, values in rows.items()}
    cut = facts(
        {name: values[:1600] for name, values in ordered.items()},
        {name: values[1600:] for name, values in ordered.items()},
        split="last",
    )
    assert given(cut.split).kind == "last"
    assert given(cut.split).gap > 0.3
    assert given(plain.split).gap < 4 * given(plain.split).error


def test_rows_without_an_outcome_are_counted_and_left_out() -> None:
    """A null, and a label that the model does not know."""
    train = table(1000, 1)
    train["canceled"][:5] = [None, None, "maybe", 7, None]
    found = facts(train, table(400, 2))
    assert given(found.split).unlabelled == 5
    assert found.problems == {}


def test_the_formula_is_as_good_as_a_simple_model_and_needs_its_features(plain: TrainingFacts) -> None:
    """Its log-odds are linear but for the city: no gap, no loss, and age matters most."""
    assert abs(given(plain.simple).gain.value) < 0.03
    assert abs(given(plain.train_quality).value - given(plain.heldout_quality).value) < 0.05
    important = given(plain.importances)
    assert set(important) == set(NAMES)
    assert important["age"] == max(important.values()) > 0.05


def test_groups_are_counted_of_features_and_of_other_columns() -> None:
    """A column that the model does not see, too; numbers by their quartiles, for fairness alone."""
    held = table(600, 2)
    held["gender"] = ["f" if row % 2 else "m" for row in range(600)]
    held["label"] = [f"text {row}" for row in range(600)]
    found = facts(table(1500, 1), held)
    groups = given(found.groups)
    assert set(groups) == {"age", "nights", "city", "gender"}
    women = groups["gender"]["1"]["f"]
    assert women.rows == 300
    assert len(groups["age"]["1"]) == 4
    sliced = {one.column for one in given(found.slices)}
    assert sliced == {"city", "gender"}
    declared = facts(table(1500, 1), held, segments=("age",))
    assert "age" in {one.column for one in given(declared.slices)}


def test_values_are_measured_too() -> None:
    """A regression has no groups to decide between, and all else."""
    contract = msgspec.structs.replace(CONTRACT, task=Task.REGRESSION, classes=())

    class Years:
        def predict(self, rows: Sequence[tuple[Any, ...]]) -> np.ndarray:
            return np.array([[row[0] * 2.0] for row in rows])

    train, held = table(800, 1), table(400, 2)
    rng = np.random.default_rng(3)
    for part in (train, held):
        part["canceled"] = (np.array(part["age"]) * 2 + rng.normal(0, 1, len(part["age"]))).tolist()
    model = Years()
    rows = MemoryDataset(held).tuples(NAMES, slice(None))
    asking = Asking(model, np.array(held["canceled"]), model.predict(rows))
    found = training_facts(Trained(contract, MemoryDataset(train), MemoryDataset(held), asking, 0.5))
    assert found.problems == {}
    assert isinstance(found.groups, UnsetType)
    assert given(found.train_quality).value > 0.99
    assert given(found.simple).metric == "squared error"
    assert given(found.slices)[0].inside.value > 0.9


def test_a_model_that_fails_leaves_a_reason_and_the_rest() -> None:
    """What the model is not asked for is measured all the same."""
    found = facts(table(800, 1), table(400, 2), predictor=FailingPredictor(RuntimeError("out of order")))
    assert set(found.problems) == {"generalises", "importances"}
    assert found.problems["importances"] == "RuntimeError: out of order"
    assert isinstance(found.importances, UnsetType)
    assert not isinstance(found.twins, UnsetType)


def test_a_slow_model_is_asked_for_fewer_rows() -> None:
    """Never fewer than an importance needs."""
    held = Asking(StayPredictor(), np.zeros(1), np.zeros((1, 2)), 0.001)
    assert held.affordable(20_000) == 5000
    assert held.affordable(1000, 20) == 300
    assert Asking(StayPredictor(), np.zeros(1), np.zeros((1, 2))).affordable(7) == 7
