"""Does one window's dependence of columns on each other differ from the reference's? Cheap enough for every window.

Numbers are centred at the reference's median, divided by its spread between the deciles and cut at three of these, so
that no single row carries a correlation. Of a category there is a number for each of its commonest values, 1 where a
row has it; two of one column are no pair. Sums of products add up, batch by batch. For each of P pairs

    z = (r_window - r_reference) / sqrt(v (1/n + 1/m)),     v the variance of one row's influence on r (Hampel 1974),

and three sums of them are asked: the largest |z| (one pair changed), the sum of z^2 over a column's pairs (it no longer
belongs to its rows: a wrong join, a shuffled file), and over all pairs (Frobenius). Their law under no change is drawn:
windows of as many rows, from the reference's own, so that it holds whatever hangs together and whatever the tails are.
Each sum's first three moments make a Pearson type III tail, of the columns the worst one's, the largest |z| a Gumbel
tail; a window's p-value is three times the least (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from math import exp, log, pi, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CUT = 3.0  # spreads from the median beyond which a value counts as one at the cut
FEWEST = 30  # rows of a pair, of a window and of the reference
DRAWS = 200  # windows that the law is drawn from
MOST_DRAWN = 1_000  # rows of each: beyond, the law is that of the limit
_UPPER = 1.645  # the normal law's 95 % point
_SURE = 0.01  # variance of an influence, below which pairs that go together exactly are as certain as these
_DECILES = 2.563  # standard deviations of a normal law between its first and its last decile


class Sums(Struct, frozen=True, eq=False):
    """Sums over the rows in which both numbers of a pair are known, (d, d): of 1, of x_i, of x_i^2, of x_i x_j."""

    counts: Floats
    sums: Floats
    squares: Floats
    products: Floats

    def __add__(self, other: Sums) -> Sums:
        """The sums of both batches together.

        >>> one = sums_of(np.eye(2), np.zeros(2), np.ones(2))
        >>> (one + one).counts.tolist()
        [[4.0, 4.0], [4.0, 4.0]]
        """
        return Sums(
            self.counts + other.counts,
            self.sums + other.sums,
            self.squares + other.squares,
            self.products + other.products,
        )

    @property
    def correlations(self) -> Floats:
        """Pearson's r of each pair, (d, d); nan where one does not vary, or in fewer than `FEWEST` rows."""
        if self.sums.strides[1] == 0 and self.counts.size:
            return self._complete(float(self.counts[0, 0]))
        n = np.maximum(self.counts, 1.0)
        spread = self.squares - self.sums**2 / n
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (self.products - self.sums * self.sums.T / n) / np.sqrt(spread * spread.T)
        varies = (spread > 1e-9 * n) & (1e-9 * n < spread.T) & (self.counts >= FEWEST)
        return np.where(varies, np.clip(found, -1.0, 1.0), np.nan)

    def _complete(self, rows: float) -> Floats:
        """The same of rows that hold every number: one mean and one spread a column serve all of its pairs."""
        total, squared = self.sums[:, 0], self.squares[:, 0]
        spread = squared - total * total / max(rows, 1.0)
        varies = (spread > 1e-9 * rows) & (rows >= FEWEST)
        unit = np.where(varies, 1.0 / np.sqrt(np.where(varies, spread, 1.0)), np.nan)
        scaled = total * unit / np.sqrt(max(rows, 1.0))
        found = self.products * (unit[:, None] * unit) - scaled[:, None] * scaled
        return np.asarray(np.clip(found, -1.0, 1.0))


def sums_of(rows: Floats, centre: Floats, scale: Floats) -> Sums:
    """The sums of (n, d) rows, centred, scaled and cut; nan and infinite values are left out, pair by pair."""
    size = rows.shape[1]
    held = np.clip((rows - centre) / scale, -CUT, CUT)
    known = np.isfinite(rows)
    if known.all():
        total, squared, whole = held.sum(axis=0), (held * held).sum(axis=0), (size, size)
        return Sums(
            np.full(whole, float(len(rows))),
            np.broadcast_to(total[:, None], whole),
            np.broadcast_to(squared[:, None], whole),
            held.T @ held,
        )
    held = np.where(known, held, 0.0)
    there = known.astype(np.float64)
    return Sums(there.T @ there, held.T @ there, (held * held).T @ there, held.T @ held)


class Dependence(Struct, frozen=True, eq=False, dict=True):
    """A reference of d numbers: their names, correlations, (d, d), the variance of a row's influence on each, and from
    how many rows; each one's share of rows, (d,), away from its centre; and the column that each is of, (d,). nan where
    a pair has no correlation."""

    names: tuple[str, ...]
    correlations: NDArray[np.float32]
    variances: NDArray[np.float32]
    counts: NDArray[np.float32]
    spread: Floats
    owners: tuple[str, ...]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The c <= d columns, in order."""
        return tuple(dict.fromkeys(self.owners))

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        known = {name: place for place, name in enumerate(self.columns)}
        return np.array([known[name] for name in self.owners], np.intp)

    def members(self, column: int) -> NDArray[np.bool_]:
        """Which of the numbers, (d,), are of a column."""
        return np.asarray(self._places == column)

    def by_column(self, values: Floats) -> Floats:
        """The sums of (d,) values over each column's numbers, (c,)."""
        if len(self.columns) == len(self.owners):
            return values
        return np.asarray(np.bincount(self._places, values, len(self.columns)), np.float64)

    def asked(self, rows: float) -> NDArray[np.bool_]:
        """The pairs, (d, d), that a window of `rows` can say something of: a number that is at its centre in all but a
        few rows goes together with another, or does not, by these few alone."""
        known = self.counts * (rows / max(float(self.counts.max(initial=0.0)), 1.0))  # rows in which both are known
        enough = known * np.minimum(self.spread[:, None], self.spread[None, :]) >= FEWEST
        apart = self._places[:, None] != self._places
        return np.asarray(enough & np.isfinite(self.correlations) & apart)


class Found(Struct, frozen=True):
    """What one of the three sums says: its p-value for the whole window, the `column` it is of (empty: all), the pair
    of numbers that changed most in it, that pair's correlations, and by how much it changed beyond what chance adds."""

    kind: str  # pair | column | all
    p_value: float
    effect: float
    pair: tuple[str, str]
    before: float
    now: float
    column: str = ""


class Compared(Struct, frozen=True):
    """A window against its reference: how many pairs, |R_reference - R_window|_F / pairs, the p-value, and what the
    three sums say where that is at most alpha. Where the window is plainly like the reference, the p-value is that of
    independent pairs, which scatter less."""

    pairs: int
    distance: float
    p_value: float = 1.0
    found: tuple[Found, ...] = ()


class Law(Struct, frozen=True, eq=False):
    """Under no change: mean, deviation and skewness of the sum of z^2 over all pairs, (3,), and of the worst column's
    standing, (3,), which is its sum of z^2 less the mean in deviations, (2, c); mean and deviation of the largest |z|,
    (2,). Deviations and skewness are at the upper end of what so few draws leave open."""

    every: Floats
    column: Floats
    worst: Floats
    largest: Floats

    def standing(self, columns: Floats) -> Floats:
        """How far each column's sum of z^2, (..., c), lies beyond its mean, in its deviations."""
        return np.asarray((columns - self.column[0]) / self.column[1])


LawOf = Callable[[int], Law]  # by the rows of the drawn windows


def spread_of(low: float, middle: float, high: float, deviation: float) -> tuple[float, float]:
    """Centre and scale from the first, fifth and last decile, or the deviation where the deciles are one.

    >>> spread_of(-1.2815, 0.0, 1.2815, 5.0)
    (0.0, 1.0)
    """
    scale = (high - low) / _DECILES
    return middle, scale if scale > 0.0 else deviation or 1.0


def dependence(
    rows: Floats, names: Sequence[str], centre: Floats, scale: Floats, owners: Sequence[str] = ()
) -> Dependence:
    """The reference of (m, d) rows. `owners` are the columns that the numbers are of; left out: each is one."""
    sums = sums_of(rows, centre, scale)
    r = sums.correlations
    known = np.isfinite(rows)
    held = np.where(known, np.clip((rows - centre) / scale, -CUT, CUT), 0.0)
    n = np.maximum(known.sum(axis=0), 1)
    away = (held != 0.0).sum(axis=0) / n
    mean = held.sum(axis=0) / n
    held = np.where(known, held - mean, 0.0)
    held /= np.maximum(np.sqrt((held * held).sum(axis=0) / n), 1e-12)
    counts = np.maximum(sums.counts, 1.0)
    squared = held * held
    cubed = squared * held
    both = (squared.T @ squared) / counts
    odd = (cubed.T @ held) / counts
    fourth = np.broadcast_to((squared * squared).sum(axis=0) / n, r.shape)
    variance = both - r * (odd + odd.T) + r**2 / 4.0 * (fourth + fourth.T + 2.0 * both)
    # Two numbers that are rarely other than usual were perhaps never so together: chance alone would bring it about.
    least = np.maximum((1.0 - r**2) ** 2 / 2.0, _SURE)
    return Dependence(
        tuple(names),
        r.astype(np.float32),
        np.maximum(variance, least).astype(np.float32),
        counts.astype(np.float32),
        away,
        tuple(owners or names),
    )


def law_of(known: Dependence, rows: Floats, drawn: int, rng: np.random.Generator, draws: int = DRAWS) -> Law:
    """The law of the sums in windows of `drawn` rows that are like the reference's (m, d) `rows`, which are centred and
    scaled already."""
    size = len(known.names)
    still = (np.zeros(size), np.ones(size))
    there = known.asked(drawn)
    every, columns, largest = np.empty(draws), np.empty((draws, len(known.columns))), np.empty(draws)
    before = known.correlations.astype(np.float64)
    error = np.sqrt(known.variances.astype(np.float64))
    for place in range(draws):
        sums = sums_of(rows[rng.integers(0, len(rows), drawn)], *still)
        z = _standing(sums.correlations - before, error, 1.0 / np.maximum(sums.counts, 1.0), there)
        columns[place] = known.by_column((z * z).sum(axis=0))
        every[place] = columns[place].sum() / 2.0
        largest[place] = np.abs(z).max(initial=0.0)
    ends = np.stack([columns.mean(axis=0), np.maximum(columns.std(axis=0, ddof=1), 1e-12)])
    worst = ((columns - ends[0]) / ends[1]).max(axis=1)
    return Law(_moments(every), ends, _moments(worst), _moments(largest)[:2])


def drawn_rows(rows: float) -> int:
    """Of how many rows the windows are drawn that give the law for a window of `rows`: a little fewer, so that one law
    serves windows of nearly as many.

    >>> drawn_rows(200), drawn_rows(180.0), drawn_rows(5e6)
    (181, 128, 1000)
    """
    return min(MOST_DRAWN, int(2.0 ** (int(2.0 * log(max(rows, FEWEST)) / log(2.0)) / 2.0)))


def _standing(change: Floats, error: Floats, noise: Floats, there: NDArray[np.bool_]) -> Floats:
    """Each pair's z, (d, d); 0 where a pair is not asked, or has no correlation on a side."""
    z = np.zeros_like(change)
    np.divide(change, error * np.sqrt(noise), out=z, where=there & np.isfinite(change))
    return z


def _moments(values: Floats) -> Floats:
    """Mean, deviation and skewness of (draws,) values; of the latter two the upper ends of one-sided 95 % intervals."""
    mean, deviation = values.mean(), max(float(values.std(ddof=1)), 1e-12)
    skewness = (((values - mean) / deviation) ** 3).mean()
    wide = _UPPER / sqrt(2.0 * values.size)
    return np.array([mean, deviation * (1.0 + wide), skewness + wide * sqrt(12.0)])


def compare_window(known: Dependence, window: Sums, alpha: float, law: LawOf) -> Compared:
    """A window against the reference. `law` gives the law of windows of so many rows; it is asked only where the window
    would be called at `alpha` were the pairs independent: under it they scatter more.

    Pairs without a correlation on either side are left out.
    """
    now = window.correlations
    change = now - known.correlations.astype(np.float64)
    rows = drawn_rows(float(window.counts.max(initial=0.0)))
    there = known.asked(rows) & np.isfinite(change)
    pairs = int(there.sum()) // 2
    if not pairs:
        return Compared(0, 0.0)
    # The variances come from the reference's rows themselves, and where tails are heavy from few of them.
    variance = known.variances.astype(np.float64) * (1.0 + 2.0 / np.sqrt(known.counts))
    noise = 1.0 / np.maximum(window.counts, 1.0) + 1.0 / known.counts
    z = _standing(change, np.sqrt(variance), noise, there)
    change = np.where(there, change, 0.0)
    distance = float(np.sqrt((change * change).sum() / 2.0)) / pairs
    asked = _Asked(known, change, now, z, variance * noise, there, pairs)
    chances = asked.independent()
    if min(chances) <= alpha:
        chances = asked.under(law(rows))
    if min(chances) > alpha:
        return Compared(pairs, distance, min(chances))
    return Compared(pairs, distance, min(chances), asked.told(chances))


class _Asked(Struct, frozen=True, eq=False, dict=True):
    known: Dependence
    change: Floats
    now: Floats
    z: Floats
    chance: Floats  # the variance of each change under none
    there: NDArray[np.bool_]
    pairs: int

    @cached_property
    def columns(self) -> Floats:
        """The sum of each column's z^2, (c,)."""
        return self.known.by_column(np.asarray(np.einsum("ij,ij->j", self.z, self.z)))

    @cached_property
    def degrees(self) -> Floats:
        """How many pairs of each column are asked, (c,)."""
        return self.known.by_column(np.asarray(self.there.sum(axis=0), np.float64))

    def independent(self) -> tuple[float, float, float]:
        """The three p-values, of the largest pair, the worst column and all, as if pairs were independent."""
        single = self.pairs * float(_two_sided(np.abs(self.z).max()))
        degrees = np.maximum(self.degrees, 1.0)
        columns = np.where(self.degrees > 0, _chi_squared(self.columns, degrees), 1.0)
        every = float(_chi_squared(self.columns.sum() / 2.0, float(self.pairs)))
        asked = int(np.count_nonzero(self.degrees))
        return self._together(single, asked * float(columns.min()), every)

    def under(self, law: Law) -> tuple[float, float, float]:
        """The three p-values by a law."""
        standing = np.where(self.degrees > 0, law.standing(self.columns), -np.inf)
        every = _type_three(float(self.columns.sum()) / 2.0, law.every)
        single = _gumbel(float(np.abs(self.z).max()), *law.largest.tolist())
        return self._together(single, _type_three(float(standing.max()), law.worst), every)

    def _together(self, single: float, column: float, every: float) -> tuple[float, float, float]:
        """Three times each chance."""
        one, two, three = (min(1.0, 3.0 * chance) for chance in (single, column, every))
        return one, two, three

    def told(self, chances: tuple[float, float, float]) -> tuple[Found, ...]:
        """What each of the three says."""
        # The worst column's own pairs all changed, of others' only the one with it.
        worst = int((self.columns - self.degrees).argmax())
        one = self.there & self.known.members(worst)[:, None]
        return (
            self._found("pair", chances[0], self.there, self.pairs),
            self._found("column", chances[1], one, int(self.degrees[worst]), self.known.columns[worst]),
            self._found("all", chances[2], self.there, self.pairs),
        )

    def _found(self, kind: str, chance: float, among: NDArray[np.bool_], size: int, column: str = "") -> Found:
        """Of `size` pairs the largest change, less what the largest of so many adds by chance."""
        beyond = np.where(among, self.change**2 - 2.0 * log(2.0 * max(size, 1)) * self.chance, -np.inf)
        i, j = (int(place) for place in np.unravel_index(int(beyond.argmax()), beyond.shape))
        names = self.known.names
        pair = (names[i], names[j]) if column else (names[min(i, j)], names[max(i, j)])
        effect = sqrt(max(0.0, float(beyond[i, j])))
        return Found(kind, chance, effect, pair, float(self.known.correlations[i, j]), float(self.now[i, j]), column)


def _chi_squared(value: Floats | float, degrees: Floats | float) -> Floats:
    from scipy.special import chdtrc

    return np.asarray(chdtrc(degrees, value))


def _two_sided(z: float) -> float:
    from scipy.special import ndtr

    return float(2.0 * ndtr(-z))


def _type_three(value: float, moments: Floats) -> float:
    """The upper tail of Pearson's type III by its first three moments; a skewness below .1 counts as that."""
    from scipy.special import gammaincc

    mean, deviation, skewness = moments.tolist()
    shape = 4.0 / max(skewness, 0.1) ** 2
    return float(gammaincc(shape, max(shape + (value - mean) / deviation * sqrt(shape), 0.0)))


def _gumbel(value: float, mean: float, deviation: float) -> float:
    scale = max(deviation, 1e-12) * sqrt(6.0) / pi
    return -float(np.expm1(-exp(min(700.0, -(value - mean + 0.5772 * scale) / scale))))
