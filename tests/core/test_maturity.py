"""When labels have come, read off the delays that a log shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.maturity import AT_MOST, FEWEST, Maturity, maturity_of
from fairlead.stats.performance import Floats
from fairlead.stats.performance.maturity import delay_curve, waited

DAY = 86_400.0


def looked(asked: Floats, delays: Floats, now: float) -> Maturity:
    """What a log shows at a day; instants and delays are days, an infinite delay never comes."""
    observed = np.where(np.isinf(delays), np.nan, asked + delays)
    here = asked <= now
    curve = delay_curve(*waited(asked[here] * DAY, observed[here] * DAY, now * DAY))
    return maturity_of(curve, (now - asked[here].min()) * DAY if here.any() else 0.0)


def test_it_is_where_nine_tenths_of_what_comes_has_come() -> None:
    """Exponential delays of 5 days on average, one label in five never comes: in 300 logs the delay that is found holds
    nine tenths of what comes in at least 95 %, and at most twice that long."""
    rng = np.random.default_rng(11)
    true = 5.0 * np.log(10.0)
    enough = close = known = 0
    for _ in range(300):
        delays = rng.exponential(5.0, 500)
        delays[rng.random(500) < 0.2] = np.inf
        found = looked(rng.uniform(0.0, 60.0, 500), delays, 60.0)
        known += found.known
        enough += found.seconds >= true * DAY
        close += found.seconds <= 2.0 * true * DAY
    assert known >= 285
    assert enough >= 285
    assert close >= 285


@pytest.mark.parametrize("old", [5.0, 10.0, 20.0, 35.0])
def test_a_young_log_is_not_believed(old: float) -> None:
    """Delays spread over 30 days in a log of 5 to 35: the last has not been seen, and the bound holds."""
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(100):
        found = looked(rng.uniform(0.0, old, 500), rng.uniform(0.0, 30.0, 500), old)
        wrong += found.known and found.seconds < 0.8 * 27.0 * DAY
    assert wrong == 0


def test_few_labels_say_nothing() -> None:
    """The bound, and why."""
    found = looked(np.zeros(FEWEST - 1), np.ones(FEWEST - 1), 10.0)
    assert (found.known, found.seconds) == (False, AT_MOST)
    assert "49 labels came so far, fewer than 50" in found.reason


@pytest.mark.parametrize("delay", [0.0, 1.0, 7.0, 30.0])
def test_one_delay_for_all_is_that_delay(delay: float) -> None:
    """Where all labels take the same time, that is when they have come."""
    found = looked(np.linspace(0.0, 90.0, 500), np.full(500, delay), 90.0)
    assert found.known
    assert found.seconds == pytest.approx(delay * DAY)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.sampled_from((0.0, 1.0, 7.0, 30.0, 60.0, np.inf))), max_size=120),
    st.floats(0, 200),
)
def test_it_is_never_beyond_the_bound_and_always_has_a_reason(rows: list[tuple[float, float]], now: float) -> None:
    """Whatever the log holds."""
    asked = np.array([one for one, _ in rows], np.float64)
    delays = np.array([one for _, one in rows], np.float64)
    found = looked(asked, delays, now)
    assert 0.0 <= found.seconds <= AT_MOST
    assert found.reason
    assert found.known or found.seconds == AT_MOST
