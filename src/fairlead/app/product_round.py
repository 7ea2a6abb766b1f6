"""The controller's upper rungs: every model's answers and events, window by window, against what is usual."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from fairlead.adapters.fact_log import SegmentFactReader
from fairlead.core.alert import Alarm
from fairlead.core.impact import alarm_of_impact
from fairlead.core.record import Prediction
from fairlead.errors import StateError
from fairlead.flows.product import Product
from fairlead.flows.refusals import Asked
from fairlead.flows.telling import Telling
from fairlead.operations.context import Context

_EVENTS = 10_000  # of one reading
_LOG = logging.getLogger("fairlead.product")


class ProductRound:
    """One `Product` a model that answers. Reads the events itself, at its own place in the log."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._events = SegmentFactReader(context.home / "log")
        self._telling = Telling(_LOG)
        self._rungs: dict[str, Product] = {}
        self._told: set[str] = set()
        self._behind = True  # whether the log may hold events that were not read

    def observe(self, predictions: Sequence[Prediction]) -> None:
        """Takes answers in."""
        parted: dict[str, list[Prediction]] = {}
        for one in predictions:
            parted.setdefault(one.model_name, []).append(one)
        for name, mine in parted.items():
            self._of(name).observe(mine)

    def read(self) -> None:
        """Takes in the events that came since; a disk that refuses is told of once, and tried again."""
        try:
            events = self._events.poll(_EVENTS)
        except StateError as error:
            self._telling.wrong("the events", error.line)
            return
        self._telling.right("the events")
        self._behind = len(events) > _EVENTS // 2
        for name in {one.model_name for one in events}:
            self._of(name).observe_events(events)

    def observe_refusals(self, one: Asked, event_now: float) -> None:
        """Takes in what workers counted of a model's requests lately."""
        self._of(one.model).observe_refusals(event_now, one)

    def judge(self, name: str, event_now: float) -> tuple[Alarm, ...]:
        """Judges a model's closed windows, once all that was logged of them has been read. Returns what they ask to be
        told; after a start also what the newest one did, should nobody have heard of it."""
        if self._behind:
            return ()
        rung = self._of(name)
        before = () if name in self._told or rung.last is None else (rung.last,)
        found = (*before, *rung.judge(event_now))
        self._told.add(name)
        return tuple(alarm_of_impact(report) for report in found)

    def _of(self, name: str) -> Product:
        found = self._rungs.get(name)
        if found is None:
            monitoring = self._context.settings.monitoring
            found = self._rungs[name] = Product(
                name, self._context.journal, self._context.clock, monitoring.plan, float(monitoring.alpha)
            )
        return found
