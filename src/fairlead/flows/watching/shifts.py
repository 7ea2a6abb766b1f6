"""The drift of one cohort, ranked by harm: how far each column moved, and what moving it may cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite

from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.check import LABELS, judge_drift, words
from fairlead.core.ranking import Cost, Jump, estimated, guessed, jumped, ranked_by_harm, ranked_by_surprise
from fairlead.core.report import CALM, SCORE, FeatureShift
from fairlead.core.verdict import Outcome, Verdict
from fairlead.flows.watching.harms import Informed, cost_of
from fairlead.flows.watching.reference import Reference
from fairlead.stats.coarse import FEW_ROWS, coarse
from fairlead.stats.distances import Distance
from fairlead.stats.drift import ColumnDrift, Level, compare
from fairlead.stats.profile import ColumnProfile, TableProfile

# Below this share of nulls, even a manifold increase breaks nothing.
BROKEN_NULLS = 0.01
Ranking = Callable[[Iterable[FeatureShift]], tuple[FeatureShift, ...]]
DISTRIBUTIONS = ("psi", "js", "ks", "wasserstein", "chi_squared")


class Costs(Struct, frozen=True):
    """What a version's held-out rows say of the columns: how much the metric needs each, what moving it as it moved may
    cost, and the mean loss where nothing better is known."""

    importances: dict[str, float] = {}
    costs: dict[str, Cost] = {}
    mean_loss: float | None = None


def shifts_of(
    reference: Reference, current: TableProfile | None, alpha: float
) -> tuple[tuple[FeatureShift, ...], Verdict]:
    """Every column of the reference's profile, the most harmful first, and the data layer's verdict."""
    if current is None:
        return (), Verdict(Outcome.UNMEASURED, "the window has no rows")
    found = compared(reference.profile, current, alpha)
    return judge_shifts(reference.profile, current, found, costs_of(reference, current, found))


def compared(reference: TableProfile, current: TableProfile, alpha: float) -> tuple[ColumnDrift, ...]:
    """A window against its reference; one of few rows on fewer cells."""
    if current.rows > FEW_ROWS:
        return compare(reference, current, alpha=alpha)
    return compare(coarse(reference), coarse(current), alpha=alpha)


def costs_of(reference: Reference, current: TableProfile, found: Sequence[ColumnDrift]) -> Costs:
    """What the shifts of a window may cost, as far as the reference knows. Asked are the columns that moved or could
    not be measured: what did not move costs nothing."""
    asked = [drift for drift in found if drift.unmeasured or drift.level is not Level.NONE]
    if not asked:
        return Costs()
    known = reference.informed()
    importances = {drift.name: known.importances[drift.name] for drift in asked if drift.name in known.importances}
    if not isinstance(known, Informed):
        return Costs(importances)
    now = {column.grid.name: column for column in current.columns}
    measured = [drift.name for drift in asked if not drift.unmeasured and drift.name in now]
    costs = {name: cost for name in measured if (cost := cost_of(known, name, now[name])) is not None}
    means = [one.loss.mean for one in known.bases.values()]
    return Costs(importances, costs, means[0] if means else None)


def judge_shifts(
    before: TableProfile,
    current: TableProfile,
    found: Sequence[ColumnDrift],
    costs: Costs,
    jumps: Mapping[str, Jump] | None = None,
    ranked: Ranking = ranked_by_surprise,
    *,
    evident: bool = True,
) -> tuple[tuple[FeatureShift, ...], Verdict]:
    """The same of two profiles, the comparison of them, what is known of the costs, and what the columns did since the
    last calm window (None: ranked by harm alone), which `ranked` puts in order. Nothing else is asked. Without
    `evident` a column is told by whatever lies furthest beyond its limit, as in the first two editions."""
    were = {column.grid.name: column for column in before.columns}
    now = {column.grid.name: column for column in current.columns}
    shifts = [
        _with_harm(
            _shift(drift, were[drift.name], now.get(drift.name), costs.importances.get(drift.name), evident),
            drift,
            costs,
            now.get(drift.name),
        )
        for drift in found
    ]
    if jumps is None:
        return ranked_by_harm(shifts), judge_drift(tuple(found), evident=evident)
    leapt = [_looks(jumped(one, jumps.get(one.name)), now.get(one.name)) for one in shifts]
    return ranked(leapt), judge_drift(tuple(found), evident=evident)


def _looks(shift: FeatureShift, now: ColumnProfile | None) -> FeatureShift:
    """What its symptom says in words, where its distance from the reference does not say it already."""
    if not shift.symptom or shift.broken:
        return shift
    name, nulls = shift.name, now.nulls / now.rows if now is not None and now.rows else 1.0
    said = {
        "missing": f"{name} has no value left",
        "null": f"{name} is null in {nulls:.1%} of the rows",
        "unseen": f"{name} holds categories that it never held before",
        "frozen": f"{name} holds one value in every row",
        "default": f"{name} holds one value in many more rows, taken from all others alike",
        "renamed": f"{name} holds its categories under each other's names",
        "fractions": f"{name} holds fractions where it held whole numbers",
        "scale": f"{name} holds values of another scale",
    }
    factor = f"{name} holds values {shift.symptom} of what they were"
    return replace(shift, broken=f"{said.get(shift.symptom, factor)}, since window {shift.since}")


def _with_harm(shift: FeatureShift, drift: ColumnDrift, costs: Costs, now: ColumnProfile | None) -> FeatureShift:
    """The change of the held-out loss that the shift accounts for; importance times shift where none is known."""
    if drift.unmeasured or now is None:
        return shift
    cost = costs.costs.get(shift.name)
    return guessed(shift, drift.effect, costs.mean_loss) if cost is None else estimated(shift, cost, now.rows)


def _shift(
    drift: ColumnDrift,
    before: ColumnProfile,
    now: ColumnProfile | None,
    importance: float | None,
    evident: bool,
) -> FeatureShift:
    if drift.unmeasured:
        gone = before.present > 0 and (now is None or now.present == 0)
        broken = f"{drift.name}: {drift.unmeasured}" if gone and drift.name != SCORE else ""
        return FeatureShift(drift.name, "unmeasured", importance=importance, broken=broken, reason=drift.unmeasured)
    shapes = {one.name: one for one in drift.distances}
    worst = _worst(drift, evident=evident)
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
        reason=_reason(worst, drift, evident=evident),
    )


def _worst(drift: ColumnDrift, *, evident: bool) -> Distance:
    """The distance that says most: between distributions, unless only nulls or strange values were flagged."""
    known = drift.distances
    if evident and drift.level is not Level.NONE:
        known = tuple(one for one in known if one.name in drift.evident and one.corrected > one.warning)
    shapes = [one for one in known if one.name in DISTRIBUTIONS]
    worst = max(shapes, key=_ratio, default=None)
    if worst is None or (drift.level is not Level.NONE and worst.corrected <= worst.warning):
        return max(known, key=_ratio)
    return worst


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


def _reason(worst: Distance, drift: ColumnDrift, *, evident: bool) -> str:
    if drift.level is Level.NONE:
        return CALM
    if evident and worst.name == "null_rate":
        return words(drift, worst)
    return f"{LABELS.get(worst.name, worst.name)} {worst.corrected:.3g} against {worst.critical:g}"


def _value(shapes: dict[str, Distance], name: str) -> float | None:
    return _finite(shapes[name].value) if name in shapes else None


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
