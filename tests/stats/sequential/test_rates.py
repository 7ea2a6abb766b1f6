from __future__ import annotations

from collections.abc import Callable
from math import comb, exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.sequential.rates import ODDS, rate_log_e, rate_path, rates_log_e


@given(st.floats(1e-4, 0.95), st.integers(1, 40), st.floats(0.0, 1.0))
def test_expectation_is_at_most_one_for_every_rate_within_the_limit(limit: float, trials: int, part: float) -> None:
    """Summed over all outcomes, E has expectation at most 1 at any p <= u, and exactly 1 at p = u."""
    p = limit * part
    expected = sum(
        comb(trials, s) * p**s * (1 - p) ** (trials - s) * exp(rate_log_e(s, trials, limit)) for s in range(trials + 1)
    )
    assert expected <= 1.0 + 1e-9
    if part == 1.0:
        assert expected == pytest.approx(1.0)


@given(st.integers(0, 200), st.integers(0, 2000), st.floats(1e-4, 0.9))
def test_is_the_log_of_the_average_likelihood_ratio(events: int, others: int, limit: float) -> None:
    """The closed form equals the average of (p1/u)^s ((1-p1)/(1-u))^(n-s) over the grid of odds."""
    ratios = []
    for odds in ODDS:
        p1 = odds * limit / (1 - limit + odds * limit)
        ratios.append(events * log(p1 / limit) + others * log((1 - p1) / (1 - limit)))
    assert rate_log_e(events, events + others, limit) == pytest.approx(np.logaddexp.reduce(ratios) - log(len(ODDS)))


@given(st.integers(0, 500), st.integers(1, 500), st.floats(1e-3, 0.9))
def test_an_event_never_lowers_the_evidence_below_a_non_event(events: int, others: int, limit: float) -> None:
    """Of the same number of trials, one more event means no less evidence."""
    assert rate_log_e(events + 1, events + others, limit) >= rate_log_e(events, events + others, limit)


def test_large_counts_neither_overflow_nor_lose_the_sign() -> None:
    """A billion trials give a finite value, positive above the limit and negative below."""
    assert 0 < rate_log_e(2 * 10**7, 10**9, 0.01) < float("inf")
    assert -float("inf") < rate_log_e(5 * 10**6, 10**9, 0.01) < 0


def test_a_limit_of_one_cannot_be_broken_and_a_limit_of_zero_is_broken_by_the_second_event() -> None:
    """The edges of the range have finite answers."""
    assert rate_log_e(10, 10, 1.0) == 0.0
    assert log(300) < rate_log_e(2, 10, 0.0) < float("inf")
    assert rate_log_e(0, 10, 0.0) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(("events", "trials"), [(-1, 3), (4, 3)])
def test_refuses_impossible_counts(events: int, trials: int) -> None:
    """More events than trials, or fewer than none, is an error that names them."""
    with pytest.raises(ValueError, match=f"{events} events in {trials} trials"):
        rate_log_e(events, trials, 0.1)


def test_no_data_is_no_evidence() -> None:
    """E is 1 before the first trial."""
    assert rate_log_e(0, 0, 0.3) == pytest.approx(0.0)


def test_false_alarms_stay_within_alpha_at_the_limit_at_every_look(
    runs: int, within: Callable[[int, int, float], None]
) -> None:
    """Looked at after each of 1,500 trials at exactly p = u, at most alpha of the runs ever alarm."""
    rng, alpha, limit, trials = np.random.default_rng(11), 0.05, 0.05, 1500
    alarms = 0
    for _ in range(runs):
        alarms += bool(rate_path(rng.random(trials) < limit, limit).max() >= log(1 / alpha))
    within(alarms, runs, alpha)


def test_false_alarms_stay_within_alpha_when_a_few_users_ask_most(
    runs: int, within: Callable[[int, int, float], None]
) -> None:
    """5 % of the users always fail, and activity is very unequal: by first answers at most alpha of the runs alarm at a
    limit of 5 %; by requests a failing heavy user alarms alone, in more than twice as many."""
    rng, alpha, limit, users, requests = np.random.default_rng(12), 0.05, 0.05, 400, 1500
    n, limits = np.arange(1.0, requests + 1), np.full(requests, limit)
    by_unit = by_request = 0
    for _ in range(runs):
        activity = rng.gamma(0.2, size=users)
        who = rng.choice(users, size=requests, p=activity / activity.sum())
        failed = (rng.random(users) < limit)[who]
        first = np.zeros(requests, dtype=bool)
        first[np.unique(who, return_index=True)[1]] = True
        units = rates_log_e(np.cumsum(failed & first).astype(float), np.cumsum(first).astype(float), limits)
        by_unit += bool(units.max() >= log(1 / alpha))
        by_request += bool(rates_log_e(np.cumsum(failed).astype(float), n, limits).max() >= log(1 / alpha))
    within(by_unit, runs, alpha)
    assert by_request > 2 * alpha * runs


@given(st.lists(st.booleans(), min_size=1, max_size=80), st.sampled_from([0.0, 0.01, 0.3, 0.99]))
def test_the_path_is_the_counts_at_every_trial(outcomes: list[bool], limit: float) -> None:
    """Trial by trial the path is what the counts so far give, also at a limit of 0."""
    path = rate_path(outcomes, limit)
    for n in range(1, len(outcomes) + 1):
        assert path[n - 1] == pytest.approx(rate_log_e(sum(outcomes[:n]), n, limit), abs=1e-9)


def test_a_path_against_what_cannot_be_broken_is_flat() -> None:
    """A limit of 1 or more: no evidence; of many streams at once each is its own; a negative limit is refused."""
    assert rate_path([1, 1, 0], 1.0).tolist() == [0.0, 0.0, 0.0]
    both = rate_path([[1, 0], [0, 1]], 0.1)
    assert both[1] == pytest.approx(rate_path([0, 1], 0.1))
    for limit in (-0.1, float("nan")):
        with pytest.raises(ValueError, match="0 or more"):
            rate_path([1], limit)
