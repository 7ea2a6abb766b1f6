"""False alarms of every distance, column and table over a grid of shapes and sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from fairlead.core.check import judge_drift
from fairlead.core.verdict import Outcome
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.drift import ColumnDrift, Level, compare
from fairlead.stats.profile import TableProfile, profile

Draw = Callable[[np.random.Generator, int, str], Column]
BOUND = 1e-4  # how rarely a true rate at its nominal level may fail one assertion
WIDTH = 25  # columns of a table: each is a replicate of its own
RATES = (0.05, 0.01)


def numeric(draw: Callable[[np.random.Generator, int], np.ndarray]) -> Draw:
    return lambda rng, n, name: NumericColumn(name, np.asarray(draw(rng, n), dtype=np.float64))


def categorical(size: int) -> Draw:
    weights = np.arange(1, size + 1) ** -1.1
    shares = np.cumsum(weights / weights.sum())
    names = tuple(f"c{i}" for i in range(size))

    def draw(rng: np.random.Generator, n: int, name: str) -> Column:
        codes = np.minimum(np.searchsorted(shares, rng.random(n)), size - 1)
        return CategoricalColumn(name, codes.astype(np.int32), names)

    return draw


SHAPES: dict[str, Draw] = {
    "normal": numeric(lambda rng, n: rng.normal(10, 2, n)),
    "lognormal": numeric(lambda rng, n: rng.lognormal(1, 0.8, n)),
    "heavy tails": numeric(lambda rng, n: rng.standard_t(2.5, n)),
    "no variance": numeric(lambda rng, n: rng.standard_cauchy(n)),
    "counts": numeric(lambda rng, n: rng.poisson(3, n)),
    "sparse": numeric(lambda rng, n: np.where(rng.random(n) < 0.05, rng.lognormal(size=n), 0.0)),
    "nulls": numeric(lambda rng, n: np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n))),
    "2 categories": categorical(2),
    "5 categories": categorical(5),
    "20 categories": categorical(20),
    "200 categories": categorical(200),
}
# rows of the reference and of the current table, and how many columns are compared
SIZES = {
    **{(2_000, m): 1_000 for m in (50, 100, 300, 1_000)},
    **{(n, n): 1_000 for n in (50, 100, 300, 1_000)},
    (2_000, 10_000): 500,
    (10_000, 10_000): 500,
    (100_000, 100_000): 100,
}


class Alarms(NamedTuple):
    """Of columns without a change: p-values by distance, columns flagged at each rate, tables flagged at 5 %."""

    p_values: dict[str, list[float]]
    columns: int
    flagged: dict[float, int]
    tables: int
    breached: int


def profiles(rng: np.random.Generator, draw: Draw, n: int, m: int, wide: int) -> tuple[TableProfile, TableProfile]:
    one = profile([draw(rng, n, f"x{i}") for i in range(wide)])
    return one, profile([draw(rng, m, f"x{i}") for i in range(wide)], one.grids)


def alarms(draw: Draw, n: int, m: int, columns: int) -> Alarms:
    rng = np.random.default_rng([n, m])
    p_values: dict[str, list[float]] = {}
    flagged = dict.fromkeys(RATES, 0)
    measured, breached, tables = 0, 0, columns // WIDTH
    for _ in range(tables):
        found = compare(*profiles(rng, draw, n, m, WIDTH), alpha=0.05)
        breached += any(column.level is not Level.NONE for column in found)
        for rate in RATES:
            flagged[rate] += sum(alone(column, rate) for column in found)
        for column in found:
            measured += column.p_value is not None
            for name, p_value in each_p_value(column):
                p_values.setdefault(name, []).append(p_value)
    return Alarms(p_values, measured, flagged, tables, breached)


def each_p_value(column: ColumnDrift) -> list[tuple[str, float]]:
    """Each distance's p-value, and the column's."""
    found = [(one.name, one.p_value) for one in column.distances if one.p_value is not None]
    return found if column.p_value is None else [*found, ("column", column.p_value)]


def alone(column: ColumnDrift, rate: float) -> bool:
    """Whether the column would be flagged if it were the table's only one: Benjamini-Hochberg would change nothing."""
    p_values = [one.p_value for one in column.distances if one.p_value is not None]
    return any(
        (0.0 if one.p_value is None else one.p_value) * len(p_values) <= rate and one.corrected > one.warning
        for one in column.distances
        if column.p_value is not None and column.p_value <= rate
    )


def excess(hits: int, runs: int, rate: float) -> bool:
    """Whether an exact binomial bound excludes that the true rate is `rate` or less."""
    return bool(stats.binom.sf(hits - 1, runs, rate) < BOUND)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), SIZES, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_false_alarms_are_at_most_nominal_over_the_whole_grid(shape: str, n: int, m: int) -> None:
    """Without a change, every distance's p-value and every column keeps to 5 % and to 1 %, and every table to 5 %."""
    found = alarms(SHAPES[shape], n, m, SIZES[n, m])
    assert found.columns >= 0.95 * SIZES[n, m]
    for rate in RATES:
        for name, p_values in found.p_values.items():
            hits = sum(p_value <= rate for p_value in p_values)
            assert not excess(hits, len(p_values), rate), f"{name}: {hits} of {len(p_values)} at {rate:.0%}"
        assert not excess(found.flagged[rate], found.columns, rate), f"columns: {found.flagged[rate]} at {rate:.0%}"
    assert not excess(found.breached, found.tables, 0.05), f"tables: {found.breached} of {found.tables}"


@pytest.mark.slow
@pytest.mark.parametrize("m", [50, 100, 300, 1_000, 10_000])
def test_tables_of_many_shapes_are_rarely_breached(m: int) -> None:
    """Of 100 tables of 44 unchanged columns, four of each shape, at most 1 % are breached at the default alpha."""
    rng = np.random.default_rng(m)
    breached, tables = 0, 100 if m < 10_000 else 50
    for _ in range(tables):
        columns = [draw(rng, 2_000, f"{name} {i}") for name, draw in SHAPES.items() for i in range(4)]
        one = profile(columns)
        now = [draw(rng, m, f"{name} {i}") for name, draw in SHAPES.items() for i in range(4)]
        breached += judge_drift(compare(one, profile(now, one.grids))).outcome is Outcome.BREACHED
    assert not excess(breached, tables, 0.01)


def test_the_bound_sees_what_a_wasserstein_of_small_samples_does() -> None:
    """The check is not empty: calling drift at a normed distance of 0.1, a default of the field, fails it."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        reference, current = rng.normal(size=2_000), rng.normal(size=50)
        hits += stats.wasserstein_distance(reference, current) / reference.std() >= 0.1
    assert hits > 150
    assert excess(hits, 200, 0.05)
