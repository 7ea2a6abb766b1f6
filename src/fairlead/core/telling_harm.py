"""What a window's harm is told as: one sentence for a person in a hurry, and the same in parts."""

from __future__ import annotations

from collections.abc import Iterator
from math import copysign

from fairlead.core.change import PER
from fairlead.core.quadrant import Quadrant
from fairlead.core.report import Change, FeatureShift, WindowReport, metric_name
from fairlead.stats.performance import HIGHER_IS_BETTER

DAY = 86_400.0
NAMED = 3  # suspects that are told by name
_KINDS = {
    Quadrant.BENIGN: "benign drift",
    Quadrant.COVARIATE: "covariate shift",
    Quadrant.CONCEPT: "concept drift",
    Quadrant.UNKNOWN: "drift of an unknown kind",
}

_WORDS = {"suspects": "suspects {}", "segment": "worst in {}"}

Details = tuple[tuple[str, str], ...]


def sentence(report: WindowReport) -> str:
    """The change of the metric with its interval, money, the kind of drift, suspects and segment; what is not known is
    left out, and so is all where no change is known."""
    said = {name: _WORDS.get(name, "{}").format(text) for name, text in _parts(report)}
    cost = ", ".join(said.pop(name) for name in ("change", "money") if name in said)
    return "; ".join(([cost] if cost else []) + list(said.values()))


def details_of(report: WindowReport) -> Details:
    """The sentence's parts, each under its name, in the order in which they are read."""
    return tuple(_parts(report))


def _parts(report: WindowReport) -> Iterator[tuple[str, str]]:
    change = report.harm.change
    if change is not None:
        yield "change", _change(report, change)
    if change is not None and change.money is not None:
        yield "money", _money(report, change)
    if report.moved or report.quadrant not in (Quadrant.BENIGN, Quadrant.UNKNOWN):
        yield "quadrant", _KINDS[report.quadrant]
    suspects = _suspects(report)
    if suspects:
        yield "suspects", suspects
    if report.harm.segment:
        yield "segment", report.harm.segment


def _change(report: WindowReport, change: Change) -> str:
    performance = report.performance
    sign = -1.0 if change.metric in HIGHER_IS_BETTER else 1.0
    low, high = sorted((sign * change.low, sign * change.high))
    now = None
    if performance is not None:
        now = performance.realised if change.realised else performance.estimated
    before = None if performance is None else performance.reference
    kind = "" if change.realised else ", estimated"
    places = _places(change)
    return (
        f"{metric_name(change.metric)} {_short(before, places)} -> {_short(now, places)} "
        f"({_signed(low, places)} to {_signed(high, places)}{kind})"
    )


def _money(report: WindowReport, change: Change) -> str:
    assert change.money is not None, "the caller has looked"
    seconds = report.ends_at - report.starts_at
    per_day = change.money / PER * report.rows * DAY / seconds if seconds > 0 else 0.0
    low, high = ((bound or 0.0) / PER * report.rows * DAY / seconds for bound in (change.money_low, change.money_high))
    verb = "saves about" if per_day < 0 else "about"
    return f"{verb} {abs(per_day):,.0f} a day ({low:,.0f} to {high:,.0f})"


def _suspects(report: WindowReport) -> str:
    shifts = {shift.name: shift for shift in report.drift}
    named = [_named(shifts.get(name), name) for name in report.suspects[:NAMED]]
    more = len(report.suspects) - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _named(shift: FeatureShift | None, name: str) -> str:
    """A column, and what it shows.

    >>> _named(FeatureShift("adr", "critical", symptom="x100"), "adr")
    'adr (x100)'
    """
    return f"{name} ({shift.symptom})" if shift is not None and shift.symptom else name


def _places(change: Change) -> int:
    """Digits after the point that show the interval."""
    size = max(abs(change.low), abs(change.high))
    return 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.02 else 3


def _short(value: float | None, places: int) -> str:
    return "unknown" if value is None else f"{value:,.{places}f}".replace("0.", ".", 1) if 0 <= value < 1 else (
        f"{value:,.{places}f}"
    )  # fmt: skip


def _signed(value: float, places: int) -> str:
    text = _short(abs(value), places)
    return ("-" if copysign(1.0, value) < 0 else "+") + text
