"""Tables of logged answers, read for a backtest: which column holds what, which task it is, and the rows of a part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from fairlead.adapters.compiled import scratch
from fairlead.adapters.engines.local import LocalEngine
from fairlead.adapters.sources.opening import open_source
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.inference import label_text
from fairlead.core.listing import first_of
from fairlead.core.window import WindowPlan
from fairlead.errors import TableError, UsageError
from fairlead.flows.backtest_rows import Rows, Tally, tallied
from fairlead.flows.watching.reference import Reference
from fairlead.operations.passes import Job, split
from fairlead.ports.engine import INSTANT, NULL, TEXT, Part, Source
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.performance import Floats

MOST_CLASSES = 20
SINGLE_ROWS = 4_000_000  # rows of the whole past that are kept one by one


class Asked(Struct, frozen=True):
    """Which columns hold what. `delay_seconds` is how long a label takes where no column says when it came."""

    timestamp: str
    target: str | None = None
    prediction: str | None = None
    score: str | None = None
    observed_at: str | None = None
    delay_seconds: float = 0.0
    threshold: float = 0.5
    columns: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """The columns that are no features."""
        given = (self.timestamp, self.target, self.prediction, self.score, self.observed_at)
        return tuple(name for name in given if name is not None)


class Reader(Struct, frozen=True, eq=False):
    """Reads parts as rows of one contract. Rows before `since` and from `until` on are left out."""

    asked: Asked
    contract: Contract
    since: float = -inf
    until: float = inf

    def rows(self, part: Part) -> Rows:
        """A part's rows: none, where the span has none of them. Raises `TableError`."""
        asked, task = self.asked, self.contract.task
        at = _instants(read_columns(part, [asked.timestamp])[asked.timestamp])
        at = np.where((at >= self.since) & (at < self.until), at, nan)
        wanted = [name for name in dict.fromkeys([*asked.roles, *self.contract.names]) if name != asked.timestamp]
        if np.isnan(at).all():
            return _nothing(self.contract)
        found = read_columns(part, wanted)
        score = _probabilities(found[asked.score], asked.score) if asked.score else np.full(at.size, nan)
        if asked.prediction is not None:
            decided = class_numbers(found[asked.prediction], self.contract)
        else:
            decided = np.where(np.isnan(score), nan, (score >= asked.threshold).astype(np.float64))
        if task is Task.REGRESSION:
            score = decided
        truth = class_numbers(found[asked.target], self.contract) if asked.target else np.full(at.size, nan)
        seen = _instants(found[asked.observed_at]) if asked.observed_at else at + asked.delay_seconds
        seen = np.where(np.isnan(truth) | np.isnan(seen), inf, seen)
        return Rows(at, {name: found[name] for name in self.contract.names}, score, decided, truth, seen)


def opened(data: Any, role: str) -> Source:
    """A source whose parts can be read more than once. Raises `TableError`."""
    source = open_source(data, role)
    if source.rows is None:
        raise TableError(f"the {role} is a stream, which is read once only: write it to a file")
    if not source.rows:
        raise TableError(f"the {role} has no rows: a backtest needs some")
    return source


def check_columns(source: Source, asked: Asked) -> None:
    """Refuses a question that the columns cannot answer."""
    known = [*source.kinds, *source.unreadable]
    for name in (*asked.roles, *asked.columns):
        if name not in source.kinds:
            why = source.unreadable.get(name)
            raise TableError(
                f"column {name!r} {why}, not one value a row"
                if why
                else f"there is no column {name!r}: the table has {first_of(known)}"
            )
    if source.kinds[asked.timestamp] == TEXT:
        raise TableError(f"column {asked.timestamp!r} holds text: parse it into timestamps, or seconds since 1970")
    if asked.score is not None and source.kinds[asked.score] == TEXT:
        raise TableError(f"column {asked.score!r} holds text: a score is a number")
    if asked.target is not None and asked.prediction is None and asked.score is None:
        raise UsageError("name what was predicted: a prediction, or a score")


def check_groups(contract: Contract, *named: Sequence[str]) -> None:
    """Refuses groups of what is no feature."""
    for name in (name for names in named for name in names):
        if name not in contract.names:
            raise UsageError(f"{name!r} makes no groups, as it is no feature: there is {first_of(contract.names)}")


def _probabilities(column: Column, name: str) -> Floats:
    score = _numbers(column)
    outside = score[(score < 0.0) | (score > 1.0)]
    if outside.size:
        raise TableError(f"column {name!r} holds {outside[0]:g}: a score is a probability, from 0 to 1")
    return score


def features_of(source: Source, asked: Asked) -> tuple[str, ...]:
    """The columns named, or all that are neither a role nor an instant."""
    if asked.columns:
        return tuple(name for name in dict.fromkeys(asked.columns) if name not in asked.roles)
    return tuple(name for name, kind in source.kinds.items() if name not in asked.roles and kind not in (INSTANT, NULL))


def contract_of(source: Source, asked: Asked) -> Contract:
    """What the table says of the model: its features, its task, its classes. Classes are of the whole table."""
    kinds = source.kinds
    features = tuple(
        Feature(name, Kind.CATEGORY if kinds[name] == TEXT else Kind.NUMBER, nullable=True)
        for name in features_of(source, asked)
    )
    if not features:
        raise TableError(f"no feature is left beside {', '.join(asked.roles)}: there is nothing to watch")
    target = asked.target or ""
    labels = _labels(source, asked)
    if labels is None and asked.prediction is None:
        raise UsageError(f"{target!r} holds values, not classes: name what was predicted, --prediction")
    if labels is None:
        return Contract(features, Task.REGRESSION, target)
    if asked.score is not None and len(labels) == 2:
        return Contract(features, Task.BINARY, target, labels)
    if asked.prediction is None:
        raise UsageError(f"{target!r} holds {len(labels)} classes: name the column of decisions, --prediction")
    return Contract(features, Task.MULTICLASS, target, labels)


def tallies_of(
    source: Source, reader: Reader, reference: Reference, plan: WindowPlan, workers: int | None = None
) -> list[Tally]:
    """Every window of a source, counted in threads; in order of time."""
    step = max(1, (source.rows or 0) // SINGLE_ROWS)
    found: dict[float, Tally] = {}
    work = partial(_count, reader=reader, reference=reference, plan=plan, step=step)
    for one in LocalEngine(workers).map(work, split(source)):
        for tally in one:
            known = found.get(tally.window.starts_at)
            found[tally.window.starts_at] = tally if known is None else known + tally
    return [found[at] for at in sorted(found)]


def all_rows(source: Source, reader: Reader, step: int = 1) -> Rows:
    """Every `step`-th dated row of a source, in memory."""
    found = [_dated(reader.rows(part), step) for part in source.parts()]
    return joined([one for one in found if one.size] or found[:1])


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows one after the other."""
    first = parts[0]
    features = {name: _joined([one.features[name] for one in parts]) for name in first.features}
    at, score, decided, truth, seen = (
        np.concatenate([getattr(one, name) for one in parts])
        for name in ("at", "score", "decided", "truth", "observed_at")
    )
    return Rows(at, features, score, decided, truth, seen)


def read_columns(part: Part, names: Sequence[str]) -> dict[str, Column]:
    """Whole columns of a part, whatever slabs it gives them in."""
    found: dict[str, list[Column]] = {name: [] for name in names}
    for column in part.read(list(names)):
        found[column.name].append(column)
    return {name: _joined(columns) for name, columns in found.items()}


def class_numbers(column: Column, contract: Contract) -> Floats:
    """Labels or decisions as the metrics take them: numbers of classes, or values; nan for what is neither."""
    if contract.task is Task.REGRESSION:
        values = _numbers(column)
        return np.where(np.isfinite(values), values, nan)
    place = {name: float(number) for number, name in enumerate(contract.classes)}
    if isinstance(column, CategoricalColumn):
        mapped = np.array([*(place.get(name, nan) for name in column.categories), nan])
        return np.asarray(mapped[column.codes], np.float64)
    found = np.full(column.rows, nan)
    for name, number in place.items():
        try:
            value = float(name)
        except ValueError:
            continue
        found[column.values == value] = number
    return found


def is_file(text: str) -> bool:
    """Whether a name is that of data: something that is there, or that only data are called."""
    return Path(text).exists() or Path(text).suffix.lower() in (".parquet", ".pq", ".csv", ".jsonl", ".ndjson")


def _count(job: Job, *, reader: Reader, reference: Reference, plan: WindowPlan, step: int) -> list[Tally]:
    room = scratch()
    return [tally for part in job.parts for tally in tallied(reader.rows(part), reference, plan, step, room)]


def _dated(rows: Rows, step: int) -> Rows:
    return rows.take(np.flatnonzero(np.isfinite(rows.at))[::step])


def _nothing(contract: Contract) -> Rows:
    none = np.empty(0)
    columns: dict[str, Column] = {
        one.name: CategoricalColumn(one.name, np.empty(0, np.int32), ())
        if one.kind is Kind.CATEGORY
        else NumericColumn(one.name, none)
        for one in contract.features
    }
    return Rows(none, columns, none, none, none, none)


def _labels(source: Source, asked: Asked) -> tuple[str, ...] | None:
    """The classes of the target, in order; None where it holds values."""
    if asked.target is None:
        return ("0", "1") if asked.score is not None and asked.prediction is None else None
    names: set[str] = set()
    numbers: set[float] = set()
    for part in source.parts():
        column = read_columns(part, [asked.target])[asked.target]
        if isinstance(column, CategoricalColumn):
            names.update(column.categories[code] for code in np.unique(column.codes[column.codes >= 0]).tolist())
        else:
            numbers.update(_distinct(column.values))
            if len(numbers) > MOST_CLASSES or not all(value == int(value) for value in numbers):
                return None
        if len(names) + len(numbers) > 1_000:
            raise TableError(f"column {asked.target!r} holds more than 1,000 labels: it is no class")
    found = sorted(names) or [label_text(value) for value in sorted(numbers)]
    if len(found) < 2:
        raise TableError(
            f"column {asked.target!r} holds {first_of(found) or 'no label'} alone: nothing can be measured"
        )
    return tuple(found)


def _distinct(values: Floats) -> Iterable[float]:
    """Distinct finite values, or so many that they are no classes: a million 0s and 1s need no sort."""
    finite = values[np.isfinite(values)]
    found: list[float] = []
    while finite.size and len(found) <= MOST_CLASSES:
        found.append(float(finite[0]))
        finite = finite[finite != finite[0]]
    return found


def _joined(parts: Sequence[Column]) -> Column:
    if len(parts) == 1:
        return parts[0]
    name = parts[0].name
    if all(isinstance(one, NumericColumn) or one.empty for one in parts):
        return NumericColumn(name, np.concatenate(list(_values(parts))))
    codes: dict[str, int] = {}
    pieces = []
    for one in parts:
        if isinstance(one, NumericColumn):
            if not one.empty:
                raise TableError(f"column {name!r} holds numbers here and text there: make it one kind")
            pieces.append(np.full(one.rows, -1, np.int32))
            continue
        mapped = np.array([*(codes.setdefault(text, len(codes)) for text in one.categories), -1], np.int32)
        pieces.append(mapped[one.codes])
    return CategoricalColumn(name, np.concatenate(pieces), tuple(codes))


def _values(parts: Sequence[Column]) -> Iterator[Floats]:
    for one in parts:
        yield one.values if isinstance(one, NumericColumn) else np.full(one.rows, nan)


def _numbers(column: Column) -> Floats:
    if isinstance(column, NumericColumn):
        return column.values
    if column.empty:
        return np.full(column.rows, nan)
    raise TableError(f"column {column.name!r} holds text, where numbers are needed")


def _instants(column: Column) -> Floats:
    values = _numbers(column)
    finite = values[np.isfinite(values)]
    if finite.size and (float(finite.min()) < 0.0 or float(finite.max()) > 2.5e11):
        raise TableError(f"column {column.name!r} holds no instants: give timestamps, or seconds since 1970")
    return values


def times_of(source: Source, timestamp: str) -> tuple[float, float]:
    """The first and last instant. Raises `TableError` where there is none."""
    low, high = inf, -inf
    for part in source.parts():
        values = _instants(read_columns(part, [timestamp])[timestamp])
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if not isfinite(low):
        raise TableError(f"column {timestamp!r} has no timestamp at all: no window can be cut")
    return low, high
