"""Windows by the clocks of a zone: the days that people know, none missing, none twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.zones import zone_named
from fairlead.core.calendar import LISBON, Zone
from fairlead.core.window import DAY, HOUR, Window, WindowPlan

NAMES = ("Europe/Lisbon", "America/Sao_Paulo", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia")
LENGTHS = (600.0, HOUR, 6 * HOUR, DAY, 7 * DAY, None)
PLANS = st.builds(WindowPlan, st.sampled_from(LENGTHS), zone=st.sampled_from(NAMES).map(zone_named))
# Near a change of clocks, where all that is hard happens, and anywhere.
INSTANTS = st.one_of(
    st.floats(0.0, 4.0e9),
    st.builds(
        lambda name, place, aside: zone_named(name).instants[place] + aside,  # type: ignore[union-attr]
        st.sampled_from(NAMES),
        st.integers(0, 20),
        st.one_of(st.sampled_from([0.0, -1e-6, 1e-6]), st.floats(-2 * DAY, 2 * DAY)),
    ),
)


@given(PLANS, INSTANTS)
def test_local_windows_partition_time(plan: WindowPlan, at: float) -> None:
    """Every instant lies in exactly one window, and the next begins where it ends; both have names of their own."""
    window = plan.window_of(at)
    assert window.holds(at)
    assert plan.window_of(window.starts_at) == window
    following = plan.after(window)
    assert following.starts_at == window.ends_at
    assert plan.before(following) == window
    assert following.name != window.name


@given(st.sampled_from(NAMES), INSTANTS)
def test_clocks_are_those_of_the_table(name: str, at: float) -> None:
    """The offset of an instant is what the zone's table says."""
    zone, known = zone_named(name), ZoneInfo(name)
    assert zone is not None
    offset = datetime.fromtimestamp(at, known).utcoffset()
    assert offset is not None
    assert zone.offset(at) == offset.total_seconds()


@given(st.sampled_from(NAMES), st.floats(0.0, 4.0e9))
def test_an_instant_is_the_first_that_shows_a_time(name: str, clock: float) -> None:
    """It shows that time or, where clocks leapt over it, a later one; the moment before showed an earlier."""
    zone = zone_named(name)
    assert zone is not None
    at = zone.instant(clock)
    assert zone.clock(at) >= clock - 1e-6
    assert zone.clock(at - 0.001) < clock


@pytest.mark.parametrize(
    ("day", "hours"), [(datetime(2026, 3, 29, 12, tzinfo=UTC), 23), (datetime(2026, 10, 25, 12, tzinfo=UTC), 25)]
)
def test_days_on_which_clocks_change(day: datetime, hours: int) -> None:
    """The day on which summer begins has 23 hours, that on which it ends 25; its hours are windows of an hour each."""
    plan = WindowPlan(DAY, zone=LISBON)
    window = plan.window_of(day.timestamp())
    assert (window.name, (window.ends_at - window.starts_at) / HOUR) == (f"{day:%Y-%m-%d}", hours)
    hourly = WindowPlan(HOUR, zone=LISBON)
    each = [hourly.window_of(window.starts_at)]
    while each[-1].ends_at < window.ends_at:
        each.append(hourly.after(each[-1]))
    assert len({one.name for one in each}) == hours
    assert {one.ends_at - one.starts_at for one in each} == {HOUR}


def test_weeks_and_months_of_a_zone() -> None:
    """They begin at midnight there."""
    zone = zone_named("Asia/Kathmandu")
    week = WindowPlan(7 * DAY, zone=zone).window_of(datetime(2026, 11, 26, tzinfo=UTC).timestamp())
    ahead = timedelta(hours=5, minutes=45)
    assert (week.name, datetime.fromtimestamp(week.starts_at, UTC)) == (
        "2026-11-23",
        datetime(2026, 11, 23, tzinfo=UTC) - ahead,
    )
    month = WindowPlan(zone=zone).window_of(datetime(2026, 11, 30, 18, 30, tzinfo=UTC).timestamp())
    assert month == Window(
        (datetime(2026, 12, 1, tzinfo=UTC) - ahead).timestamp(),
        (datetime(2027, 1, 1, tzinfo=UTC) - ahead).timestamp(),
        "2026-12",
    )


@given(st.one_of(PLANS, st.just(WindowPlan(DAY))), st.integers(1, 12), INSTANTS)
def test_a_sliding_window_is_its_slots(plan: WindowPlan, slides: int, at: float) -> None:
    """It is the last so many slots, without a gap, and no two windows begin or end together."""
    sliding = WindowPlan(plan.seconds, zone=plan.zone, slides=slides)
    slot = sliding.window_of(at)
    parts, window = sliding.parts(slot), sliding.over(slot)
    assert len(parts) == slides
    assert all(one.ends_at == two.starts_at for one, two in pairwise(parts))
    assert (window.starts_at, window.ends_at) == (parts[0].starts_at, slot.ends_at)
    following = sliding.over(sliding.after(slot))
    assert following.starts_at > window.starts_at
    assert following.ends_at > window.ends_at
    assert following.name != window.name
    shared = reduce(lambda held, one: held + window.holds(one.starts_at), sliding.parts(sliding.after(slot)), 0)
    assert shared == slides - 1


def test_what_is_no_zone_or_fits_none_is_refused() -> None:
    """Offsets belong to instants that rise; a window in a zone is whole days or divides one; slides are few."""
    with pytest.raises(ValueError, match="1 offsets for 1 instants"):
        Zone("x", (0.0,), (1.0,))
    with pytest.raises(ValueError, match="3 offsets for 2 instants"):
        Zone("x", (0.0, 1.0, 0.0), (2.0, 1.0))
    with pytest.raises(ValueError, match="a length that divides a day"):
        WindowPlan(7 * HOUR, zone=LISBON)
    with pytest.raises(ValueError, match="97 slides"):
        WindowPlan(HOUR, slides=97)
