"""When drift is harmful."""

from __future__ import annotations

from math import log

import pytest

from fairlead.core.harm import HarmPolicy, LossEvidence, judge_harm
from fairlead.core.quadrant import Band

REFERENCE = Band(0.80, 0.78, 0.82)
NOTHING = LossEvidence()
POLICY = HarmPolicy()


@pytest.mark.parametrize(
    ("realised", "level", "harmful"),
    [
        (Band(0.79, 0.77, 0.81), "none", False),
        (Band(0.74, 0.72, 0.76), "warning", False),
        (Band(0.66, 0.63, 0.69), "critical", True),
        (Band(0.66, 0.50, 0.82), "none", False),  # too few labels to exclude the reference
        (Band(0.90, 0.88, 0.92), "none", False),
    ],
)
def test_a_drop_counts_only_beyond_its_interval(realised: Band, level: str, harmful: bool) -> None:
    """5 % is a warning and 10 % critical, both only where the interval excludes the reference."""
    found = judge_harm("auroc", REFERENCE, realised, NOTHING, POLICY)
    assert (found.level, found.harmful) == (level, harmful)
    assert found.drop == pytest.approx((0.80 - realised.value) / 0.80)


def test_an_error_that_grows_is_a_drop() -> None:
    """For an error, oriented by its sign, 20 % more is 20 % worse."""
    found = judge_harm("mae", Band(-10, -11, -9), Band(-12, -12.5, -11.5), NOTHING, POLICY)
    assert found.harmful
    assert found.drop == pytest.approx(0.2)


def test_loss_evidence_alone_is_enough() -> None:
    """At 2 / alpha the betting test alarms, whatever the primary metric says; just below it does not."""
    threshold = log(2 / POLICY.alpha)
    alarm = judge_harm("auroc", REFERENCE, REFERENCE, LossEvidence(threshold, 0.3, 0.2), POLICY)
    assert (alarm.harmful, alarm.level) == (True, "warning")
    said = "the live loss since the promotion exceeds the held-out bound 0.200 (log e 5.3; 0.300 in this window)"
    assert said in alarm.reason
    calm = judge_harm("auroc", REFERENCE, REFERENCE, LossEvidence(threshold - 0.01, 0.3, 0.2), POLICY)
    assert not calm.harmful
    assert calm.threshold == threshold


def test_nothing_realised_is_no_harm() -> None:
    """Without labels there is neither a drop nor harm, and the reason says so."""
    found = judge_harm("auroc", REFERENCE, None, NOTHING, POLICY)
    assert (found.harmful, found.drop, found.reason) == (False, None, "no sign of harm")
