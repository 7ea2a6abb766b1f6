"""One part of a table: read, answered, logged and written, in whatever process the engine does it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Raw

from fairlead.adapters.batch_log import BatchLog
from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.sinks.parts import no_space, part_writer
from fairlead.adapters.sources.rows import Chunk
from fairlead.core.contract import Contract, Task
from fairlead.core.decode import labels
from fairlead.core.inference import label_text
from fairlead.core.record import Prediction
from fairlead.errors import ContractError, StateError
from fairlead.flows.score import BATCH, decided
from fairlead.flows.warm import LiveVersion, load
from fairlead.operations.scoring_chunk import Looked, column_of, kept, look
from fairlead.operations.scoring_values import PartDone, PartJob, Plan

if TYPE_CHECKING:
    import pyarrow as pa

REFUSED, FAILED, ANSWERED = 422, 500, 200
FIXED = ("request_id", "prediction", "status", "error")
_LOADING = Lock()


def probability_names(contract: Contract) -> tuple[str, ...]:
    """The columns of the class probabilities, in the classes' order; none of a value.

    >>> probability_names(Contract((), Task.BINARY, "canceled", ("0", "1")))
    ('probability_0', 'probability_1')
    """
    return tuple(f"probability_{name}" for name in contract.classes) if contract.task is not Task.REGRESSION else ()


def schema_of(contract: Contract, types: dict[str, Any]) -> pa.Schema:
    """The output's columns: fixed ones, and the kept ones by their Arrow types."""
    import pyarrow as pa

    known = labels(contract)
    value = pa.float64() if contract.task is Task.REGRESSION else pa.int64() if _whole(known) else pa.string()
    fields = [("request_id", pa.string()), ("prediction", value)]
    fields += [(name, pa.float64()) for name in probability_names(contract)]
    return pa.schema([*fields, ("status", pa.int16()), ("error", pa.string()), *types.items()])


def loaded(plan: Plan) -> LiveVersion:
    """The version, checked, loaded and rehearsed once a process."""
    told = plan.batch.told
    with _LOADING:
        return _loaded(told.version, told.digest, plan.bundles, plan.trust)


@lru_cache(maxsize=2)
def _loaded(version: int, digest: str, bundles: Path, trust: tuple[str, ...]) -> LiveVersion:
    return load(version, digest, BundleFolder(bundles, trust))


def score_part(job: PartJob, *, plan: Plan) -> PartDone:
    """Answers a part, and says so when all of it is on the disk.

    Raises what `sources.rows` and the sinks do, and `ContractError` at the first row without an answer where `strict`.
    """
    live = loaded(plan)
    schema = schema_of(live.manifest.contract, plan.kept)
    counts: Counter[str] = Counter()
    strange: Counter[str] = Counter()
    path = plan.parts / f"part-{job.place:06d}{plan.output.suffix}"
    first = job.first
    with part_writer(plan.output, path, schema) as writer, _log(plan, job) as log:
        for chunk in job.part.chunks(plan.columns):
            scored = _Chunk(live, plan, chunk, first)
            writer.write(scored.table(schema))
            if log is not None:
                log.predictions(scored.records())
            counts.update(scored.counts())
            strange.update(scored.looked.strange)
            first += chunk.rows
    return _noted(plan, PartDone(job.place, job.first, first - job.first, counts["refused"], counts["failed"], strange))


@contextmanager
def _log(plan: Plan, job: PartJob) -> Iterator[BatchLog | None]:
    if plan.log is None:
        yield None
        return
    with closing(BatchLog(plan.log, plan.batch.number + job.place)) as log:
        yield log


def _noted(plan: Plan, done: PartDone) -> PartDone:
    """Writes the part's note beside it: from here on it is not done again. Raises `StateError`."""
    target = plan.parts.with_name("done") / f"{done.place:06d}.json"
    fresh = target.with_suffix(".tmp")
    try:
        fresh.write_bytes(msgspec.json.encode(done))
        fresh.rename(target)
    except OSError as error:
        raise StateError(no_space(plan.output, error)) from error
    return done


class _Chunk:
    """A chunk's answers. `first` is its first row's place among the rows."""

    def __init__(self, live: LiveVersion, plan: Plan, chunk: Chunk, first: int) -> None:
        began = time.perf_counter()
        self._live, self._plan, self._chunk, self._first = live, plan, chunk, first
        self.looked: Looked = look(live, chunk, given=plan.log is not None)
        self._ids = self._texts(plan.asked.id, [f"{plan.batch.batch}-{first + at:09d}" for at in range(chunk.rows)])
        self._instants, unread = self._event_times()
        self._errors = dict(self.looked.refused) | unread
        self._failed = {self.looked.places[at]: said for at, said in self.looked.answered.failed.items()}
        self._errors |= self._failed
        if plan.asked.strict and self._errors:
            at = min(self._errors)
            where = f"{plan.asked.source}, row {first + at + 1}"
            raise ContractError(f"{where}: {self._errors[at]}; mend the row, or leave --strict out")
        self._milliseconds = (time.perf_counter() - began) * 1000.0 / max(chunk.rows, 1)

    def counts(self) -> dict[str, int]:
        return {"failed": len(self._failed), "refused": len(self._errors) - len(self._failed)}

    def table(self, schema: pa.Schema) -> pa.Table:
        """The output's rows."""
        import pyarrow as pa

        rows, contract = self._chunk.rows, self._live.manifest.contract
        places = np.array(self.looked.places, np.intp)
        answers = self.looked.answered.values
        values = np.full((rows, answers.shape[1] if answers.ndim == 2 else 1), np.nan)
        values[places] = answers
        bad = np.ones(rows, np.bool_)
        bad[places] = False
        bad[list(self._errors)] = True
        predicted, _ = decided(self._live, values)
        status = np.where(bad, REFUSED, ANSWERED).astype(np.int16)
        status[list(self._failed)] = FAILED
        said = [self._errors.get(at) for at in range(rows)] if self._errors else pa.nulls(rows, pa.string())
        columns = [self._ids, pa.array(predicted, schema.field("prediction").type, mask=bad)]
        columns += [pa.array(values[:, at], mask=bad) for at in range(len(probability_names(contract)))]
        columns += [status, said]
        columns += [kept(self._chunk, name, held) for name, held in self._plan.kept.items()]
        return pa.table(columns, schema=schema)

    def records(self) -> list[Prediction]:
        """The log's records: of the rows that the contract let through."""
        told, live = self._plan.batch.told, self._live
        answered = self.looked.answered
        predicted, scores = decided(live, answered.values)
        units = self._texts(self._plan.asked.unit, self._ids)
        classes = live.manifest.contract.task is not Task.REGRESSION
        encode = msgspec.json.Encoder().encode
        found = []
        rows = zip(self.looked.places, self.looked.given, predicted.tolist(), scores.tolist(), answered.values.tolist(),
                   strict=True)  # fmt: skip
        for place, given, prediction, score, values in rows:
            if place in self._errors and place not in self._failed:
                continue
            failed = self._failed.get(place)
            found.append(
                Prediction(
                    request_id=self._ids[place],
                    model_name=told.model,
                    model_version=told.version,
                    arm=BATCH,
                    unit_id=units[place],
                    propensity=1.0,
                    timestamp=self._instants[place],
                    received_at=self._plan.batch.began,
                    features=Raw(encode(given)),
                    prediction=None if failed else prediction,
                    score=None if failed else score,
                    latency_ms=self._milliseconds,
                    probabilities=tuple(values) if classes and not failed else None,
                    status=FAILED if failed else ANSWERED,
                    error=failed,
                    trace_id=self._plan.batch.batch,
                )
            )
        return found

    def _texts(self, name: str | None, otherwise: list[str]) -> list[str]:
        """A column as text, and what stands in for a cell that has none."""
        if name is None:
            return otherwise
        found = column_of(self._chunk, name)
        return [
            other if one is None or one == "" else label_text(one) for one, other in zip(found, otherwise, strict=True)
        ]

    def _event_times(self) -> tuple[list[float], dict[int, str]]:
        """Each row's event time, and the reasons of the rows whose cell is none."""
        name, began = self._plan.asked.timestamp, self._plan.batch.began
        if name is None:
            return [began] * self._chunk.rows, {}
        instants, unread = [], {}
        for at, value in enumerate(column_of(self._chunk, name)):
            found = began if value is None else instant_of(value)
            if found is None:
                unread[at] = f"{name}: {value!r} is not an instant: write 2026-01-31T12:00:00Z, or seconds since 1970"
            instants.append(began if found is None else found)
        return instants, unread


def instant_of(value: Any) -> float | None:
    """Seconds since 1970 of a date, a time stamp (UTC where it names no zone), ISO 8601 text or a number.

    >>> instant_of("1970-01-02"), instant_of(1.5), instant_of("2.5"), instant_of("soon")
    (86400.0, 1.5, 2.5, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if isfinite(value) else None
    text = value if isinstance(value, str) else value.isoformat() if hasattr(value, "isoformat") else ""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return _number(text)
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if isfinite(found) else None


def _whole(known: Sequence[int | str]) -> bool:
    return bool(known) and isinstance(known[0], int)
