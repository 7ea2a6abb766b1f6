"""Windows partition time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.window import DAY, MONDAY, WindowPlan

PLANS = st.one_of(
    st.just(WindowPlan()),
    st.builds(
        WindowPlan,
        seconds=st.one_of(st.sampled_from([3600.0, DAY, 7 * DAY, 30 * DAY]), st.floats(1.0, 1e8)),
        origin=st.floats(-1e9, 1e9),
    ),
)
INSTANTS = st.floats(-1e9, 4e9)


@given(PLANS, INSTANTS)
def test_every_instant_lies_in_its_window(plan: WindowPlan, at: float) -> None:
    """The window of an instant holds it, and both its ends belong where they should."""
    window = plan.window_of(at)
    assert window.holds(at)
    assert plan.window_of(window.starts_at) == window
    assert not window.holds(window.ends_at)


@given(PLANS, INSTANTS, INSTANTS)
def test_windows_do_not_overlap(plan: WindowPlan, one: float, other: float) -> None:
    """Two instants share a window, or lie in windows of which one ends before the other begins."""
    first, second = sorted((plan.window_of(one), plan.window_of(other)))
    assert first == second or first.ends_at <= second.starts_at


@given(PLANS, INSTANTS)
def test_windows_leave_no_gap(plan: WindowPlan, at: float) -> None:
    """The window after one begins where it ends."""
    window = plan.window_of(at)
    assert plan.after(window).starts_at == window.ends_at


@given(PLANS, INSTANTS, st.floats(0, 1e6), INSTANTS)
def test_a_window_closes_once(plan: WindowPlan, at: float, lateness: float, watermark: float) -> None:
    """A window is closed from `lateness_seconds` after its end on, and stays so."""
    late = WindowPlan(plan.seconds, lateness, plan.origin)
    window = late.window_of(at)
    assert late.closed(window, watermark) == (watermark >= window.ends_at + lateness)
    assert not late.closed(window, at)


def test_calendar_months() -> None:
    """Months have their own lengths, leap years included, and are named by year and month."""
    february = WindowPlan().window_of(datetime(2016, 2, 29, 23, 59, tzinfo=UTC).timestamp())
    assert february.name == "2016-02"
    assert february.ends_at - february.starts_at == 29 * DAY
    december = WindowPlan().window_of(datetime(2015, 12, 31, tzinfo=UTC).timestamp())
    assert WindowPlan().after(december).name == "2016-01"


def test_weeks_begin_on_monday_and_names_show_what_is_needed() -> None:
    """Windows of whole days are named by date; shorter ones by date and time."""
    week = WindowPlan(7 * DAY).window_of(datetime(2016, 1, 6, 12, tzinfo=UTC).timestamp())
    assert (week.name, datetime.fromtimestamp(week.starts_at, UTC).weekday()) == ("2016-01-04", 0)
    assert WindowPlan(3600.0).window_of(MONDAY + 5400).name == "1970-01-05T01:00:00Z"


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.5, float("nan")])
def test_lengths_that_cut_nothing_are_refused(seconds: float) -> None:
    """A window lasts at least a second."""
    with pytest.raises(ValueError, match="at least a second"):
        WindowPlan(seconds)


def test_negative_lateness_is_refused() -> None:
    """A window cannot close before its end."""
    with pytest.raises(ValueError, match="cannot be negative"):
        WindowPlan(lateness_seconds=-1.0)
