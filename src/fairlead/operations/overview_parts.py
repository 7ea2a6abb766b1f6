"""The parts of a model over its last windows: each class, each group, and how alike protected groups are treated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from fairlead.core.event import WindowJudged
from fairlead.core.groups import TOO_FEW, GroupReport, Rated
from fairlead.core.report import metric_name
from fairlead.core.verdict import Outcome

MOST_WINDOWS = 26
MOST_LINES = 80
Kind = Literal["class", "group", "fairness"]
_MEASURES = {
    "impact": "selection rate, lowest by highest",
    "tpr": "true positive rates apart",
    "fpr": "false positive rates apart",
}
_ORDER = {Outcome.BREACHED: 0, Outcome.UNDECIDED: 1, Outcome.UNMEASURED: 2, Outcome.HOLDS: 3}


class Seen(Struct, frozen=True, omit_defaults=True):
    """A figure in one window: with its 95 % interval, what it was on the held-out rows, from how many labels (or rows),
    and what was found."""

    window: str
    outcome: Outcome
    value: float | None = None
    low: float | None = None
    high: float | None = None
    before: float | None = None
    rest: float | None = None  # of a group: the same of all other rows
    rows: int = 0
    reason: str = ""

    @property
    def few(self) -> bool:
        """Whether it rests on too few rows to say anything."""
        return self.outcome is Outcome.UNDECIDED and self.reason.startswith(TOO_FEW)


class Line(Struct, frozen=True, omit_defaults=True):
    """A figure over the windows, oldest first; of a window in which nobody looked there is none. `percent` is whether
    it is a share."""

    kind: Kind
    part: str  # yes | city = west | sex
    what: str  # recall | accuracy | selection rate, lowest by highest
    seen: tuple[Seen, ...]
    percent: bool = True
    bound: float | None = None

    def shown(self, value: float) -> str:
        """A value as people read it: a share, or in the target's unit."""
        return f"{value * 100:.1f} %" if self.percent else f"{value:.4g}"

    @property
    def last(self) -> Seen:
        """The newest."""
        return self.seen[-1]

    def at(self, window: str) -> Seen | None:
        """That of a window."""
        return next((one for one in self.seen if one.window == window), None)


class Parts(Struct, frozen=True):
    """All lines, what is worse first within its kind; `windows` are oldest first. `left_out` lines are in the windows'
    reports only."""

    windows: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    left_out: int = 0

    def of(self, kind: Kind) -> tuple[Line, ...]:
        """The lines of a kind."""
        return tuple(one for one in self.lines if one.kind == kind)


class _Slice(Struct, frozen=True):
    """What of a stored report is read here; the rest is passed over."""

    groups: Raw = Raw(b"")


def raw_parts(fact: WindowJudged) -> bytes:
    """A window's parts as its report holds them; nothing where it holds none, or cannot be read."""
    try:
        return bytes(msgspec.json.decode(fact.report, type=_Slice).groups)
    except msgspec.MsgspecError:
        return b""


def parts_of(windows: Mapping[str, bytes]) -> Parts:
    """The lines of some windows' parts, by name, oldest first."""
    found: dict[tuple[Kind, str, str], list[Seen]] = {}
    bounds: dict[tuple[Kind, str, str], float] = {}
    for name, text in windows.items():
        try:
            report = msgspec.json.decode(text, type=GroupReport)
        except msgspec.MsgspecError:
            continue
        for kind, part, what, seen, bound in _seen(name, report):
            found.setdefault((kind, part, what), []).append(seen)
            bounds[kind, part, what] = bound
    lines = [
        Line(kind, part, what, tuple(seen), what != "mae", bounds[kind, part, what] or None)
        for (kind, part, what), seen in found.items()
    ]
    return Parts(tuple(windows), tuple(_chosen(lines)), max(0, len(lines) - MOST_LINES))


def _chosen(lines: Sequence[Line]) -> list[Line]:
    kinds = ("fairness", "class", "group")
    return sorted(lines, key=lambda one: (kinds.index(one.kind), _ORDER[one.last.outcome]))[:MOST_LINES]


def _seen(window: str, report: GroupReport) -> Iterator[tuple[Kind, str, str, Seen, float]]:
    for one in report.classes:
        figures = (
            ("share of the answers", one.share),
            ("precision", one.precision),
            ("recall", one.recall),
            ("F1", one.f1),
        )
        for what, figure in figures:
            if figure is not None:
                judged = what in ("precision", "recall") and one.reason.startswith(f"{what} of ")
                outcome = one.outcome if judged else Outcome.HOLDS
                yield (
                    "class",
                    one.label,
                    what,
                    _of(window, figure, outcome, one.labels, one.reason if judged else ""),
                    0.0,
                )
    metric = "mae" if report.metric == "mae" else metric_name(report.metric)
    for each in report.groups:
        seen = _of(window, each.metric, each.outcome, each.labels, each.reason, each.rest)
        yield "group", f"{each.column} = {each.value}", metric, seen, 0.0
    labels = {one.label for one in report.fairness}
    for fair in report.fairness:
        who = f"{fair.column} ({fair.label})" if len(labels) > 1 else fair.column
        seen = _of(window, fair.figure, fair.outcome, fair.rows, fair.reason)
        yield "fairness", who, _MEASURES.get(fair.measure, fair.measure), seen, fair.bound


def _of(window: str, figure: Rated | None, outcome: Outcome, rows: int, reason: str, rest: float | None = None) -> Seen:
    if figure is None:
        return Seen(window, outcome, rows=rows, reason=reason, rest=rest)
    return Seen(window, outcome, figure.value, figure.low, figure.high, figure.before, rest, rows, reason)
