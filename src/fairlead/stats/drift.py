"""Drift of a table: every column's distances, one significance each, and a level that needs significance and effect.

A column's p-value is the smallest of its tests' times their number (Bonferroni), valid whatever their dependence.
Benjamini-Hochberg runs over the columns. A column is flagged only if it is rejected there and a distance that is itself
significant at the same cutoff has a corrected effect beyond its limit: one distance never lends another its evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from fairlead.stats.cells import shared_cells
from fairlead.stats.distances import DEFAULT, Distance, Readings, Thresholds, cumulative, health, shares
from fairlead.stats.fdr import benjamini_hochberg
from fairlead.stats.profile import CategoryProfile, ColumnProfile, NumericProfile, TableProfile

Pair = tuple[ColumnProfile, ColumnProfile]

TESTS = 7  # at most, for a column: what the smallest detectable effect allows for
RATIOS = ("null_rate", "rare")  # they are 1, not 0, where nothing changed
BLOCK = 64  # pairs that are compared at once: more would leave the cache


class Level(StrEnum):
    """How much a column moved."""

    NONE = "none"
    WARNING = "warning"
    CRITICAL = "critical"


class ColumnDrift(Struct, frozen=True):
    """What became of one column.

    `p_value` is Bonferroni over the column's tests, `q_value` is Benjamini-Hochberg over the columns; both None where
    the column is `unmeasured`, which then holds the reason. `detectable` is the smallest PSI that these rows would have
    shown with 80 % power. Rows are those that are not null. `evident` names the distances that are significant by
    themselves at the cutoff of the columns; `nulls` are the shares of nulls, reference and current.
    """

    name: str
    kind: str  # numeric | category
    level: Level = Level.NONE
    p_value: float | None = None
    q_value: float | None = None
    distances: tuple[Distance, ...] = ()
    reference_rows: int = 0
    current_rows: int = 0
    detectable: float | None = None
    unmeasured: str = ""
    evident: tuple[str, ...] = ()
    nulls: tuple[float, float] | None = None

    @property
    def effect(self) -> float:
        """The largest corrected distance between distributions, in units of its critical limit."""
        shapes = (one.corrected / one.critical for one in self.distances if one.name not in RATIOS and one.critical > 0)
        return max(shapes, default=0.0)

    def distance(self, name: str) -> Distance:
        """A distance by name, for instance `psi`, `wasserstein` or `null_rate`. Raises `KeyError`."""
        for one in self.distances:
            if one.name == name:
                return one
        raise KeyError(name)


class Measured(Struct, frozen=True, eq=False):
    """A column's distances, before they are judged beside those of other columns.

    `p_value` is the smallest of the `tests` p-values, times their number. `freedom` and `noise` are those of PSI's law.
    """

    reference: ColumnProfile
    current: ColumnProfile
    distances: tuple[Distance, ...]
    freedom: float
    noise: float
    tests: int
    p_value: float


def compare(
    reference: TableProfile,
    current: TableProfile,
    *,
    alpha: float = 0.01,
    thresholds: Thresholds = DEFAULT,
) -> tuple[ColumnDrift, ...]:
    """Compares the reference's columns, in its order. `alpha` is the false discovery rate over them, in (0, 1).

    A column that `current` lacks, holds as another kind, or has no value of, is unmeasured. Raises `ValueError` for an
    `alpha` outside (0, 1).
    """
    others = {column.grid.name: column for column in current.columns}
    return judge(measure([(one, others.get(one.grid.name)) for one in reference.columns], thresholds), alpha)


def measure(
    pairs: Sequence[tuple[ColumnProfile, ColumnProfile | None]], thresholds: Thresholds = DEFAULT
) -> list[Measured | ColumnDrift]:
    """The distances of each pair, or why it is unmeasured, in order.

    The pairs are many columns of two tables, or one column's reference with each of many windows (which is faster: what
    depends on the reference alone is computed once).
    """
    found: dict[int, Measured | ColumnDrift] = {}
    parted: dict[str, list[tuple[int, Pair]]] = {"numeric": [], "category": []}
    for place, (one, two) in enumerate(pairs):
        reason = _why_not(one, two)
        if two is None or reason:
            rows = 0 if two is None else two.present
            found[place] = ColumnDrift(
                one.grid.name, kind_of(one), reference_rows=one.present, current_rows=rows, unmeasured=reason
            )
        else:
            parted[kind_of(one)].append((place, (one, two)))
    for known in parted.values():
        for start in range(0, len(known), BLOCK):
            places, block = zip(*known[start : start + BLOCK], strict=True)
            found.update(zip(places, _measured(block, thresholds), strict=True))
    return [found[place] for place in range(len(pairs))]


def judge(found: Sequence[Measured | ColumnDrift], alpha: float) -> tuple[ColumnDrift, ...]:
    """What the columns of a table, a family of tests, show at the false discovery rate `alpha`.

    Raises `ValueError` for an `alpha` outside (0, 1).
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}: a false discovery rate lies between 0 and 1")
    measured = [one for one in found if isinstance(one, Measured)]
    q_values = benjamini_hochberg([one.p_value for one in measured])
    rejected = sum(q <= alpha for q in q_values)
    cutoff = alpha * rejected / len(measured) if rejected else -1.0  # what Benjamini-Hochberg compares p-values with
    strictest = alpha / (TESTS * max(len(found), 1))
    least = shares.detectable_psi([one.freedom for one in measured], [one.noise for one in measured], strictest)
    adjusted = zip(q_values, least.tolist(), strict=True)
    return tuple(_judged(one, cutoff, *next(adjusted)) if isinstance(one, Measured) else one for one in found)


def ranked(columns: Iterable[ColumnDrift]) -> tuple[ColumnDrift, ...]:
    """Worst first: critical, warning, unmeasured, then calm; within each by effect, then by p-value."""

    def key(column: ColumnDrift) -> tuple[int, float, float, str]:
        place = {Level.CRITICAL: 0, Level.WARNING: 1, Level.NONE: 2 if column.unmeasured else 3}[column.level]
        return place, -column.effect, 1.0 if column.p_value is None else column.p_value, column.name

    return tuple(sorted(columns, key=key))


def kind_of(column: ColumnProfile) -> str:
    """`numeric` or `category`."""
    return "numeric" if isinstance(column, NumericProfile) else "category"


def _why_not(reference: ColumnProfile, current: ColumnProfile | None) -> str:
    if current is None:
        return "missing from the current data"
    if reference.present == 0:
        return f"all {reference.nulls:,} reference values are null" if reference.nulls else "the reference has no rows"
    if current.present == 0:
        share = reference.nulls / reference.rows
        nulls = f"all {current.nulls:,} current values are null (reference: {share:.1%})"
        return nulls if current.nulls else "the current data has no rows"
    if kind_of(reference) != kind_of(current):
        return f"{kind_of(reference)} in the reference, {kind_of(current)} in the current data"
    return ""


def _measured(pairs: Sequence[Pair], limits: Thresholds) -> list[Measured]:
    """All distances of pairs of one kind."""
    cells = shares.shares_of([shared_cells(*pair) for pair in pairs])
    rows = zip(*(one.distances(getattr(limits, one.name)) for one in _readings(pairs, cells)), strict=True)
    laws = zip(cells.freedom.tolist(), cells.noise.tolist(), strict=True)
    return [
        Measured(*pair, distances, *law, *_evidence(distances))
        for pair, distances, law in zip(pairs, rows, laws, strict=True)
    ]


def _evidence(distances: Sequence[Distance]) -> tuple[int, float]:
    """How many tests there were, and the smallest p-value times their number."""
    p_values = [one.p_value for one in distances if one.p_value is not None]
    return len(p_values), min(1.0, len(p_values) * min(p_values))


def _readings(pairs: Sequence[Pair], cells: shares.Shares) -> list[Readings]:
    """Every distance of pairs of one kind."""
    both = [shares.psi(cells), shares.js(cells), health.null_rate(pairs), health.rare(pairs)]
    numbers = [(a, b) for a, b in pairs if isinstance(a, NumericProfile) and isinstance(b, NumericProfile)]
    if numbers:
        steps = cumulative.steps_of(numbers)
        return [*both, cumulative.ks(steps), cumulative.wasserstein(steps), health.outside(numbers)]
    words = [(a, b) for a, b in pairs if isinstance(a, CategoryProfile) and isinstance(b, CategoryProfile)]
    return [*both, shares.chi_squared(cells), health.unseen(words)]


def _judged(one: Measured, cutoff: float, q_value: float, detectable: float) -> ColumnDrift:
    level, evident = Level.NONE, list[Distance]()
    if one.p_value <= cutoff:
        evident = [each for each in one.distances if (each.p_value or 0.0) * one.tests <= cutoff]
        if any(each.corrected > each.warning for each in evident):
            level = Level.CRITICAL if any(each.corrected > each.critical for each in evident) else Level.WARNING
    return ColumnDrift(
        name=one.reference.grid.name,
        kind=kind_of(one.reference),
        level=level,
        p_value=one.p_value,
        q_value=q_value,
        distances=one.distances,
        reference_rows=one.reference.present,
        current_rows=one.current.present,
        detectable=detectable,
        evident=tuple(each.name for each in evident),
        nulls=(_null_share(one.reference), _null_share(one.current)),
    )


def _null_share(column: ColumnProfile) -> float:
    return column.nulls / column.rows if column.rows else 0.0
