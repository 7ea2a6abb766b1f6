"""How far each column of a table usually moves from one window to the next, and how far it moved now.

A month that turns over, a price that follows the season and the weather jump by themselves. What such a column does in
a window is no news; the same jump in a column that always stood still is. So a jump is read against the column's own
jumps in the last windows, never against a limit that all columns share.

A window is a sketch: each column's shares of nulls and of at most 24 cells, which the reference fixes (the tenths and
the atoms of numbers, the commonest categories). A jump is the total variation between two sketches, less what chance
alone would show in so few rows. A column's usual jump is its largest of the last eight; `surprise` is by how much the
present one exceeds that. Chance cannot make much of it: of nine exchangeable jumps the last is the largest once in
nine times, and one and a half times as large as all others, beyond the noise, far more rarely (a test measures it).
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from fairlead.stats.exact import Floats
from fairlead.stats.profile import ColumnProfile, NumericProfile, TableProfile

CELLS = 24  # of a column, beside its nulls
MEMORY = 8  # jumps that are remembered: with a window a day, a week and a day
FEWEST = 4  # jumps below which nothing is usual yet
FLOOR = 0.01  # a jump by so much of the rows is never a surprise
TWICE = 2  # stretches in which a column was constant: that it is again is no news
_CHANCE = 0.3989422804014327  # half of E|z|, z standard normal

_HEAD = 20  # bytes of what is kept before the jumps
UNIT = 1e-4  # of the rows, in which jumps are remembered

Flags = NDArray[np.bool_]
Sizes = NDArray[np.uint16]


class Sketch:
    """A table as shares, (columns, cells), in the order of the reference's columns, and its rows."""

    __slots__ = ("rows", "shares")

    shares: NDArray[np.float32]

    def __init__(self, shares: Floats, rows: int) -> None:
        self.shares = shares.astype(np.float32)
        self.rows = rows


def sketch(reference: TableProfile, table: TableProfile) -> Sketch:
    """The sketch of a table on its reference's cells; a column that it lacks is null throughout."""
    found = np.zeros((len(reference.columns), CELLS + 1))
    same = len(table.columns) == len(reference.columns)
    named = {} if same else {column.grid.name: column for column in table.columns}
    for place, known in enumerate(reference.columns):
        column = table.columns[place] if same else named.get(known.grid.name)
        if column is None:
            found[place, CELLS] = 1.0
            continue
        found[place, CELLS] = column.nulls
        cells = cells_of(known, column)
        found[place, : cells.size] = cells
    found /= np.maximum(found.sum(axis=1, keepdims=True), 1.0)
    return Sketch(found, table.rows)


def cells_of(reference: ColumnProfile, column: ColumnProfile) -> Floats:
    """Rows in the reference's cells, (at most 24,): what is beyond them is in the last."""
    if isinstance(column, NumericProfile):
        if not isinstance(reference, NumericProfile) or not reference.present:
            return np.array([float(column.present)])
        starts, _ = reference.tenths
        cells = np.add.reduceat(column.counts, starts).astype(np.float64)
    else:
        listed = column.counts[: CELLS - 1]
        cells = np.array([*listed, column.present - sum(listed)], np.float64)
    if cells.size > CELLS:
        cells[CELLS - 1] = cells[CELLS - 1 :].sum()
    return cells[:CELLS]


class Jumps:
    """How far each column moved between two sketches: `size` (columns,) in shares of the rows, chance left out, and
    `chance`, what it alone would show."""

    __slots__ = ("chance", "size")

    def __init__(self, before: Sketch, now: Sketch) -> None:
        both = (before.shares * before.rows + now.shares * now.rows) / max(before.rows + now.rows, 1)
        noise = 1.0 / max(before.rows, 1) + 1.0 / max(now.rows, 1)
        self.chance: Floats = _CHANCE * np.sqrt(both * (1.0 - both) * noise).sum(axis=1)
        moved = 0.5 * np.abs(now.shares - before.shares).sum(axis=1)
        self.size: Floats = np.maximum(moved - self.chance, 0.0)


class Habit(Struct, frozen=True, eq=False):
    """The last jumps of every column. `jumps` (in units of 1e-4 of the rows, as they are kept) and `constant` are of
    stretches: one calm window, with the windows before it that were not. `excursion` and `froze` are of the stretch
    that is not over."""

    jumps: tuple[Sizes, ...] = ()
    constant: tuple[Flags, ...] = ()
    excursion: Sizes | None = None
    froze: Flags | None = None

    @property
    def known(self) -> bool:
        """Whether there are enough jumps to call one of them usual."""
        return len(self.jumps) >= FEWEST

    def surprise(self, jumps: Jumps) -> Floats:
        """How many times its usual jump each column moved, (columns,); nothing is usual below chance and a floor."""
        usual = np.max(self.jumps, axis=0) * UNIT if self.jumps else np.zeros(jumps.size.size)
        found: Floats = jumps.size / (usual + jumps.chance + FLOOR)
        return found

    def times_constant(self) -> list[int]:
        """In how many of the remembered stretches each column was constant; empty without any."""
        found: list[int] = np.sum(self.constant, axis=0).tolist() if self.constant else []
        return found

    def follow(self, now: Sketch, jumps: Jumps | None, *, calm: bool, broken: Flags) -> Habit:
        """With a closed window taken in. While windows are not calm, their largest jumps wait: they are learnt, as one,
        when the stretch is over, or a fault would be usual in its second window. What looked `broken` is not learnt."""
        excursion, froze = self.excursion, now.shares.max(axis=1) >= 1.0
        if self.froze is not None:
            froze = self.froze | froze
        if jumps is not None:
            size = np.where(broken, 0.0, np.rint(jumps.size / UNIT)).astype("<u2")
            excursion = size if excursion is None else np.maximum(excursion, size)
        if not calm:
            return replace(self, excursion=excursion, froze=froze)
        learnt = self.jumps if excursion is None else (*self.jumps[1 - MEMORY :], excursion)
        return Habit(learnt, (*self.constant[1 - MEMORY :], froze))

    def packed(self) -> bytes:
        """All of it, to be kept: at most 20 bytes a column, mostly zeros. `unpacked` is the inverse."""
        flags = (*self.constant, *(() if self.froze is None else (self.froze,)))
        sizes = (*self.jumps, *(() if self.excursion is None else (self.excursion,)))
        columns = (flags or sizes or (np.empty(0),))[0].size
        head = np.array([columns, len(self.jumps), len(sizes), len(self.constant), len(flags)], "<u4")
        bits = np.packbits(np.array(flags, np.bool_).ravel()) if flags else np.empty(0, np.uint8)
        return b"".join((head.tobytes(), *(one.tobytes() for one in sizes), bits.tobytes()))


def unpacked(kept: bytes, columns: int) -> Habit:
    """A habit that was kept; an empty one where it is of other columns, or is no habit.

    >>> habit = Habit((np.array([7, 0], "<u2"),), (np.array([False, True]),))
    >>> again = unpacked(habit.packed(), 2)
    >>> again.jumps[0].tolist(), again.constant[0].tolist(), again.excursion, unpacked(b"", 2).known
    ([7, 0], [False, True], None, False)
    """
    head = np.frombuffer(kept[:_HEAD], "<u4").tolist() if len(kept) >= _HEAD else []
    if not head or head[0] != columns:
        return Habit()
    _, learnt, sizes, constant, flags = head
    end = _HEAD + 2 * sizes * columns
    if len(kept) != end + -(-flags * columns // 8):
        return Habit()
    size = tuple(np.frombuffer(kept[_HEAD:end], "<u2").reshape(sizes, columns))
    bits = np.unpackbits(np.frombuffer(kept[end:], np.uint8), count=flags * columns)
    flag = tuple(bits.astype(np.bool_).reshape(flags, columns))
    return Habit(
        size[:learnt],
        flag[:constant],
        size[learnt] if sizes > learnt else None,
        flag[constant] if flags > constant else None,
    )
