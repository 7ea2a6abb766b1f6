from __future__ import annotations

from collections.abc import Callable
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlead.stats.sequential.betting import LossWatch, begun_again, harm_path, harmful_shift, update

losses = st.lists(st.floats(0.0, 1.0), max_size=60)


@given(losses, st.integers(0, 60), st.floats(0.02, 0.9))
def test_batches_may_be_cut_anywhere(values: list[float], cut: int, allowed: float) -> None:
    """The state after two batches is the state after one: O(1) memory loses nothing."""
    start = LossWatch(allowed)
    whole, parts = update(start, values), update(update(start, values[:cut]), values[cut:])
    assert parts.count == whole.count
    assert parts.log_k == pytest.approx(whole.log_k, abs=1e-9)
    assert parts.log_k_max == pytest.approx(whole.log_k_max, abs=1e-9)


@given(losses, st.floats(0.05, 0.9))
def test_is_its_formula(values: list[float], allowed: float) -> None:
    """Loss by loss: a quarter on a bet from the past only, clipped to [0, 0.75 / m]; the rest on four odds."""
    log_k, seen, spread = 0.0, 0.0, 0.0
    for i, loss in enumerate(values):
        mean, variance = (0.5 + seen) / (i + 1), (0.25 + spread) / (i + 1)
        bet = min(max((mean - allowed) / (variance + (mean - allowed) ** 2), 0.0), 0.75 / allowed)
        log_k += log(1 + bet * (loss - allowed))
        seen += loss
        spread += (loss - (0.5 + seen) / (i + 2)) ** 2
    ratios = [k ** sum(values) / (1 - allowed + allowed * k) ** len(values) for k in (1.25, 1.5, 2.0, 3.0)]
    expected = log(0.25 * exp(log_k) + 0.75 * sum(ratios) / 4)
    assert update(LossWatch(allowed), values).log_k == pytest.approx(expected, abs=1e-9)
    assert update(LossWatch(allowed), values).log_bet == pytest.approx(log_k, abs=1e-9)


@given(st.floats(0.0, 1.0), st.floats(0.02, 0.9), st.floats(0.0, 1.0))
def test_no_bet_gains_on_average_while_the_mean_is_allowed(loss: float, allowed: float, part: float) -> None:
    """k^Z / (1 - m + k m) is at most the factor (1 - Z + k Z) / (1 - m + k m), whose mean is at most 1 for any loss."""
    for odds in (1.25, 1.5, 2.0, 3.0):
        assert odds**loss <= 1 - loss + odds * loss + 1e-12
        assert 1 + (odds - 1) * part * allowed <= 1 - allowed + odds * allowed + 1e-12


def test_the_path_of_many_streams_is_that_of_each() -> None:
    """Time is the last axis; the evidence is the path's last and largest value."""
    values = np.random.default_rng(40).random((3, 50)) ** 4
    paths = harm_path(values, 0.2)
    for stream, path in zip(values, paths, strict=True):
        state = update(LossWatch(0.2), stream)
        assert state.evidence.log_e == pytest.approx(path[-1])
        assert state.evidence.log_e_max == pytest.approx(max(0.0, path.max()))


def test_the_first_crossing_is_reported_and_remembered() -> None:
    """The index is that of the loss that reached 1 / alpha; the maximum stays when the evidence falls again."""
    values = [1.0] * 10 + [0.0] * 200
    largest, index = harmful_shift(values, 0.2, 0.05)
    assert index is not None
    assert harmful_shift(values[:index], 0.2, 0.05)[1] is None
    assert harmful_shift(values[: index + 1], 0.2, 0.05)[1] == index
    state = update(LossWatch(0.2), values)
    assert state.log_k < largest == state.log_k_max
    assert state.alarmed(0.05)


def test_no_loss_is_no_evidence() -> None:
    """Nothing seen, nothing said."""
    assert harmful_shift([], 0.2, 0.05) == (0.0, None)
    assert update(LossWatch(0.2), []) == LossWatch(0.2)


@pytest.mark.parametrize(
    ("values", "allowed", "message"),
    [([0.5, 1.5], 0.2, "outside 0 to 1"), ([float("nan")], 0.2, "outside 0 to 1"), ([0.5], 0.0, "between 0 and 1")],
)
def test_refuses_losses_that_are_not_bounded(values: list[float], allowed: float, message: str) -> None:
    """A loss outside [0, 1] or an allowed loss outside (0, 1) would void the guarantee: both are errors."""
    with pytest.raises(ValueError, match=message):
        harmful_shift(values, allowed, 0.05)


def test_false_alarms_over_five_thousand_labels_stay_within_alpha(
    runs: int, within: Callable[[int, int, float], None]
) -> None:
    """At a true error of exactly m = 0.13, looked at after each of 5,000 labels, at most alpha = 2.5 % alarm."""
    rng = np.random.default_rng(41)
    alarms = sum(harmful_shift(rng.random(5000) < 0.13, 0.13, 0.025)[1] is not None for _ in range(runs))
    within(alarms, runs, 0.025)


def test_dependent_losses_keep_the_guarantee(runs: int, within: Callable[[int, int, float], None]) -> None:
    """Losses whose conditional mean wanders below m, in bursts, still alarm in at most alpha of the runs."""
    rng = np.random.default_rng(42)
    allowed = 0.13 * np.repeat(rng.random((runs, 40)) < 0.7, 50, axis=1)
    alarms = sum(harmful_shift(rng.random(2000) < row, 0.13, 0.025)[1] is not None for row in allowed)
    within(alarms, runs, 0.025)


def _windows_to_the_alarm(losses: NDArray[np.bool_], *, again: bool) -> float:
    """Windows (rows of losses) until ln K reaches ln 40, or infinity; m = 0.13."""
    state = LossWatch(0.13)
    for place, row in enumerate(losses, start=1):
        state = update(begun_again(state) if again else state, row)
        if state.alarmed(0.025):
            return place
    return np.inf


def test_bets_laid_again_keep_the_guarantee(runs: int, within: Callable[[int, int, float], None]) -> None:
    """At a true error of exactly m, with more laid at each of 50 windows of 50 labels, at most alpha alarm."""
    rng = np.random.default_rng(45)
    alarms = sum(_windows_to_the_alarm(rng.random((50, 50)) < 0.13, again=True) < np.inf for _ in range(runs))
    within(alarms, runs, 0.025)


def test_a_long_calm_does_not_hide_what_begins_after_it() -> None:
    """After 40 calm windows of 200 labels an error of 0.20 where 0.13 is allowed is found within 6 in the median; bets
    that were laid once take more than 15. From the first window on, laying again costs at most one window."""
    rng = np.random.default_rng(46)
    calm_then_bad = [rng.random((100, 200)) < np.repeat([0.11, 0.20], [40, 60])[:, None] for _ in range(60)]
    delays = {
        again: [_windows_to_the_alarm(each, again=again) - 40 for each in calm_then_bad] for again in (True, False)
    }
    assert 0 < np.median(delays[True]) <= 6
    assert np.median(delays[False]) > 15
    bad = [rng.random((20, 200)) < 0.20 for _ in range(60)]
    first, once = (np.median([_windows_to_the_alarm(each, again=again) for each in bad]) for again in (True, False))
    assert first <= once + 1


@given(losses, losses, st.integers(0, 3))
def test_what_is_laid_adds_to_the_capital(before: list[float], after: list[float], starts: int) -> None:
    """The j-th call adds 1 / (j (j + 1)); of what was laid at once half goes on, and counts as the first call."""
    state = LossWatch(0.2)
    for _ in range(starts):
        state = begun_again(state)
    state = update(state, before)
    again = begun_again(state)
    calls = starts + 1 if starts or not before else 2
    kept = exp(state.log_k) if starts else 0.5 * exp(state.log_k) if before else 0.0
    assert exp(again.log_k) == pytest.approx(kept + 1.0 / (calls * (calls + 1)), rel=1e-9)
    assert again.log_k_max == state.log_k_max
    whole, parts = update(again, [*before, *after]), update(update(again, before), after)
    assert parts.log_k == pytest.approx(whole.log_k, abs=1e-9)


@pytest.mark.parametrize(("error", "median"), [(0.16, 970), (0.18, 390), (0.20, 180), (0.25, 66)])
def test_delays_are_those_that_the_documentation_promises(error: float, median: float) -> None:
    """Median labels to the alarm, m = 0.13 and alpha = 0.025, by true error."""
    rng, delays = np.random.default_rng(43), []
    for _ in range(300):
        index = harmful_shift(rng.random(8000) < error, 0.13, 0.025)[1]
        delays.append(np.inf if index is None else index + 1)
    assert np.median(delays) == pytest.approx(median, rel=0.15)


def test_losses_that_vary_little_cost_the_mixture_a_quarter() -> None:
    """Losses of standard deviation 0.05 around 0.16, m = 0.13: the bet that learns alone takes 55 labels in the median,
    the mixture with the fixed odds 70. What the 0/1 losses gain is paid here."""
    rng, bound = np.random.default_rng(44), log(1 / 0.025)
    mixed, learning = [], []
    for row in rng.beta(8.0, 42.0, (100, 200)):
        mixed.append(int((harm_path(row, 0.13) >= bound).argmax()) + 1)
        states = [LossWatch(0.13)]
        for five in np.split(row, 40):
            states.append(update(states[-1], five))
        learning.append(5 * int(np.argmax([state.log_bet >= bound for state in states])))
    assert np.median(mixed) == pytest.approx(70, rel=0.15)
    assert np.median(learning) == pytest.approx(55, rel=0.15)
