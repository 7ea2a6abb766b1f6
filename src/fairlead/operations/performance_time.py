"""What had matured when: which labels were known, which rows may be counted, and the windows between."""

from __future__ import annotations

from math import inf, isfinite

import numpy as np
from msgspec import Struct

from fairlead.operations.performance_clock import Clock, cut, long
from fairlead.operations.performance_metrics import Terms, metric_of, metrics_of
from fairlead.operations.performance_read import BINARY, REGRESSION, Rows
from fairlead.operations.performance_values import CurvePoint, Maturity, WindowRow
from fairlead.stats import performance as stats
from fairlead.stats.performance import maturity, segments
from fairlead.stats.performance.maturity import Mask
from fairlead.stats.performance.measure import UNDEFINED, Floats, Measure

_CURVE = 200  # points of the delay curve that a report keeps


class Plan(Struct, frozen=True, eq=False):
    """Which rows count as matured, by window where there are windows."""

    mask: Mask
    maturity: Maturity | None
    seconds: float | None
    fallback: bool = False  # nothing has matured: all labelled rows are measured, and it is said


def known_rows(labelled: Mask, clock: Clock | None) -> tuple[Mask, Floats]:
    """Whose label is known as of the clock's instant, and each prediction's age (nan: not made yet, or undated)."""
    if clock is None:
        return labelled, np.zeros(labelled.size)
    age = clock.as_of - clock.predicted_at
    age = np.where(age >= 0, age, np.nan)
    known = labelled & ~np.isnan(age)
    if clock.observed_at is not None:
        known &= maturity.known_by(clock.observed_at, clock.as_of)
    return known, age


def matured_rows(rows: Rows, known: Mask, clock: Clock | None, age: Floats, terms: Terms) -> Plan:
    """Which rows may be counted; all, and said, where nothing has matured. Without instants of labels, all."""
    made = ~np.isnan(age)
    if clock is None or clock.observed_at is None or not made.any():
        return Plan(made, None, terms.window)
    delay, came = _delays(clock, known, made)
    curve = maturity.delay_curve(delay, came, terms.level)
    horizon = curve.until(terms.matured_share)
    share = stats.proportion(float(known[made].sum()), int(made.sum()), terms.level)
    if terms.window is not None:
        windows, place = cut(clock.predicted_at[made], terms.window)
        ripe = _ripe(place, known[made], len(windows), terms.matured_share)
        mask = np.zeros(made.size, np.bool_)
        mask[made] = ripe[place]
    else:
        mask = made & (np.nan_to_num(age, nan=-inf) >= horizon)
    old = made & (np.nan_to_num(age, nan=-inf) >= horizon) & known
    told = Maturity(
        clock.as_of,
        terms.matured_share,
        share,
        horizon if isfinite(horizon) else None,
        _thinned(curve),
        _early_late(rows, clock, old, terms.level),
    )
    if not (mask & known & rows.predicted).any():
        return Plan(made, told, terms.window, fallback=True)
    return Plan(mask, told, terms.window)


def _delays(clock: Clock, known: Mask, made: Mask) -> tuple[Floats, Mask]:
    assert clock.observed_at is not None
    delay, _ = maturity.waited(clock.predicted_at, np.where(known, clock.observed_at, np.nan), clock.as_of)
    return np.maximum(delay[made], 0.0), known[made]


def _ripe(place: np.ndarray[tuple[int], np.dtype[np.intp]], known: Mask, windows: int, wanted: float) -> Mask:
    sizes = np.bincount(place, minlength=windows)
    labels = np.bincount(place[known], minlength=windows)
    return np.asarray((sizes > 0) & (labels >= wanted * sizes))


def _early_late(rows: Rows, clock: Clock, old: Mask, level: float) -> maturity.EarlyLate | None:
    """Of several classes, the share of the commonest."""
    if old.sum() < 2 * segments.MIN_ROWS or clock.observed_at is None:
        return None
    values = rows.truth[old]
    if rows.task not in (BINARY, REGRESSION):
        values = (values == np.bincount(values.astype(np.intp)).argmax()).astype(np.float64)
    delay = np.maximum(clock.observed_at[old] - clock.predicted_at[old], 0.0)
    found = maturity.early_against_late(values, delay, level)
    return found if min(found.early_rows, found.late_rows) >= segments.MIN_ROWS else None


def _thinned(curve: maturity.DelayCurve) -> tuple[CurvePoint, ...]:
    size = curve.delays.size
    kept = np.unique(np.linspace(0, size - 1, min(size, _CURVE)).astype(np.intp)) if size else np.zeros(0, np.intp)
    return tuple(
        CurvePoint(
            float(curve.delays[at]), Measure(float(curve.share[at]), float(curve.low[at]), float(curve.high[at]))
        )
        for at in kept.tolist()
    )


def windows_of(
    rows: Rows, usable: Mask, clock: Clock | None, plan: Plan, asked: tuple[str, Terms]
) -> tuple[WindowRow, ...]:
    """The windows from the first prediction to the last, each as known now and when it ended."""
    if clock is None or plan.seconds is None:
        return ()
    primary, terms = asked
    made = (clock.predicted_at <= clock.as_of) & ~np.isnan(clock.predicted_at)
    if not made.any():
        return ()
    windows, place = cut(clock.predicted_at[made], plan.seconds)
    everyone = np.full(made.size, -1, np.intp)
    everyone[made] = place
    labelled, _ = known_rows(~np.isnan(rows.truth), clock)
    found = []
    for at, window in enumerate(windows):
        mine = everyone == at
        size, labels = int(mine.sum()), int((mine & labelled).sum())
        seen = mine & usable
        early = seen if clock.observed_at is None else seen & maturity.known_by(clock.observed_at, window.ends_at)
        share = stats.proportion(labels, size, terms.level)
        found.append(
            WindowRow(
                window.name,
                window.starts_at,
                window.ends_at,
                size,
                labels,
                share,
                bool(size and labels >= terms.matured_share * size),
                metrics_of(rows, seen, terms) if seen.any() else {},
                int(early.sum()),
                metric_of(rows, early, terms, primary) if early.any() else UNDEFINED,
            )
        )
    return tuple(found)


def timing(found: Maturity, plan: Plan) -> list[str]:
    """What the report says of its labels' delays."""
    share = f"{found.matured.value:.0%} of the labels are known"
    if plan.fallback:
        return [f"{share}: nothing has matured ({found.wanted:.0%} are wanted), so what has come early is measured"]
    notes = [share]
    if found.horizon is not None:
        notes[0] += f"; {found.wanted:.0%} are known within {long(found.horizon)} of the prediction"
    early = found.early_late
    if early is not None and early.differs:
        means = f"average {early.early.value:.3g}, later ones {early.late.value:.3g}"
        notes.append(f"labels that come within {long(early.cut)} {means}: windows of early labels alone mislead")
    return notes
