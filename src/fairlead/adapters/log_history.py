"""The whole log as one: the table as it is at the start, then what the segments hold beyond it.

Segments are listed before the table is opened, so what was removed by then is in the table; what the table holds of a
segment is not read from the segment again. A segment that is removed while it is being followed is read to its end in
the table. So no record is missed, and none comes twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from fairlead.adapters.segment_frame import OUTCOMES, PREDICTIONS
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.adapters.segment_store import SegmentStore, offset_in, source_of
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.errors import StateError
from fairlead.ports.log import LogReader

if TYPE_CHECKING:
    import pyarrow as pa

    from fairlead.adapters.delta_log import DeltaLog

T = TypeVar("T")
Part = Callable[[], "Iterator[pa.RecordBatch]"]  # opens one file's rows
_PAST_THE_END = 2**62


class _Rows(Generic[T]):
    """Rows of a table as records. A reading that fails goes on later where it was: no record is lost or told twice."""

    def __init__(self, convert: Callable[[pa.RecordBatch], Iterator[T]]) -> None:
        self._convert = convert
        self._parts: deque[Part] = deque()
        self._open: Iterator[pa.RecordBatch] | None = None
        self._done = 0  # batches of the first part
        self._ready: deque[T] = deque()

    def add(self, parts: Iterable[Part]) -> None:
        self._parts.extend(parts)

    @property
    def reading(self) -> bool:
        """Whether some part has not been read to its end."""
        return bool(self._parts)

    def fill(self, limit: int) -> bool:
        """Reads until so many are ready, and says whether they are. Raises `StateError`; nothing is lost then."""
        while len(self._ready) < limit and self._parts:
            batch = self._next()
            if batch is not None:
                self._ready.extend(self._convert(batch))
                self._done += 1
                continue
            self._parts.popleft()
            self._open, self._done = None, 0
        return len(self._ready) >= limit

    def take(self, limit: int) -> list[T]:
        return [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]

    def _next(self) -> pa.RecordBatch | None:
        try:
            if self._open is None:
                self._open = islice(self._parts[0](), self._done, None)
            return next(self._open, None)
        except StateError:
            self._open = None
            raise


class HistoryReader:
    """Every record once, the table's first. A retry counts as one record, wherever its two attempts lie.

    As long as it reads the table it holds the readers' lock, so that no file is removed under it.
    """

    def __init__(self, folder: Path, table: DeltaLog) -> None:
        """`folder`: of the segments. Nothing is read before the first `poll`."""
        self._folder = folder
        self._table = table
        self._segments: SegmentReader | None = None
        self._seen: dict[str, int] = {}
        self._fresh: list[Prediction] = []  # read, and not given yet
        self._rows: _Rows[Prediction] = _Rows(_predictions)
        self._truths: _Rows[OutcomeRecord] = _Rows(_outcomes)
        self._lock = ExitStack()

    def poll(self, limit: int = 10_000) -> tuple[list[Prediction], list[OutcomeRecord]]:
        """What was added since the last call; full batches as long as the table has more. Raises `StateError`, and
        goes on at the next call where it was."""
        reader = self._segments or self._begin()
        self._segments = reader
        while len(self._fresh) < limit:
            full = self._rows.fill(limit - len(self._fresh))
            self._fresh += reader.without_repeats(self._rows.take(limit - len(self._fresh)))
            if not full:
                break
        truths_full = self._truths.fill(limit)
        if not self._rows.reading and not self._truths.reading:
            self._lock.close()
        more: list[Prediction] = []
        later: list[OutcomeRecord] = []
        if len(self._fresh) < limit and not truths_full:
            more, later = reader.poll(limit)
            self._follow_removed(reader)
        first, self._fresh = self._fresh, []
        return first + more, self._truths.take(limit) + later

    def _begin(self) -> SegmentReader:
        store = SegmentStore(self._folder)
        names = {kind: store.names(kind) for kind in (PREDICTIONS, OUTCOMES)}
        positions: dict[str, int] = {}
        parts: dict[str, list[Part]] = {}
        with ExitStack() as until_open:
            until_open.enter_context(self._table.reading())
            for kind, segments in names.items():
                table = self._table.open(kind)
                reached = self._table.reached(kind, table)
                parts[kind] = [] if table is None else self._table.parts(kind, table)
                for name in segments:
                    positions[f"{kind}/{name}"] = offset_in(name, reached(source_of(name)), _PAST_THE_END)
            self._lock = until_open.pop_all()
        self._rows.add(parts[PREDICTIONS])
        self._truths.add(parts[OUTCOMES])
        self._seen = positions
        return SegmentReader(self._folder, positions)

    def _follow_removed(self, reader: SegmentReader) -> None:
        """What was removed before it was read to its end is read on in the table."""
        now = reader.positions()
        for key in self._seen.keys() - now.keys():
            kind, _, file = key.partition("/")
            if self._seen[key] < _PAST_THE_END:
                part = partial(self._beyond, kind, file, self._seen[key])
                (self._rows if kind == PREDICTIONS else self._truths).add([part])
        self._seen = now

    def _beyond(self, kind: str, segment: str, offset: int) -> Iterator[pa.RecordBatch]:
        import pyarrow.compute as pc

        return self._table.batches(kind, (pc.field("segment") == segment) & (pc.field("position") >= offset))


def _predictions(rows: pa.RecordBatch) -> Iterator[Prediction]:
    from fairlead.adapters.delta_rows import to_predictions

    return to_predictions(rows)


def _outcomes(rows: pa.RecordBatch) -> Iterator[OutcomeRecord]:
    from fairlead.adapters.delta_rows import to_outcomes

    return to_outcomes(rows)


def open_history(folder: Path, location: str, storage: dict[str, str]) -> LogReader:
    """The reader of a home's log: of its segments alone as long as there is no table. Raises `MissingExtra` where
    there is one and deltalake is not installed, because a part of the log would be silently missing."""
    if "://" not in location and not Path(location).is_dir():
        return SegmentReader(folder)
    from fairlead.adapters.delta_log import DeltaLog

    return HistoryReader(folder, DeltaLog(location, storage))
