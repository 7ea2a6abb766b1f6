"""What a judged window says of the metrics that conditions name."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.core.condition import Measured
from fairlead.core.report import SCORE, FeatureShift, WindowReport
from fairlead.core.watched import ANSWERS, MATURED


def drift_values(metric: str, report: WindowReport) -> tuple[Measured, ...]:
    """The value of each feature, or (`prediction_psi`) of the model's own answers. Whether a p-value or a distance is
    more than chance and large enough to count, the window's own tests have decided."""
    if not report.rows:
        return (Measured(metric, missing=f"window {report.window} has no rows"),)
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


def _shift(metric: str, shift: FeatureShift, report: WindowReport) -> Measured:
    values: Mapping[str, float | None] = {
        "drift_p_value": shift.p_value,
        "psi": shift.psi,
        "prediction_psi": shift.psi,
        "null_rate": 0.0 if shift.null_rate is None and shift.level == "none" else shift.null_rate,  # told in short
        "unseen_share": shift.unseen_share,
    }
    value = values[metric]
    feature = "" if shift.name == SCORE else shift.name
    if value is None:
        return Measured(metric, feature=feature, missing=shift.reason or f"window {report.window} does not show it")
    sure = None if metric in ("null_rate", "unseen_share") else shift.moved
    return Measured(metric, value, rows=report.rows, feature=feature, sure=sure)
