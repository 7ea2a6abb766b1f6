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
        (Band(0.69, 0.66, 0.72), "warning", False),  # more than a tenth, yet a tenth is not excluded
        (Band(0.66, 0.50, 0.82), "none", False),  # too few labels to exclude the reference
        (Band(0.90, 0.88, 0.92), "none", False),
    ],
)
def test_a_drop_counts_only_beyond_its_interval(realised: Band, level: str, harmful: bool) -> None:
    """5 % is a warning where the interval excludes the reference, 10 % critical where it excludes a tenth less."""
    found = judge_harm("auroc", REFERENCE, realised, NOTHING, POLICY)
    assert (found.level, found.harmful) == (level, harmful)
    assert found.drop == pytest.approx((0.80 - realised.value) / 0.80)


def test_an_error_that_grows_is_a_drop() -> None:
    """For an error, oriented by its sign, 20 % more is 20 % worse."""
    found = judge_harm("mae", Band(-10, -10.4, -9.6), Band(-12, -12.5, -11.5), NOTHING, POLICY)
    assert found.harmful
    assert found.drop == pytest.approx(0.2)


@pytest.mark.parametrize("spread", [0.0, 0.4, 0.5, 1.1])
def test_both_sides_of_a_fall_are_uncertain(spread: float) -> None:
    """A held-out metric that is itself measured on few rows makes a fall less sure: 20 % worse with an interval of half
    a unit lies a unit beyond a tenth, the reference's own error 11/10 of its interval."""
    found = judge_harm("mae", Band(-10, -10 - spread, -10 + spread), Band(-12, -12.5, -11.5), NOTHING, POLICY)
    assert found.harmful == ((1.1 * spread) ** 2 + 0.5**2 < 1.0)


def test_until_the_second_edition_whatever_excluded_the_reference_was_sure() -> None:
    """Recorded windows are judged again as they were: without the other side's error, without a test of one window."""
    evidence = LossEvidence(0.0, 0.2, 0.3, 0.1, 0.11, 1e-9, 1e-9)
    then = judge_harm("mae", Band(-10, -11, -9), Band(-12, -12.5, -11.5), evidence, POLICY, beyond=False)
    assert (then.level, then.harmful) == ("critical", True)
    calm = judge_harm("mae", Band(-10, -11, -9), Band(-10, -11, -9), evidence, POLICY, beyond=False)
    assert not calm.harmful


@pytest.mark.parametrize(
    ("p_tolerated", "p_worse", "harmful"), [(0.02, 0.001, True), (0.03, 0.001, False), (0.02, 0.011, False)]
)
def test_a_windows_loss_alone_is_enough(p_tolerated: float, p_worse: float, harmful: bool) -> None:
    """Beyond what is tolerated at 2.5 %, and worse at the level that the budget granted; the reason says both means."""
    evidence = LossEvidence(0.0, 0.093, 0.069, 0.056, 0.066, p_tolerated, p_worse)
    found = judge_harm("auroc", REFERENCE, REFERENCE, evidence, HarmPolicy(loss_alpha=0.01))
    assert (found.harmful, found.level) == (harmful, "warning" if harmful else "none")
    said = "this window's loss of 0.093 exceeds the 0.066 that are tolerated above the held-out 0.056 (p 0.02)"
    assert (said in found.reason) == harmful


def test_tolerated_is_a_tenth_or_a_point() -> None:
    """Of a small loss a point, of a large one a tenth."""
    assert [round(POLICY.tolerated.above(held), 3) for held in (0.05, 0.1, 0.3)] == [0.06, 0.11, 0.33]


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
