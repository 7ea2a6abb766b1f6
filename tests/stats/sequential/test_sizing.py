from __future__ import annotations

from math import inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.sequential.failures import RISKS, canary_fraction, failure_log_e
from fairlead.stats.sequential.sizing import failures_needed, requests_needed


@given(st.sampled_from([0.01, 0.05, 0.25]), st.floats(1.5, 10.0), st.floats(1.1, 3.0))
def test_a_larger_risk_needs_fewer_failures(share: float, risk: float, more: float) -> None:
    """What is worse is found sooner."""
    assert failures_needed(share, risk * more, 0.01) < failures_needed(share, risk, 0.01)


@pytest.mark.parametrize(("share", "risk"), [(0.0, 3.0), (1.0, 3.0), (0.05, 1.0), (0.05, 1.2)])
def test_what_cannot_be_told_apart_takes_for_ever(share: float, risk: float) -> None:
    """Without both arms, or at a risk that is tolerated, the answer is infinity and no error."""
    assert failures_needed(share, risk, 0.01, tolerance=0.25) == inf
    assert requests_needed(share, 0.01, risk, 0.01, tolerance=0.25) == inf


def test_a_champion_that_never_fails_gives_nothing_to_count() -> None:
    """At a failure rate of 0 no number of requests is enough."""
    assert requests_needed(0.05, 0.0, 3.0, 0.01) == inf


def test_the_forecast_is_what_the_evidence_takes() -> None:
    """Simulated at a 25 % share and 3x, the mean number of failures is within 25 % of the forecast with its mixture."""
    rng, share, alpha, taken = np.random.default_rng(51), 0.25, 0.01, []
    theta = canary_fraction(share, 3.0)
    for _ in range(200):
        counts = [0, 0]
        while failure_log_e([(share, counts[0], counts[1])]) < log(1 / alpha):
            counts[rng.random() < theta] += 1
        taken.append(sum(counts))
    assert np.mean(taken) == pytest.approx(failures_needed(share, 3.0, alpha / len(RISKS)), rel=0.25)
