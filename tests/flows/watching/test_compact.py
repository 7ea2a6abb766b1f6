"""Reports that tell calm columns in short."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.alarm import alarms_of
from fairlead.core.contract import Contract, Task
from fairlead.core.report import FeatureShift, Stage, WindowReport, fact_of
from fairlead.core.verdict import Outcome
from fairlead.core.window_values import drift_values
from fairlead.flows.watching.compact import compacted, rounded
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.shifts import shifts_of
from fairlead.flows.watching.verdicts import suspects_of
from fairlead.operations.overview_report import window_view
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import profile

NAMES = [f"f{place}" for place in range(50)]
RNG = np.random.default_rng(0)
BEFORE = profile([NumericColumn(name, RNG.normal(size=500)) for name in NAMES])
REFERENCE = Reference(1, Contract((), Task.BINARY, "t"), 0.5, BEFORE, {}, dict.fromkeys(NAMES, 0.1))


def shifts(seed: int, moved: list[int], nulls: int = 0) -> tuple[FeatureShift, ...]:
    """A window of 200 rows in which some columns moved."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(200, 50))
    values[:, moved] += 1.5
    values[:nulls, 0] = np.nan
    columns = [NumericColumn(name, values[:, place]) for place, name in enumerate(NAMES)]
    return shifts_of(REFERENCE, profile(columns, BEFORE.grids), 0.01)[0]


def report(drift: tuple[FeatureShift, ...]) -> WindowReport:
    """A window with these columns."""
    bare = WindowReport("m", 1, "w", 0.0, 3600.0, 3600.0, Stage.CLOSED, 200, Outcome.HOLDS, "calm", drift)
    return msgspec.structs.replace(bare, suspects=suspects_of(drift))


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    moved=st.lists(st.integers(0, 49), unique=True, max_size=3),
    nulls=st.sampled_from([0, 1, 120, 200]),
)
def test_what_is_told_of_a_window_is_the_same(seed: int, moved: list[int], nulls: int) -> None:
    """For any columns that moved or broke: the same levels, suspects, alarms and map, and each condition has a value
    where it had one, to four digits."""
    full = shifts(seed, moved, nulls)
    whole, short = report(full), report(compacted(full))
    assert [one.name for one in short.drift] == [one.name for one in whole.drift]
    assert (short.moved, short.broken, short.suspects) == (whole.moved, whole.broken, whole.suspects)
    assert alarms_of(short) == alarms_of(whole)
    for metric in ("psi", "drift_p_value", "null_rate", "unseen_share"):
        for one, two in zip(drift_values(metric, short), drift_values(metric, whole), strict=True):
            assert (one.value, one.sure) == (two.value, two.sure) or one.value == pytest.approx(two.value, rel=1e-3)
    views = [window_view(0.0, fact_of(each)) for each in (short, whole)]
    for seen, known in zip(views[0].drift, views[1].drift, strict=True):
        assert (seen.name, seen.level, seen.method, seen.reason) == (
            known.name,
            known.level,
            known.method,
            known.reason,
        )
        assert seen.ratio == known.ratio or seen.ratio == pytest.approx(known.ratio, rel=1e-3)


def test_a_calm_window_is_short() -> None:
    """Fifty calm columns take 6 kB or less, two fifths of what they take in full."""
    full = shifts(1, [])
    assert all(one.level == "none" for one in full)
    assert len(fact_of(report(compacted(full))).report) <= 6_000
    assert len(fact_of(report(full)).report) > 15_000


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_four_digits_are_kept(value: float) -> None:
    """Rounding changes nothing in the first four digits, and rounds once."""
    found = rounded(value)
    assert found == pytest.approx(value, rel=6e-4, abs=1e-305) or abs(value) > 1e308
    assert rounded(found) == found
