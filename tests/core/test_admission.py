"""Whether one more request may wait."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.admission import LONGEST_RETRY, QUEUE_FULL, TOO_LATE, Limits, admit, remaining, retry_after

WAITS = st.floats(0.0, 1e6)


@given(st.integers(1, 1000), st.integers(0, 2000), WAITS, st.floats(0.01, 600.0))
def test_a_request_joins_exactly_where_there_is_room_and_time(
    queue: int, waiting: int, wait: float, timeout: float
) -> None:
    """A full queue is told before a long one; the time to try again is whole seconds, from one to a minute."""
    turned = admit(Limits(timeout=timeout, queue=queue), waiting, wait)
    expected = QUEUE_FULL if waiting >= queue else TOO_LATE if wait > timeout / 2.0 else None
    assert (turned.reason if turned else None) == expected
    if turned is not None:
        assert 1 <= turned.retry_seconds <= LONGEST_RETRY


def test_the_longest_wait_may_be_set() -> None:
    """Left out it is half of the time-out; 0 admits nobody who would have to wait."""
    assert admit(Limits(wait=0.0), 0, 0.0) is None
    assert admit(Limits(wait=0.0), 0, 0.001) == (TOO_LATE, 1)
    assert admit(Limits(timeout=10.0, wait=9.0), 0, 8.9) is None


@given(WAITS, WAITS)
def test_a_longer_queue_is_no_reason_to_come_back_sooner(one: float, other: float) -> None:
    """The time to try again grows with the wait."""
    short, long = sorted((one, other))
    assert retry_after(short) <= retry_after(long)


@given(st.floats(0.001, 100.0), st.floats(0.0, 1000.0))
def test_what_is_late_is_not_thought_to_end_at_once(expected: float, age: float) -> None:
    """A batch that hangs keeps others away: what it still needs grows with what it took."""
    left = remaining(expected, age)
    assert left >= 0.0
    if age >= expected:
        assert left == age
