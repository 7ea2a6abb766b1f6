"""What a window report or a rolled-back rollout asks to be told. Benign drift is put on record, and told to nobody."""

from __future__ import annotations

from msgspec.structs import replace

from fairlead.core.alert import Alarm
from fairlead.core.group_alarms import alarms_of_groups
from fairlead.core.listing import counted
from fairlead.core.quadrant import Quadrant
from fairlead.core.ranking import PLAUSIBLE
from fairlead.core.report import FeatureShift, Stage, WindowReport, metric_name
from fairlead.core.rollout import Decision
from fairlead.core.sudden_alarms import alarms_of_labels
from fairlead.core.telling_harm import details_of, sentence
from fairlead.core.thresholds import DEFAULTS, SIGMAS
from fairlead.core.verdict import Outcome, Verdict

HARMFUL = "harmful-drift"
DEGRADED = "degraded-performance"
DATA = "data-quality"
SILENT = "unmeasured-window"
ROLLBACK = "rollout-rolled-back"
GOLDEN = "golden-set-failed"
PROMOTION = "promotion-regressed"
REGRESS_HELD = "regress-held"
LOG_REFUSED = "log-refused"
IMPACT = "unusual-impact"
LOOP = "feedback-loop"
NO_WORKER = "no-worker"
METRIC = "metric-threshold"  # of a condition in the settings that names no runbook
UNMEASURED = "unmeasured-condition"
UNACKNOWLEDGED = "incident-unacknowledged"
BENIGN = "benign-drift"
CALIBRATION = "calibration-off"
PREDICTIONS = "prediction-shift"
# Of alarms: since the second, harm is told in one sentence, and what looks broken may be urgent; since the third each
# has a runbook of its own, and what may be a season is not.
EDITION = 3
_OWN = 3
_FEWEST_ALIKE = 50  # answers, of which fewer may be alike by chance: a single one always is


def alarms_of(report: WindowReport, edition: int = EDITION) -> tuple[Alarm, ...]:
    """Every condition of a report, breached or not: those that hold end what stood before."""
    seen = {"type": "window", "window": report.window, "stage": report.stage.value, "judged_at": report.judged_at}
    found: tuple[Alarm, ...] = (_harmful(report), _degraded(report), _data(report, edition), _silent(report))
    if edition > 1:
        said = sentence(report, edition), details_of(report, edition)
        found = (*(_told(one, *said) for one in found[:3]), found[3], *_more(report, edition))
    return tuple(replace(one, basis=seen) for one in found)


def _told(alarm: Alarm, said: str, told: tuple[tuple[str, str], ...]) -> Alarm:
    """A breach with what it costs, in one sentence before its reason."""
    if alarm.verdict.outcome is not Outcome.BREACHED or not told:
        return alarm
    reason = f"{said}. {alarm.verdict.reason}"
    return replace(alarm, details=told, verdict=Verdict(Outcome.BREACHED, reason))


def alarm_of_rollback(model: str, version: int, decision: Decision) -> Alarm:
    """A new version lost its traffic."""
    return Alarm(
        model=model,
        alert=f"{ROLLBACK}:{decision.rollout}",
        severity="high",
        title=f"{model} version {version} was rolled back",
        verdict=Verdict(Outcome.BREACHED, decision.reason),
    )


def runbook_of(alert: str) -> str:
    """The runbook's name of an alert's key.

    >>> runbook_of("rollout-rolled-back:ro-7")
    'rollout-rolled-back'
    """
    return alert.partition(":")[0]


def _harmful(report: WindowReport) -> Alarm:
    severity = "critical" if report.harm.level == "critical" else "high"
    title = f"Harmful drift in {report.model} version {report.version}, window {report.window}"
    if report.harmful:
        outcome = Outcome.BREACHED
    elif report.stage is Stage.MATURED and report.performance is not None and report.performance.labels:
        outcome = Outcome.HOLDS
    else:
        outcome = Outcome.UNDECIDED  # without labels nothing is known to be harmless
    return Alarm(report.model, HARMFUL, severity, title, Verdict(outcome, report.reason))


def _degraded(report: WindowReport) -> Alarm:
    """The metric slipped by 5 to 10 %, or is estimated to have fallen while labels are still due."""
    performance = report.performance
    title = f"{report.model} version {report.version} slips in window {report.window}"
    if performance is None or report.harmful:
        return Alarm(report.model, DEGRADED, "low", title, Verdict(Outcome.UNDECIDED, report.reason))
    foretold = report.stage is Stage.CLOSED and report.quadrant is Quadrant.COVARIATE
    if report.harm.level == "warning" or foretold:
        return Alarm(report.model, DEGRADED, "low", title, Verdict(Outcome.BREACHED, performance.reason))
    return Alarm(report.model, DEGRADED, "low", title, Verdict(Outcome.HOLDS, performance.reason))


def _data(report: WindowReport, edition: int) -> Alarm:
    """Broken columns. Labels that show them harmless quiet them; before there are labels, they are urgent where the
    model needs them or is estimated to have become worse."""
    title = f"Broken data reaches {report.model} version {report.version}, window {report.window}"
    reason = "; ".join(shift.broken for shift in report.broken[:5])
    if report.verdict is Outcome.UNMEASURED:
        verdict = Verdict(Outcome.UNDECIDED, report.reason)
    elif not reason:
        verdict = Verdict(Outcome.HOLDS, "no column is broken")
    elif report.stage is Stage.MATURED and report.quadrant is Quadrant.BENIGN:
        verdict = Verdict(Outcome.HOLDS, f"{reason}; yet benign: {report.quadrant_reason}")
    else:
        verdict = Verdict(Outcome.BREACHED, reason)
    urgent = edition > 1 and is_urgent(report, edition)
    return Alarm(report.model, DATA, "high" if urgent else "medium", title, verdict)


def is_urgent(report: WindowReport, edition: int = EDITION) -> bool:
    """Whether broken columns are estimated to do harm: the metric's estimate fell, their shift makes it worse beyond
    its interval, or what broke since the last calm window is a column that the model needs."""
    broken = report.broken
    change = report.harm.change
    fell = change is not None and change.low > 0.0
    return bool(broken) and (fell or any(_harms(shift, edition) for shift in broken))


def _harms(shift: FeatureShift, edition: int) -> bool:
    needed = DEFAULTS["importance"].level(shift.importance) != "none"
    # What a season may look like pages nobody by itself, since the third edition.
    plain = bool(shift.symptom) and (edition < _OWN or shift.symptom not in PLAUSIBLE)
    return (shift.metric_low or 0.0) > 0.0 or (plain and needed)


def _more(report: WindowReport, edition: int) -> tuple[Alarm, ...]:
    """What is on record only, and what never pages by itself."""
    own: tuple[Alarm, ...] = (_benign(report, edition), _calibration(report), _predictions(report))
    if edition >= _OWN:
        own = tuple(replace(one, runbook="") for one in own)
    return *own, *alarms_of_groups(report, DEGRADED), *alarms_of_labels(report, DEGRADED)


def _benign(report: WindowReport, edition: int) -> Alarm:
    """Inputs that moved and harmed nobody, as far as is known."""
    changed = bool(report.moved) or report.uncoupled is not None
    moved = changed and report.quadrant is Quadrant.BENIGN and not report.harmful and not report.broken
    outcome = Outcome.BREACHED if moved else Outcome.HOLDS
    if report.verdict is Outcome.UNMEASURED:
        outcome = Outcome.UNDECIDED
    title = f"Benign drift in {report.model} version {report.version}, window {report.window}"
    verdict = Verdict(outcome, report.quadrant_reason or report.reason)
    told = details_of(report, edition)
    return Alarm(report.model, BENIGN, "low", title, verdict, runbook=HARMFUL, details=told, benign=True)


def _calibration(report: WindowReport) -> Alarm:
    """The Brier score of matured labels, where it is worse beyond its interval."""
    title = f"Probabilities of {report.model} version {report.version} are off in window {report.window}"
    performance = report.performance
    brier = next((one for one in performance.also if one.metric == "brier"), None) if performance else None
    ripe = report.stage is Stage.MATURED and report.harm.change is not None and report.harm.change.realised
    if brier is None or brier.realised is None or brier.reference is None or brier.low is None or not ripe:
        verdict = Verdict(Outcome.UNDECIDED, "there are too few matured labels")
        return Alarm(report.model, CALIBRATION, "low", title, verdict, runbook=DEGRADED)
    rise = brier.realised - brier.reference
    level = DEFAULTS["brier"].level(rise) if brier.low > brier.reference else "none"
    reason = f"{metric_name('brier')} score is {brier.realised:.3f} against {brier.reference:.3f}"
    outcome = Outcome.HOLDS if level == "none" else Outcome.BREACHED
    severity = "medium" if level == "critical" else "low"
    return Alarm(report.model, CALIBRATION, severity, title, Verdict(outcome, reason), runbook=DEGRADED)


def _predictions(report: WindowReport) -> Alarm:
    """Predictions that moved, spread or shrank far beyond the reference's; a model that answers one value is urgent."""
    title = f"Predictions of {report.model} version {report.version} changed in window {report.window}"
    seen = report.harm.predictions
    if seen is None:
        verdict = Verdict(Outcome.UNDECIDED, "there are no predictions to compare")
        return Alarm(report.model, PREDICTIONS, "low", title, verdict, runbook=DEGRADED)
    ratio = seen.variance_ratio or 0.0
    spread = max(ratio, 1.0 / ratio) - 1.0 if ratio else 0.0
    beyond = abs(seen.mean_shift) > SIGMAS * seen.error
    levels = {
        "mean": DEFAULTS["prediction_mean"].level(abs(seen.mean_shift) if beyond else None),
        "variance": DEFAULTS["prediction_variance"].level(spread if seen.rows * min(spread, 1.0) ** 2 > 50 else None),
        "collapse": DEFAULTS["prediction_collapse"].level(seen.collapse if seen.rows >= _FEWEST_ALIKE else None),
    }
    breached = [name for name, level in levels.items() if level != "none"]
    harmless = report.stage is Stage.MATURED and report.quadrant is Quadrant.BENIGN
    reason = (
        f"on {counted(seen.rows, 'answer')} the mean lies {seen.mean_shift:+.2f} standard deviations from the "
        f"reference's, the variance is {ratio:.2f} times its, and {seen.collapse:.0%} more of them are the same"
    )
    outcome = Outcome.BREACHED if breached and not harmless else Outcome.HOLDS
    return Alarm(report.model, PREDICTIONS, _gravity(levels), title, Verdict(outcome, reason), runbook=DEGRADED)


def _gravity(levels: dict[str, str]) -> str:
    if levels["collapse"] == "critical":
        return "high"
    return "medium" if "critical" in levels.values() else "low"


def _silent(report: WindowReport) -> Alarm:
    title = f"{report.model} cannot be judged in window {report.window}"
    outcome = Outcome.BREACHED if report.verdict is Outcome.UNMEASURED else Outcome.HOLDS
    return Alarm(report.model, SILENT, "medium", title, Verdict(outcome, report.reason))
