"""An e-process for "at most k times the champion's p99" that follows the champion beside it.

A threshold that is fixed at the start hides a slow version where the champion happened to be slow just then. Here time
is cut into blocks, and the threshold s of a block is the champion's own quantile in the blocks before. **Null**: at
these thresholds an answer of the canary is longer than k s no more than 1 + tolerance times as often as one of the
champion's is longer than s. That holds whenever the canary takes, in distribution, at most k times what the champion
takes at that time, whatever both have in common and whatever s is: a busy machine, a champion that was slow at first, a
noisy quantile make the test slower, never wrong. s only says *where* the two are compared: where the champion's slowest
1 % began.

A unit is one trial, by its first answer, dealt to the canary with a known probability rho; given that it is slow, it is
the canary's with probability theta(R) (`failures`), R the relative risk, whose null is R <= 1 + tolerance.

Latencies are counted in cells of 4 %, the canary's after division by k, so blocks of any length add up and an
answer that is read late changes nothing but its own count and the thresholds after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import ceil, exp, log, log1p, log2

from msgspec import Struct

from fairlead.stats.sequential.failures import canary_fraction
from fairlead.stats.sequential.latency import TOLERANCE

PER_OCTAVE = 16  # cells of latency
_LEAST_MS = 1e-3
_FIRST_SECONDS = 10.0
_PER_DOUBLING = 4  # blocks, while the time since the start doubles
# Answers of the champion that a threshold is taken from, in those that it should exceed: at least, and where there are.
_LEAST_BEYOND, _ENOUGH_BEYOND = 3, 10
_MOST = 2.0  # of its answers' due share that a threshold may leave beyond it
_HALF_A_CELL = 2.0 ** (-0.5 / PER_OCTAVE)
# Relative risks, in multiples of what is tolerated, and the capital on each: small ones take long, large ones hurry.
_RISKS = ((1.25, 0.15), (1.5, 0.2), (2.0, 0.15), (3.0, 0.1), (5.0, 0.1), (10.0, 0.3))

Counts = tuple[tuple[int, int], ...]  # (cell, units)


class Timed(Struct, frozen=True):
    """Units by the cell of their first answer, in one block of time, dealt with one share of the canary.

    With a share of 0 or 1 nothing is compared, and the champion's answers only help to find the threshold.
    """

    block: int
    share: float
    champion: Counts
    canary: Counts


class Scaled(Struct, frozen=True):
    """What the blocks say: ln E, slow units and all of each arm in blocks with a threshold, and the last threshold in
    milliseconds (None where the champion has not answered often enough yet)."""

    log_e: float = 0.0
    canary: tuple[int, int] = (0, 0)
    champion: tuple[int, int] = (0, 0)
    limit_ms: float | None = None


def latency_cell(ms: float) -> int:
    """The cell of a latency.

    >>> latency_cell(16.0), latency_cell(16.1), latency_cell(20.0), latency_cell(0.0)
    (64, 65, 70, -159)
    """
    return ceil(PER_OCTAVE * log2(max(ms, _LEAST_MS)))


def upper_ms(cell: int) -> float:
    """The longest latency of a cell.

    >>> upper_ms(64)
    16.0
    """
    return float(2.0 ** (cell / PER_OCTAVE))


def block_of(seconds: float) -> int:
    """The block of an instant, from the seconds since the start: a sixth of what has passed, two seconds at first.

    >>> [block_of(seconds) for seconds in (-1.0, 1.0, 2.0, 60.0, 3600.0, 30 * 86400.0)]
    [0, 0, 1, 11, 33, 71]
    """
    return int(_PER_DOUBLING * log2(1.0 + max(0.0, seconds) / _FIRST_SECONDS))


def scaled_log_e(rows: Iterable[Timed], allowed: float, at_start_ms: float | None = None) -> Scaled:
    """The evidence that the canary is slower than it may be. `allowed` is the share of answers that the quantile leaves
    above it; `at_start_ms` the champion's quantile before the start, used until it has answered often enough since.

    >>> calm, slow = ((64, 990), (80, 10)), ((64, 40), (80, 60))
    >>> found = scaled_log_e([Timed(0, 0.0, calm, ()), Timed(1, 0.1, calm, slow)], 0.01)
    >>> found.canary, found.champion, found.limit_ms, found.log_e > 50
    ((60, 100), (10, 1000), 16.0, True)
    """
    blocks: dict[int, list[Timed]] = {}
    for row in rows:
        blocks.setdefault(row.block, []).append(row)
    beyond: list[Counter[int]] = []
    slow: Counter[tuple[float, bool]] = Counter()
    units: Counter[bool] = Counter()
    limit = None if at_start_ms is None else latency_cell(at_start_ms * _HALF_A_CELL)
    for block in sorted(blocks):
        found = _quantile(beyond, allowed)
        limit = limit if found is None else found
        beyond.append(Counter())
        for row in blocks[block]:
            if limit is not None and 0.0 < row.share < 1.0:
                _count(row, limit, slow, units)
            for cell, count in row.champion:
                beyond[-1][cell] += max(0, count)
    groups = [(share, slow[share, False], slow[share, True]) for share in sorted({share for share, _ in slow})]
    on_canary, on_champion = sum(canary for *_, canary in groups), sum(champion for _, champion, _ in groups)
    return Scaled(
        _log_e(groups),
        (on_canary, units[True]),
        (on_champion, units[False]),
        None if limit is None else upper_ms(limit),
    )


def _log_e(groups: Sequence[tuple[float, int, int]]) -> float:
    """As `failures.failure_log_e`, with the capital of `_RISKS`."""
    logs = []
    for risk, capital in _RISKS:
        grown = log(capital)
        for share, champion, canary in groups:
            limit = canary_fraction(share, 1.0 + TOLERANCE)
            grown += canary * log(risk) - (champion + canary) * log1p(limit * (risk - 1.0))
        logs.append(grown)
    peak = max(logs)
    return peak + log(sum(exp(one - peak) for one in logs))


def _count(row: Timed, limit: int, slow: Counter[tuple[float, bool]], units: Counter[bool]) -> None:
    """Both arms of a block are judged by one threshold; a count below 0 is a log that lost its end."""
    for on_canary, counts in ((False, row.champion), (True, row.canary)):
        for cell, count in counts:
            units[on_canary] += max(0, count)
            if cell > limit:
                slow[row.share, on_canary] += max(0, count)


def _quantile(blocks: Sequence[Counter[int]], allowed: float) -> int | None:
    """The cell beyond which lies about `allowed` of the champion's latest answers; None for too few.

    A little more than that where cells can tell, as more slow answers tell sooner; else less.
    """
    recent: Counter[int] = Counter()
    total = 0
    for block in reversed(blocks):
        recent.update(block)
        total += block.total()
        if total * allowed >= _ENOUGH_BEYOND:
            break
    if total * allowed < _LEAST_BEYOND:
        return None
    above, cells = 0, sorted(recent, reverse=True)
    for cell, lower in zip(cells, [*cells[1:], cells[-1] - 1], strict=True):
        above += recent[cell]
        if above >= allowed * total:
            return lower if above <= _MOST * allowed * total else cell
    return None
