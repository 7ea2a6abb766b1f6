"""What a report asks to be told."""

from __future__ import annotations

from fairlead.core.alarm import DATA, DEGRADED, HARMFUL, SILENT, alarm_of_rollback, alarms_of, runbook_of
from fairlead.core.quadrant import Quadrant
from fairlead.core.report import FeatureShift, Harm, Performance, Stage, WindowReport
from fairlead.core.rollout import Call, Decision, Phase
from fairlead.core.verdict import Outcome
from fairlead.testing.reports import benign_report, harmful_report, window_report

BROKEN = (FeatureShift("adr", "critical", broken="adr is null in 40.0% of the rows"),)
ESTIMATED = Performance("auroc", 0.82, estimated=0.7, estimated_low=0.68, estimated_high=0.72, matured_share=0.2)


def breached(report: WindowReport) -> dict[str, str]:
    """The conditions that are breached, with their severities."""
    return {one.alert: one.severity for one in alarms_of(report) if one.verdict.outcome is Outcome.BREACHED}


def outcome(report: WindowReport, alert: str) -> Outcome:
    """What a report says of one condition."""
    return next(one.verdict.outcome for one in alarms_of(report) if one.alert == alert)


def test_benign_drift_never_alerts() -> None:
    """Features that moved without harm ask for nothing, matured or not."""
    assert breached(benign_report()) == {}
    assert breached(benign_report(stage=Stage.CLOSED)) == {}
    assert breached(window_report()) == {}


def test_harm_alerts_by_its_level() -> None:
    """A critical fall is critical; a loss above its bound alone is high."""
    assert breached(harmful_report()) == {HARMFUL: "critical"}
    assert breached(harmful_report(harm=Harm(harmful=True, level="warning", reason="loss"))) == {HARMFUL: "high"}


def test_only_labels_end_harm() -> None:
    """A window without matured labels does not end the harmful-drift alert."""
    assert outcome(window_report(), HARMFUL) is Outcome.HOLDS
    assert outcome(window_report(stage=Stage.CLOSED), HARMFUL) is Outcome.UNDECIDED
    assert outcome(window_report(performance=None), HARMFUL) is Outcome.UNDECIDED


def test_a_slip_and_a_foretold_fall_are_low() -> None:
    """Five percent worse, or an estimate below the reference while labels are due, can wait for the next day."""
    assert breached(window_report(harm=Harm(level="warning", drop=0.07))) == {DEGRADED: "low"}
    foretold = window_report(stage=Stage.CLOSED, performance=ESTIMATED, quadrant=Quadrant.COVARIATE)
    assert breached(foretold) == {DEGRADED: "low"}


def test_broken_data_are_medium_until_labels_show_them_harmless() -> None:
    """Nulls alert at the close; matured labels without harm quiet them."""
    assert breached(window_report(drift=BROKEN, stage=Stage.CLOSED)) == {DATA: "medium"}
    assert breached(window_report(drift=BROKEN)) == {}


def test_silence_alerts() -> None:
    """A window that cannot be measured is told, and leaves the other conditions as they were."""
    report = window_report(rows=0, drift=(), performance=None, quadrant=Quadrant.UNKNOWN)
    assert breached(report) == {SILENT: "medium"}
    assert outcome(report, DATA) is Outcome.UNDECIDED


def test_a_rollback_is_high_and_its_own_alert() -> None:
    """Each rollout has its own key, so that one rollback never throttles the next; the runbook is shared."""
    decision = Decision("ro-7", 1.0, Call.REGRESS, Phase.CANARY, Phase.ROLLED_BACK, 0, 0.0, (), None, "", "it failed")
    found = alarm_of_rollback("hotel", 2, decision)
    assert (found.alert, found.severity, found.verdict.reason) == ("rollout-rolled-back:ro-7", "high", "it failed")
    assert (found.model, found.title) == ("hotel", "hotel version 2 was rolled back")
    assert runbook_of(found.alert) == "rollout-rolled-back"
