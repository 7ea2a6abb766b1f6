"""Tables larger than memory, and who works on their parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:  # the ports are loaded with every command, numpy need not be
    from fairlead.stats.columns import Column

J = TypeVar("J")
R = TypeVar("R")

SLAB = 1 << 20  # rows of one column that are in memory at once, for each worker

NUMBER, INSTANT, TEXT, NULL = "number", "instant", "text", "null"  # kinds; null is a type of its own, and fits each


class Part(Protocol):
    """Consecutive rows of a source that can be read on their own, in another process too: a part can be pickled."""

    @property
    def label(self) -> str:
        """Where it lies, for errors: a file and its row groups."""
        ...

    @property
    def rows(self) -> int:
        """How many rows."""
        ...

    def read(self, names: Sequence[str]) -> Iterator[Column]:
        """The named columns one after the other, each in slabs of at most `SLAB` rows, `rows` in all.

        A column that this part lacks, though the source has it, is null. Raises `TableError`, which names the part,
        for what cannot be read.
        """
        ...


class Source(Protocol):
    """A table as parts. Reading it takes as much memory as a slab of one column."""

    @property
    def kinds(self) -> Mapping[str, str]:
        """The columns that can be compared, in order, each with its kind: number, instant, text or null."""
        ...

    @property
    def unreadable(self) -> Mapping[str, str]:
        """The other columns, each with the reason."""
        ...

    @property
    def rows(self) -> int | None:
        """How many rows; None for a stream, whose parts can be read once only, and in order."""
        ...

    def all_null(self, name: str) -> bool:
        """Whether the source knows, without reading, that a column holds nothing but nulls."""
        ...

    def parts(self) -> Iterator[Part]:
        """The parts, in order. The same each time, except of a stream."""
        ...


class Engine(Protocol):
    """Does the same work on many jobs."""

    def map(self, work: Callable[[J], R], jobs: Iterable[J]) -> Iterator[R]:
        """What `work` makes of each job, in the jobs' order, with a bounded number of jobs and results waiting.

        Work and jobs can be pickled. An error that a job raises is raised here, in its turn; later jobs are given up.
        """
        ...

    def close(self) -> None:
        """Gives back what the engine holds. A closed engine may be closed again."""
        ...
