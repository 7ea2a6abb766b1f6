"""A reference that knows what its held-out rows cost ranks shifts by what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.cost import CostMatrix
from fairlead.core.harm import HarmPolicy
from fairlead.flows.watching.harms import Informed, informed
from fairlead.flows.watching.reference import build_reference
from fairlead.flows.watching.shifts import shifts_of
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.profile import TableProfile, profile

Row = tuple[Any, ...]
CONTRACT = (Feature("a", Kind.NUMBER), Feature("b", Kind.NUMBER), Feature("city", Kind.CATEGORY))


class Threshold:
    """Says yes above a half of the first feature: often wrong near it, never far from it."""

    def predict(self, rows: Sequence[Row]) -> np.ndarray:
        p = np.array([row[0] for row in rows], np.float64)
        return np.column_stack([1 - p, p])


def rows(seed: int, a: float = 0.0, b: float = 0.0, n: int = 4_000) -> tuple[list[Row], list[str]]:
    """Features with means moved, and truths whose chance is the first."""
    rng = np.random.default_rng(seed)
    first = np.clip(rng.beta(0.4, 0.4, n) * (1 - a) + 0.5 * a, 0, 1)
    second = rng.normal(b, 1.0, n)
    cities = np.where(rng.random(n) < 0.5, "lisbon", "porto")
    truth = ["yes" if rng.random() < p else "no" for p in first]
    return list(zip(first.tolist(), second.tolist(), cities.tolist(), strict=True)), truth


def table(some: list[Row], like: TableProfile | None = None) -> TableProfile:
    """The profile of feature rows."""
    cities = np.array([row[2] != "lisbon" for row in some], np.int32)
    columns = (
        NumericColumn("a", np.array([row[0] for row in some])),
        NumericColumn("b", np.array([row[1] for row in some])),
        CategoricalColumn("city", cities, ("lisbon", "porto")),
    )
    return profile(columns, None if like is None else like.grids)


def reference(cost: CostMatrix | None = None, task: Task = Task.BINARY) -> Informed:
    """The model on its held-out rows."""
    held, truth = rows(0)
    labels: list[Any] = list(truth) if task is Task.BINARY else [float(t == "yes") for t in truth]
    contract = Contract(CONTRACT, task, "y", ("no", "yes") if task is Task.BINARY else ())
    manifest = Manifest("m", contract, "skops", "m", "m", {}, Lineage("d", "d", 1), threshold=0.5)
    bare = build_reference(1, manifest, table(held), (held, labels), Threshold(), HarmPolicy())
    return informed(bare, (held, labels), Threshold(), cost)


def test_a_small_harmful_shift_comes_before_a_large_harmless_one() -> None:
    """Scores that move to the middle cost errors; a feature that the model ignores may move by three deviations."""
    known = reference(CostMatrix(5.0, 200.0))
    current, truth = rows(1, a=0.5, b=3.0)
    shifts, _ = shifts_of(known, table(current, known.profile), 0.01)
    first, second = shifts[0], shifts[1]
    assert [first.name, second.name] == ["a", "b"]
    assert (second.effect or 0.0) > (first.effect or 0.0)
    assert second.harm == 0.0
    error = np.mean([(row[0] >= 0.5) != (t == "yes") for row, t in zip(current, truth, strict=True)])
    before = 1 - known.measures["accuracy"].value
    assert (first.loss_low or 0.0) - 0.03 <= error - before <= (first.loss_high or 0.0) + 0.03
    assert first.harm == first.metric_change
    assert first.money is not None
    assert first.money_window == pytest.approx(first.money / 1_000 * 4_000)


def test_the_money_is_that_of_the_decisions() -> None:
    """Per 1,000 predictions: the rise of the mean cost, computed on the current rows' own outcomes."""
    known = reference(CostMatrix(5.0, 200.0))
    current, truth = rows(1, a=0.5, n=20_000)
    cost = CostMatrix(5.0, 200.0)
    held, labels = rows(0)

    def mean(some: list[Row], said: list[str]) -> float:
        return float(np.mean([cost.of(float(t == "yes"), float(r[0] >= 0.5)) for r, t in zip(some, said, strict=True)]))

    found = next(one for one in shifts_of(known, table(current, known.profile), 0.01)[0] if one.name == "a")
    rise = 1_000 * (mean(current, truth) - mean(held, labels))
    assert (found.money_low or 0.0) <= rise <= (found.money_high or 0.0)


def test_without_a_cost_matrix_there_is_no_money() -> None:
    """Nor in a regression, whose errors have no such price."""
    current, _ = rows(1, a=0.5)
    for known in (reference(), reference(CostMatrix(1.0, 1.0), Task.REGRESSION)):
        shifts, _ = shifts_of(known, table(current, known.profile), 0.01)
        assert all(one.money is None for one in shifts)
        assert any(one.loss_change is not None for one in shifts)


def test_without_labels_nothing_is_known() -> None:
    """Held-out rows without an outcome leave importance and shift."""
    held, _ = rows(0, n=50)
    known = reference()
    fresh = informed(Informed(1, known.contract, 0.5, known.profile, {}, {}), (held, [None] * 50), Threshold(), None)
    assert fresh.bases == {}
