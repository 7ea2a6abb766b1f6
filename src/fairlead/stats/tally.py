"""Counting values between cuts, and finding the quantiles that cuts are made of: exact, and without sorting.

A value's place (see `exact`) is a rising function of the value, and its upper bits name one of many buckets on a line
over the bulk of the reference. A table says in which cell a bucket lies; only where a cut shares the bucket (a few
per cent of the values) is the value itself compared with that cut.
"""

from __future__ import annotations

from functools import cached_property
from math import ceil, isfinite, ldexp, log2
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.stats.exact import CHUNK, FARTHEST, Floats, carried, cell_sums, places, square_sum

Counts = NDArray[np.int64]

QUANTILES = 1_022  # with the cut below the minimum and the last overflow, at most 1,024 cells of quantiles
ATOMS = 512  # up to this many distinct values each is an atom
TABLE = 16_384  # buckets of a table: 32 kB, which stay in the cache and are soon made
SPAN = 65_536  # up to here distinct whole numbers are counted, not sorted
EXACT = 2.0**52
SAMPLE = 4_096  # rows that are sorted at least
STRIDE = 24
TABLE_PAYS = 4_096  # rows from which a table pays for counting
BESIDE = np.uint16(0x8000)  # a bit: cells are far fewer
MAGIC = 1.5 * 2.0**52  # added to a whole number below 2^51, it leaves that number in the float's lower bits
MAGIC_BITS = int(np.array(MAGIC).view(np.int64))
EASY = 2.0**50


class Scratch:
    """Arrays for one chunk, used again and again: fresh ones would cost as much in page faults as the counting itself.

    One thread at a time may use one. Whoever counts many columns makes one a thread and hands it in. `loop` counts in
    place of the array code, with the same result to the last bit, where a compiled one is at hand.
    """

    def __init__(self, loop: Loop | None = None) -> None:
        self.loop = loop
        self.at = np.empty(CHUNK)
        self.spare = np.empty(CHUNK)
        self.keys = np.empty(CHUNK, dtype=np.int64)
        self.codes = np.empty(CHUNK, dtype=np.intp)
        self.cells = np.empty(CHUNK, dtype=np.uint16)
        self.flags = np.empty(CHUNK, dtype=np.bool_)


class Lookup(Struct, frozen=True, eq=False):
    """A grid's cuts made ready for counting. A bucket is 2^`shift` units long, the first one starts at `base`.

    `table` gives how many cuts lie in earlier buckets, which is the bucket's cell, with BESIDE set where cuts share the
    bucket; `cuts` ends with an infinity. `whole` is the table for whole numbers alone, of which a bucket holds one.
    """

    cuts: Floats
    origin: float
    exponent: int
    base: int = 0
    shift: int = 0
    table: NDArray[np.uint16] | None = None
    whole: NDArray[np.uint16] | None = None

    @property
    def cells(self) -> int:
        """How many: one more than there are finite cuts."""
        return self.cuts.size


class Tally:
    """Batches counted on one grid: `counts` and the limbs of the sums of places, (batches, cells), and for each batch
    the sum of squared places, the smallest and largest finite value (infinities without one), and its infinities.

    Infinities are in the first and last cells' counts too, and in nothing else.
    """

    def __init__(self, batches: int, cells: int) -> None:
        self.counts, self.high, self.low = (np.zeros((batches, cells), dtype=np.int64) for _ in range(3))
        self.squares = [0] * batches
        self.halves = np.zeros((batches, 2), dtype=np.uint64)  # a compiled loop's squares: low, high
        self.ends = np.tile([np.inf, -np.inf], (batches, 1))
        self.infinite = np.zeros((batches, 2), dtype=np.int64)
        self.taken = np.zeros(batches, dtype=np.int64)

    @cached_property
    def present(self) -> Counts:
        """Rows of each batch that are not null."""
        present: Counts = self.counts.sum(axis=1)
        return present


class Loop(Protocol):
    """Counts values in batches between `edges` into a tally; `tally.taken` says how many of each batch it took."""

    def __call__(self, values: Floats, ready: Lookup, edges: Counts, tally: Tally) -> None:
        """Counts."""


def lookup(cuts: Floats, origin: float, exponent: int, *, table: bool) -> Lookup:
    """Prepares rising cuts; with the table, which a few thousand rows pay for."""
    padded = np.append(cuts, np.inf)
    if not table or cuts.size == 0:
        return Lookup(padded, origin, exponent)
    at = places(cuts, origin, exponent)
    if _is_whole(cuts, exponent):
        # A bucket for each whole number, and one on either side, so that the end buckets hold no cut.
        first = np.ceil(cuts[0]) - 1.0
        base, shift = int(places(np.array([first]), origin, exponent)[0]), exponent
        wholes = np.arange(first, np.ceil(cuts[-1]) + 2.0)
        exact = np.searchsorted(cuts, wholes, side="left").astype(np.uint16)
        buckets = exact.size
    else:
        margin = cuts.size // 200
        base, shift = _line(float(at[margin]), float(at[-1 - margin]), TABLE)
        exact, buckets = None, TABLE
    keys = np.clip((at.astype(np.int64) - base) >> shift, 0, buckets - 1)
    steps = np.diff(keys, prepend=-1, append=buckets - 1)
    cells = np.repeat(np.arange(padded.size, dtype=np.uint16), steps)
    cells[keys] |= BESIDE
    return Lookup(padded, origin, exponent, base, shift, cells, exact)


def count_values(values: Floats, ready: Lookup, bounds: Counts | None = None, scratch: Scratch | None = None) -> Tally:
    """Counts values (n,), NaN left out, in batches that start at the rising `bounds` (default: one batch).

    A cell is `cuts[i-1] < x <= cuts[i]`; every batch's result is exact and independent of the other batches.
    """
    starts = np.zeros(1, dtype=np.int64) if bounds is None else bounds
    edges = np.append(starts, values.size)
    scratch = scratch or Scratch()
    tally = Tally(starts.size, ready.cells)
    if scratch.loop is not None and ready.table is not None:
        scratch.loop(np.ascontiguousarray(values), ready, edges, tally)
        tally.squares = [(high << 64) + low for low, high in tally.halves.tolist()]
    for batch in np.flatnonzero(tally.taken < np.diff(edges)).tolist():
        for start in range(edges[batch] + tally.taken[batch], edges[batch + 1], CHUNK):
            _add(tally, batch, values[start : min(start + CHUNK, edges[batch + 1])], ready, scratch)
    tally.high, tally.low = carried(tally.high, tally.low)
    tally.counts[:, 0] += tally.infinite[:, 0]
    tally.counts[:, -1] += tally.infinite[:, 1]
    return tally


def _add(tally: Tally, batch: int, part: Floats, ready: Lookup, scratch: Scratch) -> None:
    """Counts one chunk."""
    finite, least, most = finite_part(part)
    if finite.size < part.size:
        tally.infinite[batch] += np.count_nonzero(part == -np.inf), np.count_nonzero(part == np.inf)
    if finite.size == 0:
        return
    ends = tally.ends[batch]
    ends[0], ends[1] = min(ends[0], least), max(ends[1], most)
    codes, at, largest = _locate(finite, ready, scratch, (least, most))
    tally.counts[batch] += np.bincount(codes, minlength=ready.cells)
    high, low = cell_sums(codes, at, ready.cells, largest)
    tally.high[batch] += high
    tally.low[batch] += low
    tally.squares[batch] += square_sum(at, largest, scratch.spare)


def finite_part(part: Floats) -> tuple[Floats, float, float]:
    """The finite values of a chunk, with their ends."""
    least, most = float(part.min()), float(part.max())
    if isfinite(least) and isfinite(most):
        return part, least, most
    kept = part[np.isfinite(part)]
    return (kept, float(kept.min()), float(kept.max())) if kept.size else (kept, 0.0, 0.0)


def _locate(
    finite: Floats, ready: Lookup, scratch: Scratch, ends: tuple[float, float]
) -> tuple[NDArray[np.intp], Floats, float]:
    """Cells and places of a chunk, and a bound of the places."""
    size = finite.size
    at, keys, codes = scratch.at[:size], scratch.keys[:size], scratch.codes[:size]
    largest = _keys(finite, (ready.origin, ready.exponent, ready.base), ends, at, keys)
    if ready.table is None:
        codes[:] = np.searchsorted(ready.cuts[:-1], finite, side="left")
        return codes, at, largest
    np.right_shift(keys, ready.shift, out=keys)
    table, cells = ready.table, scratch.cells[:size]
    if ready.whole is not None and np.array_equal(np.rint(finite, out=scratch.spare[:size]), finite):
        table = ready.whole
    table.take(keys, out=cells, mode="clip")
    if table is ready.table:
        beside = np.flatnonzero(np.greater_equal(cells, BESIDE, out=scratch.flags[:size]))
        if beside.size:
            cells[beside] = _beside(finite[beside], cells[beside] ^ BESIDE, ready.cuts)
    codes[:] = cells
    return codes, at, largest


def _keys(finite: Floats, line: tuple[float, int, int], ends: tuple[float, float], at: Floats, keys: Counts) -> float:
    """Fills `at` with places and `keys` with places counted from the line's base; returns a bound of the places."""
    origin, exponent, base = line
    unit = ldexp(1.0, exponent)
    largest = max(abs(ends[0] - origin), abs(ends[1] - origin)) * unit + 1.0
    if largest < EASY:
        np.subtract(finite, origin, out=at)
        np.multiply(at, unit, out=at)
        np.add(at, MAGIC, out=at)
        np.subtract(at.view(np.int64), MAGIC_BITS + base, out=keys)
        np.subtract(at, MAGIC, out=at)
        return largest
    at[:] = places(finite, origin, exponent)
    np.subtract(at.astype(np.int64), base, out=keys)
    return min(largest, FARTHEST)


def _beside(values: Floats, cells: NDArray[np.uint16], cuts: Floats) -> NDArray[np.uint16]:
    """The cells of values that share their bucket with cuts: `cells` counts those in earlier buckets."""
    above = values > cuts.take(cells)
    cells += above
    more = np.flatnonzero(above)
    while more.size:
        above = values[more] > cuts.take(cells[more])
        more = more[above]
        cells[more] += 1
    return cells


def _line(low: float, high: float, buckets: int) -> tuple[int, int]:
    """Where a line of buckets from place `low` to place `high` starts, and the bits of a bucket's length."""
    base = int(low)
    return base, max(0, ceil(log2((int(high) - base + 1) / (buckets - 2)))) if high > low else 0


def _is_whole(cuts: Floats, exponent: int) -> bool:
    """Whether the cuts are those of whole numbers over a short span."""
    ends = np.ceil(cuts)
    near = (ends == cuts) | (np.nextafter(ends, -np.inf) == cuts)
    return bool(exponent >= 1 and ends[-1] - ends[0] < SPAN and (np.abs(cuts) < EXACT).all() and near.all())


class Order(Struct, frozen=True, eq=False):
    """What a grid needs to know of a reference: its quantiles, its distinct values if they are few, and sorted values,
    an evenly spread sample or all of them, each standing for its `rows` (None: one)."""

    quantiles: Floats
    atoms: Floats | None
    sample: Floats
    rows: Floats | None = None


def ordered(values: Floats, ends: tuple[float, float], count: int) -> Order:
    """QUANTILES equally spaced quantiles of the finite values, and the distinct ones if there are at most ATOMS.

    `ends` and `count` are those of the finite values. Of many an evenly spread sample is sorted, and the ends, which
    are known, put in: cuts need not be quantiles to the last row, for both sides are counted between them exactly. Few
    distinct values are found among all rows.
    """
    sample = _sorted(values[:: _stride(values.size)])
    whole_sample = sample.size == count
    if not whole_sample and (sample.size == 0 or (sample == np.floor(sample)).all()):
        whole = _whole_values(values, ends)
        if whole is not None:
            return _of_whole(*whole)
    if not whole_sample and np.count_nonzero(sample[1:] != sample[:-1]) <= ATOMS:
        sample, whole_sample = _sorted(values), True
    quantiles = sample[_ranks(sample.size)]
    quantiles[-1] = ends[1]
    first = np.concatenate(([True], sample[1:] != sample[:-1]))
    few = whole_sample and np.count_nonzero(first) <= ATOMS
    return Order(quantiles, sample[first] if few else None, sample)


def _sorted(values: Floats) -> Floats:
    known = np.isfinite(values)
    return np.sort(values if known.all() else values[known])


def _stride(rows: int) -> int:
    """One of how many rows is sorted: all of few, one in 24 of many, never less than four rows a cell."""
    return max(1, min(rows // SAMPLE, STRIDE))


def _of_whole(values: Floats, rows: Counts) -> Order:
    quantiles = values[np.searchsorted(np.cumsum(rows), _ranks(int(rows.sum())), side="right")]
    return Order(quantiles, values if values.size <= ATOMS else None, values, rows.astype(np.float64))


def _whole_values(values: Floats, ends: tuple[float, float]) -> tuple[Floats, Counts] | None:
    """Distinct whole numbers that span at most 65,536, each with its rows."""
    low, high = ends
    if not (high / 2 - low / 2 < SPAN / 2 and abs(low) < EXACT and abs(high) < EXACT):
        return None
    rows = np.zeros(int(high - low) + 1, dtype=np.int64)
    for start in range(0, values.size, CHUNK):
        part, _, _ = finite_part(values[start : start + CHUNK])
        if not (np.rint(part) == part).all():
            return None
        rows += np.bincount((part - low).astype(np.int32), minlength=rows.size)
    some = np.flatnonzero(rows)
    return some.astype(np.float64) + low, rows[some]


def _ranks(size: int) -> Counts:
    return -(-np.arange(1, QUANTILES + 1) * size // QUANTILES) - 1
