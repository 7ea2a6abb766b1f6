"""An engine that does one job at a time, a source in memory, and what every engine and source keeps."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from msgspec import Struct

from fairlead.errors import TableError
from fairlead.ports.engine import NUMBER, SLAB, TEXT, Engine, Part, Source
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn

J = TypeVar("J")
R = TypeVar("R")


class SerialEngine:
    """Does each job when its result is asked for; work, job and result travel as they would to another process."""

    def __init__(self) -> None:
        """`done` counts the jobs, `closed` says whether it was closed."""
        self.done = 0
        self.closed = False

    def map(self, work: Callable[[J], R], jobs: Iterable[J]) -> Iterator[R]:
        """As `ports.Engine`."""
        for job in jobs:
            result: R = _travelled(_travelled(work)(_travelled(job)))
            self.done += 1
            yield result

    def close(self) -> None:
        """Remembers it."""
        self.closed = True


class MemoryPart(Struct, frozen=True, eq=False):
    """Rows `start` to `stop` of columns in memory. `broken` makes reading fail."""

    columns: tuple[Column, ...]
    start: int
    stop: int
    broken: bool = False

    @property
    def label(self) -> str:
        """Which rows."""
        return f"rows {self.start} to {self.stop - 1}"

    @property
    def rows(self) -> int:
        """How many."""
        return self.stop - self.start

    def read(self, names: Sequence[str]) -> Iterator[Column]:
        """As `ports.Part`."""
        if self.broken:
            raise TableError(f"{self.label} cannot be read: set `broken` to False")
        named = {column.name: column for column in self.columns}
        for name in names:
            column = named.get(name)
            for start in range(self.start, self.stop, SLAB):
                rows = slice(start, min(start + SLAB, self.stop))
                if isinstance(column, CategoricalColumn):
                    yield CategoricalColumn(name, column.codes[rows], column.categories)
                elif column is not None:
                    yield NumericColumn(name, column.values[rows])
                else:
                    yield NumericColumn(name, np.full(rows.stop - rows.start, np.nan))


class MemorySource:
    """Columns in memory, cut where you say. `broken` is the number of a part that cannot be read, None for none."""

    def __init__(self, columns: Sequence[Column], cuts: Sequence[int] = ()) -> None:
        """Columns of equal length; `cuts` are rising row numbers at which a part ends and the next begins."""
        self._columns, self._cuts = tuple(columns), tuple(cuts)
        self.broken: int | None = None

    @property
    def kinds(self) -> Mapping[str, str]:
        """Text or numbers."""
        return {one.name: TEXT if isinstance(one, CategoricalColumn) else NUMBER for one in self._columns}

    @property
    def unreadable(self) -> Mapping[str, str]:
        """None."""
        return {}

    @property
    def rows(self) -> int:
        """How many rows."""
        return self._columns[0].rows if self._columns else 0

    def all_null(self, name: str) -> bool:
        """As `ports.Source`."""
        return any(one.empty for one in self._columns if one.name == name)

    def parts(self) -> Iterator[Part]:
        """The parts between the cuts."""
        edges = [0, *self._cuts, self.rows]
        for place, (start, stop) in enumerate(pairwise(edges)):
            if stop > start:
                yield MemoryPart(self._columns, start, stop, place == self.broken)


# What `check_source` wants to be handed: numbers with a null, text with a null, and nothing but nulls.
TABLE: tuple[Column, ...] = (
    NumericColumn("price", np.array([1.5, np.nan, 4.0, np.inf, -2.0, 4.0])),
    CategoricalColumn("meal", np.array([0, 1, -1, 0, 0, 1], dtype=np.int32), ("bb", "hb")),
    NumericColumn("void", np.full(6, np.nan)),
)


def check_engine(engine: Engine) -> None:
    """What every engine keeps. `engine` is open, and is closed afterwards."""
    assert list(engine.map(_double, range(25))) == [2 * number for number in range(25)], "results in the jobs' order"
    assert list(engine.map(_double, [])) == [], "no job, no result"
    first = next(iter(engine.map(_double, iter(range(10**12)))))
    assert first == 0, "jobs are taken as they are needed, not all at once"
    found, message = [], ""
    try:
        for number in engine.map(_fail_at_three, range(6)):
            found.append(number)  # noqa: PERF402 - what came before the error is kept
    except TableError as error:
        message = error.line
    assert message == "job 3 cannot be done", "an error comes as it was raised"
    assert found == [0, 1, 2], "what came before an error is given first"
    assert list(engine.map(_double, [7])) == [14], "it goes on after an error"
    engine.close()
    engine.close()


def check_source(source: Source) -> None:
    """What every source keeps. `source` holds `TABLE`, as a file or as anything else."""
    assert list(source.kinds) == [column.name for column in TABLE], "the columns, in order"
    assert (source.kinds["price"], source.kinds["meal"]) == (NUMBER, TEXT), "their kinds"
    assert not source.unreadable, "nothing else"
    assert not source.all_null("price"), "what holds a value is not all null"
    parts = list(source.parts())
    assert source.rows in (None, 6), "the rows"
    assert sum(part.rows for part in parts) == 6, "the parts hold all rows"
    assert all(part.label for part in parts), "each part says where it lies"
    for part in parts:
        assert _values(_travelled(part), "price") == _values(part, "price"), "a part can travel"
    for column in TABLE:
        found = [value for part in parts for value in _values(part, column.name)]
        assert found == _plain(column), f"the values of {column.name}, in order"
    for part in parts:
        names = ["meal", "price"]
        assert list(dict.fromkeys(one.name for one in part.read(names))) == names, "in the order asked"
        assert all(one.rows <= SLAB for one in part.read(names)), "in slabs"


def read_all(source: Source, name: str) -> list[float | str | None]:
    """A column of a source as plain values."""
    return [value for part in source.parts() for value in _values(part, name)]


def _travelled(value: J) -> J:
    sent: J = pickle.loads(pickle.dumps(value))  # noqa: S301 - written a moment ago
    return sent


def _double(number: int) -> int:
    return 2 * number


def _fail_at_three(number: int) -> int:
    if number == 3:
        raise TableError("job 3 cannot be done")
    return number


def _values(part: Part, name: str) -> list[float | str | None]:
    return [value for column in part.read([name]) for value in _plain(column)]


def _plain(column: Column) -> list[float | str | None]:
    if isinstance(column, NumericColumn):
        return [None if np.isnan(value) else value for value in column.values.tolist()]
    return [None if code < 0 else column.categories[code] for code in column.codes.tolist()]
