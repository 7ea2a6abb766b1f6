"""Live traffic over the last minutes, and what its intervals promise."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import Raw

from fairlead.config.conditions import condition
from fairlead.core.condition import evaluate
from fairlead.core.record import Prediction
from fairlead.core.verdict import Outcome
from fairlead.flows.live import Live
from fairlead.stats.intervals import clopper_pearson

NOW = 1_700_000_000.0
ALPHA = 0.05


def record(at: float, status: int = 200, ms: float = 10.0, version: int = 1) -> Prediction:
    """One request."""
    return Prediction("q", "m", version, "champion", "u", 1.0, at, at, Raw(b"{}"), 0, 0.5, ms, status=status)


def test_the_window_slides() -> None:
    """What is older than the window is forgotten; what comes late is counted where it belongs."""
    live = Live(300.0)
    live.observe([record(NOW - 400.0), record(NOW - 100.0, 500), record(NOW - 200.0)], NOW)
    assert live.error_rate(NOW).value == 0.5
    assert live.error_rate(NOW + 150.0).value == 1.0
    assert live.error_rate(NOW + 400.0).value is None
    assert live.volume(NOW + 400.0).value == 0.0
    live.observe([record(NOW + 500.0)], NOW + 500.0)
    assert len(live._buckets) == 1


def test_what_the_caller_did_wrong_is_no_failure() -> None:
    """A 422 is a request that was answered."""
    live = Live(300.0)
    live.observe([record(NOW - 10.0, 422), record(NOW - 10.0, 503)], NOW)
    assert live.error_rate(NOW).value == 0.5


@pytest.mark.parametrize("p", [0.5, 0.95, 0.99])
def test_a_quantile_is_within_half_a_per_cent(p: float) -> None:
    """Of the exact one; its interval holds it, where there are values enough."""
    values = np.random.default_rng(1).lognormal(3.0, 1.0, 5000)
    live = Live(300.0)
    live.observe([record(NOW - 50.0, ms=float(ms)) for ms in values], NOW)
    found = live.quantile("x", p, NOW)
    assert found.value == pytest.approx(np.quantile(values, p, method="inverted_cdf"), rel=0.006)
    assert found.low is not None
    assert found.value is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    few = Live(300.0)
    few.observe([record(NOW - 50.0, ms=float(ms)) for ms in values[:50]], NOW)
    assert few.quantile("p99_latency", 0.99, NOW).high is None


def test_zero_milliseconds_are_a_latency() -> None:
    """The logarithm is no trap."""
    live = Live(300.0)
    live.observe([record(NOW - 1.0, ms=0.0)], NOW)
    assert live.quantile("x", 0.5, NOW).value == pytest.approx(1e-3, rel=0.01)


def false_alarms(runs: int, rate: float, text: str, seed: int) -> int:
    """Windows that fill by a hundred requests, looked at each time, in which a true condition's bound is the rate."""
    rng, alarms, wanted = np.random.default_rng(seed), 0, condition(text)
    for _ in range(runs):
        live = Live(300.0, ALPHA)
        for step in range(8):
            at = NOW - 200.0 + 20.0 * step
            slow = rng.random(100) < rate
            live.observe([record(at, 500 if bad else 200, 20.0 if bad else 5.0) for bad in slow], NOW)
            value = live.error_rate(NOW) if wanted.metric == "error_rate" else live.quantile("p95_latency", 0.95, NOW)
            if evaluate(wanted, [value]).outcome is Outcome.BREACHED:
                alarms += 1
                break
    return alarms


def test_a_rate_at_its_bound_rarely_alarms() -> None:
    """However often a filling window is looked at: in no more than alpha of the windows."""
    assert clopper_pearson(false_alarms(60, 0.05, "error_rate > 5%", 2), 60, 0.01)[0] <= ALPHA


@pytest.mark.slow
@pytest.mark.parametrize("text", ["error_rate > 5%", "p95_latency > 10ms"])
def test_intervals_keep_their_promise(text: str) -> None:
    """In 1,500 windows, for rates and for quantiles."""
    rate = 0.05
    runs = 1500
    assert clopper_pearson(false_alarms(runs, rate, text, 3), runs, 0.01)[0] <= ALPHA
