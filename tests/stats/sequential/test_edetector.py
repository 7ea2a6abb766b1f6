from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.sequential.edetector import ODDS, ChangeWatch, Kind, change_path, detect, expected_delay, run_length

KINDS: tuple[Kind, ...] = ("sr", "cusum")
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=300), st.floats(0.001, 0.999))
def test_is_its_recursion(kind: Kind, values: list[float], allowed: float) -> None:
    """M_t = (M_{t-1} + 1) e_t and M_t = max(M_{t-1}, 1) e_t, observation by observation, averaged over the odds."""
    sums, expected = [0.0] * len(ODDS), []
    for loss in values:
        bets = [1.0 + (k - 1.0) / (1.0 - allowed + k * allowed) * (loss - allowed) for k in ODDS]
        sums = [(m + 1.0 if kind == "sr" else max(m, 1.0)) * e for m, e in zip(sums, bets, strict=True)]
        expected.append(log(sum(sums) / len(sums)))
    assert change_path(values, allowed, kind) == pytest.approx(expected, abs=1e-8)


@kinds
def test_a_long_run_neither_overflows_nor_loses_itself(kind: Kind) -> None:
    """20,000 losses of 0, then of 1: finite, low, then beyond any threshold."""
    path = change_path(np.repeat([0.0, 1.0], [20_000, 20_000]), 0.3, kind)
    assert np.isfinite(path).all()
    assert path[:20_000].max() < log(20)
    assert path[-1] > 10_000


@kinds
def test_an_alarm_is_that_of_the_path_and_stays(kind: Kind) -> None:
    """The first place where the path reaches ln(1 / alpha), whatever the batches; the first alarm is kept."""
    rng = np.random.default_rng(91)
    losses = np.concatenate([rng.random(500) < 0.1, rng.random(300) < 0.5]).astype(float)
    path = change_path(losses, 0.12, kind)
    found = detect(losses, 0.12, 1e-4, kind)
    assert found is not None
    assert found.at == int((path >= log(1e4)).argmax())
    assert found.log_m == pytest.approx(path[found.at])
    watch = ChangeWatch(0.12, 1e-4, kind)
    for part in np.array_split(losses, 37):
        watch = watch.update(part)
    assert watch.alarm is not None
    assert (watch.alarm.at, watch.alarm.changed_at) == (found.at, found.changed_at)


def test_without_a_change_there_may_be_no_alarm() -> None:
    """Losses below what is allowed: nothing to report."""
    assert detect(np.zeros(1000), 0.1, 0.001) is None
    assert detect([], 0.1, 0.001) is None


@kinds
@pytest.mark.parametrize("losses", ["0/1", "bounded", "bursts below the limit"])
@pytest.mark.parametrize("runs", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_the_mean_time_to_a_false_alarm_is_at_least_promised(kind: Kind, losses: str, runs: int) -> None:
    """Without a change the mean run length is at least 1 / alpha; runs are cut at 20 / alpha, which only lowers it."""
    rng, alpha, allowed = np.random.default_rng(92), 0.02, 0.2
    horizon, lengths = int(20 * run_length(alpha)), []
    for size in (100,) * (runs // 100):
        if losses == "bounded":
            values = rng.beta(0.5, 2.0, (size, horizon))
        else:
            high = 1.0 if losses == "0/1" else np.repeat(rng.random((size, horizon // 50)) < 0.8, 50, axis=1)
            values = (rng.random((size, horizon)) < allowed * high).astype(float)
        over = change_path(values, allowed, kind) >= log(1 / alpha)
        lengths.append(np.where(over.any(axis=1), over.argmax(axis=1) + 1, horizon))
    found = np.concatenate(lengths)
    error = found.std() / sqrt(found.size)
    assert found.mean() + 3.1 * error >= run_length(alpha), f"mean run length {found.mean():.0f}"


@kinds
def test_a_change_is_found_soon_after_a_long_calm_and_dated(kind: Kind) -> None:
    """After 5,000 calm losses a rise from 10 to 25 % is found within 150 (median) at one false alarm in 1,000, and
    dated within 40 of the change (median)."""
    rng, delays, gaps = np.random.default_rng(93), [], []
    for _ in range(100):
        losses = np.concatenate([rng.random(5000) < 0.1, rng.random(1000) < 0.25]).astype(float)
        watch = ChangeWatch(0.1, 1e-3, kind).update(losses[:5000])
        if watch.alarm is not None and watch.alarm.at < 5000:  # a false one: watch anew
            watch = ChangeWatch(0.1, 1e-3, kind, count=5000)
        alarm = watch.update(losses[5000:]).alarm
        assert alarm is not None
        delays.append(alarm.at - 5000)
        gaps.append(abs(alarm.changed_at - 5000))
    assert np.median(delays) < 150
    assert np.median(gaps) < 40


def test_the_expected_delay_is_what_it_takes() -> None:
    """ln(1 / alpha) / KL is within 35 % of the mean delay at one of the odds, where nothing came before."""
    rng, allowed, loss = np.random.default_rng(94), 0.1, 2 * 0.1 / (0.9 + 2 * 0.1)
    paths = change_path((rng.random((200, 3000)) < loss).astype(float), allowed, "cusum")
    delays = (paths >= log(1e4)).argmax(axis=1) + 1
    assert delays.mean() == pytest.approx(expected_delay(allowed, loss, 1e-4), rel=0.35)


@pytest.mark.parametrize("allowed", [0.0, 1.0, float("nan")])
def test_refuses_what_cannot_be_bet_against(allowed: float) -> None:
    """An allowed loss of 0 or 1 leaves no odds."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        change_path([0.5], allowed)


def test_refuses_other_detectors_and_levels() -> None:
    """Names and levels that there are not, and delays for what is no rise."""
    with pytest.raises(ValueError, match="use 'sr' or 'cusum'"):
        change_path([0.5], 0.5, "ewma")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="between 0 and 1"):
        detect([1.0] * 99, 0.1, 0.0)
    with pytest.raises(ValueError, match="no rise"):
        expected_delay(0.2, 0.1, 0.01)
