"""When a past would have asked for a challenger, and what would have kept it from that.

Each judged window is decided as live (`core.retrain`), and so are schedules. A run is taken to come back at once with
nothing: what a challenger would have changed in the windows after it, no past can show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from msgspec import Raw, Struct

from fairlead.core.backtest import RETRAINING, Signal, Told, place_of
from fairlead.core.event import AnyFact, Entry, RetrainDecided, RetrainFinished, VersionRegistered
from fairlead.core.report import fact_of
from fairlead.core.retrain import (
    RetrainPolicy,
    against,
    against_schedule,
    decide,
    decide_by_schedule,
    labels_since,
    usual_triggers,
)
from fairlead.core.retrain_now import name_of
from fairlead.core.triggers import Growth, Trigger, looked
from fairlead.flows.backtest import Look, Past
from fairlead.flows.respond import bare_report

ASKED = "retraining"
USUAL = "harm, or drift that foretells it"
_SHOWN = 5
_BROKEN = "retraining would learn the fault"  # of columns that are broken


class _Run(Struct, frozen=True):
    """A decision for which there was a trigger."""

    window: int
    at: float
    triggered: bool
    objections: tuple[str, ...] = ()


def told_by_triggers(
    whose: tuple[str, int], past: Past, policy: RetrainPolicy, trained_rows: int | None = None, *, trains: bool = True
) -> tuple[Told, ...]:
    """What would have been asked for, then each trigger by itself: the windows that met it. `whose` are the model's
    name and the version's number, `trained_rows` how many rows it was trained on. `trains` is false where nothing is
    set to train."""
    if not past.looks:
        return ()
    led = _Led(whose, past, policy, trained_rows)
    signals = tuple(Signal(one.window, one.at, True, one.triggered) for one in led.runs)
    note = _note(led.runs) + ("" if trains else "; nothing is set to train: retraining.command, or a trainer")
    together = Told(ASKED, "its notices are the runs that would have been asked for", RETRAINING, signals, note=note)
    return (together, *(Told(name, "", RETRAINING, tuple(found)) for name, found in led.signals.items()))


class _Led:
    """The decisions, led through a past."""

    def __init__(self, whose: tuple[str, int], past: Past, policy: RetrainPolicy, trained_rows: int | None) -> None:
        self._model, version = whose
        self._past, self._policy, self._trained = past, policy, trained_rows
        self._facts: list[Entry] = []
        self._add(VersionRegistered(self._model, version, "", ""), past.windows[0].starts_at)
        self._by_window = [one for one in policy.triggers if one.schedule is None]
        self._scheduled = [one for one in policy.triggers if one.schedule is not None]
        self._counts = any(one.volume is not None for one in policy.triggers)
        names = [name_of(one) for one in policy.triggers] or [USUAL]
        self.signals: dict[str, list[Signal]] = {name: [] for name in names}
        self.runs: list[_Run] = []
        before = past.windows[0].starts_at
        for look in past.looks:
            for at in self._due(before, look.at):
                self._on_schedule(at)
            self._on_window(look)
            self._on_schedule(look.at)
            before = look.at

    def _add(self, fact: AnyFact, at: float) -> None:
        self._facts.append(Entry(len(self._facts) + 1, at, "", fact, "", ""))

    # -- windows ---------------------------------------------------------------------------------------------------

    def _on_window(self, look: Look) -> None:
        report = look.report
        self._add(fact_of(bare_report(report)), look.at)
        if not self._ask(look):
            return
        decided = decide(self._policy, self._facts, report, look.at, self._trained)
        if decided.run in {one.run for one in self._triggered}:
            return  # the window has asked for its run already
        objections = () if decided.triggered else tuple(against(self._policy, self._facts, report, look.at))
        self._decided(decided, _Run(look.window, look.at, decided.triggered, objections))

    def _ask(self, look: Look) -> bool:
        """Whether any trigger that looks at windows is met; what each says is noted."""
        report = look.report
        if not self._policy.triggers:
            met = bool(usual_triggers(self._policy, report))
            self.signals[USUAL].append(Signal(look.window, look.at, met))
            return met
        growth = Growth(labels_since(self._facts, report) if self._counts else 0, self._trained)
        found = [looked(one, report, growth)[0] for one in self._by_window]
        for one, met in zip(self._by_window, found, strict=True):
            self.signals[name_of(one)].append(Signal(look.window, look.at, met))
        return any(found)

    @property
    def _triggered(self) -> Iterator[RetrainDecided]:
        for entry in self._facts:
            if isinstance(entry.fact, RetrainDecided) and entry.fact.triggered:
                yield entry.fact

    def _decided(self, fact: RetrainDecided, run: _Run) -> None:
        self.runs.append(run)
        self._add(fact, run.at)
        if fact.triggered:
            self._add(RetrainFinished(self._model, fact.run, None, False, "", Raw(b"null")), run.at)

    # -- schedules -------------------------------------------------------------------------------------------------

    def _due(self, after: float, until: float) -> list[float]:
        """The instants of the schedules in a span, in order."""
        found: set[float] = set()
        for one in self._scheduled:
            at = _last(one, until)
            while at is not None and at > after:
                found.add(at)
                at = _last(one, at - 1.0)
        return sorted(found)

    def _on_schedule(self, at: float) -> None:
        decided = decide_by_schedule(self._policy, self._facts, self._model, at) if self._scheduled else None
        if decided is None:
            return
        place = place_of(at, self._past.windows)
        for one in self._scheduled:
            if name_of(one) in decided.reason:  # of two that are due at once, the one that is told
                self.signals[name_of(one)].append(Signal(place, at, True))
        objections = () if decided.triggered else tuple(against_schedule(self._policy, self._facts, self._model, at))
        self._decided(decided, _Run(place, at, decided.triggered, objections))


def _last(trigger: Trigger, at: float) -> float | None:
    return None if trigger.schedule is None else trigger.schedule.last(at)


def _note(runs: Sequence[_Run]) -> str:
    """When a run would have been asked for, and what kept others back, how often.

    >>> _note([_Run(0, 0.0, True), _Run(1, 86_400.0, False, ("not enough matured labels (10 of 1,000)",))])
    'asked for at 1970-01-01 00:00; held back once: not enough matured labels'
    """
    asked = [f"{datetime.fromtimestamp(one.at, UTC):%Y-%m-%d %H:%M}" for one in runs if one.triggered]
    more = f" and {len(asked) - _SHOWN} more" if len(asked) > _SHOWN else ""
    said = f"asked for at {', '.join(asked[:_SHOWN])}{more}" if asked else "never asked for"
    held = [one for one in runs if one.objections]
    if not held:
        return said
    why = Counter(_BROKEN if _BROKEN in text else text.partition(" (")[0] for one in held for text in one.objections)
    times = "once" if len(held) == 1 else f"{len(held)} times"
    many = ", ".join(text if count == len(held) else f"{text} ({count})" for text, count in why.most_common(_SHOWN))
    return f"{said}; held back {times}: {many}"
