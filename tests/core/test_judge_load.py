"""What was measured under stress, and what it means."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.event import canonical
from fairlead.core.gate import Check, GatePolicy
from fairlead.core.judge_load import PER, Asked, Burst, Growth, Spike, judge_load, judge_memory, judge_spike
from fairlead.core.verdict import Outcome

HOLDS, BREACHED, UNDECIDED = Outcome.HOLDS, Outcome.BREACHED, Outcome.UNDECIDED
POLICY = GatePolicy(memory_growth_mb=5.0, p99_ms=50.0, peak_memory_mb=1000.0, recovery_seconds=5.0)
QUICK = Asked(0.0, 2.0, is_ok=True)
SLOW = Asked(0.0, 80.0, is_ok=True)
FAILED = Asked(0.0, 2.0, is_ok=False, said="500 the model failed")
SHED = Asked(0.0, 2.0, is_ok=False, is_shed=True, said="503 too many")


def well_formed(check: Check) -> bool:
    """One sentence, and figures that JSON can carry."""
    return check.reason.endswith(".") and msgspec.json.decode(canonical(check), type=Check) == check


def grown(steps: list[float], block: int = 500, **other: object) -> Growth:
    """Memory that grows by these MB, block by block."""
    return msgspec.structs.replace(Growth(tuple(np.cumsum([100.0, *steps]).tolist()), block), **other)


@pytest.mark.parametrize(
    ("growth", "outcome", "said"),
    [
        (grown([0.0] * 20), HOLDS, "+0.00 MB for 10,000 predictions"),
        (grown([0.5] * 20), BREACHED, "it leaks"),
        (grown([0.0] * 18 + [8.0, 30.0]), HOLDS, "over 10,000"),
        (grown([0.0] * 12 + [1.0] * 8), UNDECIDED, "not shown to stay below 5 MB"),
        (grown([-0.5] * 20), HOLDS, "-10.00 MB"),
        (grown([0.0] * 4), UNDECIDED, "4 blocks of predictions cannot tell"),
        (Growth((100.0,), 500), UNDECIDED, "0 blocks"),
        (grown([0.0] * 20, refused=2, requests=200, first_refusal="503"), BREACHED, "2 of 200 requests were refused"),
        (grown([0.0] * 20, peak_memory_mb=2000.0), BREACHED, "memory is over 1000 MB"),
    ],
)
def test_a_leak_is_in_every_block_and_a_step_is_none(growth: Growth, outcome: Outcome, said: str) -> None:
    """Steps are forgiven, a steady growth beyond the bound is not, and few blocks decide nothing."""
    found = judge_memory(growth, POLICY)
    assert found.outcome is outcome
    assert said in found.reason
    assert well_formed(found)


def share_of_breaches(leak_mb: float, runs: int, seed: int, large: int = 0) -> float:
    """How often a leak (MB for 10,000 predictions) is breached, under noise of 0.1 MB a block and some large steps."""
    rng, breached = np.random.default_rng(seed), 0
    for _ in range(runs):
        steps = rng.normal(leak_mb * 500 / PER, 0.1, 20)
        steps[rng.permutation(20)[:large]] += rng.exponential(10.0, large)
        breached += judge_memory(grown(steps.tolist()), POLICY).outcome is BREACHED
    return breached / runs


def test_noise_and_steps_are_rarely_a_leak_and_a_leak_rarely_is_missed() -> None:
    """Of 300 runs at the very bound at most 2.5 % (with 4 standard errors) are breached; without a leak none is, were
    there three large steps in twenty; at four times the bound 95 % are."""
    assert share_of_breaches(5.0, 300, 1) <= 0.025 + 4 * np.sqrt(0.025 * 0.975 / 300)
    assert share_of_breaches(0.0, 300, 2, large=3) == 0.0
    assert share_of_breaches(20.0, 300, 3) >= 0.95


@pytest.mark.slow
def test_a_leak_at_the_bound_is_called_one_as_rarely_as_the_interval_says() -> None:
    """5,000 runs: the lower end of a 95 % interval is beyond the truth in 2.5 % at most, with 4 standard errors."""
    assert share_of_breaches(5.0, 5000, 4) <= 0.025 + 4 * np.sqrt(0.025 * 0.975 / 5000)


@pytest.mark.parametrize(
    ("asked", "curve", "outcome", "said"),
    [
        ([QUICK] * 100, [Burst(1, 50, 1.0, 2, 4), Burst(256, 9, 1.0, 90, 95)], HOLDS, "2,304 rows a second"),
        ([QUICK] * 100, [], HOLDS, "none failed."),
        ([QUICK] * 97 + [SLOW] * 3, [], HOLDS, "p99 80.0 ms"),
        ([QUICK] * 90 + [SLOW] * 10, [], BREACHED, "10 were slower than 50 ms"),
        ([QUICK] * 99 + [FAILED], [], BREACHED, "1 of 100 requests failed"),
        ([QUICK] * 99 + [SHED], [], BREACHED, "503 too many"),
        ([QUICK] * 100, [Burst(16, 50, 1.0, 2, 4, refused=3)], BREACHED, "3 of 50 batches of 16 rows"),
        ([QUICK] * 99, [], UNDECIDED, "too few"),
        ([], [], UNDECIDED, "too few"),
    ],
)
def test_the_expected_rate_is_answered(asked: list[Asked], curve: list[Burst], outcome: Outcome, said: str) -> None:
    """Nothing fails or is shed, and no more is slow than chance explains."""
    found = judge_load(25.0, asked, curve, POLICY)
    assert found.outcome is outcome
    assert said in found.reason
    assert well_formed(found)


def test_one_percent_of_slow_requests_is_rarely_called_more() -> None:
    """Of 400 loads with 1 % slow requests at most 5 % (with 4 standard errors) are breached; with 6 %, 90 % are."""
    rng = np.random.default_rng(5)

    def breached(share: float) -> float:
        loads = rng.binomial(200, share, 400)
        calls = [judge_load(25.0, [SLOW] * k + [QUICK] * (200 - k), [], POLICY).outcome for k in loads.tolist()]
        return calls.count(BREACHED) / 400

    assert breached(0.01) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 400)
    assert breached(0.06) >= 0.9


@pytest.mark.parametrize(
    ("spike", "outcome", "said"),
    [
        (Spike(100.0, (QUICK,) * 50, 0.2), HOLDS, "50 answered, 0 shed, none failed; as before 0.20 s later"),
        (Spike(100.0, (QUICK,) * 20 + (SHED,) * 30, 1.0), HOLDS, "20 answered, 30 shed"),
        (Spike(100.0, (QUICK,) * 49 + (FAILED,), 0.2), BREACHED, "1 failed, the first with 500"),
        (Spike(100.0, (SHED,) * 50, 0.2), BREACHED, "it answered nobody"),
        (Spike(100.0, (QUICK,) * 50, None), BREACHED, "5 s later it is not as before"),
        (Spike(100.0, (QUICK,) * 50, 5.1), BREACHED, "5 s later it is not as before"),
        (Spike(100.0, (), 0.2), UNDECIDED, "No request"),
    ],
)
def test_a_spike_is_shed_and_not_failed(spike: Spike, outcome: Outcome, said: str) -> None:
    """Refusals with a time to try again are allowed, failures are not, and it must end."""
    found = judge_spike(spike, POLICY)
    assert found.outcome is outcome
    assert said in found.reason
    assert well_formed(found)


@given(st.lists(st.sampled_from([QUICK, SLOW, SHED, FAILED]), min_size=1, max_size=300))
def test_every_request_of_a_spike_is_counted_once(asked: list[Asked]) -> None:
    """Failures (shed ones among them) and the whole are as they were sent; one failure is enough."""
    found = judge_spike(Spike(100.0, tuple(asked), 0.0), POLICY)
    assert found.measured["requests"] == len(asked)
    assert found.measured["failed"] == sum(not one.is_ok for one in asked)
    assert (found.outcome is HOLDS) is (FAILED not in asked and not all(one.is_shed for one in asked))
