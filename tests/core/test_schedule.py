"""Schedules: the last instant at or before another, by cron's rules, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.schedule import WORDS, Schedule, schedule
from fairlead.errors import SettingsError


def at(text: str) -> float:
    """An instant of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "now", "last"),
    [
        ("weekly", "2024-05-15T12:00", "2024-05-13T00:00"),
        ("weekly", "2024-05-13T00:00", "2024-05-13T00:00"),
        ("daily", "2024-05-15T12:00", "2024-05-15T00:00"),
        ("hourly", "2024-05-15T12:59", "2024-05-15T12:00"),
        ("monthly", "2024-03-31T12:00", "2024-03-01T00:00"),
        ("30 2 * * 1-5", "2024-05-19T12:00", "2024-05-17T02:30"),  # a Sunday: the Friday before
        ("0 6,18 * * *", "2024-05-15T12:00", "2024-05-15T06:00"),
        ("*/20 * * * *", "2024-05-15T12:59", "2024-05-15T12:40"),
        ("0 0 29 2 *", "2023-05-15T12:00", "2020-02-29T00:00"),
        ("0 0 13 * 5", "2024-05-15T12:00", "2024-05-13T00:00"),  # cron's rule: the 13th, or a Friday
        ("0 0 * * 7", "2024-05-15T12:00", "2024-05-12T00:00"),  # 7 is Sunday, too
        ("5/10 * * * *", "2024-05-15T12:50", "2024-05-15T12:45"),
    ],
)
def test_the_last_instant(text: str, now: str, last: str) -> None:
    """Words and fields."""
    assert schedule(text).last(at(now)) == at(last)


FIELD = st.tuples(st.integers(0, 59), st.integers(0, 23), st.integers(0, 6))


@given(fields=FIELD, now=st.integers(0, 4_000_000_000))
def test_it_is_the_last_of_all_that_match(fields: tuple[int, int, int], now: int) -> None:
    """Not after the instant, on the day and at the time that is written, and less than a week before."""
    minute, hour, weekday = fields
    found = schedule(f"{minute} {hour} * * {weekday}").last(float(now))
    assert found is not None
    when = datetime.fromtimestamp(found, UTC)
    assert (when.minute, when.hour, when.isoweekday() % 7) == fields
    assert 0 <= now - found < timedelta(days=7).total_seconds()


@given(now=st.integers(0, 4_000_000_000), word=st.sampled_from(sorted(WORDS)))
def test_asking_at_the_instant_gives_the_instant(now: int, word: str) -> None:
    """So that a run's key is the same whenever it is asked for."""
    found = schedule(word).last(float(now))
    assert found is not None
    assert schedule(word).last(found) == found


@pytest.mark.parametrize("text", ["", "weekley", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
                                  "* * * * 8", "a * * * *", "1-0 * * * *", "*/0 * * * *", "*/ * * * *", "1,, * * * *",
                                  "0 0 31 2 *", "² * * * *"])  # fmt: skip
def test_what_is_no_schedule_is_told(text: str) -> None:
    """With what is one."""
    with pytest.raises(SettingsError, match=r"schedule|never"):
        schedule(text)


def test_one_that_never_was_has_no_last_instant() -> None:
    """A day that no month has, made by hand."""
    assert Schedule("", (0,), (0,), (31,), (2,), tuple(range(7))).last(1.7e9) is None
