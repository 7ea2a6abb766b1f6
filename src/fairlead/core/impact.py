"""Impact: what one window was like for those who call a model and for the business, against the windows before it.

Each figure is held against like windows (the same hour of the week where there are enough, else the same hour of the
day, else the last ones): it is unusual beyond their prediction interval, and it counts where the change is also large
enough to matter. A window's figures share one chance of a false call: each is judged at alpha divided by their number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, isfinite, log
from typing import Literal

import msgspec
from msgspec import Struct

from fairlead.core.alarm import IMPACT
from fairlead.core.alert import Alarm
from fairlead.core.event import canonical
from fairlead.core.facts_act import ImpactJudged
from fairlead.core.listing import counted
from fairlead.core.metrics import metric
from fairlead.core.report import Layer
from fairlead.core.verdict import Outcome, Verdict, worst
from fairlead.core.watched import OUTAGE
from fairlead.stats.usual import LEAST, Usual, usual

MINUTE, HOUR, DAY, WEEK = 60.0, 3_600.0, 86_400.0, 604_800.0
MOST_LIKE = 28  # earlier windows that one is held against
NEW_USUAL = 8  # unusual windows in a row after which the level counts as the usual one
LAYERS = ("data", "model", "product", "business")
_LIKE_LEAST = 6  # of the same hour, before the hour is minded at all

Worse = Literal["more", "less", "either"]
Kind = Literal["ratio", "difference", "relative"]


class Bound(Struct, frozen=True):
    """How far a figure may move. A `ratio` is compared on a logarithmic scale (1.5: by half more, or a third less), a
    `difference` in its own unit, a `relative` change as a share of the usual value."""

    layer: str
    kind: Kind
    warning: float
    critical: float
    worse: Worse = "either"
    floor: float = 0.0  # ratios: below it all values are alike
    unit: str = ""


BOUNDS: Mapping[str, Bound] = {
    "volume": Bound("data", "ratio", 1.5, 2.0, floor=1.0, unit="answers"),
    "freshness": Bound("data", "ratio", 2.0, 5.0, "more", floor=1.0, unit="s"),
    "prediction_mean": Bound("model", "difference", 0.25, 0.5, unit="sd"),
    "prediction_variance": Bound("model", "ratio", 1.5, 2.0, floor=1e-9),
    "decision_entropy": Bound("model", "relative", 0.2, 0.5, "less", unit="bits"),
    "error_rate": Bound("product", "difference", 0.01, 0.05, "more", unit="share"),
    "refused_share": Bound("product", "difference", 0.01, 0.05, "more", unit="share"),
    "p50_latency": Bound("product", "ratio", 1.5, 3.0, "more", floor=0.1, unit="ms"),
    "p99_latency": Bound("product", "ratio", 2.0, 5.0, "more", floor=0.1, unit="ms"),
}
_WORSE_WHEN_MORE = (
    "abandon", "bounce", "cancel", "cancelled", "chargeback", "churn", "churned", "claim", "complained", "complaint",
    "complaints", "cost", "costs", "default", "dispute", "error", "escalated", "fraud", "loss", "override", "refund",
    "refunds", "rejected", "return", "returned", "returns", "spend", "unsubscribe", "unsubscribed",
)  # fmt: skip


class Measure(Struct, frozen=True):
    """A figure as measured: `error` is its standard error where it is a mean (0 elsewhere), `scale` what a difference
    is counted in, `note` what else people should read."""

    name: str
    value: float
    rows: int
    error: float = 0.0
    scale: float = 1.0
    note: str = ""


class Figure(Struct, frozen=True, omit_defaults=True):
    """A measured figure against the usual. `low` and `high` are the ends of what is usual, None without enough windows
    before; `change` is the ratio, difference or share of the usual that its bound speaks of."""

    name: str
    layer: str
    value: float
    rows: int
    outcome: Outcome
    reason: str
    usual: float | None = None
    low: float | None = None
    high: float | None = None
    change: float | None = None
    windows: int = 0
    error: float = 0.0  # its standard error, where it is a mean


class ImpactReport(Struct, frozen=True, omit_defaults=True):
    """One window. `decisions` counts the answers by what was decided, at most the 50 most frequent."""

    model: str
    window: str
    starts_at: float
    ends_at: float
    judged_at: float
    rows: int
    figures: tuple[Figure, ...] = ()
    layers: tuple[Layer, ...] = ()
    versions: dict[str, int] = {}
    decisions: dict[str, int] = {}
    final: bool = True  # whether the events of its units have had their time

    def layer(self, name: str) -> Layer | None:
        """The rung of that name."""
        return next((layer for layer in self.layers if layer.name == name), None)

    @property
    def verdict(self) -> Verdict:
        """The worst of what was measured."""
        return _together(self.figures)


class Point(Struct, frozen=True):
    """A figure of an earlier window."""

    starts_at: float
    value: float


def bound_of(name: str) -> Bound:
    """How far a figure may move; what is not in the table is a business event.

    >>> bound_of("complaint").worse, bound_of("revenue").layer, bound_of("p99_latency").critical
    ('more', 'business', 5.0)
    """
    known = BOUNDS.get(name)
    if known is not None:
        return known
    words = {name.lower(), *name.lower().replace("-", "_").replace(" ", "_").split("_")}
    worse: Worse = "more" if words & set(_WORSE_WHEN_MORE) else "less"
    layer = "business" if metric(name).layer == "business" else "product"
    return Bound(layer, "relative", 0.05, 0.10, worse, unit="a unit")


def like_windows(past: Sequence[Point], starts_at: float, seconds: float | None) -> list[float]:
    """The values of the windows that one beginning at `starts_at` is held against, newest first.

    >>> past = [Point(day * DAY + hour * HOUR, hour) for day in range(8) for hour in range(24)]
    >>> set(like_windows(past, 8 * DAY + 3 * HOUR, HOUR))
    {3}
    """
    before = [one for one in past if one.starts_at < starts_at]
    for period in (WEEK, DAY):
        if seconds is None or seconds >= period or period % seconds:
            continue
        alike = [one for one in before if (starts_at - one.starts_at) % period == 0.0]
        if len(alike) >= _LIKE_LEAST:
            return [one.value for one in reversed(alike)][:MOST_LIKE]
    return [one.value for one in reversed(before)][:MOST_LIKE]


def judge_figure(measure: Measure, earlier: Sequence[float], alpha: float) -> Figure:
    """A figure against the values of like windows."""
    bound = bound_of(measure.name)
    bare = Figure(measure.name, bound.layer, measure.value, measure.rows, Outcome.UNMEASURED, "", error=measure.error)
    value = _scaled(measure.value, bound)
    known = usual([_scaled(one, bound) for one in earlier], measure.error, alpha)
    if known.windows < LEAST:
        missing = counted(LEAST - known.windows, "more window")
        reason = _noted(f"what is usual is known in {missing}", measure)
        return msgspec.structs.replace(bare, reason=reason, windows=known.windows)
    change = _change(value, known, bound, measure.scale)
    outcome = _outcome(value, known, change, bound)
    found = msgspec.structs.replace(
        bare,
        outcome=outcome,
        usual=_plain(known.middle, bound),
        low=_plain(known.low, bound),
        high=_plain(known.high, bound),
        change=change,
        windows=known.windows,
    )
    return msgspec.structs.replace(found, reason=_noted(sentence(found), measure))


def _noted(reason: str, measure: Measure) -> str:
    return f"{reason}: {measure.note}" if measure.note else reason


def judge_impact(
    bare: ImpactReport, measures: Sequence[Measure], past: Mapping[str, Sequence[Point]], alpha: float
) -> ImpactReport:
    """The report of a window, from what was measured in it and the figures of earlier windows (oldest first)."""
    seconds = bare.ends_at - bare.starts_at
    level = alpha / max(1, len(measures))
    figures = tuple(
        judge_figure(one, like_windows(past.get(one.name, ()), bare.starts_at, seconds), level) for one in measures
    )
    layers = []
    for name in LAYERS:
        mine = [one for one in figures if one.layer == name]
        if mine:
            verdict = _together(mine)
            layers.append(Layer(name, verdict.outcome, verdict.reason))
    return msgspec.structs.replace(bare, figures=figures, layers=tuple(layers))


def sentence(figure: Figure) -> str:
    """A judged figure as people write it."""
    name = figure.name.replace("_", " ")
    if figure.usual is None or figure.low is None or figure.high is None:
        return f"{name} {shown(figure.name, figure.value)}"
    ends = f"{shown(figure.name, figure.low)} to {shown(figure.name, figure.high)}"
    return f"{name} {shown(figure.name, figure.value)} (usual {shown(figure.name, figure.usual)}, {ends})"


def shown(name: str, value: float) -> str:
    """A figure's value in its unit.

    >>> shown("error_rate", 0.0125), shown("p99_latency", 12.34), shown("volume", 12345.0), shown("conversion", 0.0512)
    ('1.25 %', '12.3 ms', '12,345', '0.0512')
    >>> shown("freshness", 4.2e6), shown("freshness", 7.25), shown("p99_latency", 12345.0)
    ('48 d 14 h', '7.25 s', '12,345 ms')
    """
    unit = bound_of(name).unit
    if unit == "share":
        return f"{value * 100:.3g} %"
    if name == "volume":
        return f"{value:,.0f}"
    if unit == "s" and value >= MINUTE:
        return _lasting(value)
    short = f"{value:,.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:.3g}"
    return f"{short} {unit}" if unit in ("ms", "s", "bits") else short


def _lasting(seconds: float) -> str:
    """A length of time of a minute or more, in its two largest units."""
    units = (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", 1.0))
    place = next(at for at, (_, length) in enumerate(units) if seconds >= length)
    (name, length), (part, less) = units[place], units[place + 1]
    whole, rest = int(seconds // length), int(seconds % length // less)
    return f"{whole:,} {name} {rest} {part}" if rest else f"{whole:,} {name}"


def standing(reports: Sequence[ImpactReport]) -> dict[str, Verdict]:
    """What each rung stands at: by the newest window, and, where the events of its units have not had their time, by
    the newest window of which they had. `reports` are oldest first."""
    if not reports:
        return {}
    last = reports[-1]
    final = next((one for one in reversed(reports) if one.final), None)
    figures = [(last, one) for one in last.figures]
    if final is not None and final is not last:
        figures += [(final, one) for one in final.figures if one.name not in {each.name for each in last.figures}]
    found: dict[str, Verdict] = {}
    for name in LAYERS:
        mine = [one for _, one in figures if one.layer == name]
        if mine:
            verdict = _together(mine)
            window = next(report for report, one in figures if one.layer == name).window
            found[name] = Verdict(verdict.outcome, f"{window}: {verdict.reason}.")
    return found


def alarm_of_impact(report: ImpactReport) -> Alarm:
    """What a window asks to be told. Before its events have had their time it can raise the alert, and not end it."""
    verdicts = [Verdict(layer.outcome, f"{layer.name}: {layer.reason}") for layer in report.layers]
    broken = [one.reason for one in verdicts if one.outcome is Outcome.BREACHED]
    if broken:
        verdict = Verdict(Outcome.BREACHED, "; ".join(broken))
    elif report.final and any(one.outcome is Outcome.HOLDS for one in verdicts):
        verdict = Verdict(Outcome.HOLDS, "callers and business see what is usual")
    else:
        verdict = Verdict(Outcome.UNDECIDED, "what is usual is not known yet")
    details = tuple((one.name.replace("_", " "), one.reason) for one in report.figures if _is_loud(one))
    title = f"Callers of {report.model} see something unusual in window {report.window}"
    # Nobody is in doubt about requests that get no answer: beyond their critical level somebody is called.
    failing = any(one.name in OUTAGE and _is_loud(one) for one in report.figures)
    return Alarm(report.model, IMPACT, "high" if failing else "medium", title, verdict, details=details)


def _is_loud(figure: Figure) -> bool:
    return figure.outcome is Outcome.BREACHED


def fact_of_impact(report: ImpactReport) -> ImpactJudged:
    """The journal's fact of a report."""
    return ImpactJudged(
        model=report.model,
        window=report.window,
        starts_at=report.starts_at,
        ends_at=report.ends_at,
        verdict=report.verdict.outcome.value,
        report=msgspec.Raw(canonical(report)),
    )


def impact_of(fact: ImpactJudged) -> ImpactReport:
    """The report in a fact. Raises `msgspec.MsgspecError` for one that another program wrote."""
    return msgspec.json.decode(fact.report, type=ImpactReport)


def _together(figures: Sequence[Figure]) -> Verdict:
    """The worst of the figures that have a usual; what has none yet is named beside them."""
    known = [one for one in figures if one.outcome is not Outcome.UNMEASURED]
    new = [one.name.replace("_", " ") for one in figures if one.outcome is Outcome.UNMEASURED]
    if not known:
        said = figures[0].reason if figures else "nothing was measured"
        return Verdict(Outcome.UNMEASURED, f"{', '.join(new)}: {said}" if new else said)
    found = worst([Verdict(one.outcome, one.reason) for one in known])
    if found.outcome is Outcome.HOLDS:
        names = ", ".join(one.name.replace("_", " ") for one in known)
        found = Verdict(found.outcome, f"{names} as usual")
    else:
        loud = [one for one in known if one.outcome is found.outcome]
        found = Verdict(found.outcome, "; ".join(one.reason for one in loud))
    return Verdict(found.outcome, f"{found.reason}; no usual yet: {', '.join(new)}") if new else found


def _scaled(value: float, bound: Bound) -> float:
    return log(max(value, bound.floor or 1e-12)) if bound.kind == "ratio" else value


def _plain(value: float, bound: Bound) -> float | None:
    if not isfinite(value):
        return None
    return exp(min(value, 700.0)) if bound.kind == "ratio" else value


def _change(value: float, known: Usual, bound: Bound, scale: float) -> float:
    moved = value - known.middle
    if bound.kind == "ratio":
        return exp(max(-700.0, min(moved, 700.0)))
    return moved / (abs(known.middle) or 1.0) if bound.kind == "relative" else moved / (scale or 1.0)


def _outcome(value: float, known: Usual, change: float, bound: Bound) -> Outcome:
    """Unusual, to the worse side, and large enough."""
    more = value > known.middle
    if known.holds(value) or bound.worse not in ("either", "more" if more else "less"):
        return Outcome.HOLDS
    size = max(change, 1.0 / change) if bound.kind == "ratio" else abs(change)
    if size >= bound.critical:
        return Outcome.BREACHED
    return Outcome.UNDECIDED if size >= bound.warning else Outcome.HOLDS
