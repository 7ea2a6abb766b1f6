"""Everything at a glance: a reading of the journal, the workers and the route table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from threading import Lock

from msgspec.structs import replace

from fairlead.core.event import Entry
from fairlead.core.route import RouteTable
from fairlead.operations.overview_fold import OverviewFold
from fairlead.operations.overview_ladder import format_metric
from fairlead.operations.overview_notes import percent
from fairlead.operations.overview_values import (
    AlertView,
    DriftView,
    EvidencePoint,
    GuardrailView,
    Heat,
    HeatRow,
    IncidentView,
    Mark,
    ModelView,
    Note,
    Overview,
    PerformanceView,
    RolloutView,
    Rung,
    UnseenView,
    VersionView,
    WindowView,
    WorkerView,
)
from fairlead.ports import Clock, Journal, RouteBoard, WorkerState

__all__ = [
    "AlertView",
    "DriftView",
    "EvidencePoint",
    "GuardrailView",
    "Heat",
    "HeatRow",
    "IncidentView",
    "LiveOverview",
    "Mark",
    "ModelView",
    "Note",
    "Overview",
    "OverviewFold",
    "PerformanceView",
    "RolloutView",
    "Rung",
    "UnseenView",
    "VersionView",
    "WindowView",
    "WorkerView",
    "format_metric",
    "overview",
    "percent",
]


def overview(entries: Iterable[Entry], workers: tuple[WorkerState, ...], table: RouteTable, now: float) -> Overview:
    """The overview of a whole journal. `now` is in seconds since 1970, UTC."""
    fold = OverviewFold()
    fold.add(entries)
    return fold.view(workers, table, now)


class LiveOverview:
    """The overview of a running system. Each reading takes in only what the journal added. Thread-safe."""

    def __init__(
        self,
        journal: Journal,
        board: RouteBoard,
        clock: Clock,
        unseen: Callable[[RouteTable, float], tuple[UnseenView, ...]] = lambda _, __: (),
    ) -> None:
        """`unseen` tells how the shadows of a table are doing at an instant."""
        self._unseen = unseen
        self._journal = journal
        self._board = board
        self._clock = clock
        self._fold = OverviewFold()
        self._lock = Lock()

    def read(self) -> Overview:
        """The overview as of now."""
        with self._lock:
            self._fold.add(self._journal.read(self._fold.seq))
            table, now = self._board.current(), self._clock.now()
            return replace(self._fold.view(self._board.workers(), table, now), unseen=self._unseen(table, now))

    def entries(self, after: int = 0, limit: int = 500) -> list[Entry]:
        """At most `limit` journal entries after a sequence number, oldest first."""
        with self._lock:
            return list(islice(self._journal.read(after), limit))
