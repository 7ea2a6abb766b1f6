"""What a window's harm is told as: one sentence for a person in a hurry, and the same in parts."""

from __future__ import annotations

from collections.abc import Iterator
from math import copysign

from fairlead.core.change import PER
from fairlead.core.quadrant import Quadrant
from fairlead.core.report import Change, FeatureShift, Stage, WindowReport, metric_name
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
# Of alarms: since the third edition money says its unit, what is saved has its interval turned round with it, and
# scores of broken data put no price on anything. Such data are not called benign.
PRICED = 3
UNIT = "units of cost"  # those of the cost matrix, which names no currency

Details = tuple[tuple[str, str], ...]


def sentence(report: WindowReport, edition: int = PRICED) -> str:
    """The change of the metric with its interval, money, the kind of drift, suspects and segment; what is not known is
    left out, and so is all where no change is known. `edition` is that of alarms."""
    said = {name: _WORDS.get(name, "{}").format(text) for name, text in _parts(report, edition)}
    cost = ", ".join(said.pop(name) for name in ("change", "money") if name in said)
    return "; ".join(([cost] if cost else []) + list(said.values()))


def details_of(report: WindowReport, edition: int = PRICED) -> Details:
    """The sentence's parts, each under its name, in the order in which they are read. `edition` is that of alarms."""
    return tuple(_parts(report, edition))


def _parts(report: WindowReport, edition: int) -> Iterator[tuple[str, str]]:
    change = report.harm.change
    if change is not None:
        yield "change", _change(report, change)
    if change is not None and change.money is not None:
        money = _paid(report, change) if edition >= PRICED else _money_unsigned(report, change)
        if money:
            yield "money", money
    if edition >= PRICED and report.broken and report.quadrant is Quadrant.BENIGN:
        yield "quadrant", _broken(report)
    elif report.moved or report.quadrant not in (Quadrant.BENIGN, Quadrant.UNKNOWN):
        yield "quadrant", _KINDS[report.quadrant]
    suspects = _suspects(report)
    if suspects:
        yield "suspects", suspects
    if report.harm.segment:
        yield "segment", report.harm.segment


def _broken(report: WindowReport) -> str:
    """Data that are plainly broken are no drift, benign or not, however well the model bears them."""
    what = f"broken column{'s' * (len(report.broken) > 1)}"
    return f"{what}, no harm by its labels" if report.stage is Stage.MATURED else f"{what}, no harm seen yet"


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


def _paid(report: WindowReport, change: Change) -> str:
    """What the change costs, or saves, a day, with an interval that holds it. Nothing where scores alone would say it
    while a column is broken: they are as wrong as their inputs."""
    if not change.realised and report.broken:
        return ""
    value, *bounds = (_per_day(report, bound) for bound in (change.money, change.money_low, change.money_high))
    saves = value < 0
    low, high = sorted(-bound if saves else bound for bound in bounds)
    verb, more = ("saves about", "") if saves else ("about", " more")
    kind = "" if change.realised else ", estimated"
    return f"{verb} {whole(abs(value))} {UNIT}{more} a day ({whole(low)} to {whole(high)}{kind})"


def _per_day(report: WindowReport, per_thousand: float | None) -> float:
    """Of an amount per 1,000 predictions, for as many a day as the window had."""
    seconds = report.ends_at - report.starts_at
    return (per_thousand or 0.0) / PER * report.rows * DAY / seconds if seconds > 0 else 0.0


def whole(value: float) -> str:
    """An amount without the sign of a zero.

    >>> whole(-0.3), whole(-1234.5)
    ('0', '-1,234')
    """
    return f"{round(value):,}"


def _money_unsigned(report: WindowReport, change: Change) -> str:
    """As the second edition told it: what is saved, with bounds of what it costs."""
    value, low, high = (_per_day(report, bound) for bound in (change.money, change.money_low, change.money_high))
    verb = "saves about" if value < 0 else "about"
    return f"{verb} {abs(value):,.0f} a day ({low:,.0f} to {high:,.0f})"


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
