"""The rows of one table, measured: all of them, each class, each slice, each window, and what had matured when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite

import msgspec
import numpy as np

from fairlead.core.listing import counted
from fairlead.errors import UsageError
from fairlead.operations.performance_clock import Clock
from fairlead.operations.performance_metrics import Terms, higher_is_better, metric_of, metrics_of
from fairlead.operations.performance_read import BINARY, REGRESSION, Rows, slices_of
from fairlead.operations.performance_time import Plan, known_rows, matured_rows, timing, windows_of
from fairlead.operations.performance_values import ClassRow, Content, Counts, Metrics, Money, SliceRow, label_of, number
from fairlead.stats import performance as stats
from fairlead.stats.columns import Column
from fairlead.stats.performance import segments
from fairlead.stats.performance.maturity import Mask
from fairlead.stats.performance.measure import UNDEFINED, Measure, mapped
from fairlead.stats.performance.segments import Comparison, Pair, Standing


def measure(rows: Rows, target: str, clock: Clock | None, slices: Sequence[Column], terms: Terms) -> Content:
    """Everything there is to say of one table. Raises `UsageError` for a metric that the task does not have."""
    labelled = ~np.isnan(rows.truth)
    known, age = known_rows(labelled, clock)
    plan = matured_rows(rows, known, clock, age, terms)
    usable = known & rows.predicted
    chosen = usable & plan.mask
    metrics = metrics_of(rows, chosen, terms)
    primary = _primary(metrics, rows.task, terms.metric)
    windows = windows_of(rows, usable, clock, plan, (primary, terms))
    content = Content(
        rows.task,
        primary,
        terms.level,
        target,
        rows.classes,
        rows.classes[-1] if rows.task == BINARY else None,
        _counts(rows, clock, known, chosen, plan.mask),
        metrics,
        segments=_slices(rows, chosen, slices, primary, terms),
        windows=windows,
        maturity=plan.maturity,
        money=_money(metrics, chosen, terms.cost),
        matured=not plan.fallback,
        notes=tuple(_notes(rows, clock, plan)),
    )
    return _with_classes(content, rows, chosen, terms.level)


# -- slices --------------------------------------------------------------------------------------------------------


def _slices(rows: Rows, chosen: Mask, columns: Sequence[Column], primary: str, terms: Terms) -> tuple[SliceRow, ...]:
    found: list[tuple[str, str, Metrics]] = []
    pairs: list[Pair] = []
    total = int(chosen.sum())
    for column in columns:
        names, place = slices_of(column)
        for at, name in enumerate(names):
            mine = chosen & (place == at)
            size = int(mine.sum())
            metrics = metrics_of(rows, mine, terms) if size else {}
            rest = metric_of(rows, chosen & ~mine, terms, primary) if total > size else UNDEFINED
            found.append((column.name, name, metrics))
            pairs.append(Pair(name, size, metrics.get(primary, UNDEFINED), total - size, rest))
    judged = segments.compare(
        pairs,
        higher_is_better=higher_is_better(primary),
        tolerance=terms.tolerance,
        min_rows=terms.min_rows,
        level=terms.level,
    )
    return tuple(
        SliceRow(column, name, pair.rows, metrics, one, reason_of(one, primary, "the rest", terms.min_rows))
        for (column, name, metrics), pair, one in zip(found, pairs, judged, strict=True)
    )


def reason_of(found: Comparison, metric: str, other: str, min_rows: int) -> str:
    """A comparison as a sentence."""
    label = label_of(metric)
    if found.rows < min_rows:
        return f"{counted(found.rows, 'measured row')}: at least {min_rows} are needed"
    if not found.value.defined:
        return f"{label} is not defined on {counted(found.rows, 'row')}"
    if not found.other.defined:
        return f"{label} of {other} is not defined"
    against = f"{label} {number(found.value.value)} against {number(found.other.value)} of {other}"
    gap, allowed = number(abs(found.gap.value)), number(found.allowed)
    if found.standing is Standing.BREACHED:
        return f"{against}: worse by {gap}, more than chance ({_chance(found.q_value)})"
    if found.standing is Standing.HOLDS:
        apart = found.gap.low > 0 or found.gap.high < 0
        better = apart and (found.gap.value > 0) == higher_is_better(metric)
        return f"{against}: better by {gap}" if better else f"{against}: at most {allowed} worse"
    smallest = f", the smallest difference that would have been seen is {number(found.detectable)}"
    seen = smallest if isfinite(found.detectable) else ""
    return f"{against}: {counted(found.rows, 'row')} cannot settle whether it is over {allowed} worse{seen}"


def _chance(q: float) -> str:
    return f"q = {q:.2g}" if q > 1e-300 else "q < 1e-300"


# -- the rest of the content ---------------------------------------------------------------------------------------


def _primary(metrics: Mapping[str, Measure], task: str, asked: str | None) -> str:
    if asked is None:
        return next(iter(metrics))
    if asked not in metrics or asked == "bias":
        named = ", ".join(name for name in metrics if name != "bias")
        raise UsageError(f"metric is {asked!r}: from these columns a {task} task has {named}")
    return asked


def _counts(rows: Rows, clock: Clock | None, known: Mask, chosen: Mask, matured: Mask) -> Counts:
    labelled, predicted = ~np.isnan(rows.truth), rows.predicted
    undated, late, unseen = 0, 0, 0
    if clock is not None:
        dated = ~np.isnan(clock.predicted_at)
        if clock.observed_at is not None:
            dated &= ~(labelled & np.isnan(clock.observed_at))
            unseen = int((labelled & (np.nan_to_num(clock.observed_at, nan=-inf) > clock.as_of)).sum())
        undated = int((~dated).sum())
        late = int((np.nan_to_num(clock.predicted_at, nan=-inf) > clock.as_of).sum())
    return Counts(
        rows.truth.size,
        int(chosen.sum()),
        int((~labelled & ~rows.odd_truth).sum()),
        int(rows.odd_truth.sum()),
        int((~predicted & ~rows.odd_prediction).sum()),
        int(rows.odd_prediction.sum()),
        undated,
        late,
        unseen,
        int((known & predicted & ~matured).sum()),
    )


def _with_classes(content: Content, rows: Rows, chosen: Mask, level: float) -> Content:
    """Adds what only classes have: the confusion matrix, each class, the reliability curve."""
    if rows.task == REGRESSION:
        return content
    y = rows.truth[chosen]
    if rows.decided is not None:
        counts = stats.confusion(y, rows.decided[chosen], len(rows.classes))
        content = msgspec.structs.replace(
            content,
            confusion=tuple(tuple(row) for row in counts.tolist()),
            by_class=tuple(map(ClassRow, rows.classes, _class_cards(rows, chosen, counts, level))),
        )
    if rows.score is not None and rows.probability and y.size:
        score = rows.score[chosen]
        curve, parts = stats.reliability(y, score, level=level), stats.brier_parts(y, score)
        return msgspec.structs.replace(content, reliability=curve, brier_parts=parts)
    if rows.probabilities is not None and y.size:
        p = rows.probabilities[chosen]
        curve = stats.reliability(p.argmax(axis=1) == y, p.max(axis=1), level=level)
        return msgspec.structs.replace(content, reliability=curve)
    return content


def _class_cards(
    rows: Rows, chosen: Mask, counts: np.ndarray[tuple[int, int], np.dtype[np.int64]], level: float
) -> tuple[stats.ClassCard, ...]:
    cards = stats.by_class(counts, level)
    if rows.probabilities is None or not chosen.any():
        return cards
    areas = stats.class_aurocs(rows.truth[chosen], rows.probabilities[chosen], level)
    return tuple(msgspec.structs.replace(card, auroc=area) for card, area in zip(cards, areas, strict=True))


def _money(metrics: Mapping[str, Measure], chosen: Mask, cost: dict[str, float] | None) -> Money | None:
    if cost is None or "cost_per_row" not in metrics:
        return None
    return Money(cost, metrics["cost_per_row"], mapped(metrics["cost_per_row"], float(chosen.sum())))


def _notes(rows: Rows, clock: Clock | None, plan: Plan) -> list[str]:
    notes = [f"read as {rows.task}: {rows.why}"]
    if rows.task == BINARY:
        notes.append(f"the positive class is {rows.classes[-1]!r}, the other {rows.classes[0]!r}")
        if rows.score is not None and not rows.probability:
            notes.append("scores lie outside [0, 1]: they are ranked, and no probability is read from them")
    if clock is not None:
        notes.append(f"read {clock.stated}")
    if plan.maturity is not None:
        notes += timing(plan.maturity, plan)
    return notes
