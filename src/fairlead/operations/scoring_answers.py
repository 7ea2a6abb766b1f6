"""One chunk's answers, as rows of the output and as records of the log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Raw
from msgspec.structs import replace
from numpy.typing import NDArray

from fairlead.adapters.sources.rows import Chunk
from fairlead.core.contract import Contract, Task
from fairlead.core.decode import labels
from fairlead.core.fallback import note_of
from fairlead.core.inference import label_text
from fairlead.core.record import Prediction
from fairlead.errors import ContractError
from fairlead.flows.score import BATCH, decided
from fairlead.flows.warm import LiveVersion
from fairlead.operations.scoring_aside import Aside, Lost
from fairlead.operations.scoring_chunk import Breach, Looked, column_of, kept, look
from fairlead.operations.scoring_features import Find, Looking
from fairlead.operations.scoring_values import Plan

if TYPE_CHECKING:
    import pyarrow as pa

REFUSED, FAILED, ANSWERED = 422, 500, 200
FIXED = ("request_id", "prediction", "status", "error", "model_version", "arm", "fallback")


class Desk(NamedTuple):
    """What a part's chunks are answered with. `looking` and `find` where features are looked up for the version."""

    live: LiveVersion
    plan: Plan
    aside: Aside
    looking: Looking | None = None
    find: Find | None = None


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
    fields += [("status", pa.int16()), ("error", pa.string())]
    fields += [("model_version", pa.int32()), ("arm", pa.string()), ("fallback", pa.string())]
    return pa.schema([*fields, *types.items()])


class Answers:
    """A chunk's. `first` is its first row's place among the rows."""

    def __init__(self, desk: Desk, chunk: Chunk, first: int) -> None:
        """Raises `ContractError` at the first row without an answer where `strict`, and what a look-up does."""
        began = time.perf_counter()
        self._desk, self._plan, self._chunk = desk, desk.plan, chunk
        asked, batch = self._plan.asked, self._plan.batch
        self._ids = self._texts(asked.id, [f"{batch.batch}-{first + at:09d}" for at in range(chunk.rows)])
        self._units = self._texts(asked.unit, self._ids)
        self._instants, unread = self._event_times()
        self.looked: Looked = self._look()
        self._failed = {self.looked.places[at]: said for at, said in self.looked.answered.failed.items()}
        self._further = desk.aside.settle(list(self._lost(unread)), batch.began, batch.batch)
        self._stood = {place: own[-1] for place, own in self._further.items() if own[-1].status == ANSWERED}
        self._errors = self._unanswered(unread)
        if asked.strict and self._errors:
            at = min(self._errors)
            said = self._errors[at][1]
            raise ContractError(f"{asked.source}, row {first + at + 1}: {said}; mend the row, or leave --strict out")
        self._milliseconds = (time.perf_counter() - began) * 1000.0 / max(chunk.rows, 1)

    def counts(self) -> dict[str, int]:
        """Rows that were refused, failed, and were answered by another."""
        failed = sum(status == FAILED for status, _ in self._errors.values())
        return {"failed": failed, "refused": len(self._errors) - failed, "fell_back": len(self._stood)}

    # -- answering -------------------------------------------------------------------------------------------------

    def _look(self) -> Looked:
        desk = self._desk
        given = self._plan.log is not None or desk.aside.recovers
        self._columns: Sequence[str] | None = None
        if desk.looking is None or desk.find is None:
            if self._chunk.table is not None:
                self._columns = self._chunk.table.column_names
            return look(desk.live, self._chunk, given=given)
        units = self._texts(self._plan.asked.unit, [None] * self._chunk.rows)
        filled = desk.looking.fill(self._chunk, units, desk.find)
        if filled.chunk.table is not None:
            self._columns = filled.chunk.table.column_names
        return look(desk.live, filled.chunk, given=given).at(filled.places, filled.broke)

    def _lost(self, unread: Mapping[int, str]) -> Iterator[Lost]:
        """The rows that have no answer of their version's. Who may stand in for it reads what the row brought."""
        for place, one in sorted(self.looked.broke.items()):
            if one.given is not None and place not in unread:
                yield self._as_lost(place, one.given, one)
        if not self._desk.aside.recovers:
            return
        for at, said in self.looked.answered.failed.items():
            place, given = self.looked.places[at], self.looked.given[at]
            if place not in unread:
                yield self._as_lost(place, self._brought(given), said)

    def _as_lost(self, place: int, given: Mapping[str, Any], fault: Breach | str) -> Lost:
        return Lost(place, self._ids[place], self._units[place], self._instants[place], given, fault)

    def _brought(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Without the columns that are not there: absent is not null."""
        names = self._columns
        return given if names is None else {name: one for name, one in given.items() if name in names}

    def _unanswered(self, unread: Mapping[int, str]) -> dict[int, tuple[int, str]]:
        """The status and the reason of each row without an answer."""
        errors: dict[int, tuple[int, str]] = {}
        for place, said in self.looked.refused.items():
            last = self._further[place][-1] if place in self._further else None
            errors[place] = (REFUSED, said) if last is None else (last.status, str(last.error))
        errors |= {place: (REFUSED, said) for place, said in unread.items()}
        errors |= {place: (FAILED, said) for place, said in self._failed.items()}
        return {place: said for place, said in errors.items() if place not in self._stood}

    # -- the output ------------------------------------------------------------------------------------------------

    def table(self, schema: pa.Schema) -> pa.Table:
        """The output's rows."""
        import pyarrow as pa

        rows, contract = self._chunk.rows, self._desk.live.manifest.contract
        places = np.array(self.looked.places, np.intp)
        answers = self.looked.answered.values
        values = np.full((rows, answers.shape[1] if answers.ndim == 2 else 1), np.nan)
        values[places] = answers
        bad = np.ones(rows, np.bool_)
        bad[places] = False
        bad[list(self._errors)] = True
        predicted, _ = decided(self._desk.live, values)
        for place, record in self._stood.items():
            predicted[place], bad[place] = record.prediction, False
            values[place] = (record.prediction,) if contract.task is Task.REGRESSION else record.probabilities
        columns = [self._ids, pa.array(predicted, schema.field("prediction").type, mask=bad)]
        columns += [pa.array(values[:, at], mask=bad) for at in range(len(probability_names(contract)))]
        columns += [self._status(rows), *self._said(rows)]
        columns += [kept(self._chunk, name, held) for name, held in self._plan.kept.items()]
        return pa.table(columns, schema=schema)

    def _status(self, rows: int) -> NDArray[np.int16]:
        status = np.full(rows, ANSWERED, np.int16)
        for place, (code, _) in self._errors.items():
            status[place] = code
        return status

    def _said(self, rows: int) -> Iterator[Any]:
        """The reasons, and who answered: the columns `error`, `model_version`, `arm` and `fallback`."""
        import pyarrow as pa

        version = self._desk.live.version
        notes = {place: note_of(record) for place, record in self._stood.items()}
        said = {place: text for place, (_, text) in self._errors.items()}
        said |= {place: note.reason for place, note in notes.items() if note is not None}
        yield [said.get(at) for at in range(rows)] if said else pa.nulls(rows, pa.string())
        # Where a version has failed, who failed to stand in for it is no news.
        last = {place: own[-1] for place, own in self._further.items()
                if place in self._stood or place not in self._failed}  # fmt: skip
        if not last:
            yield np.full(rows, version, np.int32)
            yield pa.repeat(BATCH, rows)
            yield pa.nulls(rows, pa.string())
            return
        yield pa.array([last[at].model_version if at in last else version for at in range(rows)], pa.int32())
        yield pa.array([last[at].arm if at in last else BATCH for at in range(rows)], pa.string())
        to = {place: note.fallback.value for place, note in notes.items() if note is not None}
        yield pa.array([to.get(at) for at in range(rows)], pa.string())

    # -- the log ---------------------------------------------------------------------------------------------------

    def records(self) -> list[Prediction]:
        """The log's records, in the order of the rows: of those that the contract let through, and of those that
        somebody stood in for."""
        own = self._own()
        if not self._further:
            return own
        kept = [place for place in self.looked.places if place not in self._errors or place in self._failed]
        found = {place: [record] for place, record in zip(kept, own, strict=True)}
        for place, more in self._further.items():
            found.setdefault(place, []).extend(replace(one, latency_ms=self._milliseconds) for one in more)
        return [record for place in sorted(found) for record in found[place]]

    def _own(self) -> list[Prediction]:
        """What the version itself said."""
        batch, live, answered = self._plan.batch, self._desk.live, self.looked.answered
        predicted, scores = decided(live, answered.values)
        classes = live.manifest.contract.task is not Task.REGRESSION
        encode = msgspec.json.Encoder().encode
        told, began, trace_id, milliseconds = batch.told, batch.began, batch.batch, self._milliseconds
        ids, units, instants, errors, failures = self._ids, self._units, self._instants, self._errors, self._failed
        found: list[Prediction] = []
        rows = zip(self.looked.places, self.looked.given, predicted.tolist(), scores.tolist(), answered.values.tolist(),
                   strict=True)  # fmt: skip
        for place, given, prediction, score, values in rows:
            failed = failures.get(place)
            if failed is None and place in errors:
                continue
            record = Prediction(
                request_id=ids[place],
                model_name=told.model,
                model_version=told.version,
                arm=BATCH,
                unit_id=units[place],
                propensity=1.0,
                timestamp=instants[place],
                received_at=began,
                features=Raw(encode(given)),
                prediction=None if failed else prediction,
                score=None if failed else score,
                latency_ms=milliseconds,
                probabilities=tuple(values) if classes and not failed else None,
                status=FAILED if failed else ANSWERED,
                error=failed,
                trace_id=trace_id,
            )
            found.append(record)
        return found

    # -- what stands beside the features ---------------------------------------------------------------------------

    def _texts(self, name: str | None, otherwise: list[Any]) -> list[Any]:
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
