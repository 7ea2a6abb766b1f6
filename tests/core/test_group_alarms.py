"""What classes and groups ask to be told, and when that ends."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.core.alarm import alarms_of
from fairlead.core.group_alarms import FAIRNESS, GROUP
from fairlead.core.groups import FairnessReading, GroupReading, GroupReport
from fairlead.core.report import Correlation, Harm, Stage, WindowReport
from fairlead.core.verdict import Outcome
from fairlead.testing.reports import window_report

HOLDS, BAD = Outcome.HOLDS, Outcome.BREACHED


def report(worse: Outcome, unfair: Outcome, *, stage: Stage = Stage.MATURED, harmful: bool = False) -> WindowReport:
    """A window with one group and one protected column."""
    groups = GroupReport(
        "accuracy",
        groups=(GroupReading("city", "west", 90, 80, outcome=worse, reason="accuracy where city = west is 0.5"),),
        fairness=(FairnessReading("sex", "yes", "impact", outcome=unfair, reason="5.0% are decided yes"),),
    )
    bare = msgspec.structs.replace(window_report(), groups=groups, stage=stage)
    return msgspec.structs.replace(bare, harmful=harmful, harm=Harm(harmful=harmful, level="critical"))


def told(found: WindowReport) -> dict[str, tuple[str, str]]:
    """Outcome and severity of both."""
    return {
        one.alert: (one.verdict.outcome.value, one.severity)
        for one in alarms_of(found)
        if one.alert in (GROUP, FAIRNESS)
    }


@pytest.mark.parametrize(
    ("worse", "unfair", "stage", "harmful", "group", "fairness"),
    [
        (BAD, HOLDS, Stage.MATURED, False, "breached", "holds"),
        (HOLDS, BAD, Stage.MATURED, False, "holds", "breached"),
        (HOLDS, BAD, Stage.CLOSED, False, "undecided", "breached"),
        (HOLDS, HOLDS, Stage.CLOSED, False, "undecided", "undecided"),
        (BAD, BAD, Stage.MATURED, True, "undecided", "breached"),
    ],
)
def test_a_part_is_told_at_medium_and_ends_with_labels(
    worse: Outcome, unfair: Outcome, stage: Stage, harmful: bool, group: str, fairness: str
) -> None:
    """Decisions alone can begin it, labels end it; where the whole is harmful, its groups are not told beside it."""
    found = told(report(worse, unfair, stage=stage, harmful=harmful))
    assert found == {GROUP: (group, "medium"), FAIRNESS: (fairness, "medium")}


def test_an_earlier_fairleads_report_asks_for_nothing_of_it() -> None:
    """It holds no groups: neither condition was looked at."""
    assert told(window_report()) == {}


def test_numbers_that_came_apart_and_harm_nobody_are_on_record() -> None:
    """As benign drift, of which nobody is told."""
    apart = Correlation("critical", 6, 0.1, 1e-9, 0.4, "adr", ("adr", "age"), 0.6, 0.1, "adr no longer goes with age")
    found = msgspec.structs.replace(window_report(), correlation=apart)
    (alarm,) = [one for one in alarms_of(found) if one.alert == "benign-drift"]
    assert (alarm.verdict.outcome, alarm.benign) == (BAD, True)
