"""Evidence adds up: exact, associative and commutative, and what was already seen can be taken off a total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import UNSET, UnsetType

from fairlead.core.rollout import Dealt, Evidence, FirstFailures, Paired, ShadowPairs, Units, ValueCounts
from fairlead.errors import StateError

Counts = tuple[tuple[float, int], ...]


def merge(a: Evidence, b: Evidence) -> Evidence:
    """The evidence of both: exact, associative and commutative; `Evidence()` is its neutral element.

    What adds up to nothing is left out, and first failures are kept per metric and share, in that order: equal evidence
    has equal bytes. Raises `StateError` for scores on different cells.

    >>> merge(Evidence(requests={"canary": 2}), Evidence(requests={"canary": 3, "champion": 9})).requests
    {'canary': 5, 'champion': 9}
    """
    return Evidence(
        requests=_added(a.requests, b.requests),
        errors=_added(a.errors, b.errors),
        slow=_added(a.slow, b.slow),
        failures=_grouped(a.failures + b.failures),
        scores=_added_cells(a.scores, b.scores),
        shadow=_added_pairs(a.shadow, b.shadow),
        units=_added_units(a.units, b.units),
        values=_added_values(a.values, b.values),
        paired=_added_paired(a.paired, b.paired),
        dealt=_added_dealt(a.dealt, b.dealt),
    )


def less(total: Evidence, seen: Evidence) -> Evidence:
    """What has to be merged into `seen` to give `total`, exactly.

    >>> less(Evidence(requests={"canary": 5}), Evidence(requests={"canary": 2, "champion": 1})).requests
    {'canary': 3, 'champion': -1}
    """
    return merge(total, _negative(seen))


def _negative(a: Evidence) -> Evidence:
    return Evidence(
        requests={arm: -count for arm, count in a.requests.items()},
        errors={arm: -count for arm, count in a.errors.items()},
        slow={arm: -count for arm, count in a.slow.items()},
        failures=tuple(FirstFailures(one.metric, one.share, -one.champion, -one.canary) for one in a.failures),
        scores={arm: tuple(-count for count in cells) for arm, cells in a.scores.items()},
        shadow=ShadowPairs(*(-getattr(a.shadow, name) for name in ShadowPairs.__struct_fields__)),
        units={arm: Units(-one.asked, -one.failed, -one.slow) for arm, one in a.units.items()},
        values=UNSET if a.values is UNSET else tuple(_negative_values(one) for one in a.values),
        paired=UNSET if a.paired is UNSET else tuple(_negative_paired(one) for one in a.paired),
        dealt=UNSET if a.dealt is UNSET else tuple(_negative_dealt(one) for one in a.dealt),
    )


def _negative_values(one: ValueCounts) -> ValueCounts:
    return ValueCounts(one.metric, one.share, _times(one.champion, -1), _times(one.canary, -1))


def _negative_paired(one: Paired) -> Paired:
    return Paired(one.segment, -one.units, -one.flips, -one.up, -one.down, _times(one.differences, -1))


def _negative_dealt(one: Dealt) -> Dealt:
    champion, canary = (tuple((cell, -count) for cell, count in counts) for counts in (one.champion, one.canary))
    return Dealt(one.metric, one.block, one.share, champion, canary)


def _times(counts: Counts, factor: int) -> Counts:
    return tuple((value, factor * count) for value, count in counts)


def summed(counts: Iterable[tuple[float, int]]) -> Counts:
    """Counts by value, ascending; what comes to nothing is left out.

    >>> summed([(1.0, 2), (0.0, 5), (1.0, -2)])
    ((0.0, 5),)
    """
    totals: Counter[float] = Counter()
    for value, count in counts:
        totals[value] += count
    return tuple((value, totals[value]) for value in sorted(totals) if totals[value])


def _added_values(
    a: tuple[ValueCounts, ...] | UnsetType, b: tuple[ValueCounts, ...] | UnsetType
) -> tuple[ValueCounts, ...] | UnsetType:
    """By metric and share, in that order; one that adds up to nothing is left out, and so is the field."""
    groups: dict[tuple[str, float], list[ValueCounts]] = {}
    for one in (*(a or ()), *(b or ())):
        groups.setdefault((one.metric, one.share), []).append(one)
    sums = (
        ValueCounts(
            *key,
            summed(pair for one in groups[key] for pair in one.champion),
            summed(pair for one in groups[key] for pair in one.canary),
        )
        for key in sorted(groups)
    )
    return tuple(one for one in sums if one.champion or one.canary) or UNSET


def _added_paired(
    a: tuple[Paired, ...] | UnsetType, b: tuple[Paired, ...] | UnsetType
) -> tuple[Paired, ...] | UnsetType:
    """By segment, ascending."""
    groups: dict[str, list[Paired]] = {}
    for one in (*(a or ()), *(b or ())):
        groups.setdefault(one.segment, []).append(one)
    sums = (
        Paired(
            segment,
            sum(one.units for one in found),
            sum(one.flips for one in found),
            sum(one.up for one in found),
            sum(one.down for one in found),
            summed(pair for one in found for pair in one.differences),
        )
        for segment, found in sorted(groups.items())
    )
    return tuple(one for one in sums if one != Paired(one.segment)) or UNSET


def _added_dealt(a: tuple[Dealt, ...] | UnsetType, b: tuple[Dealt, ...] | UnsetType) -> tuple[Dealt, ...] | UnsetType:
    """By metric, block and share, in that order."""
    groups = {(one.metric, one.block, one.share): one for one in a or ()}
    for one in b or ():
        key = one.metric, one.block, one.share
        known = groups.get(key, Dealt(*key))
        groups[key] = Dealt(*key, _added_counts(known.champion, one.champion), _added_counts(known.canary, one.canary))
    sums = (groups[key] for key in sorted(groups))
    return tuple(one for one in sums if one.champion or one.canary) or UNSET


def _added_counts(a: tuple[tuple[int, int], ...], b: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    if not (a and b):
        return a or b
    totals = dict(a)
    for cell, count in b:
        totals[cell] = totals.get(cell, 0) + count
    return tuple((cell, totals[cell]) for cell in sorted(totals) if totals[cell])


def _added(a: dict[str, int], b: dict[str, int]) -> dict[str, int]:
    sums = {arm: a.get(arm, 0) + b.get(arm, 0) for arm in {**a, **b}}
    return {arm: count for arm, count in sums.items() if count}


def _added_units(a: dict[str, Units], b: dict[str, Units]) -> dict[str, Units]:
    none = Units()
    pairs = {arm: (a.get(arm, none), b.get(arm, none)) for arm in {**a, **b}}
    sums = {arm: Units(x.asked + y.asked, x.failed + y.failed, x.slow + y.slow) for arm, (x, y) in pairs.items()}
    return {arm: one for arm, one in sums.items() if one != none}


def _added_pairs(a: ShadowPairs, b: ShadowPairs) -> ShadowPairs:
    return ShadowPairs(
        pairs=a.pairs + b.pairs,
        flips=a.flips + b.flips,
        sum_difference=exact(a.sum_difference) + exact(b.sum_difference),
        sum_squared_difference=exact(a.sum_squared_difference) + exact(b.sum_squared_difference),
        served_failed=a.served_failed + b.served_failed,
        shadow_failed=a.shadow_failed + b.shadow_failed,
    )


def _grouped(failures: tuple[FirstFailures, ...]) -> tuple[FirstFailures, ...]:
    champion, canary = Counter[tuple[str, float]](), Counter[tuple[str, float]]()
    for group in failures:
        champion[group.metric, group.share] += group.champion
        canary[group.metric, group.share] += group.canary
    return tuple(
        FirstFailures(*key, champion[key], canary[key]) for key in sorted(champion) if champion[key] or canary[key]
    )


def _added_cells(a: dict[str, tuple[int, ...]], b: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    sums = {arm: _cells(arm, a.get(arm), b.get(arm)) for arm in {**a, **b}}
    return {arm: cells for arm, cells in sums.items() if any(cells)}


def _cells(arm: str, a: tuple[int, ...] | None, b: tuple[int, ...] | None) -> tuple[int, ...]:
    if not a or not b:
        return a or b or ()
    if len(a) != len(b):
        raise StateError(f"{arm} scores on {len(a)} and on {len(b)} cells cannot be added: count on one set of edges")
    return tuple(x + y for x, y in zip(a, b, strict=True))


def exact(value: float) -> float:
    """The nearest multiple of 2^-20: below 2^33 these add and subtract without rounding, in whatever order. A score's
    difference needs no finer step."""
    return round(value * 2.0**20) * 2.0**-20
