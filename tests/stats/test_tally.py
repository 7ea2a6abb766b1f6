from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import NumericProfile, build_grid, profile_column
from fairlead.stats.tally import LARGE, Buckets, Floats, Ordered, Whole, arranged

ROWS = 3 * LARGE + 17


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
        "constant": np.full(ROWS, 3.0),
    }


def buckets(values: Floats, cuts: Floats | None = None) -> Buckets:
    found = arranged(values, cuts)
    assert isinstance(found, Buckets)
    return found


@pytest.mark.parametrize("name", shapes())
def test_buckets_and_sorting_give_the_same_quantiles_and_counts(name: str) -> None:
    """Exactly the same quantiles and counts, whatever the shape; sums up to rounding."""
    values = shapes()[name]
    ordered, ready = Ordered(np.sort(values)), arranged(values)
    assert (ready.atoms() is None) == (ordered.atoms() is None)
    assert np.array_equal(ready.quantiles(), ordered.quantiles())
    cuts = np.unique(ordered.quantiles())
    with np.errstate(over="ignore", invalid="ignore"):
        for other in (ready, arranged(values, cuts)):
            (counts, sums), (expected, totals) = other.count(cuts), ordered.count(cuts)
            assert np.array_equal(counts, expected)
            assert np.allclose(sums, totals, rtol=1e-9, equal_nan=True)


def test_values_beside_and_beyond_the_cuts_are_counted_where_they_belong() -> None:
    """A value equal to a cut lies at its left, its upper neighbour at its right; the ends are open."""
    cuts = np.sort(np.random.default_rng(1).normal(size=1_000))
    near = np.concatenate([cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf), [-1e300, 1e300]])
    values = np.concatenate([near, np.random.default_rng(2).normal(size=LARGE * 2)])
    counts, _ = buckets(values, cuts).count(cuts)
    assert np.array_equal(counts, np.bincount(np.searchsorted(cuts, values, side="left"), minlength=1_001))


def test_columns_for_which_buckets_do_not_pay_are_sorted() -> None:
    """Short ones, few values, and a current column that crowds around a cut; small whole numbers are only counted."""
    found = shapes()
    assert isinstance(arranged(found["normal"][:1_000]), Ordered)
    assert isinstance(arranged(found["counts"] / 4), Ordered)
    assert isinstance(arranged(found["counts"]), Whole)
    nearly = found["counts"].copy()
    nearly[1] += 0.5
    assert isinstance(arranged(nearly), Ordered)
    cuts = np.unique(arranged(found["normal"]).quantiles())
    assert isinstance(arranged(found["normal"], cuts), Buckets)
    assert isinstance(arranged(np.full(ROWS, cuts[500]), cuts), Ordered)
    assert isinstance(arranged(found["normal"], np.empty(0)), Ordered)


def test_long_columns_with_nulls_and_infinities_are_profiled_alike() -> None:
    """A profile of many rows is the sum of the profiles of its parts, which are sorted."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=ROWS)
    values[rng.random(ROWS) < 0.05] = np.nan
    values[:3], values[3:5] = np.inf, -np.inf
    grid = build_grid(NumericColumn("x", rng.normal(size=LARGE)))
    whole = profile_column(NumericColumn("x", values), grid)
    one, two = (profile_column(NumericColumn("x", part), grid) for part in (values[:60_000], values[60_000:120_000]))
    three = profile_column(NumericColumn("x", values[120_000:]), grid)
    assert isinstance(whole, NumericProfile)
    assert isinstance(one, NumericProfile)
    assert isinstance(two, NumericProfile)
    assert isinstance(three, NumericProfile)
    parts = one + two + three
    assert (whole.counts, whole.nulls, whole.low_infinite, whole.high_infinite) == (
        parts.counts,
        parts.nulls,
        parts.low_infinite,
        parts.high_infinite,
    )
    assert whole.m2 == pytest.approx(parts.m2, rel=1e-9)
    assert np.allclose(whole.sums, parts.sums, rtol=1e-9)
