"""Business events after a promotion: does what follows from the version's answers keep the bound that its rollout had?

A trial is a unit's answer and the first number that it logs within `Aftercare.events_seconds` of it, 0 where it logs
none; it counts once that time is over, so a late event changes nothing. The champion's trials are those that began in
the rollout, before the promotion, under the same window; the version's are those since. They are compared with

    asked = bound * (what the champion's mean is at least, at 99 %) + margin

(at most, for a bound from above), by the e-detector of `stats.sequential.block_detector`. Values in [0, 1] are losses
as they are. Others (money) are cut to the range that holds 99 % of what the champion's units logged, on both sides of
the comparison, and mapped to [0, 1]: a change of what is beyond it alone is not seen.

Trials of one unit resemble each other: `effect` says how many times a trial of the champion's counts for less than an
independent one would (the design effect of clusters, Kish 1965), and the bound on its mean is that much wider.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor

from msgspec import UNSET, Struct, UnsetType, structs

from fairlead.core.guard import amount, percent
from fairlead.core.listing import counted
from fairlead.core.metrics import is_event
from fairlead.core.rollout import Guardrail, Plan
from fairlead.stats.intervals import upper_bound
from fairlead.stats.sequential.block_detector import BlockWatch

Counts = tuple[tuple[float, int], ...]  # (value, trials), ascending

LEAST_TRIALS = 200  # of the champion's, for its mean to be known
LEAST_SHOWN = 10  # of them with a value other than 0
_BEYOND = 0.01  # of the bound on the champion's mean
_CUT = 0.01  # the part of what was logged that lies beyond the range
_SOON = "its events have not had their time yet"


class EventTally(Struct, frozen=True, omit_defaults=True):
    """What followed in one block: trials of the version that ended, by value; and once, all those of the champion."""

    metric: str
    version: Counts = ()
    champion: Counts | UnsetType = UNSET
    effect: float = 1.0


class EventStream(Struct, frozen=True):
    """One event's detector, once the champion's mean is known; `why` says what is missing before. `low` and `high` are
    the range that values are cut to, `asked` the mean that the version must keep, `total` the sum of its values."""

    rule: Guardrail
    watch: BlockWatch | None = None
    why: str = _SOON
    low: float = 0.0
    high: float = 1.0
    asked: float = 0.0
    trials: int = 0
    total: float = 0.0


def event_rules(plan: Plan) -> tuple[Guardrail, ...]:
    """The guardrails on events that a promotion under a plan is watched for."""
    wanted = plan.after is not None and plan.after.events_seconds > 0.0 and plan.edition > 1
    return tuple(rule for rule in plan.guardrails if wanted and is_event(rule.metric, plan.edition) and rule.relative)


def took_in(stream: EventStream, block: int, tallies: Iterable[EventTally]) -> EventStream:
    """The stream after a block."""
    mine = next((one for one in tallies if one.metric == stream.rule.metric), None)
    if mine is not None and mine.champion is not UNSET and stream.watch is None:
        stream = _begun(stream.rule, mine.champion, mine.effect, block)
    if stream.watch is None or block <= stream.watch.block:
        return stream
    found = mine.version if mine is not None else ()
    scaled = [(_scaled(stream, value), count) for value, count in found]
    losses = [(1.0 - one if stream.rule.lower else one, count) for one, count in scaled]
    cut = sum(count * min(max(value, stream.low), stream.high) for value, count in found)
    return structs.replace(
        stream,
        watch=stream.watch.update_losses(block, losses),
        trials=stream.trials + sum(count for _, count in found),
        total=stream.total + cut,
    )


def figures(stream: EventStream, measured: float) -> str:
    """What was measured and what is asked, for a sentence."""
    told = percent if (stream.low, stream.high) == (0.0, 1.0) else amount
    side = "at least" if stream.rule.lower else "at most"
    return f"{told(measured)} in all, {side} {told(stream.asked)} asked"


def unwatched(streams: Iterable[EventStream]) -> str:
    """What is not watched and why, as the end of a sentence; nothing where all are."""
    missing = [f"{one.rule.metric} is not watched: {one.why}" for one in streams if one.watch is None]
    return "".join(f"; {one}" for one in missing)


def _begun(rule: Guardrail, champion: Counts, effect: float, block: int) -> EventStream:
    """The stream that begins with what is known of the champion; the block itself is not taken in yet."""
    trials, shown = sum(count for _, count in champion), sum(count for value, count in champion if value)
    if trials < LEAST_TRIALS or shown < LEAST_SHOWN:
        had = f"in its rollout {shown:,} of {counted(trials, 'unit')} of the champion's logged it in time"
        return EventStream(rule, why=f"{had}, and {LEAST_SHOWN} of {LEAST_TRIALS} are needed")
    low, high = _range(champion)
    stream = EventStream(rule, low=low, high=high)
    mean = sum(_scaled(stream, value) * count for value, count in champion) / trials
    size = max(1, floor(trials / max(1.0, effect)))
    # Of all values in [0, 1] with one mean those that are 0 or 1 vary most: the exact bound of a rate serves for each.
    bad = min(size, ceil(size * (1.0 - mean if rule.lower else mean)))
    worst = upper_bound(bad, size, _BEYOND)
    known = low + (high - low) * (1.0 - worst if rule.lower else worst)
    asked = rule.bound * known + rule.margin
    allowed = (high - asked if rule.lower else asked - low) / (high - low)
    if allowed >= 1.0:
        return EventStream(rule, why=f"what is known of {counted(trials, 'unit')} of the champion's allows anything")
    settled = float(f"{max(allowed, 1e-6):.6g}")
    return structs.replace(stream, why="", asked=float(f"{asked:.6g}"), watch=BlockWatch(settled, block - 1))


def _range(champion: Counts) -> tuple[float, float]:
    """Where values are cut: at 0 and 1 where all lie between, else so that 1 % of those that are not 0 lie beyond."""
    shown = [(value, count) for value, count in champion if value]
    if all(0.0 <= value <= 1.0 for value, _ in shown):
        return 0.0, 1.0
    beyond = floor(_CUT * sum(count for _, count in shown))
    return min(0.0, _after(shown, beyond)), max(0.0, _after(shown[::-1], beyond))


def _after(ordered: list[tuple[float, int]], count: int) -> float:
    """The value that follows so many."""
    for value, times in ordered:
        count -= times
        if count < 0:
            return value
    return ordered[-1][0]


def _scaled(stream: EventStream, value: float) -> float:
    return (min(max(value, stream.low), stream.high) - stream.low) / (stream.high - stream.low)
