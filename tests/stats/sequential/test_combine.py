from __future__ import annotations

from collections.abc import Callable
from math import inf, isinf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.sequential.combine import (
    Bound,
    average_log_e,
    decide,
    e_bh,
    forecast_seconds,
    non_inferiority_units,
)
from fairlead.stats.sequential.evidence import Evidence
from fairlead.stats.sequential.mean_difference import difference_sequence
from fairlead.stats.sequential.rates import rate_path

logs = st.lists(st.floats(-20.0, 20.0), min_size=1, max_size=20)
OPEN = Bound("open", 0.01, Evidence(0.0, 0.0), -0.05, 0.05, units=1000)
SAFE = Bound("safe", 0.01, Evidence(-1.0, 0.5), -0.01, 0.005, units=1000)
BROKEN = Bound("broken", 0.01, Evidence(7.0, 9.0), 0.02, 0.09, units=1000)


@given(logs, st.sampled_from([0.01, 0.05, 0.2]))
def test_e_bh_rejects_the_largest_that_together_are_enough(values: list[float], alpha: float) -> None:
    """k is the largest number with E_(k) >= m / (k alpha), and exactly the k largest are rejected."""
    rejected, m = e_bh(values, alpha), len(values)
    ordered = sorted(values, reverse=True)
    k = max((i for i in range(1, m + 1) if ordered[i - 1] >= log(m / (i * alpha)) - 1e-12), default=0)
    assert sum(rejected) == k
    kept = [value for value, yes in zip(values, rejected, strict=True) if yes]
    assert sorted(kept, reverse=True) == ordered[:k]


@given(logs)
def test_the_average_lies_between_the_largest_and_its_share(values: list[float]) -> None:
    """ln of the mean: at most the largest, at least the largest less ln m."""
    found = average_log_e(values)
    assert max(values) - log(len(values)) - 1e-9 <= found <= max(values) + 1e-9


@pytest.mark.parametrize("runs", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_e_bh_keeps_the_share_of_false_segments_within_alpha(
    runs: int, within: Callable[[int, int, float], None]
) -> None:
    """40 segments that all share half of their trials, 8 truly worse: the share of false among the rejected is at most
    alpha on average, and the runs in which any sound one is rejected while none is worse are at most alpha."""
    rng, alpha, limit = np.random.default_rng(161), 0.1, 0.05
    shares, any_false = [], 0
    for _ in range(runs):
        common = rng.random(200) < limit
        rejected = {}
        for worse in (8, 0):
            rates = np.repeat([0.2, limit], [worse, 40 - worse])
            own = rng.random((40, 200)) < rates[:, None]
            logs = rate_path(np.concatenate([np.broadcast_to(common, (40, 200)), own], axis=1), limit)[:, -1]
            rejected[worse] = np.array(e_bh(logs.tolist(), alpha))
        shares.append(rejected[8][8:].sum() / max(1, rejected[8].sum()))
        any_false += bool(rejected[0].any())
    error = np.std(shares) / np.sqrt(runs)
    assert np.mean(shares) - 3.1 * error <= alpha
    within(any_false, runs, alpha)


def test_one_broken_guardrail_rolls_back_whatever_the_others_say() -> None:
    """`regress` needs ln(m / alpha) on one; safe guardrails do not outweigh it."""
    found = decide([SAFE, BROKEN, OPEN], alpha=0.01)
    assert (found.call, found.guardrail) == ("regress", "broken")
    weak = Bound("weak", 0.01, Evidence(4.7, 4.7), 0.02, 0.09, units=10)
    assert decide([weak], 0.01).call == "regress"
    assert decide([weak, SAFE], 0.01).call == "not yet"


def test_the_average_takes_evidence_from_several() -> None:
    """Where each is half-way the average is too; where all are close to the threshold it is over before any at alpha /
    m."""
    close = [Bound(str(i), 0.0, Evidence(4.8, 4.8)) for i in range(3)]
    assert decide(close, 0.01, "each").call == "not yet"
    assert decide(close, 0.01, "average").call == "regress"
    assert decide([OPEN, SAFE], 0.01, "average").call == "not yet"
    with pytest.raises(ValueError, match="use 'each' or 'average'"):
        decide([OPEN], 0.01, "sum")  # type: ignore[arg-type]


def test_safe_means_every_sequence_within_its_margin() -> None:
    """All within: safe, without a correction. One open, one without data, none at all: not yet."""
    assert decide([SAFE, SAFE], 0.01).call == "safe"
    assert decide([SAFE, OPEN], 0.01).guardrail == "open"
    unmeasured = decide([SAFE, Bound("silent", 0.01)], 0.01)
    assert (unmeasured.call, unmeasured.guardrail, unmeasured.forecast_units) == ("not yet", "silent", None)
    assert decide([], 0.01).call == "not yet"


def test_the_forecast_is_when_the_interval_will_fit() -> None:
    """A half-width of 0.05 at 1,000 units has to become 0.01: 25 times the units; at 10 a second in 2,400 s. Worse than
    allowed without evidence yet: when the evidence will be there, at its present speed."""
    found = decide([OPEN], 0.01)
    assert found.forecast_units == pytest.approx(24_000)
    assert forecast_seconds(found, 10.0) == pytest.approx(2400)
    assert forecast_seconds(found, 0.0) is None
    worse = Bound("worse", 0.01, Evidence(log(10), log(10)), -0.05, 0.09, units=1000)
    assert decide([worse], 0.01).forecast_units == pytest.approx(1000)
    hopeless = Bound("level", 0.01, Evidence(), -0.01, 0.05, units=1000)
    assert decide([hopeless], 0.01).forecast_units is None
    assert forecast_seconds(decide([SAFE], 0.01), 10.0) is None


def promoted(rng: np.random.Generator, worse: tuple[float, ...], units: int, margin: float, alpha: float) -> bool:
    """Whether every guardrail was ever within its margin at one look of 20."""
    arms = rng.random(units) < 0.5
    looks = np.linspace(units // 20, units, 20).astype(int) - 1
    inside = np.ones(20, dtype=bool)
    for rise in worse:
        values = rng.normal(0.0, 1.0, units) + rise * arms
        inside &= difference_sequence(values, arms, 0.5, alpha, best_at=units)[1][looks] < margin
    return bool(inside.any())


def test_a_canary_at_one_margin_is_promoted_in_at_most_alpha(
    runs: int, within: Callable[[int, int, float], None]
) -> None:
    """Three guardrails, one exactly at its margin, two far better: no correction of alpha is needed."""
    rng = np.random.default_rng(162)
    within(sum(promoted(rng, (0.2, -0.5, -0.5), 2000, 0.2, 0.1) for _ in range(runs)), runs, 0.1)


def test_the_planned_units_give_the_planned_power() -> None:
    """Three guardrails, no difference: at the units planned for 80 % at least 80 of 100 runs are promoted (less
    chance)."""
    rng, margin = np.random.default_rng(163), 0.25
    units = int(non_inferiority_units(1.0, margin, 0.05, power=0.8, guardrails=3))
    assert sum(promoted(rng, (0.0, 0.0, 0.0), units, margin, 0.05) for _ in range(100)) >= 70


def test_more_guardrails_cost_power_not_alpha() -> None:
    """Units grow with the number of guardrails and with an uneven split; what cannot be shown takes for ever."""
    sizes = [non_inferiority_units(1.0, 0.1, 0.05, guardrails=m) for m in (1, 2, 5, 20)]
    assert sizes == sorted(sizes)
    assert sizes[-1] < 2 * sizes[0]
    assert non_inferiority_units(1.0, 0.1, 0.05, share=0.05) > 4 * sizes[0]
    assert isinf(non_inferiority_units(1.0, 0.1, 0.05, effect=0.1))
    assert non_inferiority_units(1.0, 0.1, 0.05, share=0.0) == inf
    with pytest.raises(ValueError, match=r"power 1\.0"):
        non_inferiority_units(1.0, 0.1, 0.05, power=1.0)
    with pytest.raises(ValueError, match="0 guardrails"):
        non_inferiority_units(1.0, 0.1, 0.05, guardrails=0)


def test_nan_is_no_evidence_here_either() -> None:
    """A missing e-value is an error, not a small one; no e-value is none."""
    for use in (lambda: average_log_e([1.0, np.nan]), lambda: e_bh([np.nan], 0.05)):
        with pytest.raises(ValueError, match="nan"):
            use()
    for bound in (Bound("x", np.nan), Bound("x", 0.1, high=np.nan), Bound("x", 0.1, Evidence(np.nan, np.nan))):
        with pytest.raises(ValueError, match="x holds nan"):
            decide([bound], 0.05)
    assert average_log_e([]) == 0.0
    assert e_bh([], 0.05) == ()
