"""The drift of one cohort, ranked by harm: how far each column moved, and what moving it may cost."""

from __future__ import annotations

from math import isfinite

from fairlead.core.check import LABELS, judge_drift
from fairlead.core.ranking import estimated, guessed, ranked_by_harm
from fairlead.core.report import SCORE, FeatureShift
from fairlead.core.verdict import Outcome, Verdict
from fairlead.flows.watching.harms import Informed, cost_of
from fairlead.flows.watching.reference import Reference
from fairlead.stats.distances import Distance
from fairlead.stats.drift import ColumnDrift, Level, compare
from fairlead.stats.profile import ColumnProfile, TableProfile

# Below this share of nulls, even a manifold increase breaks nothing.
BROKEN_NULLS = 0.01
DISTRIBUTIONS = ("psi", "js", "ks", "wasserstein", "chi_squared")


def shifts_of(
    reference: Reference, current: TableProfile | None, alpha: float
) -> tuple[tuple[FeatureShift, ...], Verdict]:
    """Every column of the reference's profile, the most harmful first, and the data layer's verdict."""
    if current is None:
        return (), Verdict(Outcome.UNMEASURED, "the window has no rows")
    found = compare(reference.profile, current, alpha=alpha)
    before = {column.grid.name: column for column in reference.profile.columns}
    now = {column.grid.name: column for column in current.columns}
    shifts = [
        _with_harm(
            _shift(drift, before[drift.name], now.get(drift.name), reference.importances.get(drift.name)),
            drift,
            reference,
            now.get(drift.name),
        )
        for drift in found
    ]
    return ranked_by_harm(shifts), judge_drift(found)


def _with_harm(
    shift: FeatureShift, drift: ColumnDrift, reference: Reference, now: ColumnProfile | None
) -> FeatureShift:
    """The change of the held-out loss that the shift accounts for; importance times shift where none is known."""
    if drift.unmeasured or now is None:
        return shift
    if not isinstance(reference, Informed):
        return guessed(shift, drift.effect, None)
    cost = cost_of(reference, shift.name, now)
    if cost is not None:
        return estimated(shift, cost, now.rows)
    means = [one.loss.mean for one in reference.bases.values()]
    return guessed(shift, drift.effect, means[0] if means else None)


def _shift(
    drift: ColumnDrift, before: ColumnProfile, now: ColumnProfile | None, importance: float | None
) -> FeatureShift:
    if drift.unmeasured:
        gone = before.present > 0 and (now is None or now.present == 0)
        broken = f"{drift.name}: {drift.unmeasured}" if gone and drift.name != SCORE else ""
        return FeatureShift(drift.name, "unmeasured", importance=importance, broken=broken, reason=drift.unmeasured)
    shapes = {one.name: one for one in drift.distances}
    worst = _worst(drift)
    return FeatureShift(
        name=drift.name,
        level=drift.level.value,
        method=worst.name,
        effect=_finite(worst.corrected),
        threshold=worst.critical,
        p_value=drift.p_value,
        psi=_value(shapes, "psi"),
        ks=_value(shapes, "ks"),
        js=_value(shapes, "js"),
        wasserstein=_value(shapes, "wasserstein"),
        cramers_v=_value(shapes, "chi_squared"),
        null_rate=now.nulls / now.rows if now is not None and now.rows else None,
        null_ratio=_value(shapes, "null_rate"),
        unseen_share=_value(shapes, "unseen"),
        importance=importance,
        broken=_broken(drift, shapes, now),
        reason=_reason(worst, drift.level),
    )


def _worst(drift: ColumnDrift) -> Distance:
    """The distance that says most: between distributions, unless only nulls or strange values were flagged."""
    shapes = [one for one in drift.distances if one.name in DISTRIBUTIONS]
    worst = max(shapes, key=_ratio)
    flagged_elsewhere = drift.level is not Level.NONE and worst.corrected <= worst.warning
    return max(drift.distances, key=_ratio) if flagged_elsewhere else worst


def _ratio(one: Distance) -> float:
    return one.corrected / one.critical if one.critical else 0.0


def _broken(drift: ColumnDrift, shapes: dict[str, Distance], now: ColumnProfile | None) -> str:
    """What is wrong with the data themselves, not with the population that they describe."""
    if drift.level is not Level.CRITICAL or now is None or not now.rows:
        return ""
    nulls, unseen, share = shapes.get("null_rate"), shapes.get("unseen"), now.nulls / now.rows
    if nulls is not None and share >= BROKEN_NULLS and nulls.corrected > nulls.critical:
        return f"{drift.name} is null in {share:.1%} of the rows, {nulls.value:.3g} times the reference's rate"
    if unseen is not None and unseen.corrected > unseen.critical:
        return f"{drift.name} holds categories the model has never seen in {unseen.value:.1%} of the rows"
    return ""


def _reason(worst: Distance, level: Level) -> str:
    if level is Level.NONE:
        return "no shift beyond chance and beyond its threshold"
    return f"{LABELS.get(worst.name, worst.name)} {worst.corrected:.3g} against {worst.critical:g}"


def _value(shapes: dict[str, Distance], name: str) -> float | None:
    return _finite(shapes[name].value) if name in shapes else None


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
