"""The ladder as one view: a window's four rungs, and the way between them: from impact down to the cause and back.

Top-down: business and product figures, the model's metric, the segment and the features that explain it, what changed
before. Bottom-up: from a feature to the windows in which it moved, the incidents, and what the rungs above say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote, urlencode

from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.check import LABELS
from fairlead.core.correlation import column_of
from fairlead.core.impact import Figure, ImpactReport, standing
from fairlead.core.listing import counted
from fairlead.core.report import Layer, metric_name
from fairlead.core.verdict import Outcome, Verdict
from fairlead.errors import NotFound
from fairlead.operations.ladder_told import alerts_of, incidents_of, open_elsewhere
from fairlead.operations.overview_cost import with_cost
from fairlead.operations.overview_ladder import ladder_of, together
from fairlead.operations.overview_parts import Kind, Line, Parts, Seen
from fairlead.operations.overview_values import (
    AlertView,
    DriftView,
    IncidentView,
    Mark,
    ModelView,
    Note,
    Rung,
    WindowView,
    WorkerView,
)

MOST_WINDOWS = 26
RUNGS = ("Business", "Product", "Model", "Data and features")
_LAYERS = {"Business": "business", "Product": "product", "Model": "model", "Data and features": "data"}
_CHANGES = ("upstream_changed", "gate_waived", "subject_erased")


class Cell(Struct, frozen=True):
    """A rung in a window; no outcome where nobody looked."""

    window: str
    starts_at: float
    outcome: Outcome | None
    reason: str = ""


class Strip(Struct, frozen=True):
    """A rung over time."""

    name: str
    cells: tuple[Cell, ...]


class Link(Struct, frozen=True):
    """One step of the way from impact to cause. `href` is empty where there is nothing to go to; it begins with `#` for
    a place on the page, else it is below the console's root."""

    kind: str  # window | metric | segment | class | group | fairness | feature | pair | change | incident | runbook
    title: str
    text: str
    href: str = ""
    tone: str = "muted"


class Drill(Struct, frozen=True):
    """What the page shows of one window. `rungs` is top-down; `moved` names the windows in which the feature moved."""

    model: str
    windows: tuple[str, ...]
    window: WindowView | None
    impact: ImpactReport | None
    rungs: tuple[Rung, ...]
    strips: tuple[Strip, ...]
    links: tuple[Link, ...]
    feature: DriftView | None
    features: tuple[DriftView, ...]
    moved: tuple[str, ...]
    marks: tuple[Mark, ...]
    changes: tuple[Note, ...]
    incidents: tuple[IncidentView, ...]  # of this window
    alerts: tuple[AlertView, ...]  # of this window
    parts: Parts = Parts()
    elsewhere: tuple[IncidentView, ...] = ()  # open, and of other windows

    @property
    def worse(self) -> tuple[tuple[Line, Seen], ...]:
        """The classes and groups that are worse off in the window, or treated otherwise."""
        here = ((line, line.at(self.name)) for line in self.parts.lines)
        return tuple((line, seen) for line, seen in here if seen is not None and seen.outcome is Outcome.BREACHED)

    def lines(self, kind: Kind) -> tuple[tuple[Line, Seen], ...]:
        """The lines of a kind that the window has and that rest on enough rows, what is worse first."""
        here = [(line, seen) for line in self.parts.of(kind) if (seen := line.at(self.name)) is not None]
        order = [Outcome.BREACHED, Outcome.UNDECIDED, Outcome.UNMEASURED, Outcome.HOLDS]
        return tuple(sorted([one for one in here if not one[1].few], key=lambda one: order.index(one[1].outcome)))

    @property
    def few(self) -> tuple[str, ...]:
        """What rests on too few rows to say anything, with how many these are."""
        here = ((line, line.at(self.name)) for line in self.parts.lines)
        return tuple(
            f"{line.part}{'' if line.kind == 'group' else f', {line.what}'} ({seen.rows:,})"
            for line, seen in here
            if seen is not None and seen.few
        )

    @property
    def classes(self) -> tuple[tuple[str, dict[str, tuple[Line, Seen]]], ...]:
        """Each class with its figures by name."""
        found: dict[str, dict[str, tuple[Line, Seen]]] = {}
        for line in self.parts.of("class"):
            seen = line.at(self.name)
            if seen is not None:
                found.setdefault(line.part, {})[line.what] = line, seen
        return tuple(sorted(found.items()))

    @property
    def name(self) -> str:
        """The window's name; empty where no window was judged."""
        return self.window.name if self.window else self.impact.window if self.impact else ""

    def figures(self, rung: str) -> tuple[Figure, ...]:
        """The figures of a rung in the window."""
        return tuple(one for one in self.impact.figures if one.layer == _LAYERS[rung]) if self.impact else ()


def drill(view: ModelView, workers: Sequence[WorkerView], window: str = "", feature: str = "") -> Drill:
    """One window of a model: the named one, else the newest that breached, else the newest. The feature is the named
    one, else the first suspect. Raises `NotFound`."""
    names = _names(view)
    chosen = window or _worst(view) or (names[-1] if names else "")
    if window and window not in names:
        raise NotFound(f"there is no window {window!r} of {view.name}: see /models/{view.name}/ladder")
    judged = next((one for one in view.windows if one.name == chosen), None)
    impact = next((one for one in reversed(view.impact) if one.window == chosen), None)
    features = _features(judged)
    picked = next((one for one in features if one.name == feature), None)
    if feature and picked is None:
        raise NotFound(f"no feature {feature!r} was compared in window {chosen or 'none'} of {view.name}")
    picked = picked or (features[0] if features else None)
    rungs = _rungs(view, workers, judged, impact)
    incidents, alerts = incidents_of(view, judged or impact), alerts_of(view, judged or impact)
    bare = Drill(
        view.name, tuple(names), judged, impact, rungs, _strips(view, names), (), picked, features,
        _moved(view, picked), tuple(_marks(view, names, chosen)), _changes(view, judged, impact), incidents, alerts,
        view.parts, open_elsewhere(view, incidents),
    )  # fmt: skip
    return _linked(bare)


def address(model: str, window: str = "", feature: str = "") -> str:
    """Where the view of a window and a feature is, below the console's root.

    >>> address("hotel", "2026-01-05", "adr")
    '/models/hotel/ladder?window=2026-01-05&feature=adr'
    """
    query = urlencode({key: value for key, value in (("window", window), ("feature", feature)) if value})
    return f"/models/{quote(model, safe='')}/ladder" + (f"?{query}" if query else "")


def _names(view: ModelView) -> list[str]:
    """The windows that anybody judged, oldest first."""
    starts = {one.name: one.starts_at for one in view.windows} | {one.window: one.starts_at for one in view.impact}
    return sorted(starts, key=lambda name: (starts[name], name))[-MOST_WINDOWS:]


def _worst(view: ModelView) -> str:
    """The newest window with a breached rung."""
    bad = [(one.starts_at, one.name) for one in view.windows if one.verdict is Outcome.BREACHED]
    bad += [(one.starts_at, one.window) for one in view.impact if one.verdict.outcome is Outcome.BREACHED]
    return max(bad, default=(0.0, ""))[1]


def _features(window: WindowView | None) -> tuple[DriftView, ...]:
    """The suspects in their order, then the others by how far they moved."""
    if window is None:
        return ()
    order = {name: place for place, name in enumerate(window.suspects)}
    return tuple(sorted(window.drift, key=lambda one: (order.get(one.name, len(order)), -(one.ratio or 0.0), one.name)))


def _rungs(
    view: ModelView, workers: Sequence[WorkerView], window: WindowView | None, impact: ImpactReport | None
) -> tuple[Rung, ...]:
    """The rungs of that window, top-down; the service's own state belongs to now, and so to the newest window."""
    newest = (not view.windows or window is view.windows[-1]) and (not view.impact or impact is view.impact[-1])
    if newest:
        return tuple(reversed(view.ladder))
    until = tuple(one for one in view.windows if window is not None and one.starts_at <= window.starts_at)
    found = {rung.name: rung for rung in ladder_of(until, (), workers, (impact,) if impact else ())}
    seen = standing((impact,)) if impact else {}
    rungs = []
    for name in RUNGS:
        rung, told = found[name], seen.get(_LAYERS[name])
        if name in ("Business", "Product") or window is None:
            verdict = told or Verdict(Outcome.UNMEASURED, "nothing was measured then")
            verdict = with_cost(verdict, (window,)) if name == "Business" and window is not None else verdict
            rung = Rung(rung.number, name, verdict.outcome, verdict.reason)
        rungs.append(rung)
    return tuple(rungs)


def _strips(view: ModelView, names: Sequence[str]) -> tuple[Strip, ...]:
    windows = {one.name: one for one in view.windows}
    impacts = {one.window: one for one in view.impact}
    return tuple(
        Strip(rung, tuple(_cell(rung, name, windows.get(name), impacts.get(name)) for name in names)) for rung in RUNGS
    )


def _cell(rung: str, name: str, window: WindowView | None, impact: ImpactReport | None) -> Cell:
    starts = window.starts_at if window else impact.starts_at if impact else 0.0
    beside = impact.layer(_LAYERS[rung]) if impact else None
    if rung == "Business" and window is not None and window.cost is not None:
        found = _verdict(beside) if beside else Verdict(Outcome.UNMEASURED, "nothing was measured then")
        found = with_cost(found, (window,))
        return Cell(name, starts, found.outcome, found.reason)
    own = {"Model": window.model, "Data and features": window.data}.get(rung) if window is not None else None
    if own is None and beside is None:
        return Cell(name, starts, None)
    layer = _verdict(own or beside) if own is None or beside is None else together(_verdict(own), _verdict(beside))
    return Cell(name, starts, layer.outcome, layer.reason)


def _verdict(layer: Layer | None) -> Verdict:
    assert layer is not None, "the caller has looked"
    return Verdict(layer.outcome, layer.reason)


def _moved(view: ModelView, feature: DriftView | None) -> tuple[str, ...]:
    if feature is None:
        return ()
    return tuple(
        window.name
        for window in view.windows
        if any(one.name == feature.name and one.level in ("warning", "critical") for one in window.drift)
    )


def _marks(view: ModelView, names: Sequence[str], chosen: str) -> Iterator[Mark]:
    """Promotions and rollbacks that could explain the window: in it, in the two before, or in the one after."""
    place = names.index(chosen) if chosen in names else -1
    near = set(names[max(0, place - 2) : place + 2]) if place >= 0 else set()
    yield from (mark for mark in view.marks if mark.window in near)


def _changes(view: ModelView, window: WindowView | None, impact: ImpactReport | None) -> tuple[Note, ...]:
    """What else is known to have changed, from a window's length before it to its end."""
    span = window or impact
    if span is None:
        return ()
    first = 2.0 * span.starts_at - span.ends_at
    return tuple(note for note in view.notes if note.kind in _CHANGES and first <= note.at <= span.ends_at)


def _linked(view: Drill) -> Drill:
    return replace(view, links=tuple(_links(view)))


def _links(view: Drill) -> Iterator[Link]:
    if not view.name:
        return
    top = next((one for name in ("Business", "Product") for one in view.figures(name) if _loud(one)), None)
    if top is not None:
        yield Link(
            "impact",
            top.name.replace("_", " "),
            top.reason,
            f"#rung-{4 if top.layer == 'business' else 3}",
            _tone(top.outcome),
        )
    rows = view.window.rows if view.window else view.impact.rows if view.impact else 0
    verdict = view.window.verdict if view.window else view.impact.verdict.outcome if view.impact else None
    yield Link("window", view.name, counted(rows, "answer"), address(view.model, view.name), _tone(verdict))
    yield from _of_model(view)
    yield from _of_data(view)
    before = view.windows[: view.windows.index(view.name)]
    for mark in [one for one in view.marks if one.window in before][-2:]:
        yield Link(
            "change",
            mark.text,
            f"after window {mark.window}",
            "#changes",
            "bad" if mark.kind == "rolled_back" else "accent",
        )
    for note in view.changes[:2]:
        yield Link("change", note.title, note.reason, "#changes", "warning")
    for incident in view.incidents[:1]:
        href = f"/incidents/{quote(incident.id, safe='')}"
        yield Link(
            "incident",
            incident.title,
            f"{incident.severity}, {incident.state}",
            href,
            "bad" if incident.state == "open" else "warning",
        )
    for alert in view.alerts[:1]:
        yield Link("runbook", alert.runbook or "none", f"for {alert.title}", "#told", "muted")


def _of_model(view: Drill) -> Iterator[Link]:
    window = view.window
    if window is None or window.performance is None or not window.performance.metric:
        return
    found = window.performance
    values = (("reference", found.reference), ("estimated", found.estimated), ("realised", found.realised))
    said = ", ".join(f"{name} {value:.3f}" for name, value in values if value is not None)
    if window.change is not None:
        said += f"; worse by {window.change.low:.3g} to {window.change.high:.3g}"
    yield Link("metric", metric_name(found.metric), said or "not measured", "#rung-2", _tone(found.outcome))
    if window.segment:
        yield Link("segment", window.segment, "explains most of it", "#rung-2", "warning")
    yield from _of_parts(view)


def _of_parts(view: Drill) -> Iterator[Link]:
    """One step for each class, group or column that is worse off, with all of its figures."""
    told: dict[tuple[str, str], list[str]] = {}
    for line, seen in view.worse:
        values = f" {line.shown(seen.value)}" if seen.value is not None else ""
        values += f", was {line.shown(seen.before)}" if seen.before is not None else ""
        told.setdefault((line.kind, line.part), []).append(f"{line.what}{values}")
    for (kind, part), figures in list(told.items())[:3]:
        yield Link(kind, part, "; ".join(figures), f"#parts-{kind}", "bad")


def _of_data(view: Drill) -> Iterator[Link]:
    if view.window is None:
        return
    apart = view.window.correlation
    if apart is not None and apart.moved:
        column = apart.column or column_of(apart.pair[0], [each.name for each in view.features])
        where = address(view.model, view.name, column)
        tone = "bad" if apart.level == "critical" else "warning"
        yield Link("pair", " and ".join(apart.pair), apart.reason, f"{where}#feature", tone)
    for place, name in enumerate(view.window.suspects[:3]):
        one = next((each for each in view.features if each.name == name), None)
        effect = (
            f"{LABELS.get(one.method, one.method)} {one.effect:.2f}"
            if one is not None and one.effect is not None
            else ""
        )
        if apart is not None and apart.moved and apart.column == name and one is not None and one.level == "none":
            effect = "by its correlations alone"
        said = f"{'first suspect' if not place else 'suspect'}{f', {effect}' if effect else ''}"
        tone = "bad" if one is not None and one.level == "critical" else "warning"
        yield Link("feature", name, said, f"{address(view.model, view.name, name)}#feature", tone)


def _loud(figure: Figure) -> bool:
    return figure.outcome in (Outcome.BREACHED, Outcome.UNDECIDED)


def _tone(outcome: Outcome | None) -> str:
    tones = {Outcome.HOLDS: "good", Outcome.UNDECIDED: "warning", Outcome.BREACHED: "bad"}
    return tones.get(outcome, "muted") if outcome is not None else "muted"
