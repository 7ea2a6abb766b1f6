"""How often a change of a table is found: four shifts of one invented table and a rare class, seeded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fairlead.core.check import judge_drift
from fairlead.core.verdict import Outcome
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.drift import ColumnDrift, compare
from fairlead.stats.profile import profile

Rows = dict[str, np.ndarray]
Change = Callable[[np.random.Generator, int], Rows]
CITIES = 12
RARE = 0.002


def customers(rng: np.random.Generator, n: int, tilt: float = 0.0, bad: float = 0.2, rare: float = RARE) -> Rows:
    """n customers: income, spending and age depend on a score, the score on whether they are `bad` (not a column)."""
    score = rng.normal(tilt, 1.0, n) - 0.8 * (rng.random(n) < bad)
    weights = np.arange(1, CITIES + 1) ** -1.1
    return {
        "income": np.exp(10.0 + 0.6 * score + 0.4 * rng.normal(size=n)),
        "spending": np.exp(6.0 + 0.5 * score + 0.8 * rng.normal(size=n)),
        "age": np.rint(np.clip(45.0 + 6.0 * score + 12.0 * rng.normal(size=n), 18, 95)),
        "orders": rng.poisson(3.0, n).astype(float),
        "late": np.where(rng.random(n) < 0.05, rng.lognormal(size=n), 0.0),
        "noise": rng.standard_t(3.0, n),
        "city": rng.choice(CITIES, n, p=weights / weights.sum()),
        "channel": rng.choice(3, n, p=[0.5, 0.3, 0.2]),
        "fraud": (rng.random(n) < rare).astype(int),
    }


def columns(rows: Rows) -> list[Column]:
    """Whole numbers are categories."""
    return [
        NumericColumn(name, values)
        if values.dtype.kind == "f"
        else CategoricalColumn(name, values.astype(np.int32), tuple(f"c{i}" for i in range(CITIES)))
        for name, values in rows.items()
    ]


def units(rng: np.random.Generator, n: int) -> Rows:
    rows = customers(rng, n)
    return rows | {"spending": rows["spending"] * np.where(rng.random(n) < 0.03, 100.0, 1.0)}


def noise(rng: np.random.Generator, n: int) -> Rows:
    rows = customers(rng, n)
    return rows | {name: rows[name] + rng.normal(0, rows[name].std(), n) for name in ("income", "age")}


CHANGES: dict[str, Change] = {
    "covariate: the score half a deviation lower": lambda rng, n: customers(rng, n, tilt=-0.5),
    "knock-out: none of the bad fifth": lambda rng, n: customers(rng, n, tilt=0.15, bad=0.0),
    "units: one column a hundredfold in 3 % of the rows": units,
    "noise: a deviation on two of nine columns": noise,
}


def found(change: Change, n: int, runs: int, rows: int) -> int:
    """Tables called drifted at the default alpha."""
    rng = np.random.default_rng(n)
    hits = 0
    for _ in range(runs):
        one = profile(columns(customers(rng, rows)))
        hits += judge_drift(compare(one, profile(columns(change(rng, n)), one.grids))).outcome is Outcome.BREACHED
    return hits


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_practical_size_is_found_in_a_thousand_rows(name: str) -> None:
    """With 1,000 current rows against 10,000, each of the four shifts is called drift in at least 95 of 100 tables."""
    assert found(CHANGES[name], 1_000, 100, 10_000) >= 95


@pytest.mark.slow
def test_the_same_table_unchanged_is_rarely_called_drifted() -> None:
    """The power is not bought with false alarms: of 200 unchanged tables, at most 1 % but for chance."""
    assert found(customers, 1_000, 200, 10_000) <= 8


@pytest.mark.slow
def test_a_rare_class_that_is_eight_times_as_frequent_is_found_in_three_thousand_rows() -> None:
    """A class of 0.2 % at 1.6 %, 3,000 rows against 30,000: called drift in at least 90 of 100 tables."""
    assert found(lambda rng, n: customers(rng, n, rare=8 * RARE), 3_000, 100, 30_000) >= 90


def rare_class(rng: np.random.Generator, n: int, rows: int) -> ColumnDrift:
    """The column of a class of 0.2 % that doubles."""
    names = ("no", "yes")
    before = CategoricalColumn("fraud", (rng.random(rows) < RARE).astype(np.int32), names)
    after = CategoricalColumn("fraud", (rng.random(n) < 2 * RARE).astype(np.int32), names)
    one = profile([before])
    (column,) = compare(one, profile([after], one.grids))
    return column


@pytest.mark.slow
def test_a_doubled_rare_class_is_evident_from_twenty_thousand_rows() -> None:
    """0.2 % to 0.4 % has p <= 1 % over its column's tests in at least 85 of 100 windows of 20,000 rows."""
    rng = np.random.default_rng(0)
    p_values = [rare_class(rng, 20_000, 100_000).p_value for _ in range(100)]
    assert sum(p_value is not None and p_value <= 0.01 for p_value in p_values) >= 85
