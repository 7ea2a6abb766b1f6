"""A log, its segments and its table in memory, and what every log and every table keeps."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

import msgspec
from msgspec import Raw

from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.errors import StateError
from fairlead.ports.log import Batch, Keeping, LogReader, LogState, LogTable, PredictionLog, Pruned, Tended

_SOURCE = "memory"
_DAY = 86_400.0


class MemoryLog:
    """A writer and its reader in one. `full` makes every write fail as a full disk does."""

    def __init__(self) -> None:
        """Starts empty."""
        self.kept_predictions: list[Prediction] = []
        self.kept_outcomes: list[OutcomeRecord] = []
        self.synced = 0
        self.full = False
        self._read = (0, 0)

    def predictions(self, records: Sequence[Prediction]) -> None:
        """Keeps predictions. Raises `StateError` when `full`."""
        self._check()
        self.kept_predictions += records

    def outcomes(self, records: Sequence[OutcomeRecord]) -> None:
        """Keeps outcomes. Raises `StateError` when `full`."""
        self._check()
        self.kept_outcomes += records

    async def durable(self) -> None:
        """Counts the call."""
        self.synced += 1

    def state(self) -> LogState:
        """Refused while `full`."""
        return LogState("the log in memory is full" if self.full else "", 0.0, self.full)

    def close(self) -> None:
        """Does nothing."""

    def poll(self, limit: int = 10_000) -> tuple[list[Prediction], list[OutcomeRecord]]:
        """What was added since the last call."""
        first, second = self._read
        predictions = self.kept_predictions[first : first + limit]
        outcomes = self.kept_outcomes[second : second + limit]
        self._read = (first + len(predictions), second + len(outcomes))
        return predictions, outcomes

    def _check(self) -> None:
        if self.full:
            raise StateError("the log in memory is full: set `full` to False")


def make_prediction(request_id: str, **changes: object) -> Prediction:
    """A plausible record, for tests."""
    plain = Prediction(
        request_id=request_id,
        model_name="hotel",
        model_version=1,
        arm="champion",
        unit_id=request_id,
        propensity=1.0,
        timestamp=1_700_000_000.0,
        received_at=1_700_000_000.0,
        features=Raw(b'{"lead_time":7}'),
        prediction=1,
        score=0.75,
        latency_ms=0.5,
        probabilities=(0.25, 0.75),
    )
    return msgspec.structs.replace(plain, **changes)


async def check_log(open_log: Callable[[], PredictionLog], open_reader: Callable[[], LogReader]) -> None:
    """What every log keeps: records come back once, in a writer's order, equal in every field, from each reader."""
    log, reader = open_log(), open_reader()
    assert reader.poll() == ([], []), "a new log is empty"
    first, second = make_prediction("a"), make_prediction("b", unit_id="ü", error="x", status=500, score=None)
    outcome = OutcomeRecord("later", 1, 1_700_000_001.0, 1_700_000_002.0)
    log.predictions([first, second])
    log.outcomes([outcome])
    await log.durable()
    predictions, outcomes = reader.poll()
    assert [_plain(record) for record in predictions] == [_plain(first), _plain(second)], "records come back unchanged"
    assert outcomes == [outcome], "an outcome is kept before its prediction is known"
    assert reader.poll() == ([], []), "a record is read once"
    log.predictions([make_prediction(str(index)) for index in range(5)])
    log.predictions([])
    assert log.state().refused == "", "a log that takes records says so"
    parts = [[record.request_id for record in reader.poll(2)[0]] for _ in range(3)]
    assert parts == [["0", "1"], ["2", "3"], ["4"]], "a limit splits, and loses nothing"
    log.close()


def _plain(record: Prediction) -> tuple[object, ...]:
    return tuple(bytes(v) if isinstance(v := getattr(record, n), Raw) else v for n in record.__struct_fields__)


class MemorySegments:
    """Segments of one source in memory: a place is a record's number. What was pruned or erased is None."""

    def __init__(self) -> None:
        """Starts empty."""
        self.kept: dict[str, list[Prediction | OutcomeRecord | None]] = {"predictions": [], "outcomes": []}

    def read(self, kind: str, reached: Callable[[str], int], limit: int) -> Batch:
        """What lies beyond what was reached."""
        since = reached(_SOURCE)
        held = list(enumerate(self.kept[kind]))[since : since + limit]
        taken = [(place, record) for place, record in held if record is not None]
        after = {_SOURCE: since + len(held)} if held else {}
        places, records = tuple(place for place, _ in taken), tuple(record for _, record in taken)
        return Batch(kind, (_SOURCE,) * len(taken), places, records, after)  # type: ignore[arg-type]

    def prune(self, kind: str, reached: Callable[[str], int], before: float) -> Pruned:
        """Removes what was reached and is older."""
        gone = 0
        for place, record in enumerate(self.kept[kind][: reached(_SOURCE)]):
            if record is not None and record.received_at < before:
                self.kept[kind][place], gone = None, gone + 1
        return Pruned(gone, gone)

    def erase(self, units: Container[str], requests: Container[str]) -> tuple[int, int]:
        """Removes the outcomes of requests, then the predictions of units."""
        outcomes = self._drop("outcomes", lambda record: record.request_id in requests)
        return self._drop("predictions", lambda record: _unit(record) in units), outcomes

    def expire(self, before: float) -> int:
        """Removes what was received before an instant."""
        return sum(self._drop(kind, lambda record: record.received_at < before) for kind in self.kept)

    def requests_of(self, unit: str) -> set[str]:
        """The request ids of a unit's predictions."""
        return {each.request_id for each in self.kept["predictions"] if _unit(each) == unit and each is not None}

    def _drop(self, kind: str, doomed: Callable[[Prediction | OutcomeRecord], bool]) -> int:
        held = self.kept[kind]
        places = [place for place, record in enumerate(held) if record is not None and doomed(record)]
        for place in places:
            held[place] = None
        return len(places)


class MemoryTable:
    """The log's table in memory. `full` makes every write fail as a full disk does."""

    def __init__(self) -> None:
        """Starts empty."""
        self.rows: dict[str, list[Prediction | OutcomeRecord]] = {"predictions": [], "outcomes": []}
        self.full = False
        self._reached: dict[tuple[str, str], int] = {}

    def reached(self, kind: str) -> Callable[[str], int]:
        """How far each source stands."""
        return lambda source: self._reached.get((kind, source), 0)

    def append(self, batch: Batch) -> None:
        """Takes a batch, whole. Raises `StateError` when `full`."""
        if self.full:
            raise StateError("the table in memory is full: set `full` to False")
        self.rows[batch.kind] += batch.records
        self._reached |= {(batch.kind, source): place for source, place in batch.reached.items()}

    def tend(self, keeping: Keeping, now: float) -> Tended:
        """Drops what is older than the retention; it thins and merges nothing."""
        if keeping.retention is None:
            return Tended()
        first = (now - keeping.retention) // _DAY * _DAY
        days = {record.received_at // _DAY for rows in self.rows.values() for record in rows}
        self.rows = {kind: [each for each in rows if each.received_at >= first] for kind, rows in self.rows.items()}
        return Tended(dropped_days=sum(day * _DAY < first for day in days))

    def requests_of(self, unit: str) -> set[str]:
        """The request ids of a unit's predictions."""
        return {each.request_id for each in self.rows["predictions"] if _unit(each) == unit}

    def erase(self, unit: str, requests: Container[str]) -> tuple[int, int]:
        """Removes the outcomes of requests, then a unit's predictions."""
        before = {kind: len(rows) for kind, rows in self.rows.items()}
        self.rows["outcomes"] = [each for each in self.rows["outcomes"] if each.request_id not in requests]
        kept = [each for each in self.rows["predictions"] if _unit(each) != unit]
        self.rows["predictions"] = kept
        return before["predictions"] - len(kept), before["outcomes"] - len(self.rows["outcomes"])


def _unit(record: Prediction | OutcomeRecord | None) -> str:
    return record.unit_id if isinstance(record, Prediction) else ""


def check_table(open_table: Callable[[], LogTable]) -> None:
    """What every table keeps: rows and reach come together and stay for the next who opens it; a subject is found,
    erased once, and no other with it; what is beyond the retention goes."""
    table = open_table()
    assert table.reached("predictions")("a") == 0, "a source that is not known stands at 0"
    records = (make_prediction("p1", unit_id="anna"), make_prediction("p2", unit_id="ben"))
    table.append(Batch("predictions", ("s", "s"), (8, 99), records, {"a": 7, "b": 9}))
    table.append(Batch("predictions", (), (), (), {"a": 8}))
    truths = (OutcomeRecord("p1", 1, 1.0, 1_700_000_000.0), OutcomeRecord("p2", 0, 1.0, 1_700_000_000.0))
    table.append(Batch("outcomes", ("s", "s"), (8, 99), truths, {"a": 3}))
    again = open_table()
    assert [again.reached("predictions")(source) for source in "abc"] == [8, 9, 0], "reach is kept"
    assert again.reached("outcomes")("a") == 3, "each kind has its own"
    assert again.requests_of("anna") == {"p1"}, "a subject's requests are found"
    assert again.erase("anna", {"p1"}) == (1, 1), "a subject is erased with its outcomes"
    assert (again.requests_of("anna"), again.requests_of("ben")) == (set(), {"p2"}), "and no other"
    assert again.erase("anna", {"p1"}) == (0, 0), "once"
    assert again.tend(Keeping(retention=86_400.0), 1_700_000_000.0).dropped_days == 0, "what is young stays"
    again.tend(Keeping(retention=86_400.0), 1_700_000_000.0 + 10 * 86_400.0)
    assert open_table().requests_of("ben") == set(), "what is old goes"
    assert open_table().reached("predictions")("a") == 8, "and is not taken again"
