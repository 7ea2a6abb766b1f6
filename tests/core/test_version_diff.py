"""Two versions side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from fairlead.core.bundle import HELDOUT, Lineage, Manifest, ModelCard
from fairlead.core.contract import Contract, DefaultAnswer, Feature, Kind, Policy, Rule, Task
from fairlead.core.contract_diff import Change, of_contracts
from fairlead.core.report import SCORE
from fairlead.core.training import Spread, TrainingFacts
from fairlead.core.verdict import Outcome
from fairlead.core.version_diff import ANSWERS, Known, Side, difference
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.drift import Level
from fairlead.stats.profile import TableProfile, profile

AGE = Feature("age", Kind.NUMBER, minimum=18.0, maximum=90.0)
CITY = Feature("city", Kind.CATEGORY, categories=("aspen", "berlin"))
CONTRACT = Contract((AGE, CITY), Task.BINARY, "canceled", ("0", "1"))
LINEAGE = Lineage("spring", "d" * 64, 800, code_commit="abc", environment={"python": "3.11", "numpy": "2.0"})
MANIFEST = Manifest(
    "hotel", CONTRACT, "skops", "model/m.skops", "model/m.skops", {HELDOUT: "h"}, LINEAGE, metrics={"auroc": 0.8}
)


def seen(shift: float = 0.0, cities: tuple[str, ...] = ("aspen", "berlin"), seed: int = 1) -> TableProfile:
    """800 rows, and the answers to them."""
    rng = np.random.default_rng(seed)
    return profile(
        [
            NumericColumn("age", rng.normal(40 + shift, 10, 800)),
            CategoricalColumn("city", rng.integers(0, len(cities), 800).astype(np.int32), cities),
            NumericColumn(SCORE, rng.uniform(0, 1, 800)),
        ]
    )


def known(version: int = 1, **changes: Any) -> Known:
    facts = TrainingFacts(heldout_quality=Spread(0.80, 0.77, 0.83, 800), importances={"age": 0.1, "city": 0.02})
    of = Known(Side(version, f"bundle-{version}"), MANIFEST, seen(seed=version), ModelCard(owner="ana"), facts)
    return replace(of, **changes)


def test_versions_of_one_law_differ_in_nothing_but_their_rows() -> None:
    """Data undecided or better, never breached; no line of schema, card and environment; equal figures."""
    found = difference(known(1), known(2))
    assert found.data.verdict.outcome is not Outcome.BREACHED
    assert (found.schema, found.card, found.environment, found.unmeasured) == ((), (), (), {})
    assert found.same_dataset
    assert all(line.same for line in found.lineage)
    assert found.metrics[0].difference == 0.0
    assert [weight.difference for weight in found.importances] == [0.0, 0.0]


def test_moved_data_is_named_with_effect_and_significance() -> None:
    """The first version's rows are the reference, and the answers are compared under a name of their own."""
    found = difference(known(1), known(2, profile=seen(8.0, ("aspen", "berlin", "cairo"), 2)))
    assert found.data.verdict.outcome is Outcome.BREACHED
    levels = {column.name: column for column in found.data.columns}
    assert set(levels) == {"age", "city", ANSWERS}
    for name in ("age", "city"):
        assert levels[name].level is Level.CRITICAL
        assert levels[name].effect > 1
        assert (levels[name].p_value or 0) < 1e-6
    assert levels[ANSWERS].level is Level.NONE


def test_features_of_one_side_are_named_and_not_compared() -> None:
    """What only one of them has has no distribution to be compared with."""
    one, two = seen(), seen(seed=2)
    less = TableProfile(one.rows, tuple(column for column in one.columns if column.grid.name != "city"))
    found = difference(known(1, profile=less), known(2, profile=two)).data
    assert (found.only_before, found.only_after) == ((), ("city",))
    assert {column.name for column in found.columns} == {"age", ANSWERS}
    back = difference(known(1, profile=two), known(2, profile=less)).data
    assert (back.only_before, back.only_after) == (("city",), ())


def test_a_feature_that_changed_its_kind_is_unmeasured() -> None:
    """Numbers have no distance from words."""
    one = seen()
    words = CategoricalColumn("age", np.zeros(800, np.int32), ("old",))
    two = TableProfile(800, (*profile([words]).columns, *one.columns[1:]))
    found = difference(known(1), known(2, profile=two)).data
    assert {column.name: column.unmeasured for column in found.columns}["age"].startswith("numeric in the reference")


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        (Spread(0.90, 0.88, 0.92, 800), Outcome.HOLDS),
        (Spread(0.70, 0.66, 0.74, 800), Outcome.BREACHED),
        (Spread(0.82, 0.79, 0.85, 800), Outcome.UNDECIDED),
    ],
)
def test_a_quality_is_higher_or_lower_only_beyond_what_chance_does(after: Spread, outcome: Outcome) -> None:
    """The interval of the difference is that of two apart."""
    quality = difference(known(1), known(2, training=TrainingFacts(heldout_quality=after))).quality
    assert quality is not None
    assert quality.verdict.outcome is outcome
    assert quality.low <= quality.difference <= quality.high
    assert (quality.low > 0, quality.high < 0) == (outcome is Outcome.HOLDS, outcome is Outcome.BREACHED)


def test_what_cannot_be_known_is_said() -> None:
    """A bundle without training facts has no importances and no interval; one bundle has no quality to compare."""
    found = difference(known(1, training=TrainingFacts()), known(2))
    assert found.unmeasured == {
        "importances": "the bundle of version 1 holds no importances",
        "quality": "the bundle of version 1 holds no AUROC with an interval",
    }
    assert (found.importances, found.quality) == ((), None)
    assert "version 2" in difference(known(1), known(2, training=TrainingFacts())).unmeasured["importances"]
    assert difference(known(1), known(1)).unmeasured == {"quality": "the two are one bundle"}
    other = replace(MANIFEST, contract=replace(CONTRACT, task=Task.REGRESSION))
    assert difference(known(1), known(2, manifest=other)).unmeasured == {
        "quality": "the two versions do not have one task"
    }


def test_lineage_card_packages_and_metrics() -> None:
    """Each line with both sides; what one side lacks is empty there."""
    lineage = replace(
        LINEAGE, dataset="summer", dataset_digest="e" * 64, rows=1_000, parent=1, environment={"python": "3.12"}
    )
    after = replace(MANIFEST, lineage=lineage, metrics={"auroc": 0.9, "brier": 0.1}, threshold=0.3)
    found = difference(known(1), known(2, manifest=after, card=ModelCard(owner="bo", version="2")))
    lines = {line.what: (line.before, line.after) for line in found.lineage if not line.same}
    assert lines == {
        "dataset": ("spring", "summer"),
        "dataset digest": ("d" * 64, "e" * 64),
        "rows": ("800", "1,000"),
        "made to replace": ("", "version 1"),
        "threshold": ("0.5", "0.3"),
    }
    assert not found.same_dataset
    assert found.card == (Change("owner", "ana", "bo"),)
    assert found.environment == (Change("numpy", "2.0", ""), Change("python", "3.11", "3.12"))
    shifts = {shift.name: (shift.before, shift.after) for shift in found.metrics}
    assert shifts == {"auroc": (0.8, 0.9), "brier": (None, 0.1)}
    assert [shift.difference is None for shift in found.metrics] == [False, True]


def test_features_weigh_by_their_larger_side() -> None:
    """The heaviest first, also where only one side has it."""
    two = TrainingFacts(importances={"city": 0.3, "nights": -0.2})
    found = difference(known(1), known(2, training=two)).importances
    assert [weight.feature for weight in found] == ["city", "nights", "age"]
    assert (found[1].before, found[1].after, found[1].difference) == (None, -0.2, None)


@pytest.mark.parametrize(
    ("after", "line"),
    [
        (replace(CONTRACT, task=Task.REGRESSION), Change("task", "binary", "regression")),
        (replace(CONTRACT, target="stayed"), Change("target", "canceled", "stayed")),
        (replace(CONTRACT, classes=("no", "yes")), Change("classes", "0, 1", "no, yes")),
        (replace(CONTRACT, unit="guest"), Change("unit", "", "guest")),
        (replace(CONTRACT, default=DefaultAnswer(0)), Change("default answer", "", "0")),
        (replace(CONTRACT, features=(AGE,)), Change("city", "category", "")),
        (
            replace(CONTRACT, features=(AGE, CITY, Feature("rate", Kind.NUMBER, nullable=True))),
            Change("rate", "", "number, may be null"),
        ),
        (replace(CONTRACT, features=(CITY, AGE)), Change("order of the features", "age, city", "city, age")),
        (
            replace(CONTRACT, features=(replace(AGE, kind=Kind.INTEGER), CITY)),
            Change("age: kind", "number", "integer"),
        ),
        (replace(CONTRACT, features=(replace(AGE, nullable=True), CITY)), Change("age: null", "reject", "allowed")),
        (
            replace(CONTRACT, features=(replace(AGE, missing=Policy.IMPUTE, fill=3), CITY)),
            Change("age: null", "reject", "impute, as 3"),
        ),
        (
            replace(CONTRACT, features=(replace(AGE, maximum=None), CITY)),
            Change("age: range", "18 to 90", "18 to any"),
        ),
        (
            replace(CONTRACT, features=(replace(AGE, out_of_range=Policy.REJECT), CITY)),
            Change("age: beyond its range", "warn", "reject"),
        ),
        (
            replace(CONTRACT, features=(AGE, replace(CITY, unseen=Policy.REJECT))),
            Change("city: unseen category", "warn", "reject"),
        ),
        (
            replace(CONTRACT, features=(AGE, replace(CITY, categories=("aspen", "cairo", "delhi")))),
            Change("city: categories", "berlin", "cairo, delhi"),
        ),
        (replace(CONTRACT, rules=(Rule("age > 3"),)), Change("rule age > 3", "", "reject")),
    ],
)
def test_each_line_of_a_contract_is_compared(after: Contract, line: Change) -> None:
    """One change is one line; back it is the same line turned round; nothing is said of what is the same."""
    assert of_contracts(CONTRACT, after) == (line,)
    assert of_contracts(after, CONTRACT) == (Change(line.what, line.after, line.before),)
    assert of_contracts(after, after) == ()
