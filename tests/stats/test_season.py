"""Nights are compared with nights: no false alarm each night, and a real change on top of the season is still found."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.drift import Level, compare
from fairlead.stats.profile import TableProfile, profile
from fairlead.stats.season import (
    STRETCHES,
    Season,
    SeasonReference,
    compare_season,
    phases_of,
    season_reference,
    usual_effects,
)

DATA = Path(__file__).parents[2].parent / "shared" / "data"
HOUR = 3600.0
NIGHT = range(5)
Floats = NDArray[np.float64]


def batch(values: Floats, reference: SeasonReference) -> TableProfile:
    """A batch of one column on the reference's grid."""
    return profile([NumericColumn("x", values)], reference.whole.grids)


def flagged(reference: SeasonReference, values: Floats, phases: range, alpha: float = 0.01) -> bool:
    """Whether the matched comparison calls the column moved."""
    return compare_season(reference, batch(values, reference), phases, alpha=alpha).columns[0].level is not Level.NONE


# -- phases --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 4_000_000_000))
def test_phases_are_the_calendars(second: int) -> None:
    """Hour, weekday and month as the standard library reads them; phase and cycle together tell the instant's hour."""
    at = datetime.fromtimestamp(second, UTC)
    phase, cycle = phases_of([float(second)], Season.HOUR_OF_WEEK)
    assert phase[0] == at.weekday() * 24 + at.hour
    assert phases_of([float(second)], Season.DAY_OF_WEEK)[0][0] == at.weekday()
    assert phases_of([float(second)], Season.HOUR_OF_DAY)[0][0] == at.hour
    month, year = phases_of([float(second)], Season.MONTH)
    assert (month[0] + 1, year[0] + 1970) == (at.month, at.year)
    assert (cycle[0] * 168 + phase[0]) * 3600 + 4 * 86400 <= second < (cycle[0] * 168 + phase[0] + 1) * 3600 + 4 * 86400


def test_local_time_is_an_offset() -> None:
    """Midnight in UTC is one o'clock an hour to the east."""
    assert phases_of([0.0], Season.HOUR_OF_DAY, offset=HOUR)[0][0] == 1


# -- references ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("season", list(Season))
def test_all_phases_together_are_the_whole(season: Season) -> None:
    """The sum of the slots is the profile of all rows, exactly in its counts, for numbers and categories."""
    rng = np.random.default_rng(0)
    at = HOUR * np.arange(0.0, 800 * 24, 7)
    city = CategoricalColumn("city", rng.integers(-1, 3, at.size).astype(np.int32), ("a", "b", "c"))
    reference = season_reference([NumericColumn("x", rng.normal(size=at.size)), city], at, season)
    matched = reference.matched(range(168))
    for one, two in zip(matched.profile.columns, reference.whole.columns, strict=True):
        assert np.array_equal(one.counts, two.counts)
    assert len(matched.stretches) <= STRETCHES
    assert matched.reason == ""


def test_a_long_reference_is_cut_into_few_stretches() -> None:
    """Three years of days hold 1,095 cycles in 26 stretches or fewer."""
    at = HOUR * np.arange(1_095.0 * 24)
    matched = season_reference([NumericColumn("x", at)], at, Season.HOUR_OF_DAY).matched(NIGHT)
    assert matched.cycles == 1_095
    assert len(matched.stretches) <= STRETCHES


def test_too_few_cycles_or_rows_fall_back_with_a_reason() -> None:
    """One week knows no hour of the week; hours of the day stand in, and where they are too few, the whole."""
    at = HOUR * np.arange(168.0) + 4 * 86400
    week = season_reference([NumericColumn("x", at)], at, Season.HOUR_OF_WEEK)
    coarse = week.matched([3], least_rows=5)
    assert (coarse.season, coarse.profile.rows) == (None, 168)
    assert "1 cycle of this hour of week, 2 are needed" in coarse.reason
    twice = HOUR * np.arange(336.0) + 4 * 86400
    weeks = season_reference([NumericColumn("x", twice)], twice, Season.HOUR_OF_WEEK)
    assert weeks.matched([3], least_rows=2).season is Season.HOUR_OF_WEEK
    hours = weeks.matched([3], least_rows=14)
    assert (hours.season, hours.profile.rows) == (Season.HOUR_OF_DAY, 14)
    assert hours.reason == "the reference holds 2 rows of this hour of week, 14 are needed: hours of the day stand in"
    whole = weeks.matched([3])
    assert (whole.season, whole.profile, whole.stretches) == (None, weeks.whole, ())
    assert whole.reason.endswith("14 rows of this hour of day, 100 are needed: the whole reference stands in")


def test_what_is_left_out_is_left_out() -> None:
    """Each stretch is compared with the sum of all others, in whatever order they are added."""
    rng = np.random.default_rng(0)
    grid = profile([NumericColumn("x", rng.normal(size=4_000))]).grids
    parts = [profile([NumericColumn("x", rng.normal(0.3 * i, 1, 400))], grid) for i in range(5)]
    for count in (2, 3, 5):
        some = parts[:count]
        expected = []
        for i, one in enumerate(some):
            rest = [part for j, part in enumerate(some) if j != i]
            total = rest[0]
            for part in rest[1:]:
                total += part
            expected.append(compare(total, one)[0].effect)
        assert usual_effects(some, ["x"])["x"] == pytest.approx(max(expected))
    assert usual_effects(parts[:1], ["x"]) == {}


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda: phases_of([float("nan")], Season.MONTH), "not a number"),
        (lambda: season_reference([], [], Season.MONTH), "at least one row"),
        (lambda: season_reference([NumericColumn("x", np.ones(3))], [0.0], Season.MONTH), "1 instants do not fit"),
        (lambda: season_reference([NumericColumn("x", np.ones(1))], [0.0], Season.MONTH).matched([]), "no phase"),
        (
            lambda: season_reference([NumericColumn("x", np.ones(1))], [0.0], Season.MONTH).matched(
                [1], least_cycles=1
            ),
            "one cycle says nothing",
        ),
    ],
)
def test_impossible_arguments_are_refused(work: object, said: str) -> None:
    """Each with what is wrong."""
    assert callable(work)
    with pytest.raises(ValueError, match=said):
        work()


# -- error rates ---------------------------------------------------------------------------------------------------


def nights(rng: np.random.Generator, weeks: int, spread: float) -> tuple[Floats, Floats]:
    """Four rows an hour; days are 5 higher than nights, and every night (and day) has a mean of its own."""
    hours = np.repeat(np.arange(weeks * 168), 4)
    own = rng.normal(0, spread, weeks * 14)[hours // 12]
    return np.asarray(HOUR * hours + 4 * 86400, np.float64), 5.0 * (hours % 24 >= 12) + own + rng.normal(
        size=hours.size
    )


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("runs", [8, pytest.param(300, marks=pytest.mark.slow)])
def test_unchanged_nights_are_rarely_flagged(spread: float, runs: int) -> None:
    """Whatever the rows of one night share: false flags in at most 1 / (stretches + 1) of the batches, at alpha = 5 %
    and ten stretches, where the naive comparison flags every one."""
    rng = np.random.default_rng(int(10 * spread))
    naive = wrong = 0
    for _ in range(runs):
        at, x = nights(rng, 13, spread)
        last = at >= at[0] + 12 * 7 * 86400
        reference = season_reference([NumericColumn("x", x[~last])], at[~last], Season.HOUR_OF_DAY)
        night = x[last & (phases_of(at, Season.HOUR_OF_DAY)[0] < 12)]
        wrong += flagged(reference, night, range(12), 0.05)
        naive += compare(reference.whole, batch(night, reference), alpha=0.05)[0].level is not Level.NONE
    assert naive == runs
    assert float(binom.sf(wrong - 1, runs, 1 / 11)) >= 0.001, wrong


def test_a_change_on_top_of_the_season_is_found() -> None:
    """Nights one standard deviation higher, which is far below the five between night and day."""
    rng = np.random.default_rng(0)
    at, x = nights(rng, 13, 0.1)
    last = at >= at[0] + 12 * 7 * 86400
    reference = season_reference([NumericColumn("x", x[~last])], at[~last], Season.HOUR_OF_DAY)
    night = x[last & (phases_of(at, Season.HOUR_OF_DAY)[0] < 12)]
    assert not flagged(reference, night, range(12))
    assert flagged(reference, night + 1.0, range(12))
    assert compare_season(reference, batch(night + 1.0, reference), range(12)).stretches == 10


# -- real hours ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "column", "share"),
    [
        ("metro_traffic_volume", "traffic_volume", 0.4),
        ("bike_sharing_hourly", "count", 0.5),
    ],
)
def test_real_nights_are_no_drift_until_they_change(name: str, column: str, share: float) -> None:
    """Months of nights: the naive comparison flags them all, the matched one at most one; nights two standard
    deviations higher are flagged in at least nine of ten."""
    data = pq.read_table(DATA / f"{name}.parquet")
    at, x = np.asarray(data["ts"].cast(pa.int64()), float) / 1e6, np.asarray(data[column], float)
    n = int(at.size * share)
    reference = season_reference([NumericColumn("x", x[:n])], at[:n], Season.HOUR_OF_DAY)
    phase, month = phases_of(at, Season.HOUR_OF_DAY)[0][n:], at[n:] // (30 * 86400)
    naive = matched = found = windows = 0
    for one in np.unique(month)[::3]:
        night = x[n:][(month == one) & (phase < 5)]
        if night.size < 100:
            continue
        windows += 1
        naive += compare(reference.whole, batch(night, reference))[0].level is not Level.NONE
        matched += flagged(reference, night, NIGHT)
        found += flagged(reference, night + 2.0 * x[:n].std(), NIGHT)
    assert windows >= 3
    assert naive == windows
    assert matched <= 1
    assert found >= 0.9 * windows
