from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.distances import Limits, Thresholds
from fairlead.stats.drift import ColumnDrift, Level, compare, ranked
from fairlead.stats.profile import TableProfile, profile, profile_column

Draw = Callable[[np.random.Generator, int], Column]


def numeric(draw: Callable[[np.random.Generator, int], np.ndarray]) -> Draw:
    return lambda rng, n: NumericColumn("x", np.asarray(draw(rng, n), dtype=np.float64))


def categorical(size: int) -> Draw:
    weights = np.arange(1, size + 1) ** -1.1
    names = tuple(f"c{i}" for i in range(size))
    shares = weights / weights.sum()
    return lambda rng, n: CategoricalColumn("x", rng.choice(size, n, p=shares).astype(np.int32), names)


DRAWS: dict[str, Draw] = {
    "normal": numeric(lambda rng, n: rng.normal(10, 2, n)),
    "lognormal": numeric(lambda rng, n: rng.lognormal(1, 0.8, n)),
    "heavy tails": numeric(lambda rng, n: rng.standard_t(2.5, n)),
    "counts": numeric(lambda rng, n: rng.poisson(3, n)),
    "sparse": numeric(lambda rng, n: np.where(rng.random(n) < 0.05, rng.lognormal(size=n), 0.0)),
    "nulls": numeric(lambda rng, n: np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n))),
    "2 categories": categorical(2),
    "20 categories": categorical(20),
    "200 categories": categorical(200),
}


def compared(reference: Column, current: Column, alpha: float = 0.01) -> ColumnDrift:
    one = profile([reference])
    (found,) = compare(one, profile([current], one.grids), alpha=alpha)
    return found


def false_alarms(draw: Draw, n: int, m: int, runs: int, seed: int) -> tuple[int, int]:
    """Of `runs` comparisons without a change: how many had p < 0.05, and how many were flagged at alpha = 5 %."""
    rng = np.random.default_rng(seed)
    small = flagged = 0
    for _ in range(runs):
        found = compared(draw(rng, n), draw(rng, m), alpha=0.05)
        assert found.p_value is not None
        small += found.p_value < 0.05
        flagged += found.level is not Level.NONE
    return small, flagged


def at_most_nominal(hits: int, runs: int) -> bool:
    """Whether an exact binomial bound leaves room for a true rate of 5 % (fails by chance once in 10,000)."""
    return bool(stats.binom.sf(hits - 1, runs, 0.05) > 1e-4)


@pytest.mark.parametrize("name", DRAWS)
def test_without_a_change_few_columns_are_significant(name: str) -> None:
    """False alarms stay at or below the nominal 5 % (a fast look: 150 comparisons)."""
    small, flagged = false_alarms(DRAWS[name], 300, 200, 150, seed=1)
    assert at_most_nominal(small, 150)
    assert flagged <= small


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), [(100, 100), (1_000, 1_000), (10_000, 10_000), (100, 10_000), (5_000, 200)])
@pytest.mark.parametrize("name", DRAWS)
def test_the_false_alarm_rate_is_at_most_nominal(name: str, n: int, m: int) -> None:
    """Under no change, p < 0.05 and flags at alpha = 5 % happen in at most 5 % of columns, at every size and shape."""
    runs = 1_000
    small, flagged = false_alarms(DRAWS[name], n, m, runs, seed=n + m)
    assert at_most_nominal(small, runs)
    assert at_most_nominal(flagged, runs)


@pytest.mark.slow
def test_tables_without_a_change_are_rarely_flagged() -> None:
    """Of 400 tables of nine unchanged columns, no more than alpha has any flagged column (Benjamini-Hochberg)."""
    rng = np.random.default_rng(11)
    bad = 0
    for _ in range(400):
        one = TableProfile(400, tuple(profile_column(_named(d(rng, 400), k)) for k, d in DRAWS.items()))
        two = TableProfile(
            300,
            tuple(
                profile_column(_named(d(rng, 300), k), g) for (k, d), g in zip(DRAWS.items(), one.grids, strict=True)
            ),
        )
        bad += any(column.level is not Level.NONE for column in compare(one, two, alpha=0.05))
    assert at_most_nominal(bad, 400)


def _named(column: Column, name: str) -> Column:
    if isinstance(column, NumericColumn):
        return NumericColumn(name, column.values)
    return CategoricalColumn(name, column.codes, column.categories)


CHANGES: dict[str, tuple[Draw, Draw]] = {
    "a shift of half a deviation": (DRAWS["normal"], numeric(lambda rng, n: rng.normal(11, 2, n))),
    "twice the spread": (DRAWS["normal"], numeric(lambda rng, n: rng.normal(10, 4, n))),
    "a slipped decimal point in 3 %": (
        DRAWS["lognormal"],
        numeric(lambda rng, n: rng.lognormal(1, 0.8, n) * np.where(rng.random(n) < 0.03, 100, 1)),
    ),
    "four times the nulls": (
        DRAWS["nulls"],
        numeric(lambda rng, n: np.where(rng.random(n) < 0.4, np.nan, rng.normal(size=n))),
    ),
    "the other category": (
        categorical(2),
        lambda rng, n: CategoricalColumn("x", (rng.random(n) < 0.7).astype(np.int32), ("c0", "c1")),
    ),
    "a new category": (
        categorical(20),
        lambda rng, n: CategoricalColumn("x", np.where(rng.random(n) < 0.1, 0, 1).astype(np.int32), ("new", "c0")),
    ),
    "another constant": (numeric(lambda _, n: np.full(n, 5.0)), numeric(lambda _, n: np.full(n, 6.0))),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_real_change_is_found(name: str) -> None:
    """With 1,000 rows on each side a change of practical size is flagged in at least 95 of 100 samples."""
    before, after = CHANGES[name]
    rng = np.random.default_rng(3)
    hits = sum(compared(before(rng, 1_000), after(rng, 1_000)).level is not Level.NONE for _ in range(40))
    assert hits >= 38


def test_a_significant_change_of_no_size_is_not_flagged() -> None:
    """At 200,000 rows a shift of 0.02 deviations is beyond doubt, and no drift."""
    rng = np.random.default_rng(0)
    found = compared(NumericColumn("x", rng.normal(size=200_000)), NumericColumn("x", rng.normal(0.02, 1, 200_000)))
    assert found.p_value is not None
    assert found.p_value < 1e-4
    assert found.level is Level.NONE


def test_a_large_effect_without_evidence_is_not_flagged() -> None:
    """Twenty rows show a PSI above 0.25 by chance."""
    rng = np.random.default_rng(1)
    found = compared(NumericColumn("x", rng.normal(size=20)), NumericColumn("x", rng.normal(0.4, 1, 20)))
    assert found.level is Level.NONE
    assert found.detectable is not None
    assert found.detectable > 1.0


def test_limits_are_the_callers() -> None:
    """A stricter limit flags what the default leaves alone."""
    rng = np.random.default_rng(0)
    one = profile([NumericColumn("x", rng.normal(size=200_000))])
    two = profile([NumericColumn("x", rng.normal(0.02, 1, 200_000))], one.grids)
    (found,) = compare(one, two, thresholds=Thresholds(wasserstein=Limits(0.01, 0.5)))
    assert found.level is Level.WARNING
    assert found.distance("wasserstein").warning == 0.01


def test_what_cannot_be_measured_says_why() -> None:
    """Missing, all null on either side, and empty columns carry a reason and no p-value."""
    nulls, some = np.full(10, np.nan), np.arange(10.0)
    reference = profile([NumericColumn(name, some) for name in "abc"] + [NumericColumn("d", nulls)])
    current = TableProfile(
        10,
        (
            profile_column(NumericColumn("a", nulls), reference.grids[0]),
            profile_column(NumericColumn("b", np.empty(0)), reference.grids[1]),
            profile_column(NumericColumn("d", some), reference.grids[3]),
        ),
    )
    reasons = {column.name: column.unmeasured for column in compare(reference, current)}
    assert reasons == {
        "a": "all 10 current values are null (reference: 0.0%)",
        "b": "the current data has no rows",
        "c": "missing from the current data",
        "d": "all 10 reference values are null",
    }
    assert all(column.p_value is None for column in compare(reference, current))


def test_a_column_of_another_kind_is_unmeasured() -> None:
    """Numbers in the reference and categories in the current data have no distance."""
    reference = profile([NumericColumn("x", np.arange(10.0))])
    current = profile([CategoricalColumn("x", np.zeros(10, dtype=np.int32), ("a",))])
    (found,) = compare(reference, current)
    assert found.unmeasured == "numeric in the reference, category in the current data"


def test_alpha_is_a_rate() -> None:
    """A false discovery rate of 0 or 1 is refused."""
    reference = profile([NumericColumn("x", np.arange(10.0))])
    for alpha in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            compare(reference, reference, alpha=alpha)


def test_the_worst_come_first() -> None:
    """Critical before warning before unmeasured before calm; within them the larger effect."""
    rng = np.random.default_rng(0)
    columns = {"calm": 0.0, "worse": 1.0, "warned": 0.2, "worst": 2.0}
    reference = profile([NumericColumn(name, rng.normal(size=5_000)) for name in [*columns, "gone"]])
    current = TableProfile(
        5_000,
        tuple(
            profile_column(NumericColumn(name, rng.normal(shift, 1, 5_000)), grid)
            for (name, shift), grid in zip(columns.items(), reference.grids, strict=False)
        ),
    )
    found = ranked(compare(reference, current))
    assert [column.name for column in found] == ["worst", "worse", "warned", "gone", "calm"]
    with pytest.raises(KeyError):
        found[0].distance("chi_squared")
