from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import NumericProfile, build_grid, profile_column
from fairlead.stats.tally import SAMPLE, STRIDE, TABLE_PAYS, count_values, lookup, ordered

ROWS = 65_536 + 4_481

WILD = np.resize([np.nan, np.inf, -np.inf], ROWS)


def shapes() -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    return {
        "normal": rng.normal(1e6, 2, ROWS),
        "heavy tails": rng.standard_t(1.2, ROWS),
        "lognormal": rng.lognormal(0, 3, ROWS),
        "zero-inflated": np.where(rng.random(ROWS) < 0.1, 0.0, rng.normal(size=ROWS)),
        "two far clusters": np.where(rng.random(ROWS) < 0.5, rng.normal(size=ROWS), rng.normal(1e9, 1, ROWS)),
        "the whole range of floats": rng.uniform(-1, 1, ROWS) * 1.7e308,
        "tiny numbers": rng.normal(size=ROWS) * 1e-300,
        "counts": rng.poisson(5, ROWS).astype(np.float64),
        "many whole numbers": np.floor(rng.lognormal(6, 1, ROWS).clip(0, 60_000)) - 7,
        "huge whole numbers": np.floor(rng.normal(2.0**60, 2.0**57, ROWS)),
        "cents": np.round(rng.lognormal(3, 1, ROWS), 2),
        "constant": np.full(ROWS, 3.0),
        "nulls and infinities": np.where(rng.random(ROWS) < 0.1, WILD, rng.normal(size=ROWS)),
    }


SHAPES = shapes()


def numeric(values: NDArray[np.float64], like: NumericProfile | None = None) -> NumericProfile:
    found = profile_column(NumericColumn("x", values), None if like is None else like.grid)
    assert isinstance(found, NumericProfile)
    return found


@pytest.mark.parametrize("grid", SHAPES)
def test_counts_are_those_of_searching_every_value(grid: str) -> None:
    """On every grid, values of every shape are counted where a search among the cuts puts them."""
    reference = numeric(SHAPES[grid])
    for values in SHAPES.values():
        found = numeric(values[:30_000], reference)
        known = values[:30_000][np.isfinite(values[:30_000])]
        cells = np.searchsorted(reference.grid.edges, known, side="left")
        expected = np.bincount(cells, minlength=found.counts.size)
        expected[0] += found.low_infinite
        expected[-1] += found.high_infinite
        assert np.array_equal(found.counts, expected)
        assert (found.minimum, found.maximum) == ((known.min(), known.max()) if known.size else (None, None))


@pytest.mark.parametrize("grid", SHAPES)
def test_a_profile_is_the_sum_of_its_parts_to_the_last_bit(grid: str) -> None:
    """Long parts are counted by a table, short ones by a search: nothing tells them apart afterwards."""
    reference = numeric(SHAPES[grid])
    for values in SHAPES.values():
        cuts = (0, TABLE_PAYS - 1, 66_000, 66_001, values.size)
        parts = [numeric(values[start:end], reference) for start, end in pairwise(cuts)]
        whole = numeric(values, reference)
        assert ((parts[0] + parts[1]) + parts[2]) + parts[3] == parts[3] + (parts[2] + (parts[1] + parts[0])) == whole


def test_batches_of_one_pass_are_the_profiles_of_each() -> None:
    """Windows are counted in one call as they would be alone; an empty window holds nothing."""
    values = SHAPES["heavy tails"]
    grid = numeric(values).grid
    bounds = np.array([0, 10, 5_000, 5_000, 60_000])
    for ready in (grid.lookup(10), grid.lookup(TABLE_PAYS)):
        tally = count_values(values, ready, bounds)
        for batch, (start, end) in enumerate(zip(bounds, [*bounds[1:], values.size], strict=True)):
            alone = count_values(values[start:end], ready)
            assert np.array_equal(tally.counts[batch], alone.counts[0])
            assert np.array_equal(tally.high[batch], alone.high[0])
            assert np.array_equal(tally.low[batch], alone.low[0])
            assert tally.squares[batch] == alone.squares[0]
            assert np.array_equal(tally.ends[batch], alone.ends[0])
        assert tally.counts[2].sum() == 0


def test_values_beside_and_beyond_the_cuts_are_counted_where_they_belong() -> None:
    """A value equal to a cut lies at its left, its upper neighbour at its right; the ends are open."""
    grid = build_grid(NumericColumn("x", np.random.default_rng(1).normal(size=50_000)))
    cuts = np.asarray(grid.cuts)  # type: ignore[union-attr]
    near = np.concatenate([cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf), [-1e300, 1e300]])
    values = np.concatenate([near, np.random.default_rng(2).normal(size=20_000)])
    ready = lookup(cuts, grid.origin, grid.exponent, table=True)  # type: ignore[union-attr]
    counts = count_values(values, ready).counts[0]
    assert np.array_equal(counts, np.bincount(np.searchsorted(cuts, values, side="left"), minlength=cuts.size + 1))


@pytest.mark.parametrize(
    "name", [name for name in SHAPES if name not in ("counts", "constant", "zero-inflated", "cents")]
)
def test_sampled_quantiles_are_close(name: str) -> None:
    """Cuts of a continuous column are quantiles within 6 %, and the last one is the largest value."""
    values = SHAPES[name]
    assert min(values.size // SAMPLE, STRIDE) > 1
    known = np.sort(values[np.isfinite(values)])
    order = ordered(values, (known[0], known[-1]), known.size)
    assert order.atoms is None
    assert order.quantiles[-1] == known[-1]
    ranks = np.searchsorted(known, order.quantiles, side="right") / known.size
    assert np.abs(ranks - np.arange(1, 1_023) / 1_022).max() < 0.06


@pytest.mark.parametrize("step", [1.0, 0.1])
def test_few_distinct_values_are_all_found(step: float) -> None:
    """A value that one row in 70,000 holds is an atom too, whole or not."""
    values = np.append(np.full(ROWS, 2 * step), [9 * step, 4 * step])
    order = ordered(values, (2 * step, 9 * step), values.size)
    assert order.atoms is not None
    assert order.atoms.tolist() == [2 * step, 4 * step, 9 * step]
