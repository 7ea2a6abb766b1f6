"""The gate's checks of data and model over whole bundles: each with a version that it fails, and one that it passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from fairlead.core.bundle import Lineage
from fairlead.core.contract import Feature, Kind, Policy, Rule, Task
from fairlead.core.gate import Check, CheckName, GatePolicy
from fairlead.core.training import Simple, Slice, Split, Spread, Times, TrainingFacts, Twins
from fairlead.core.verdict import Outcome
from fairlead.errors import BundleError
from fairlead.flows.gate_checks.book import READ
from fairlead.flows.gate_checks.subject import Subject
from fairlead.flows.training_facts import hashes_of
from fairlead.ports.predictor import Predictor
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.fairness import Counts
from fairlead.stats.leakage import sketch
from fairlead.testing.candidate import CITIES, CONTRACT, FACTS, Parts, StayPredictor, columns_of, draw

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]
AGE, NIGHTS, CITY = CONTRACT.features


class Loud(StayPredictor):
    """Far too sure of itself."""

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """The formula's chances, pushed to the ends."""
        one = super().predict(rows)[:, 1]
        sure = one**8 / (one**8 + (1 - one) ** 8)
        return np.column_stack([1 - sure, sure])


class Fragile(StayPredictor):
    """Has no answer for an age that it did not expect."""

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """nan for the very old."""
        said = super().predict(rows)
        said[[row[0] > 200 for row in rows]] = np.nan
        return said


def reference(**changes: Column) -> tuple[Column, ...]:
    """The drawn reference with some columns changed."""
    return tuple(changes.get(column.name, column) for column in columns_of(draw(2000, 2)[0]))


def ages(change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> tuple[Column, ...]:
    """The drawn reference with its ages changed."""
    column = columns_of(draw(2000, 2)[0])[0]
    assert isinstance(column, NumericColumn)
    return reference(age=NumericColumn("age", change(column.values.copy())))


def with_facts(**changes: Any) -> Parts:
    """A version of whose registration some facts are otherwise."""
    return Parts(training=replace(FACTS, **changes))


def with_features(*features: Feature) -> Parts:
    """A version with other features."""
    return Parts(contract=replace(CONTRACT, features=features))


RULED = replace(CONTRACT, rules=(Rule("nights <= 9"),))
NEW_CITIES = CategoricalColumn("city", np.arange(2000, dtype=np.int32) % 3, ("aspen", "berlin", "delhi"))
SAMPLED = Twins(2000, 1900, 600, 590, Spread(0.97, 0.96, 0.98, 600), Spread(0.6, 0.5, 0.7, 10))
BEATEN = Simple("logistic regression", "AUROC", 0.6, 0.8, Spread(-0.2, -0.25, -0.15, 600))
BAD_SLICE = Slice("city", "aspen", Spread(0.5, 0.4, 0.6, 200), Spread(0.9, 0.88, 0.92, 900))
UNFAIR = {"gender": {"1": {"f": Counts(10, 10, 90, 90), "m": Counts(90, 90, 10, 10)}}}
BY_HEART = {"train_quality": Spread(1.0, 0.99, 1.0, 2000), "heldout_quality": Spread(0.6, 0.55, 0.65, 600)}
BROKEN: dict[CheckName, tuple[Parts, Predictor | None]] = {
    "schema_compatible": (with_features(AGE, NIGHTS, CITY, Feature("plan", Kind.CATEGORY, categories=("a",))), None),
    "dataset_pinned": (
        Parts(lineage=Lineage("bookings-7", "1" * 64, 2000), training=replace(FACTS, dataset_named=True)),
        None,
    ),
    "null_rates": (Parts(reference=ages(lambda x: np.where(np.arange(2000) % 50, np.nan, x))), None),
    "ranges_plausible": (Parts(reference=ages(lambda x: x * 360)), None),
    "categories_known": (Parts(reference=reference(city=NEW_CITIES)), None),
    "row_count": (Parts(reference=columns_of(draw(300, 2)[0])), None),
    "rules_hold": (Parts(contract=RULED, training=replace(FACTS, broken_rules={"nights <= 9": 4})), None),
    "missing_strategy": (with_features(AGE, replace(NIGHTS, fill=None), CITY), None),
    "no_leakage": (with_facts(single={"age": 0.999}), None),
    "no_duplicates": (with_facts(twins=SAMPLED), None),
    "temporal_order": (with_facts(times=Times("at", train_last="2020", early=4)), None),
    "split_documented": (with_facts(split=Split("last", 2000, 600, 0.6, 0.02)), None),
    "personal_data": (with_features(AGE, NIGHTS, replace(CITY, categories=("ana@example.org",))), None),
    "simpler_not_better": (with_facts(simple=BEATEN), None),
    "overfitting_gap": (with_facts(**BY_HEART), None),
    "slices_hold": (with_facts(slices=(BAD_SLICE,)), None),
    "fairness_holds": (with_facts(groups=UNFAIR), None),
    "calibrated": (Parts(), Loud()),
    "features_useful": (with_facts(importances={"age": 0.2, "nights": 0.0, "city": -0.001}), None),
    "robust_to_bad_input": (Parts(), Fragile()),
}
MINE: tuple[CheckName, ...] = (*BROKEN, "heldout_locked")


def before(**changes: Any) -> Parts:
    """The champion."""
    return Parts(**{"seed": 50, "lineage": Lineage("bookings-7", "0" * 64, 2000), **changes})


def made(name: CheckName, subject: Subject) -> Check:
    """One check of a version."""
    return READ[name](subject)


@pytest.mark.parametrize("name", MINE)
def test_a_good_version_passes(name: CheckName, put: Put, subject: MakeSubject) -> None:
    """Against a champion, and as the first version."""
    for champion in (put(before()), None):
        check = made(name, subject(put(), champion))
        assert (check.name, check.outcome) == (name, Outcome.HOLDS), check.reason


@pytest.mark.parametrize("name", BROKEN)
def test_a_version_that_breaks_a_rule_is_told(name: CheckName, put: Put, subject: MakeSubject) -> None:
    """Each by a version that is wrong in that alone."""
    check = made(name, subject(put(*BROKEN[name]), put(before())))
    assert check.outcome is Outcome.BREACHED, check.reason


def test_rows_that_the_champion_was_trained_on_are_told(put: Put, subject: MakeSubject) -> None:
    """The candidate's held-out rows are in the champion's sketch; a sketch of other features cannot tell."""
    rows, truth = draw(600, 3)
    hashes = hashes_of(CONTRACT, columns_of(rows), truth.astype(np.float64))
    champion = put(before(training=replace(FACTS, sketch=sketch(CONTRACT.names, hashes))))
    check = made("heldout_locked", subject(put(), champion))
    assert check.outcome is Outcome.BREACHED, check.reason
    assert check.measured["share"] == 1.0
    other = put(before(training=replace(FACTS, sketch=sketch(("age",), hashes))))
    assert made("heldout_locked", subject(put(), other)).holds
    drawn = hashes_of(CONTRACT, columns_of(draw(600, 99)[0]), truth.astype(np.float64))
    apart = put(before(training=replace(FACTS, sketch=sketch(CONTRACT.names, drawn))))
    assert made("heldout_locked", subject(put(), apart)).holds


@pytest.mark.parametrize("name", ["no_duplicates", "temporal_order", "no_leakage", "overfitting_gap", "fairness_holds"])
def test_an_old_bundle_says_what_to_do(name: CheckName, put: Put, subject: MakeSubject) -> None:
    """It has no file of facts; one that could not be measured says so too."""
    with pytest.raises(BundleError, match="from before training rows were measured: register the version again"):
        made(name, subject(put(Parts(training=None))))
    with pytest.raises(BundleError, match="register the version again"):
        made(name, subject(put(Parts(training=TrainingFacts()))))


def test_what_could_not_be_measured_says_why(put: Put, subject: MakeSubject) -> None:
    """With the reason of the registration."""
    empty = Parts(training=TrainingFacts(problems={"twins": "RuntimeError: out of order"}))
    with pytest.raises(BundleError, match="RuntimeError: out of order: register the version again"):
        made("no_duplicates", subject(put(empty)))


def test_an_old_champion_is_no_obstacle(put: Put, subject: MakeSubject) -> None:
    """What it never measured is not compared."""
    champion = put(before(training=None))
    candidate = subject(put(), champion)
    assert all(made(name, candidate).holds for name in MINE)


def test_a_miscalibrated_version_may_replace_one_that_is_no_better(put: Put, subject: MakeSubject) -> None:
    """Its error is beyond the bound, the champion's as far; values have none."""
    check = made("calibrated", subject(put(Parts(), Loud()), put(before(), Loud())))
    assert check.outcome is Outcome.HOLDS, check.reason
    assert "the champion's is" in check.reason
    value = put(Parts(contract=replace(CONTRACT, task=Task.REGRESSION, classes=())))
    assert "Does not apply" in made("calibrated", subject(value)).reason


def test_a_model_that_raises_on_strange_rows_is_told(put: Put, subject: MakeSubject) -> None:
    """With the feature, the disturbance and the error; what the contract refuses never reaches it."""

    class Strict(StayPredictor):
        def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
            if any(row[2] not in CITIES for row in rows):
                raise KeyError("never seen before")
            return super().predict(rows)

    check = made("robust_to_bad_input", subject(put(Parts(), Strict())))
    assert check.outcome is Outcome.BREACHED
    assert "city unseen: KeyError" in check.reason
    guarded = with_features(AGE, NIGHTS, replace(CITY, unseen=Policy.REJECT))
    assert made("robust_to_bad_input", subject(put(guarded, Strict()))).holds


def test_the_policy_decides(put: Put, subject: MakeSubject) -> None:
    """Each bound can be set: what was told holds, and what held is told."""
    worse = put(BROKEN["overfitting_gap"][0])
    assert made("overfitting_gap", subject(worse, policy=GatePolicy(overfitting=0.5))).holds
    late = GatePolicy(known_late=("nights",))
    assert made("no_leakage", subject(put(), policy=late)).outcome is Outcome.BREACHED
    protected = GatePolicy(protected=("height",))
    assert made("fairness_holds", subject(put(), policy=protected)).outcome is Outcome.UNMEASURED
