"""What a judged window says of the metrics that conditions name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fairlead.core.condition import Measured
from fairlead.core.listing import counted
from fairlead.core.report import SCORE, FeatureShift, WindowReport
from fairlead.core.thresholds import SIGMAS
from fairlead.core.watched import ANSWERS, FEWEST_UNITS, MATURED, event_of

if TYPE_CHECKING:
    from fairlead.core.impact import ImpactReport

_MOMENTS = ("prediction_mean", "prediction_variance")
_FEWEST = 50.0  # rows times the square of a change of variance, above which it is no chance


def drift_values(metric: str, report: WindowReport) -> tuple[Measured, ...]:
    """The value of each feature, or of the model's own answers. Whether a p-value or a distance is more than chance and
    large enough to count, the window's own tests have decided."""
    if not report.rows:
        return (Measured(metric, missing=f"window {report.window} has no rows"),)
    if metric in _MOMENTS:
        return (_moment(metric, report),)
    answers = metric in ANSWERS
    shifts = [shift for shift in report.drift if (shift.name == SCORE) is answers]
    if not shifts:
        what = "answers" if answers else "features"
        return (Measured(metric, missing=f"window {report.window} was not judged on its {what}"),)
    return tuple(_shift(metric, shift, report) for shift in shifts)


def realised_value(metric: str, report: WindowReport) -> Measured:
    """A metric of matured labels, beside what the version was validated at (`champion`)."""
    performance = report.performance
    if performance is None or performance.realised is None:
        return Measured(metric, missing=f"window {report.window} has no matured labels: send outcomes")
    if metric in MATURED:
        return Measured(metric, performance.matured_share, rows=report.rows)
    readings = [one for one in (performance, *performance.also) if one.realised is not None]
    found = next((one for one in readings if one.metric == metric), None)
    if found is None:
        names = ", ".join(one.metric for one in readings)
        return Measured(metric, missing=f"window {report.window} has no {metric}: it has {names}")
    champion = {} if found.reference is None else {"champion": found.reference}
    return Measured(metric, found.realised, found.low, found.high, performance.labels, others=champion)


def event_value(metric: str, event: str, report: ImpactReport | None, alpha: float) -> Measured:
    """An event's mean over the units of the last window whose events are in, with an interval that holds but for alpha:
    Wilson's where a unit logs 1 or nothing, else normal."""
    # Who reads the settings reads the conditions that they may state; the gateway's workers have no scipy for them.
    from fairlead.stats.performance import proportion
    from fairlead.stats.performance.measure import z_of

    if report is None:
        return Measured(metric, missing="not enough data yet: no window has closed whose events have had their time")
    upper = [one for one in report.figures if one.layer in ("product", "business")]
    found = next((one for one in upper if one.name == event), None)
    if found is None:
        seen = ", ".join(one.name for one in upper if event_of(one.name)) or "none"
        return Measured(metric, missing=f"no event named {event} came yet; those that came: {seen}")
    if found.rows < FEWEST_UNITS:
        units = counted(found.rows, "unit")
        return Measured(metric, missing=f"not enough data yet: window {report.window} has {units} of {FEWEST_UNITS}")
    level, share = 1.0 - alpha, found.value * (1.0 - found.value) / found.rows
    if 0.0 <= found.value <= 1.0 and abs(found.error**2 - share) <= 1e-6 * share:
        band = proportion(found.value * found.rows, found.rows, level)
        return Measured(metric, found.value, band.low, band.high, found.rows)
    if not found.error:
        return Measured(
            metric, missing=f"window {report.window} holds no spread of {event}: an earlier fairlead wrote it"
        )
    half = z_of(level) * found.error
    return Measured(metric, found.value, found.value - half, found.value + half, found.rows)


def _shift(metric: str, shift: FeatureShift, report: WindowReport) -> Measured:
    values: Mapping[str, float | None] = {
        "drift_p_value": shift.p_value,
        "psi": shift.psi,
        "ks": shift.ks,
        "js": shift.js,
        "prediction_psi": shift.psi,
        "null_rate": 0.0 if shift.null_rate is None and shift.level == "none" else shift.null_rate,  # told in short
        "unseen_share": shift.unseen_share,
    }
    value = values[metric]
    feature = "" if shift.name == SCORE else shift.name
    if value is None:
        calm = metric in ("ks", "js") and shift.level == "none"
        missing = f"{shift.name} did not move" if calm else shift.reason or f"window {report.window} does not show it"
        return Measured(metric, feature=feature, missing=missing, void=calm)
    sure = None if metric in ("null_rate", "unseen_share") else shift.moved
    return Measured(metric, value, rows=report.rows, feature=feature, sure=sure)


def null_rates(report: WindowReport) -> tuple[Measured, ...]:
    """Each column's rate of nulls beside the reference's; whether it is more than chance the window's own test has
    decided. Of a calm column told in short the reference's is not known, and its rate is not far from it."""
    shifts = {shift.name: shift for shift in report.drift}
    return tuple(_beside(one, shifts.get(one.feature)) for one in drift_values("null_rate", report))


def _beside(rate: Measured, shift: FeatureShift | None) -> Measured:
    ratio = None if shift is None else shift.null_ratio or (1.0 if shift.level == "none" else None)
    if shift is None or rate.value is None or ratio is None:
        return rate
    return replace(rate, others={"reference": rate.value / ratio}, sure=shift.moved or bool(shift.broken))


def _moment(metric: str, report: WindowReport) -> Measured:
    """How far the mean of the predictions lies from the reference's, in its standard deviations, or by what share their
    variance differs, either way."""
    seen = report.harm.predictions
    if seen is None or (metric == "prediction_variance" and not seen.variance_ratio):
        return Measured(metric, missing=f"window {report.window} has no predictions to compare")
    if metric == "prediction_mean":
        sure = abs(seen.mean_shift) > SIGMAS * seen.error
        return Measured(metric, abs(seen.mean_shift), rows=seen.rows, sure=sure)
    ratio = seen.variance_ratio or 1.0
    spread = max(ratio, 1.0 / ratio) - 1.0
    return Measured(metric, spread, rows=seen.rows, sure=seen.rows * min(spread, 1.0) ** 2 > _FEWEST)
