"""The search of a scan: every condition, every pair of them, and a beam of threes, by histograms of small codes.

Each row carries a contribution y to the change between reference and current rows (see `scan`). Of a slice S,

    t = sum of y over S's current rows / all current rows - the same of the reference,
    z = t / sqrt(V (1 / all current + 1 / all reference)),   V = variance of y 1[row in S] over all rows,

which is the variance under relabelling, so z is close to standard normal where nothing changed. If only the rows of a
slice changed, z grows with every cell of it that is added and falls with every other, so the slice with the largest z
is the smallest that explains the change. Of slices that explain nearly as much, the simpler one wins: each condition
after the first must bring a tenth of z^2, a second end of an interval a twentieth. And a condition costs
2 ln(conditions) of z^2, a second end 2 ln(10): chance alone buys about that much.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import log

import numpy as np
from msgspec import Struct

from fairlead.stats.slices.conditions import BINS, Coded, Codes, Condition, Flags, Floats

BEAM = 30
EXHAUSTIVE = 24  # columns up to which every pair is looked at; beyond, pairs with one of the LEADS best
LEADS = 12
ROUNDS = 3
WORTH = 0.9  # of z^2 is left by each condition after the first
WIDE = 0.95  # and by each interval with two ends

Key = tuple[tuple[int, int], ...]  # (column, condition), by rising column


class Rows(Struct, frozen=True, eq=False):
    """Rows to search: codes by column, contributions y (n,), and which are current. `totals` divide the two sides."""

    columns: tuple[Coded, ...]
    y: Floats
    current: Flags
    totals: tuple[float, float]
    least: int

    @property
    def unit(self) -> float:
        """The variance of a difference of two means, in units of a row's variance."""
        return 1.0 / self.totals[0] + 1.0 / self.totals[1]

    def among(self, kept: Flags) -> Rows:
        """Some of the rows, against the same totals."""
        columns = tuple(Coded(c.name, c.codes[kept], c.cells, c.conditions, c.members, c.simple) for c in self.columns)
        return Rows(columns, self.y[kept], self.current[kept], self.totals, self.least)

    def mask(self, key: Key) -> Flags:
        """The rows that meet all of a key's conditions."""
        found = np.ones(self.y.size, np.bool_)
        for column, condition in key:
            found &= self.columns[column].members[condition].astype(np.bool_)[self.columns[column].codes]
        return found

    def conditions(self, key: Key) -> tuple[Condition, ...]:
        """A key's conditions."""
        return tuple(self.columns[column].conditions[condition] for column, condition in key)


class Candidate(Struct, frozen=True):
    """A slice with its z, its rows, and what it is `worth`."""

    key: Key
    z: float
    rows: int
    score: float


def best_slice(rows: Rows, sign: float, most: int) -> tuple[Candidate | None, int]:
    """The slice of the largest score among conjunctions of at most `most` conditions, and how many were looked at.

    `sign` +1 looks for a rise of y, -1 for a fall. None where no slice is worth its conditions.
    """
    looked, found = 0, []
    for column in range(len(rows.columns)):
        top, count = _singles(rows, column, sign)
        found += top
        looked += count
    pairs: list[Candidate] = []
    if most >= 2:
        for one, two in _pairs(rows, found):
            top, count = _joint(rows, one, two, sign)
            pairs += top
            looked += count
    wider: list[Candidate] = []
    if most >= 3:
        for candidate in sorted(pairs, key=_order)[:BEAM]:
            top, count = _extended(rows, candidate.key, sign)
            wider += top
            looked += count
    known = sorted([*found, *pairs, *wider], key=_order)
    refined = [_refined(rows, candidate, sign, most) for candidate in known[:3]]
    best = min(refined, key=_order, default=None)
    return (best if best is not None and best.score > 0.0 else None), looked


def worth(rows: Rows, key: Key, z: float) -> float:
    """z^2, discounted for its conditions, less what they cost."""
    total = sum(len(column.conditions) for column in rows.columns)
    wide = sum(not rows.columns[column].simple[condition] for column, condition in key)
    explains = z * z * WORTH ** (len(key) - 1) * WIDE**wide if z > 0.0 else 0.0
    return explains - 2.0 * (len(key) * log(max(total, 2)) + wide * log(BINS))


def scores(sums: Floats, rows: Rows) -> Floats:
    """z of slices from their sums (4, ...): rows, current y, reference y, y^2; 0 for too small or too large ones."""
    count, current, reference, squares = sums
    every = rows.totals[0] + rows.totals[1]
    t = current / rows.totals[1] - reference / rows.totals[0]
    variance = squares / every - ((current + reference) / every) ** 2
    known = (
        (count >= rows.least) & (count <= every - rows.least) & (variance > 1e-12 * np.maximum(squares / every, 1e-300))
    )
    spread = np.sqrt(np.where(known, variance, 1.0) * rows.unit)
    return np.asarray(np.where(known, t / spread, 0.0), np.float64)


def histogram(rows: Rows, codes: Codes, cells: int) -> Floats:
    """The four sums of each cell, (4, cells)."""
    now = rows.current
    return np.stack(
        [
            np.bincount(codes, minlength=cells).astype(np.float64),
            np.bincount(codes[now], rows.y[now], cells),
            np.bincount(codes[~now], rows.y[~now], cells),
            np.bincount(codes, rows.y * rows.y, cells),
        ]
    )


def _singles(rows: Rows, column: int, sign: float, key: Key = ()) -> tuple[list[Candidate], int]:
    one = rows.columns[column]
    sums = histogram(rows, one.codes, one.cells) @ one.members.T
    z = sign * scores(sums, rows)
    value = np.where(z > 0, z * z * np.where(one.simple, 1.0, WIDE) - _second_end(one), -np.inf)
    best = np.argsort(-value, kind="stable")[:2]
    return [
        _candidate(rows, (*key, (column, int(place))), float(z[place]), int(sums[0, place]))
        for place in best
        if z[place] > 0
    ], int(z.size)


def _joint(rows: Rows, one: int, two: int, sign: float) -> tuple[list[Candidate], int]:
    a, b = rows.columns[one], rows.columns[two]
    grid = histogram(rows, a.codes * b.cells + b.codes, a.cells * b.cells).reshape(4, a.cells, b.cells)
    sums = np.einsum("ia,saj->sij", a.members, grid @ b.members.T, optimize=True)
    z = sign * scores(sums, rows)
    share = np.where(a.simple, 1.0, WIDE)[:, None] * np.where(b.simple, 1.0, WIDE)[None]
    value = np.where(z > 0, z * z * share - _second_end(a)[:, None] - _second_end(b)[None], -np.inf)
    place = np.unravel_index(int(np.argmax(value)), value.shape)
    if not z[place] > 0:
        return [], int(z.size)
    key = ((one, int(place[0])), (two, int(place[1])))
    return [_candidate(rows, key, float(z[place]), int(sums[0][place]))], int(z.size)


def _extended(rows: Rows, key: Key, sign: float) -> tuple[list[Candidate], int]:
    """The key with one more condition on another column, the best of each."""
    inside = rows.among(rows.mask(key))
    taken = {column for column, _ in key}
    found, looked = [], 0
    for column in range(len(rows.columns)):
        if column not in taken:
            top, count = _singles(inside, column, sign, key)
            found += top[:1]
            looked += count
    return found, looked


def _refined(rows: Rows, start: Candidate, sign: float, most: int) -> Candidate:
    """Each condition is dropped, or exchanged for the best one beside the others, until nothing gets better."""
    best = start
    for _ in range(ROUNDS):
        before = best
        for place in range(len(best.key)):
            if place < len(best.key):
                rest = best.key[:place] + best.key[place + 1 :]
                options = [best, *_extended(rows, rest, sign)[0]] if rest else [best]
                options += [_measured(rows, rest, sign)] if rest else []
                best = min(options, key=_order)
        if len(best.key) < most:
            best = min([best, *_extended(rows, best.key, sign)[0]], key=_order)
        if best is before:
            break
    return best


def _measured(rows: Rows, key: Key, sign: float) -> Candidate:
    inside = rows.among(rows.mask(key))
    sums = histogram(inside, np.zeros(inside.y.size, np.intp), 1)
    return _candidate(rows, key, float(sign * scores(sums, rows)[0]), int(sums[0, 0]))


def _candidate(rows: Rows, key: Key, z: float, count: int) -> Candidate:
    ordered = tuple(sorted(key))
    return Candidate(ordered, z, count, worth(rows, ordered, z))


def _second_end(column: Coded) -> Floats:
    return np.asarray(np.where(column.simple, 0.0, 2.0 * log(BINS)), np.float64)


def _order(candidate: Candidate) -> tuple[float, int, int, Key]:
    """Best first; of equals, the fewest conditions, then the fewest rows."""
    return -round(candidate.score, 9), len(candidate.key), candidate.rows, candidate.key


def _pairs(rows: Rows, singles: Sequence[Candidate]) -> Iterator[tuple[int, int]]:
    count = len(rows.columns)
    leads = set(range(count))
    if count > EXHAUSTIVE:
        ranked = dict.fromkeys(candidate.key[0][0] for candidate in sorted(singles, key=_order))
        leads = set(list(ranked)[:LEADS])
    return ((one, two) for one, two in combinations(range(count), 2) if one in leads or two in leads)
