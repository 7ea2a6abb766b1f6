"""After the promotion: the version serves everybody, and may still go back. The whole decision, as `core.advance`.

Nobody answers beside it any more, so it is compared with what was allowed of it: its guardrails, in the figures of its
own rollout. Evidence is counted in blocks of `BLOCK_SECONDS`; each metric has an e-detector over them
(`stats.sequential.block_detector`), which unlike a rollout's evidence forgets: a version that was good for six days
and fails on the seventh is found as fast as one that fails at once. All detectors together raise a false alarm once in
`Aftercare.alarm_seconds` on average, or more seldom.

error_rate      units whose answer failed: at most the guardrail's multiple of the rate in the rollout
p99_latency     units whose answer was slower than the guardrail's bound: at most 1 %
prediction_psi  scores in one cell: at most so many that this cell alone makes the index reach the bound
late_loss       answers that outcomes have shown to be wrong: at most 1.25 times the rate of the version before, once
                `LEAST_TRUTHS` of its outcomes are known
events          what callers log: the guardrail's bound on what the champion reached (`core.after_events`)

No rate is taken to be known better than it is: what is allowed is never less than the upper bound (99 %) of the rate
that was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from math import inf, log

from msgspec import Struct, structs

from fairlead.core.after_events import EventStream, EventTally, event_rules, figures, took_in, unwatched
from fairlead.core.event import canonical
from fairlead.core.guard import percent
from fairlead.core.listing import counted
from fairlead.core.metrics import metric as metric_of
from fairlead.core.rollout import Aftercare, Call, Guardrail, Rollout, slow_bound_ms
from fairlead.stats.intervals import upper_bound
from fairlead.stats.sequential.block_detector import BlockWatch, log_average

BLOCK_SECONDS = 10.0
LATE = "late_loss"
LEAST_UNITS = 200  # of the rollout, for its rates to be those that are allowed
LEAST_TRUTHS = 500  # outcomes of the version before, for its loss to be known
NOTHING = -99.0  # the evidence of a detector that has seen nothing: JSON has no infinity
_LATE_BOUND = 1.25
_SLOW = 0.01
_UNKNOWN = 0.01  # the rate of failures that is allowed where the rollout has measured none
_BEYOND = 0.01  # of the upper bounds


class Counted(Struct, frozen=True):
    """How many there were, and how many bad."""

    trials: int = 0
    bad: int = 0


class Block(Struct, frozen=True, omit_defaults=True):
    """What `BLOCK_SECONDS` brought, since `at` (in blocks since 1970): units that were answered and failed, or slow;
    their scores by cell; outcomes of the version (`late`) and of the one before (`earlier`); what callers logged."""

    at: int
    failed: Counted = Counted()
    slow: Counted = Counted()
    cells: tuple[int, ...] = ()
    late: Counted = Counted()
    earlier: Counted = Counted()
    events: tuple[EventTally, ...] = ()


class PromotionEvidence(Struct, frozen=True):
    """Blocks that have ended, ascending, each once; those that brought nothing are left out."""

    blocks: tuple[Block, ...] = ()


class AfterReading(Struct, frozen=True):
    """One metric's state: its evidence of a change against its threshold, what is allowed and what was measured: rates
    of what is bad, for an event the mean that is asked and the one that was reached."""

    metric: str
    guardrail: str
    call: Call
    log_m: float
    threshold_log_m: float
    allowed: float
    measured: float | None
    trials: int
    since: float | None = None  # when the change began, where there is one


class PromotionDecision(Struct, frozen=True):
    """What the watch decided, and why. `over`: it watches no more."""

    rollout: str
    at: float
    call: Call
    over: bool
    readings: tuple[AfterReading, ...]
    reason: str
    guardrail: str | None
    answers: int
    evidence: str  # SHA-256 of what this look added, canonical


class Stream(Struct, frozen=True):
    """One metric's detectors: one, or one for each score cell; and what was counted since the promotion."""

    metric: str
    text: str
    watches: tuple[BlockWatch, ...]
    seen: tuple[Counted, ...]


class AfterState(Struct, frozen=True):
    """The watch over one promotion: a fold of `watch` over its evidence."""

    rollout: str
    model: str
    version: int
    champion: int
    plan: Aftercare
    automatic: bool
    promoted_at: float
    streams: tuple[Stream, ...]
    block: int  # the last that was taken in
    earlier: Counted = Counted()  # outcomes of the version before
    answers: int = 0
    over: bool = False
    events: tuple[EventStream, ...] = ()


def begin(rollout: Rollout, now: float) -> AfterState | None:
    """The watch that begins with a promotion; None where none was planned, or there is no version to go back to."""
    if rollout.plan.after is None or rollout.champion is None:
        return None
    first = block_of(now)
    streams = tuple(one for rule in rollout.plan.guardrails if (one := _stream(rollout, rule, first)) is not None)
    plan = rollout.plan
    return AfterState(
        rollout.id, rollout.model, rollout.version, rollout.champion, rollout.plan.after, plan.automatic, now, streams,
        first, events=tuple(EventStream(rule) for rule in event_rules(plan)),
    )  # fmt: skip


def block_of(instant: float) -> int:
    """The block that an instant lies in."""
    return int(instant // BLOCK_SECONDS)


def watch(state: AfterState, evidence: PromotionEvidence, now: float) -> tuple[AfterState, PromotionDecision]:
    """The watch after some more blocks, and what was decided. Blocks that are not later than the last change nothing,
    nor do those after an alarm: where the evidence was cut makes no difference."""
    for block in evidence.blocks if not state.over else ():
        if block.at > state.block:
            state = _absorb(state, block)
            if any(one.call is Call.REGRESS for one in _readings(state)):
                break
    readings = _readings(state)
    broken = [one for one in readings if one.call is Call.REGRESS]
    worst = max(broken, key=lambda one: one.log_m) if broken else None
    ended = now - state.promoted_at >= state.plan.seconds
    after = structs.replace(state, over=state.over or worst is not None or ended)
    call = Call.REGRESS if worst is not None else Call.SAFE if ended else Call.NOT_YET
    return after, PromotionDecision(
        rollout=state.rollout,
        at=now,
        call=call,
        over=after.over,
        readings=readings,
        reason=_reason(state, worst, now),
        guardrail=None if worst is None else worst.guardrail,
        answers=state.answers,
        evidence=sha256(canonical(evidence)).hexdigest(),
    )


def why_after(decision: PromotionDecision, state: AfterState) -> str:
    """One sentence on how a promoted version has been doing."""
    version = f"Version {state.version} of {state.model}"
    if decision.call is Call.REGRESS:
        asked = "it goes back to" if state.automatic else "an operator is asked whether it goes back to"
        return f"{version} was promoted and {decision.reason}: {asked} version {state.champion}."
    return f"{version} serves: {decision.reason}."


# -- what is watched -----------------------------------------------------------------------------------------------


def _stream(rollout: Rollout, rule: Guardrail, first: int) -> Stream | None:
    """The detectors of a guardrail; None for one that cannot be watched without a champion beside it."""
    if rule.metric == "error_rate":
        allowed: tuple[float, ...] = (_failures_allowed(rollout, rule),)
    elif rule.metric == "p99_latency" and slow_bound_ms(rollout.plan, rollout.baseline) is not None:
        mine = rollout.seen.units.get("version")
        allowed = (max(_SLOW, upper_bound(mine.slow, mine.asked, _BEYOND)) if mine and mine.asked else _SLOW,)
    elif rule.metric == "prediction_psi":
        allowed = tuple(cell_bound(share, rule.bound) for share in _expected(rollout))
    else:
        return None
    watches = tuple(BlockWatch(_settled(one), first) for one in allowed)
    return Stream(rule.metric, rule.text, watches, (Counted(),) * len(watches)) if watches else None


def _failures_allowed(rollout: Rollout, rule: Guardrail) -> float:
    """The rate of units that may fail. Both versions' units count: the new one is taken to be as good as the guardrail
    found it."""
    if not rule.relative:
        return rule.bound
    arms = [one for arm in ("champion", "version") if (one := rollout.seen.units.get(arm)) is not None]
    asked, failed = sum(one.asked for one in arms), sum(one.failed for one in arms)
    if asked < LEAST_UNITS:
        return max(rule.bound * (rollout.baseline.champion_error_rate or 0.0), _UNKNOWN)
    return max(rule.bound * failed / asked, upper_bound(failed, asked, _BEYOND))


def _expected(rollout: Rollout) -> tuple[float, ...]:
    """The share that each score cell is expected to hold: as in the rollout, or as it was validated."""
    cells = rollout.seen.scores.get("canary", ())
    total = sum(cells)
    return tuple(count / total for count in cells) if total >= LEAST_UNITS else rollout.baseline.canary_cells


def cell_bound(share: float, bound: float) -> float:
    """The share of a cell at which it alone makes the population stability index reach a bound.

    >>> round(cell_bound(0.1, 0.25), 3), round(cell_bound(0.5, 0.25), 3)
    (0.317, 0.914)
    """
    share = max(share, 1e-4)
    low, high = share, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (middle - share) * log(middle / share) < bound else (low, middle)
    return high


def _settled(allowed: float) -> float:
    """Within what can be bet against, to six digits, so that it is the same number everywhere."""
    return float(f"{min(max(allowed, 1e-6), 0.999999):.6g}")


# -- evidence ------------------------------------------------------------------------------------------------------


def _absorb(state: AfterState, block: Block) -> AfterState:
    earlier = _sum(state.earlier, block.earlier)
    streams = tuple(_updated(stream, block) for stream in state.streams)
    if earlier.trials >= LEAST_TRUTHS and all(stream.metric != LATE for stream in streams):
        allowed = max(_LATE_BOUND * earlier.bad / earlier.trials, upper_bound(earlier.bad, earlier.trials, _BEYOND))
        text = f"{LATE} <= {_LATE_BOUND:g} * version {state.champion}"
        streams += (Stream(LATE, text, (BlockWatch(_settled(allowed), block.at),), (Counted(),)),)
    answers = state.answers + block.failed.trials
    events = tuple(took_in(one, block.at, block.events) for one in state.events)
    return structs.replace(state, streams=streams, earlier=earlier, block=block.at, answers=answers, events=events)


def _updated(stream: Stream, block: Block) -> Stream:
    found = _counts(stream, block)
    watches = tuple(one.update(block.at, new.trials, new.bad) for one, new in zip(stream.watches, found, strict=True))
    seen = tuple(_sum(old, new) for old, new in zip(stream.seen, found, strict=True))
    return structs.replace(stream, watches=watches, seen=seen)


def _counts(stream: Stream, block: Block) -> tuple[Counted, ...]:
    if stream.metric == "prediction_psi":
        # Scores on edges of another rollout say nothing here.
        cells = block.cells if len(block.cells) == len(stream.watches) else (0,) * len(stream.watches)
        total = sum(cells)
        return tuple(Counted(total, count) for count in cells)
    named: Mapping[str, Counted] = {"error_rate": block.failed, "p99_latency": block.slow, LATE: block.late}
    return (named[stream.metric],)


def _sum(a: Counted, b: Counted) -> Counted:
    return Counted(a.trials + b.trials, a.bad + b.bad)


# -- the answer ----------------------------------------------------------------------------------------------------


def threshold(state: AfterState) -> float:
    """ln of what a detector must reach: the mean of all detectors is one too, and so keeps the budget."""
    streams = len(state.streams) + all(stream.metric != LATE for stream in state.streams) + len(state.events)
    return log(streams * max(1.0, state.plan.alarm_seconds / BLOCK_SECONDS))


def _readings(state: AfterState) -> tuple[AfterReading, ...]:
    events = (_event_reading(one, one.watch, threshold(state)) for one in state.events if one.watch is not None)
    return (*(_reading(state, stream) for stream in state.streams), *events)


def _event_reading(stream: EventStream, watch: BlockWatch, limit: float) -> AfterReading:
    over, log_m = watch.log_m >= limit, watch.log_m
    return AfterReading(
        metric=stream.rule.metric,
        guardrail=stream.rule.text,
        call=Call.REGRESS if over else Call.NOT_YET,
        log_m=round(log_m, 6) if log_m > -inf else NOTHING,
        threshold_log_m=round(limit, 6),
        allowed=stream.asked,
        measured=round(stream.total / stream.trials, 9) if stream.trials else None,
        trials=stream.trials,
        since=watch.changed_at * BLOCK_SECONDS if over else None,
    )


def _reading(state: AfterState, stream: Stream) -> AfterReading:
    logs = [one.log_m for one in stream.watches]
    leading = max(range(len(logs)), key=logs.__getitem__)
    log_m, limit = log_average(logs), threshold(state)
    seen = stream.seen[leading]
    over = log_m >= limit
    return AfterReading(
        metric=stream.metric,
        guardrail=stream.text,
        call=Call.REGRESS if over else Call.NOT_YET,
        log_m=round(log_m, 6) if log_m > -inf else NOTHING,
        threshold_log_m=round(limit, 6),
        allowed=stream.watches[leading].allowed,
        measured=round(seen.bad / seen.trials, 9) if seen.trials else None,
        trials=seen.trials,
        since=stream.watches[leading].changed_at * BLOCK_SECONDS if over else None,
    )


def _reason(state: AfterState, worst: AfterReading | None, now: float) -> str:
    elapsed = now - state.promoted_at
    if worst is None:
        what = f"{counted(state.answers, 'unit')} answered in the {_span(elapsed)} since its promotion, and no change"
        if elapsed < state.plan.seconds:
            left = _span(state.plan.seconds - elapsed)
            return f"{what} so far; it is watched for {left} more{unwatched(state.events)}"
        return f"{what}; the watch is over{unwatched(state.events)}"
    lasts = "" if worst.since is None else f" for {_span(max(0.0, now - worst.since))}"
    event = next((one for one in state.events if one.rule.text == worst.guardrail), None)
    said = f"{percent(worst.measured or 0.0)} in all, {percent(worst.allowed)} allowed"
    said = said if event is None else figures(event, worst.measured or 0.0)
    evidence = f"evidence e^{worst.log_m:.1f} over e^{worst.threshold_log_m:.1f}"
    broken = _BROKEN.get(worst.metric) or metric_of(worst.metric).broken
    return f"{broken}{lasts}, {_span(elapsed)} after its promotion ({worst.guardrail}: {said}, {evidence})"


_BROKEN = {
    LATE: "outcomes show more of its answers to be wrong than allowed",
    "prediction_psi": "its scores collapsed onto one part of their range",
}


def _span(seconds: float) -> str:
    """A time in words.

    >>> _span(30.0), _span(5400.0), _span(180000.0)
    ('30 s', '1.5 h', '2.1 d')
    """
    for unit, size in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
