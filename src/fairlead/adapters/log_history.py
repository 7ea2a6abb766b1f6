"""The whole log as one: the table as it is at the start, then what the segments hold beyond it.

Segments are listed before the table is opened, so what was removed by then is in the table; what the table holds of a
segment is not read from the segment again. A segment that is removed while it is being followed is read to its end in
the table. So no record is missed, and none comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.adapters.segment_frame import OUTCOMES, PREDICTIONS, parse_name
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.adapters.segment_store import SegmentStore, offset_in, source_of
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.ports.log import LogReader

if TYPE_CHECKING:
    from fairlead.adapters.delta_log import DeltaLog

_PAST_THE_END = 2**62


class HistoryReader:
    """Every record once, the table's first. A retry counts as one record, wherever its two attempts lie."""

    def __init__(self, folder: Path, table: DeltaLog) -> None:
        """`folder`: of the segments. Nothing is read before the first `poll`."""
        self._folder = folder
        self._table = table
        self._segments: SegmentReader | None = None
        self._seen: dict[str, int] = {}
        self._rows: Iterator[Prediction] = iter(())
        self._truths: Iterator[OutcomeRecord] = iter(())

    def poll(self, limit: int = 10_000) -> tuple[list[Prediction], list[OutcomeRecord]]:
        """What was added since the last call; full batches as long as the table has more. Raises `StateError`."""
        reader = self._segments or self._begin()
        self._segments = reader
        predictions = self._up_to(limit, reader)
        outcomes = _taken(self._truths, limit)
        if len(predictions) < limit and len(outcomes) < limit:
            more, later = reader.poll(limit)
            predictions += more
            outcomes += later
            self._follow_removed(reader)
        return predictions, outcomes

    def _begin(self) -> SegmentReader:
        store = SegmentStore(self._folder)
        names = {kind: store.names(kind) for kind in (PREDICTIONS, OUTCOMES)}
        positions: dict[str, int] = {}
        tables: dict[str, Any] = {}
        for kind, segments in names.items():
            tables[kind] = table = self._table.open(kind)
            reached = self._table.reached(kind, table)
            for name in segments:
                positions[f"{kind}/{name}"] = offset_in(name, reached(source_of(name)), _PAST_THE_END)
        self._rows = self._predictions(table=tables[PREDICTIONS]) if tables[PREDICTIONS] is not None else iter(())
        self._truths = self._outcomes(table=tables[OUTCOMES]) if tables[OUTCOMES] is not None else iter(())
        self._seen = positions
        return SegmentReader(self._folder, positions)

    def _up_to(self, limit: int, reader: SegmentReader) -> list[Prediction]:
        fresh: list[Prediction] = []
        while len(fresh) < limit and (rows := _taken(self._rows, limit - len(fresh))):
            fresh += reader.without_repeats(rows)
        return fresh

    def _follow_removed(self, reader: SegmentReader) -> None:
        """What was removed before it was read to its end is read on in the table."""
        now = reader.positions()
        for key in self._seen.keys() - now.keys():
            kind, _, file = key.partition("/")
            name = parse_name(file)
            if name is None or self._seen[key] >= _PAST_THE_END:
                continue
            if kind == PREDICTIONS:
                self._rows = chain(self._rows, self._predictions(_beyond(file, self._seen[key])))
            else:
                self._truths = chain(self._truths, self._outcomes(_beyond(file, self._seen[key])))
        self._seen = now

    def _predictions(self, where: Any = None, table: Any = None) -> Iterator[Prediction]:
        from fairlead.adapters.delta_rows import to_predictions

        for rows in self._table.batches(PREDICTIONS, where, table):
            yield from to_predictions(rows)

    def _outcomes(self, where: Any = None, table: Any = None) -> Iterator[OutcomeRecord]:
        from fairlead.adapters.delta_rows import to_outcomes

        for rows in self._table.batches(OUTCOMES, where, table):
            yield from to_outcomes(rows)


def open_history(folder: Path, location: str, storage: dict[str, str]) -> LogReader:
    """The reader of a home's log: of its segments alone as long as there is no table. Raises `MissingExtra` where
    there is one and deltalake is not installed, because a part of the log would be silently missing."""
    if "://" not in location and not Path(location).is_dir():
        return SegmentReader(folder)
    from fairlead.adapters.delta_log import DeltaLog

    return HistoryReader(folder, DeltaLog(location, storage))


def _taken(records: Iterator[Any], limit: int) -> list[Any]:
    return [record for _, record in zip(range(limit), records, strict=False)]


def _beyond(segment: str, offset: int) -> Any:
    import pyarrow.compute as pc

    return (pc.field("segment") == segment) & (pc.field("position") >= offset)
