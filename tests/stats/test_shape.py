"""Still series are rarely named otherwise; each shape is recovered, on simulated series and on real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats
from scipy.stats import binom

from fairlead.adapters.tables import to_columns
from fairlead.stats.change.fits import Floats
from fairlead.stats.profile import profile
from fairlead.stats.shape import Form, Shape, mann_kendall, shape_of, slot_distances

DATA = Path(__file__).parents[2].parent / "shared" / "data"
T = 40
SLOT = np.arange(T)
Make = Callable[[np.random.Generator], Floats]


def weekend(size: float) -> Floats:
    """A season of seven slots, the last two of them higher."""
    return np.asarray(size * np.isin(SLOT % 7, (5, 6)), np.float64)


def autumn(rng: np.random.Generator) -> Floats:
    """A ramp of 20 slots that begins somewhere in the first third."""
    start = rng.integers(5, 15)
    return rng.normal(size=T) + 5.0 * np.clip((SLOT - start) / 20.0, 0.0, 1.0)


STILL: dict[str, tuple[Make, int | None]] = {
    "normal": (lambda rng: rng.normal(size=T), None),
    "lognormal": (lambda rng: rng.lognormal(size=T), None),
    "counts": (lambda rng: rng.poisson(1.0, T).astype(float), None),
    "few": (lambda rng: rng.normal(size=8), None),
    "with a period": (lambda rng: rng.normal(size=T), 7),
}
MOVED: dict[str, tuple[Make, int | None, Form, float]] = {
    "step": (lambda rng: rng.normal(size=T) + 3.0 * (rng.integers(8, 32) <= SLOT), None, Form.SUDDEN, 0.90),
    "ramp": (autumn, None, Form.GRADUAL, 0.85),
    "sigmoid": (lambda rng: rng.normal(size=T) + 5.0 / (1 + np.exp((20 - SLOT) / 3.0)), None, Form.GRADUAL, 0.80),
    "return": (lambda rng: rng.normal(size=T) + 3.0 * ((SLOT >= 9) & (SLOT < 22)), None, Form.RECURRING, 0.95),
    "week": (lambda rng: rng.normal(size=T) + weekend(3.0), 7, Form.RECURRING, 0.90),
    "wave": (lambda rng: rng.normal(size=T) + 2.0 * np.sin(np.pi * SLOT / 4.0), None, Form.RECURRING, 0.95),
    "step on a week": (lambda rng: rng.normal(size=T) + weekend(3.0) + 3.0 * (SLOT >= 21), 7, Form.SUDDEN, 0.85),
}


def names(make: Make, runs: int, **options: int | None) -> Counter[Form]:
    """How often each form is named."""
    rng = np.random.default_rng(runs)
    return Counter(shape_of(make(rng), rng, permutations=199, period=options.get("period")).form for _ in range(runs))


@pytest.mark.parametrize("kind", STILL)
@pytest.mark.parametrize("runs", [60, pytest.param(1_000, marks=pytest.mark.slow)])
def test_a_still_series_is_rarely_named_otherwise(kind: str, runs: int) -> None:
    """At alpha = 5 %, for five distributions and lengths, with and without a period."""
    make, period = STILL[kind]
    found = names(make, runs, period=period)
    wrong = runs - found[Form.STILL]
    assert float(binom.sf(wrong - 1, runs, 0.05)) >= 0.001, f"{wrong} of {runs}"


@pytest.mark.parametrize("kind", MOVED)
@pytest.mark.parametrize("runs", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_each_shape_is_recovered(kind: str, runs: int) -> None:
    """Changes of 3 to 5 standard deviations of a slot: at least the share promised bears the right name."""
    make, period, form, rate = MOVED[kind]
    found = names(make, runs, period=period)
    assert float(binom.cdf(found[form], runs, rate)) >= 0.001, dict(found)


@pytest.mark.parametrize("runs", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_the_interval_holds_the_place_of_a_step(runs: int) -> None:
    """Bai's 95 % interval, for a step of 2 standard deviations."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(runs):
        place = int(rng.integers(10, 30))
        found = shape_of(rng.normal(size=T) + 2.0 * (place <= SLOT), rng, permutations=199)
        held += found.low is None or found.low <= place <= (found.high or 0)
    assert float(binom.cdf(held, runs, 0.95)) >= 0.001, held


def test_mann_kendall_is_scipys() -> None:
    """S and its p-value follow Kendall's tau-b with continuity correction; the slope is Theil's and Sen's."""
    rng = np.random.default_rng(3)
    for x in (rng.normal(size=30), rng.poisson(2.0, 25).astype(float)):
        s, p_value, slope = mann_kendall(x)
        n, ties = x.size, np.unique(x, return_counts=True)[1]
        pairs = n * (n - 1) / 2
        free = np.sqrt((pairs - (ties * (ties - 1) / 2).sum()) * pairs)
        assert s / free == pytest.approx(stats.kendalltau(np.arange(n), x).statistic, abs=1e-9)
        assert slope == pytest.approx(stats.theilslopes(x).slope, abs=1e-9)
        variance = (n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
        z = max(abs(s) - 1, 0) / variance**0.5
        assert p_value == pytest.approx(2 * stats.norm.sf(z), abs=1e-9)
    assert mann_kendall([1.0, 1.0, 1.0]) == (0.0, 1.0, 0.0)


def test_the_same_generator_gives_the_same_answer() -> None:
    """Randomness is an argument: one seed, one shape."""
    x = np.random.default_rng(0).normal(size=T)
    assert shape_of(x, np.random.default_rng(1)) == shape_of(x, np.random.default_rng(1))


def test_too_little_is_unknown() -> None:
    """Fewer than eight values, or less than two seasons, have no shape; a constant series is still."""
    rng = np.random.default_rng(0)
    gaps = np.append(np.arange(7.0), [np.nan] * 30)
    assert shape_of(gaps, rng).form is Form.UNKNOWN
    assert "7 slots hold a value" in shape_of(gaps, rng).reason
    assert "less than two seasons of 7" in shape_of(np.arange(12.0), rng, period=7).reason
    assert shape_of(np.ones(20), rng).form is Form.STILL


def test_a_change_within_the_limit_is_no_change() -> None:
    """Significance without effect stays still, and says why."""
    rng = np.random.default_rng(0)
    x = 0.01 * (SLOT >= 20) + rng.normal(0, 0.001, T)
    assert shape_of(x, rng).form is Form.SUDDEN
    found = shape_of(x, rng, limit=0.05)
    assert (found.form, found.reason) == (Form.STILL, "the fitted change 0.0102 is within 0.05")


@pytest.mark.parametrize(
    ("series", "options", "said"),
    [
        (np.ones((3, 3)), {}, "one number a slot"),
        ([1.0, np.inf] * 8, {}, "infinity"),
        (np.ones(20), {"period": 1}, "at least 2 slots"),
        (np.ones(20), {"alpha": 1.0}, "between 0 and 1"),
        (np.ones(20), {"permutations": 5}, "at least 19"),
    ],
)
def test_impossible_arguments_are_refused(series: Floats, options: dict[str, float], said: str) -> None:
    """Each with what is wrong and what to pass."""
    with pytest.raises(ValueError, match=said):
        shape_of(series, np.random.default_rng(0), **options)  # type: ignore[arg-type]


# -- real series ---------------------------------------------------------------------------------------------------


def read(name: str) -> pa.Table:
    """A shared data set."""
    return pq.read_table(DATA / f"{name}.parquet")


def distances(data: pa.Table, columns: list[str], reference: int, count: int) -> tuple[Floats, Floats]:
    """Slot distances from the first rows, and the row at which each slot begins."""
    edges = np.linspace(reference, data.num_rows, count + 1).astype(int)
    before = profile(to_columns(data.slice(0, reference), columns))
    slots = [profile(to_columns(data.slice(a, b - a), columns), before.grids) for a, b in pairwise(edges)]
    return slot_distances(before, slots), edges.astype(float)


def named(series: Floats, **options: int | None) -> Shape:
    """The shape, with a fixed seed."""
    return shape_of(series, np.random.default_rng(0), period=options.get("period"))


def test_insects_leave_and_come_back() -> None:
    """Features are permuted between rows 1,775 and 3,550: a level that comes back, within a slot of 100 rows."""
    data = read("insects_abrupt_shuffle")
    series, edges = distances(data, [f"f{i:02d}" for i in range(1, 50)], 888, 44)
    found = named(series)
    assert (found.form, found.starts is not None, found.ends is not None) == (Form.RECURRING, True, True)
    assert abs(edges[found.starts or 0] - 1775) <= 101
    assert abs(edges[found.ends or 0] - 3550) <= 101


def test_car_values_jump_at_row_75000() -> None:
    """Sudden, and the interval holds the slot of that row."""
    series, edges = distances(read("nannyml_car_loan"), ["car_value"], 20_000, 40)
    found = named(series)
    assert found.form is Form.SUDDEN
    assert edges[found.low or 0] <= 75_000 <= edges[found.high or 0]


def test_typists_grow_faster_by_and_by() -> None:
    """Gradual against the first 100 attempts; a memory of hundreds of rows."""
    series, _ = distances(read("keystroke_typing"), [f"f{i:02d}" for i in range(1, 11)], 100, 30)
    found = named(series)
    assert (found.form, found.trend_p < 1e-4, found.slope > 0) == (Form.GRADUAL, True, True)


def test_a_concept_that_fades_over_4000_rows_is_gradual() -> None:
    """The share of loans of the new concept's decisions: the trend holds the known centre, row 20,000."""
    data = read("synth_agrawal_gradual")
    target, age = np.asarray(data["target"], float), np.asarray(data["age"], float)
    wrong = (target != ((age < 40) | (age >= 60))).reshape(50, 800).mean(axis=1)  # function 0 of the generator
    found = named(wrong)
    assert found.form is Form.GRADUAL
    assert 800 * (found.starts or 0) < 20_000 < 800 * (found.ends or 0)
    assert 800 * ((found.ends or 0) - (found.starts or 0)) < 12_000


def test_a_rotating_plane_is_gradual() -> None:
    """The error of a linear model of the first 2,000 rows, which the plane turns away from all along."""
    data = read("synth_hyperplane_incremental")
    x = np.column_stack([np.ones(40_000), *(np.asarray(data[f"x{i:02d}"], float) for i in range(1, 11))])
    y = np.asarray(data["target"], float)
    weights = np.linalg.lstsq(x[:2_000], y[:2_000], rcond=None)[0]
    wrong = ((x @ weights > 0.5) != (y > 0.5))[2_000:].reshape(38, 1_000).mean(axis=1)
    found = named(wrong)
    assert (found.form, found.slope > 0) == (Form.GRADUAL, True)


@pytest.mark.parametrize(
    ("name", "column", "season"),
    [("bike_sharing_hourly", "count", 0.7), ("metro_traffic_volume", "traffic_volume", 0.9)],
)
def test_hours_of_the_week_recur(name: str, column: str, season: float) -> None:
    """Eight weeks of quarter days: recurring, and the week explains most of the variance."""
    data = read(name)
    hours = np.asarray(data["ts"].cast(pa.int64()), float) / 3.6e9
    place = ((hours - hours[0]) // 6).astype(int)
    kept = (place >= 0) & (place < 8 * 28)
    values = np.asarray(data[column], float)[kept]
    filled = np.bincount(place[kept], minlength=8 * 28)
    with np.errstate(invalid="ignore"):
        series = np.bincount(place[kept], values, minlength=8 * 28) / filled
    found = named(series, period=28)
    assert found.form is Form.RECURRING
    assert found.season > season


def test_slot_distances_scatter_about_nothing_without_a_change() -> None:
    """Their mean over still slots is near 0; a slot without rows is NaN; an unknown column is refused."""
    from fairlead.stats.columns import NumericColumn

    rng = np.random.default_rng(0)
    before = profile([NumericColumn("x", rng.normal(size=20_000))])
    slots = [profile([NumericColumn("x", rng.normal(size=500))], before.grids) for _ in range(60)]
    found = slot_distances(before, slots)
    assert abs(found.mean()) < 3 * found.std() / 60**0.5 + 0.01
    empty = profile([NumericColumn("x", np.array([]))], before.grids)
    assert np.isnan(slot_distances(before, [empty])).all()
    with pytest.raises(ValueError, match="no column 'y'"):
        slot_distances(before, slots, "y")
