"""What was measured of a candidate under stress, and what it means: its memory over thousands of predictions, the
expected rate, a spike. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from fairlead.core.gate import Check, Figure, GatePolicy, figures
from fairlead.core.judge_runtime import FEWEST_LATENCIES
from fairlead.core.judging import judged
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome
from fairlead.stats.intervals import clopper_pearson
from fairlead.stats.median import median_interval

PER = 10_000  # predictions that a growth of memory is told for
SLOW_SHARE = 0.01  # of requests that may be slower than the bound of the 99th percentile


class Growth(Struct, frozen=True):
    """Resident memory over predictions in blocks of equal size. `memory_mb` was read before the first block and after
    each."""

    memory_mb: tuple[float, ...]
    block_rows: int
    requests: int = 0
    refused: int = 0
    first_refusal: str = ""
    peak_memory_mb: float = 0.0

    @property
    def increments_mb(self) -> tuple[float, ...]:
        """What each block left behind, for `PER` predictions."""
        return tuple(float(step) for step in np.diff(self.memory_mb) * PER / self.block_rows)


class Asked(Struct, frozen=True):
    """One request of a stream. `at`: seconds from the stream's begin until it was due; `milliseconds`: from then to its
    answer, and where a caller slept too long, from when it woke. `is_shed`: a 503 that says when to try again."""

    at: float
    milliseconds: float
    is_ok: bool
    is_shed: bool = False
    said: str = ""


class Burst(Struct, frozen=True):
    """Batches of one size, asked for as fast as they are answered, by several callers at once."""

    rows: int  # of a batch
    batches: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int = 0

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows * (self.batches - self.refused) / self.seconds if self.seconds else 0.0


class Spike(Struct, frozen=True):
    """A spike, and the time from its end until answers were as they should be again; None where they never were."""

    rate: float
    asked: tuple[Asked, ...]
    recovered_seconds: float | None


@judged
def judge_memory(found: Growth, policy: GatePolicy) -> Check:
    """Memory stays where it is: the interval of its growth lies below the bound.

    The growth is the median over the blocks, so a step or two (a cache that fills, a larger buffer) is none; a leak
    shows in every block.
    """
    allowed = policy.memory_growth_mb
    required = f"at most {allowed:g} MB more for {PER:,} predictions, peak <= {policy.peak_memory_mb:g} MB, no refusal"
    blocks = len(found.increments_mb)
    growth = median_interval(np.asarray(found.increments_mb, np.float64))
    measured = figures(
        predictions=blocks * found.block_rows,
        requests=found.requests,
        refused=found.refused,
        growth_mb=round(growth.value, 3),
        growth_low_mb=round(growth.low, 3),
        growth_high_mb=round(growth.high, 3),
        first_mb=round(found.memory_mb[0], 1) if found.memory_mb else None,
        last_mb=round(found.memory_mb[-1], 1) if found.memory_mb else None,
        peak_memory_mb=round(found.peak_memory_mb, 1),
    )
    outcome, reason = _grown(found, policy, blocks)
    return Check("memory_stable", outcome, reason, measured, required)


def _grown(found: Growth, policy: GatePolicy, blocks: int) -> tuple[Outcome, str]:
    allowed, growth = policy.memory_growth_mb, median_interval(np.asarray(found.increments_mb, np.float64))
    if found.refused:
        of = counted(found.requests, "request")
        return Outcome.BREACHED, f"{found.refused} of {of} were refused, the first with {found.first_refusal}."
    if not growth.defined or not np.isfinite(growth.low):
        return Outcome.UNDECIDED, f"{counted(blocks, 'block')} of predictions cannot tell a leak from a step."
    said = (
        f"{growth.value:+.2f} MB for {PER:,} predictions (95 % interval {growth.low:+.2f} to {growth.high:+.2f}) over "
        f"{blocks * found.block_rows:,} in batches of varied size, {found.memory_mb[-1]:.0f} MB at the end"
    )
    if growth.low > allowed:
        return Outcome.BREACHED, f"{said}: it leaks, {allowed:g} MB are allowed."
    if found.peak_memory_mb > policy.peak_memory_mb:
        peak = f"{found.peak_memory_mb:.0f} MB at its peak"
        return Outcome.BREACHED, f"{said}, {peak}: memory is over {policy.peak_memory_mb:g} MB."
    if growth.high > allowed:
        return Outcome.UNDECIDED, f"{said}: not shown to stay below {allowed:g} MB."
    return Outcome.HOLDS, f"{said}."


@judged
def judge_load(rate: float, asked: Sequence[Asked], curve: Sequence[Burst], policy: GatePolicy) -> Check:
    """At the expected rate nothing fails, and no more requests than chance allows are slower than the bound.

    The curve of batch sizes is told, and not judged.
    """
    required = (
        f"no failure at {rate:g} requests a second, and not shown that over 1 % are slower than {policy.p99_ms:g} ms"
    )
    measured = figures(rate=rate, **_figures_of(asked, policy), **_figures_of_curve(curve))
    failed = [one for one in asked if not one.is_ok]
    if failed:
        reason = (
            f"{len(failed)} of {counted(len(asked), 'request')} failed at the expected rate of {rate:g} a second, "
            f"the first with {failed[0].said}."
        )
        return Check("load_sustained", Outcome.BREACHED, reason, measured, required)
    if len(asked) < FEWEST_LATENCIES:
        reason = f"{counted(len(asked), 'request')} are too few: at least {FEWEST_LATENCIES} are needed."
        return Check("load_sustained", Outcome.UNDECIDED, reason, measured, required)
    refused = [one for one in curve if one.refused]
    if refused:
        reason = f"{refused[0].refused} of {refused[0].batches} batches of {refused[0].rows} rows were refused."
        return Check("load_sustained", Outcome.BREACHED, reason, measured, required)
    slow = sum(one.milliseconds > policy.p99_ms for one in asked)
    said = f"{counted(len(asked), 'request')} at {rate:g} a second, p99 {measured['p99_ms']} ms"
    if clopper_pearson(slow, len(asked), 0.10)[0] > SLOW_SHARE:
        reason = f"{said}: {slow} were slower than {policy.p99_ms:g} ms, more than chance explains of 1 %."
        return Check("load_sustained", Outcome.BREACHED, reason, measured, required)
    best = max(curve, key=lambda burst: burst.rate, default=None)
    most = f"; at most {best.rate:,.0f} rows a second, in batches of {best.rows}" if best else ""
    return Check("load_sustained", Outcome.HOLDS, f"{said}, none failed{most}.", measured, required)


@judged
def judge_spike(found: Spike, policy: GatePolicy) -> Check:
    """What is too much is refused as documented, with a time to try again; nothing fails, and it ends soon after."""
    required = (
        f"at {policy.spike_times:g} times the expected rate: answers, or 503 with Retry-After; "
        f"as before within {policy.recovery_seconds:g} s"
    )
    total, shed = len(found.asked), sum(one.is_shed for one in found.asked)
    measured = figures(
        rate=found.rate, shed=shed, recovered_seconds=found.recovered_seconds, **_figures_of(found.asked, policy)
    )
    failed = [one for one in found.asked if not one.is_ok and not one.is_shed]
    told = f"{counted(total, 'request')} at {found.rate:g} a second: {total - shed - len(failed)} answered, {shed} shed"
    if failed:
        reason = f"{told}, {len(failed)} failed, the first with {failed[0].said}."
        return Check("load_spike", Outcome.BREACHED, reason, measured, required)
    if total == 0:
        return Check("load_spike", Outcome.UNDECIDED, "No request was made.", measured, required)
    if shed == total:
        return Check("load_spike", Outcome.BREACHED, f"{told}: it answered nobody.", measured, required)
    if found.recovered_seconds is None or found.recovered_seconds > policy.recovery_seconds:
        reason = f"{told}; {policy.recovery_seconds:g} s later it is not as before."
        return Check("load_spike", Outcome.BREACHED, reason, measured, required)
    reason = f"{told}, none failed; as before {found.recovered_seconds:.2f} s later."
    return Check("load_spike", Outcome.HOLDS, reason, measured, required)


def _figures_of(asked: Sequence[Asked], policy: GatePolicy) -> dict[str, Figure]:
    answered = [one.milliseconds for one in asked if one.is_ok]
    found: dict[str, Figure] = {"requests": len(asked), "failed": sum(not one.is_ok for one in asked)}
    if not answered:
        return found
    p50, p95, p99 = (float(q) for q in np.percentile(answered, (50, 95, 99), method="higher"))
    slow = sum(one > policy.p99_ms for one in answered)
    return {**found, "p50_ms": round(p50, 3), "p95_ms": round(p95, 3), "p99_ms": round(p99, 3), "slower": slow}


def _figures_of_curve(curve: Sequence[Burst]) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for one in curve:
        found[f"batch_{one.rows}_rows_per_second"] = round(one.rate, 1)
        found[f"batch_{one.rows}_p50_ms"] = round(one.p50_ms, 3)
        found[f"batch_{one.rows}_p99_ms"] = round(one.p99_ms, 3)
    return found
