from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from fairlead.stats.intervals import clopper_pearson, rate_sequence, rate_sequence_path, upper_bound, wilson

Interval = Callable[[int, int, float], tuple[float, float]]
counts = st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
ALL = [clopper_pearson, wilson, rate_sequence]


@pytest.mark.parametrize("interval", ALL)
@given(counts, st.floats(0.001, 0.5))
def test_holds_the_measured_rate_and_stays_a_share(interval: Interval, found: tuple[int, int], alpha: float) -> None:
    """0 <= lower <= s / n <= upper <= 1."""
    events, trials = found
    low, high = interval(events, trials, alpha)
    assert 0.0 <= low <= high <= 1.0
    if trials:
        assert low <= events / trials + 1e-12
        assert high >= events / trials - 1e-12


@pytest.mark.parametrize("interval", ALL)
def test_no_trial_says_nothing(interval: Interval) -> None:
    """Without trials the interval is everything."""
    assert interval(0, 0, 0.05) == (0.0, 1.0)


@pytest.mark.parametrize("interval", ALL)
@given(counts)
def test_failures_mirror_successes(interval: Interval, found: tuple[int, int]) -> None:
    """Counting the other outcome turns the interval around."""
    events, trials = found
    low, high = interval(events, trials, 0.05)
    other_low, other_high = interval(trials - events, trials, 0.05)
    assert (1 - other_high, 1 - other_low) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize("interval", ALL)
@pytest.mark.parametrize(("events", "trials", "alpha"), [(3, 2, 0.05), (-1, 2, 0.05), (1, 2, 0.0), (1, 2, 1.0)])
def test_refuses_impossible_input(interval: Interval, events: int, trials: int, alpha: float) -> None:
    """Impossible counts and levels are errors."""
    with pytest.raises(ValueError, match=r"events in|alpha is"):
        interval(events, trials, alpha)


@given(counts.filter(lambda found: found[1] > 0))
def test_the_sequence_pays_for_looking_always(found: tuple[int, int]) -> None:
    """What holds at all looks together is never shorter than what holds at one (Wilson)."""
    low, high = rate_sequence(*found, 0.05)
    short_low, short_high = wilson(*found, 0.05)
    assert high - low >= short_high - short_low - 1e-9


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("trials", [20, 100])
def test_the_exact_interval_covers_at_least_as_promised(p: float, trials: int) -> None:
    """Summed over all outcomes, Clopper-Pearson misses with probability at most alpha."""
    outcomes = np.arange(trials + 1)
    chance = binom.pmf(outcomes, trials, p)
    inside = [low <= p <= high for low, high in (clopper_pearson(int(s), trials, 0.05) for s in outcomes)]
    assert float(chance[inside].sum()) >= 0.95


def test_the_upper_bound_follows_the_rule_of_three() -> None:
    """No event in n trials bounds the rate by about 3 / n, at 95 %."""
    assert upper_bound(0, 1000) == pytest.approx(3 / 1000, rel=0.01)
    assert upper_bound(5, 5) == 1.0


@pytest.mark.parametrize("runs", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_the_sequence_covers_at_every_look_together(runs: int) -> None:
    """Looked at after each of 400 trials, the true rate is ever left out in at most alpha of the runs."""
    rng, p, alpha, trials = np.random.default_rng(61), 0.1, 0.1, 400
    # The interval of each (events, trials) that can occur is computed once.
    ends: dict[tuple[int, int], bool] = {}
    missed = 0
    for _ in range(runs):
        events = np.cumsum(rng.random(trials) < p)
        for n, s in enumerate(events, start=1):
            key = (int(s), n)
            if key not in ends:
                low, high = rate_sequence(*key, alpha)
                ends[key] = low <= p <= high
            if not ends[key]:
                missed += 1
                break
    assert binom.sf(missed - 1, runs, alpha) >= 0.001


@given(st.lists(st.booleans(), min_size=1, max_size=150), st.sampled_from([0.001, 0.05, 0.4]))
def test_the_path_is_the_sequence_at_every_trial(outcomes: list[bool], alpha: float) -> None:
    """After each trial, what no look so far left out; to 1e-9, and never narrower than the bisected ends."""
    low, high = rate_sequence_path(outcomes, alpha)
    lowest, highest = 0.0, 1.0
    for n in range(1, len(outcomes) + 1):
        ends = rate_sequence(sum(outcomes[:n]), n, alpha)
        lowest, highest = max(lowest, ends[0]), min(highest, ends[1])
        assert (low[n - 1], high[n - 1]) == (pytest.approx(lowest, abs=1e-9), pytest.approx(highest, abs=1e-9))


def test_the_path_stays_a_share_at_every_rate() -> None:
    """Rates from 0 to 1, many streams at once: within [0, 1], closing in, on both sides of the mean."""
    rng = np.random.default_rng(62)
    for rate in (0.0, 0.0005, 0.03, 0.5, 0.97, 1.0):
        low, high = rate_sequence_path(rng.random((5, 3000)) < rate)
        assert (low >= 0.0).all()
        assert (high <= 1.0).all()
        assert (low < high).all()
        assert (low[:, -1] <= rate + 0.06).all()
        assert (high[:, -1] >= rate - 0.06).all()


@pytest.mark.parametrize("outcomes", [[0.5], [float("nan")], [2]])
def test_the_path_refuses_what_is_no_outcome(outcomes: list[float]) -> None:
    """Outcomes are 0 or 1, alpha a level; no trial gives no interval."""
    with pytest.raises(ValueError, match="must be 0 or 1"):
        rate_sequence_path(outcomes)
    with pytest.raises(ValueError, match="alpha is"):
        rate_sequence_path([1], 0.0)
    assert rate_sequence_path([])[0].shape == (0,)
