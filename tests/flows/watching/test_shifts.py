"""Drift of a cohort, ranked by what it may cost."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from fairlead.core.contract import Contract, Task
from fairlead.core.verdict import Outcome
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.shifts import Costs, judge_shifts, shifts_of
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.drift import compare
from fairlead.stats.profile import TableProfile, profile

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=3_000), RNG.normal(size=3_000)
CITY = CategoricalColumn("city", (X > 0).astype(np.int32), ("lisbon", "porto"))
BEFORE = profile((NumericColumn("x", X), NumericColumn("y", Y), CITY))
REFERENCE = Reference(1, Contract((), Task.BINARY, "t"), 0.5, BEFORE, {}, {"x": 0.01, "y": 0.2, "city": 0.0})


def current(x: float = 0.0, y: float = 0.0, nulls: float = 0.0) -> TableProfile:
    """A window with its means moved and some of x missing."""
    values = RNG.normal(x, size=1_500)
    values[: int(nulls * 1_500)] = np.nan
    codes = RNG.integers(0, 2, 1_500).astype(np.int32)
    columns = (
        NumericColumn("x", values),
        NumericColumn("y", RNG.normal(y, size=1_500)),
        CategoricalColumn("city", codes, ("lisbon", "porto")),
    )
    return profile(columns, BEFORE.grids)


def test_calm_is_calm() -> None:
    """Nothing moved: no level, no harm, nothing broken, and the method is a distance between distributions."""
    shifts, verdict = shifts_of(REFERENCE, current(), 0.01)
    assert verdict.outcome in (Outcome.HOLDS, Outcome.UNDECIDED)
    assert all(shift.level == "none" and not shift.harm and not shift.broken for shift in shifts)
    assert {shift.method for shift in shifts} <= {"psi", "js", "ks", "wasserstein", "chi_squared"}


def test_the_most_harmful_comes_first() -> None:
    """A small shift of what matters comes before a large shift of what does not."""
    shifts, verdict = shifts_of(REFERENCE, current(x=2.0, y=0.6), 0.01)
    assert verdict.outcome is Outcome.BREACHED
    assert [shift.name for shift in shifts][:2] == ["y", "x"]
    assert (shifts[1].psi or 0.0) > (shifts[0].psi or 0.0)


def test_nulls_are_broken_data() -> None:
    """A column that empties is broken: partly with its rate, wholly with the reason it cannot be measured."""
    partly = next(s for s in shifts_of(REFERENCE, current(nulls=0.4), 0.01)[0] if s.name == "x")
    assert partly.null_rate == pytest.approx(0.4)
    assert partly.broken.startswith("x is null in 40.0% of the rows")
    wholly = next(s for s in shifts_of(REFERENCE, current(nulls=1.0), 0.01)[0] if s.name == "x")
    assert wholly.level == "unmeasured"
    assert "all 1,500 current values are null" in wholly.broken


def test_no_rows_are_unmeasured() -> None:
    """Without a profile there is nothing to compare."""
    assert shifts_of(REFERENCE, None, 0.01)[1].outcome is Outcome.UNMEASURED
    without = replace(REFERENCE, importances={})
    assert shifts_of(without, current(), 0.01)[0][0].harm is None


def test_a_column_is_told_by_what_is_significant() -> None:
    """Half of a category is null, and a class so rare that chance moves it lies further beyond its limit: told are the
    nulls. The first two editions named the class."""
    rng = np.random.default_rng(3)
    names = (*"abcdefgh", "r1", "r2", "r3")
    shares = np.array([0.1248] * 8 + [0.0008, 0.0004, 0.0004])
    before = rng.choice(11, 20_000, p=shares / shares.sum()).astype(np.int32)
    now = np.append(rng.choice(8, 900), [9, 9]).astype(np.int32)
    before[:1160], now[:490] = -1, -1
    one = profile([CategoricalColumn("job", before, names)])
    two = profile([CategoricalColumn("job", now, names)], one.grids)
    found = compare(one, two)
    (job,), data = judge_shifts(one, two, found, Costs())
    assert (job.method, job.level) == ("null_rate", "critical")
    assert job.reason == "null in 54.3 %, 5.8 % in the reference"
    assert "null in 54.3 %" in data.reason
    (job,), data = judge_shifts(one, two, found, Costs(), evident=False)
    assert job.method == "rare"
    assert "rare class x" in data.reason
