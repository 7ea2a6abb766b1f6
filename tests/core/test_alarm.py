"""What a report asks to be told."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from fairlead.core.alarm import (
    BENIGN,
    CALIBRATION,
    DATA,
    DEGRADED,
    HARMFUL,
    PREDICTIONS,
    SILENT,
    alarm_of_rollback,
    alarms_of,
    runbook_of,
)
from fairlead.core.quadrant import Quadrant
from fairlead.core.report import (
    Change,
    FeatureShift,
    Harm,
    MetricReading,
    Performance,
    Predictions,
    Stage,
    WindowReport,
)
from fairlead.core.rollout import Call, Decision, Phase
from fairlead.core.verdict import Outcome
from fairlead.testing.reports import benign_report, harmful_report, window_report

BROKEN = (FeatureShift("adr", "critical", broken="adr is null in 40.0% of the rows"),)
ESTIMATED = Performance("auroc", 0.82, estimated=0.7, estimated_low=0.68, estimated_high=0.72, matured_share=0.2)


def breached(report: WindowReport) -> dict[str, str]:
    """The conditions that are breached, with their severities."""
    return {
        one.alert: one.severity
        for one in alarms_of(report)
        if one.verdict.outcome is Outcome.BREACHED and not one.benign
    }


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


def test_broken_data_are_urgent_where_the_model_needs_them() -> None:
    """A column that broke since the last calm window and that the model needs pages, and so does an estimate that
    fell; one that it hardly uses, or that has looked so for long, waits."""
    new = FeatureShift("adr", "critical", broken="adr is null", symptom="null", importance=0.04)
    idle = replace(new, importance=0.001)
    fell = Harm(change=Change("auroc", 0.05, 0.01, 0.09))
    closed: dict[str, Any] = {"stage": Stage.CLOSED}
    assert breached(window_report(drift=(new,), **closed)) == {DATA: "high"}
    assert breached(window_report(drift=(idle,), **closed)) == {DATA: "medium"}
    assert breached(window_report(drift=(replace(new, symptom=""),), **closed)) == {DATA: "medium"}
    assert breached(window_report(drift=(replace(idle, metric_low=0.01),), **closed)) == {DATA: "high"}
    assert breached(window_report(drift=(idle,), harm=fell, **closed)) == {DATA: "high"}
    assert breached(window_report(harm=fell, **closed)) == {}


def test_benign_drift_is_on_record_only() -> None:
    """It breaches its own condition, low and benign, and ends when nothing moves any more."""
    found = {one.alert: one for one in alarms_of(benign_report())}
    assert (found[BENIGN].verdict.outcome, found[BENIGN].severity, found[BENIGN].benign) == ("breached", "low", True)
    assert [one.alert for one in found.values() if one.benign] == [BENIGN]
    assert outcome(window_report(), BENIGN) is Outcome.HOLDS
    assert outcome(harmful_report(), BENIGN) is Outcome.HOLDS


def test_probabilities_that_are_off_are_told_below_a_page() -> None:
    """The Brier score worse by .02 is low, by .05 medium, if beyond its interval and on enough matured labels."""

    def report(realised: float, low: float, **changes: Any) -> WindowReport:
        brier = MetricReading("brier", 0.10, 0.09, 0.11, realised=realised, low=low, high=realised + 0.02)
        performance = Performance(
            "auroc", 0.82, 0.8, 0.84, realised=0.82, low=0.8, high=0.84, labels=900, also=(brier,)
        )
        harm = Harm(change=Change("auroc", 0.0, -0.01, 0.01, realised=True))
        return window_report(**{"performance": performance, "harm": harm, **changes})

    assert breached(report(0.13, 0.11)) == {CALIBRATION: "low"}
    assert breached(report(0.16, 0.14)) == {CALIBRATION: "medium"}
    assert breached(report(0.16, 0.09)) == {}
    assert outcome(report(0.16, 0.14, harm=Harm()), CALIBRATION) is Outcome.UNDECIDED


def test_predictions_that_became_one_are_urgent() -> None:
    """A collapse is high; a mean or a spread beyond its limits is medium or low; noise is none."""

    def report(seen: Predictions) -> WindowReport:
        return window_report(harm=Harm(predictions=seen), stage=Stage.CLOSED)

    calm = Predictions(1_000, 0.1, 0.03, 1.05, 0.01)
    assert breached(report(calm)) == {}
    assert breached(report(replace(calm, collapse=0.95, variance_ratio=0.0))) == {PREDICTIONS: "high"}
    assert breached(report(replace(calm, rows=1, collapse=1.0, variance_ratio=0.0))) == {}, "one answer is like itself"
    assert breached(report(replace(calm, mean_shift=-3.5))) == {PREDICTIONS: "medium"}
    assert breached(report(replace(calm, variance_ratio=0.6))) == {PREDICTIONS: "low"}
    assert breached(report(replace(calm, mean_shift=3.5, error=1.0, rows=20))) == {}
    assert outcome(window_report(), PREDICTIONS) is Outcome.UNDECIDED


def test_a_breach_says_what_it_costs() -> None:
    """The sentence comes before the reason, and its parts are the alarm's details; the first edition had neither."""
    harm = Harm(harmful=True, level="critical", change=Change("auroc", 0.15, 0.11, 0.19, realised=True))
    (now,) = [one for one in alarms_of(harmful_report(harm=harm)) if one.alert == HARMFUL]
    (then,) = [one for one in alarms_of(harmful_report(harm=harm), 1) if one.alert == HARMFUL]
    assert now.verdict.reason == (
        "AUROC .82 -> .67 (-.19 to -.11); concept drift; suspects market_segment, adr, lead_time. "
        + then.verdict.reason
    )
    assert (dict(now.details)["change"], then.details) == ("AUROC .82 -> .67 (-.19 to -.11)", ())


def test_the_first_edition_asks_for_what_it_asked_for() -> None:
    """Its four conditions, broken data at medium whatever they break."""
    new = FeatureShift("adr", "critical", broken="adr is null", symptom="null", importance=0.04)
    found = alarms_of(window_report(drift=(new,), stage=Stage.CLOSED), 1)
    assert [one.alert for one in found] == [HARMFUL, DEGRADED, DATA, SILENT]
    assert [one.severity for one in found if one.verdict.outcome is Outcome.BREACHED] == ["medium"]


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
