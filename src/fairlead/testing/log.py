"""A log in memory, and what every log keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw

from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.errors import StateError
from fairlead.ports.log import LogReader, PredictionLog


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
    parts = [[record.request_id for record in reader.poll(2)[0]] for _ in range(3)]
    assert parts == [["0", "1"], ["2", "3"], ["4"]], "a limit splits, and loses nothing"
    log.close()


def _plain(record: Prediction) -> tuple[object, ...]:
    return tuple(bytes(v) if isinstance(v := getattr(record, n), Raw) else v for n in record.__struct_fields__)
