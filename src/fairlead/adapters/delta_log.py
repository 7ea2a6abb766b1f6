"""The log as two Delta tables, `predictions` and `outcomes`, which DuckDB, polars and Spark read as they are.

Predictions are partitioned by model and by the day on which they were received, outcomes by that day. Not by event
time: a caller may send any, so one segment could touch a thousand partitions, old days would never be closed, and no
day could be thinned or dropped once and for all. The statistics in the table's log let an engine skip by event time.

A commit holds rows and, as the application transaction of each source, how far they reach: after a crash at any
instruction either both are there or neither. Files and the commit are synced to the disk before a call returns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from hashlib import blake2b
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.adapters.delta_disk import alone, local_folder, mend, shared, sync_commit
from fairlead.adapters.delta_rows import PARTITIONS, STATISTICS, schema, to_rows
from fairlead.adapters.segment_frame import OUTCOMES, PREDICTIONS
from fairlead.errors import MissingExtra, StateError
from fairlead.ports.log import Batch, Keeping, Tended

if TYPE_CHECKING:
    import pyarrow as pa

_APP = "fairlead/"
_THINNED = "fairlead-thinned/"
_DAY = 86_400.0
_ORPHAN_HOURS = 24  # a query of another engine that began this long ago has ended
_READERS = "readers.lock"
_READERS_SECONDS = 60.0
_KINDS = (OUTCOMES, PREDICTIONS)
Predicate = Callable[["pa.RecordBatch"], "pa.RecordBatch"]


def _delta() -> Any:
    try:
        import deltalake
    except ImportError as error:
        raise MissingExtra("deltalake", "delta", "moving the log into a table") from error
    return deltalake


class DeltaLog:
    """Both tables under one folder or URL. One process writes; the caller holds a lock."""

    def __init__(self, root: str, storage: dict[str, str] | None = None) -> None:
        """`root`: a folder, or a URL that deltalake knows; `storage`: its options. Raises `MissingExtra`."""
        self._root = root.rstrip("/")
        self._storage = dict(storage or {}) or None
        self._delta = _delta()

    def location(self, kind: str) -> str:
        """Where the table of one kind lies."""
        return f"{self._root}/{kind}"

    def open(self, kind: str) -> Any:
        """The table as it is now, None before the first commit. A commit that a power cut left half-written is moved
        aside: its rows are still in the segments. Raises `StateError`."""
        where = self.location(kind)
        with _told(f"the log's table {where} cannot be read"):
            mend(where)
            if not self._delta.DeltaTable.is_deltatable(where, storage_options=self._storage):
                return None
            return self._delta.DeltaTable(where, storage_options=self._storage)

    def reached(self, kind: str, table: Any = None) -> Callable[[str], int]:
        """How far each source stands in the table, by default as it is now. Raises `StateError`."""
        table = table or self.open(kind)
        return (lambda _: 0) if table is None else lambda source: table.transaction_version(_APP + source) or 0

    def append(self, batch: Batch) -> None:
        """Rows and reach in one commit, on the disk. Raises `StateError`."""
        reached = {_APP + source: place for source, place in batch.reached.items()}
        if reached:
            self._write(batch.kind, to_rows(batch), reached, mode="append")

    def batches(
        self, kind: str, where: Any = None, table: Any = None, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a table, by default as it is now, that a pyarrow expression keeps, in all columns unless some are
        named. Raises `StateError`."""
        table = table or self.open(kind)
        if table is None:
            return
        with _told(f"the log's table {self.location(kind)} cannot be read"):
            names = list(columns or schema(kind).names)
            yield from table.to_pyarrow_dataset().to_batches(filter=where, columns=names)

    def parts(self, kind: str, table: Any) -> list[Callable[[], Iterator[pa.RecordBatch]]]:
        """What opens each file of a table, to be read in this order and as often as need be. Raises `StateError`."""
        with _told(f"the log's table {self.location(kind)} cannot be read"):
            data = table.to_pyarrow_dataset()
            return [partial(self._part, kind, file, data.schema) for file in data.get_fragments()]

    def _part(self, kind: str, file: Any, shape: pa.Schema) -> Iterator[pa.RecordBatch]:
        with _told(f"the log's table {self.location(kind)} cannot be read"):
            yield from file.to_batches(schema=shape, columns=schema(kind).names)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While it is held no file is removed that a version of now names. Any number of readers may hold it."""
        with shared(self._lock_file()):
            yield

    def requests_of(self, unit: str) -> set[str]:
        """The request ids of a unit's predictions. Raises `StateError`."""
        import pyarrow.compute as pc

        found: set[str] = set()
        for rows in self.batches(PREDICTIONS, pc.field("unit_id") == unit):
            found.update(rows.column("request_id").to_pylist())
        return found

    def erase(self, unit: str, requests: Container[str]) -> tuple[int, int]:
        """Rewrites the days that hold the outcomes of requests, then those that hold a unit's predictions, and removes
        the old files. Done again after a crash it finishes. Raises `StateError`."""
        outcomes = self._rewrite_without(OUTCOMES, "request_id", requests)
        predictions = self._rewrite_without(PREDICTIONS, "unit_id", {unit})
        with alone(self._lock_file(), _READERS_SECONDS) as free:
            if not free:
                raise StateError("somebody reads the log's table from the start: call again when they have read it")
            for kind in _KINDS:
                self._vacuum(kind, 0)
        return predictions, outcomes

    def tend(self, keeping: Keeping, now: float) -> Tended:
        """Drops days older than the retention, thins those that are due, merges the small files of days that are over,
        and removes what no version names. Raises `StateError`."""
        dropped = sum(self._drop(kind, keeping, now) for kind in _KINDS)
        days, rows = self._thin(keeping, now)
        merged = sum(self._merge(kind, now) for kind in _KINDS)
        with alone(self._lock_file(), 0.0) as free:
            hours = 0 if free and (dropped or rows) else _ORPHAN_HOURS
            removed = sum(self._vacuum(kind, hours) for kind in _KINDS)
        return Tended(dropped, days, rows, merged, removed)

    def _lock_file(self) -> Path | None:
        """Beside a local table; none for a table elsewhere, whose versions its store keeps."""
        folder = local_folder(self._root)
        return None if folder is None or not folder.is_dir() else folder / _READERS

    def _write(self, kind: str, rows: Any, reached: dict[str, int], **how: Any) -> None:
        delta = self._delta
        where = self.location(kind)
        transactions = [delta.Transaction(source, place) for source, place in reached.items()]
        with _told(f"the log's table {where} cannot be written"):
            delta.write_deltalake(
                where,
                rows,
                partition_by=list(PARTITIONS[kind]),
                storage_options=self._storage,
                configuration={"delta.dataSkippingStatsColumns": STATISTICS[kind]},
                writer_properties=delta.WriterProperties(compression="ZSTD", compression_level=3),
                commit_properties=delta.CommitProperties(app_transactions=transactions),
                **how,
            )
            sync_commit(where)

    def _rewrite_without(self, kind: str, column: str, doomed: Container[str]) -> int:
        """Rewrites every partition that holds a doomed row; returns how many rows went."""
        found: Counter[tuple[str, ...]] = Counter()
        for rows in self.batches(kind):
            kept = _without(rows, column, doomed)
            if kept.num_rows < rows.num_rows:
                places = [[str(value) for value in rows.column(name).to_pylist()] for name in PARTITIONS[kind]]
                gone = [value in doomed for value in rows.column(column).to_pylist()]
                found.update(place for place, lost in zip(zip(*places, strict=True), gone, strict=True) if lost)
        for place in sorted(found):
            partition = dict(zip(PARTITIONS[kind], place, strict=True))
            self._rewrite(kind, partition, partial(_without, column=column, doomed=doomed), {})
        return found.total()

    def _rewrite(self, kind: str, partition: dict[str, str], kept: Predicate, reached: dict[str, int]) -> None:
        """One partition without some of its rows, in one commit."""
        import pyarrow as pa

        rows = pa.RecordBatchReader.from_batches(
            schema(kind), map(kept, _elsewhere(self.batches(kind, _expression(partition))))
        )
        predicate = " AND ".join(f"{name} = {_quoted(value)}" for name, value in partition.items())
        self._write(kind, rows, reached, mode="overwrite", predicate=predicate)

    def _drop(self, kind: str, keeping: Keeping, now: float) -> int:
        table = self.open(kind)
        if keeping.retention is None or table is None:
            return 0
        first = _day(now - keeping.retention)
        old = {str(partition["day"]) for partition in table.partitions() if str(partition["day"]) < str(first)}
        if old:
            with _told(f"old days of the log's table {self.location(kind)} cannot be dropped"):
                table.delete(f"day < '{first}'")
                sync_commit(self.location(kind))
        return len(old)

    def _thin(self, keeping: Keeping, now: float) -> tuple[int, int]:
        """Days that are due and were not thinned before: the days, and the rows that went. That a model's day was
        thinned is written with what is left of it."""
        table = self.open(PREDICTIONS)
        if keeping.rest >= 1.0 or table is None:
            return 0, 0
        until = _day(now - keeping.thin_after).toordinal()
        due = []
        for model, day in sorted((str(each["model_name"]), str(each["day"])) for each in table.partitions()):
            if (table.transaction_version(_THINNED + model) or 0) < date.fromisoformat(day).toordinal() < until:
                due.append((model, day))
        kept = partial(_thinned, rest=keeping.rest, known=self._known_outcomes() if due else set())
        rows = table.count() if due else 0
        for model, day in due:
            done = {_THINNED + model: date.fromisoformat(day).toordinal()}
            self._rewrite(PREDICTIONS, {"model_name": model, "day": day}, kept, done)
        return len(due), rows - self.open(PREDICTIONS).count() if due else 0

    def _known_outcomes(self) -> set[str]:
        known: set[str] = set()
        for rows in self.batches(OUTCOMES):
            known.update(rows.column("request_id").to_pylist())
        return known

    def _merge(self, kind: str, now: float) -> int:
        table = self.open(kind)
        if table is None:
            return 0
        with _told(f"the small files of the log's table {self.location(kind)} cannot be merged"):
            done = table.optimize.compact(partition_filters=[("day", "<", str(_day(now)))])
            if done["numFilesRemoved"]:
                sync_commit(self.location(kind))
        return int(done["numFilesRemoved"])

    def _vacuum(self, kind: str, hours: int) -> int:
        table = self.open(kind)
        if table is None:
            return 0
        with _told(f"old files of the log's table {self.location(kind)} cannot be removed"):
            options = {"dry_run": False, "enforce_retention_duration": False, "full": True}
            removed: list[str] = table.vacuum(hours, **options)
            return len(removed)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Whatever deltalake or the disk says becomes one line that says to what."""
    from deltalake.exceptions import DeltaError
    from pyarrow import ArrowException

    try:
        yield
    except (DeltaError, OSError, ArrowException) as error:
        said = " ".join(str(error).split())[:300]
        raise StateError(f"{what} ({said}): free space or check access; it is tried again") from error


def _elsewhere(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same, read by a thread of its own: deltalake cannot read in the thread in which it asks for rows to write."""
    with ThreadPoolExecutor(1, "log-rewrite") as pool:
        while (rows := pool.submit(next, batches, None).result()) is not None:
            yield rows


def _day(at: float) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)).date()


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _expression(partition: dict[str, str]) -> Any:
    import pyarrow.compute as pc

    where = pc.field("day") == date.fromisoformat(partition["day"])
    return where & (pc.field("model_name") == partition["model_name"]) if "model_name" in partition else where


def _without(rows: pa.RecordBatch, column: str, doomed: Container[str]) -> pa.RecordBatch:
    import pyarrow as pa

    return rows.filter(pa.array([value not in doomed for value in rows.column(column).to_pylist()], pa.bool_()))


def _thinned(rows: pa.RecordBatch, rest: float, known: Container[str]) -> pa.RecordBatch:
    """Failures, rows with an outcome, and a share of the rest, which remembers that share."""
    import pyarrow as pa

    ids, statuses = rows.column("request_id").to_pylist(), rows.column("status").to_pylist()
    sure = [status >= 400 or request in known for request, status in zip(ids, statuses, strict=True)]
    kept = [certain or is_sampled(request, rest) for certain, request in zip(sure, ids, strict=True)]
    before = rows.column("sampled").to_pylist()
    sampled = [share if certain else share * rest for certain, share in zip(sure, before, strict=True)]
    place = rows.schema.get_field_index("sampled")
    return rows.set_column(place, rows.schema.field(place), pa.array(sampled, pa.float64())).filter(
        pa.array(kept, pa.bool_())
    )


def is_sampled(request: str, share: float) -> bool:
    """Whether a request is in the sample: the same answer wherever and whenever it is asked.

    >>> [is_sampled("a", 0.0), is_sampled("a", 1.0)]
    [False, True]
    >>> 4_500 < sum(is_sampled(str(number), 0.5) for number in range(10_000)) < 5_500
    True
    """
    mark = int.from_bytes(blake2b(request.encode(errors="surrogatepass"), digest_size=8).digest(), "little")
    return mark < ceil(share * 2.0**64)
