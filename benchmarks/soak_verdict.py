"""What a soak says: whether memory is flat, who was shed, and how soon all was as before."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from benchmarks.soak import Second, Soak

SETTLE_SECONDS = 60  # at the beginning: buffers and the heap grow to what the load needs
BLOCK_SECONDS = 10  # memory is averaged over blocks, so that neighbours count as nearly independent
GROWTH_SHARE = 0.02  # of the memory, over the whole time at rest: that much is called flat
CALM_SECONDS = 5  # in a row, but for one, without a shed request and with the latency of before: recovered
CALM_PERCENTILE = 95.0  # of the seconds at rest: no worse than the worst twentieth of them is as before
SOON_SECONDS = 10
QUICK, SLOWLY = "quick", "slow"


class Verdict(NamedTuple):
    """One claim, whether it holds, and the figures."""

    what: str
    holds: bool
    said: str


class Slope(NamedTuple):
    """A growth in MiB an hour, with its 95 % interval."""

    middle: float
    low: float
    high: float


def slope_of(resident_mib: list[float]) -> Slope:
    """The growth of memory by least squares over the blocks' means; the interval is Student's."""
    blocks = len(resident_mib) // BLOCK_SECONDS
    means = np.array(resident_mib[: blocks * BLOCK_SECONDS]).reshape(blocks, BLOCK_SECONDS).mean(axis=1)
    hours = np.arange(blocks) * BLOCK_SECONDS / 3600.0
    fit = stats.linregress(hours, means)
    reach = float(stats.t.ppf(0.975, max(1, blocks - 2)) * fit.stderr)
    return Slope(float(fit.slope), float(fit.slope) - reach, float(fit.slope) + reach)


def calm_after(found: Soak, name: str) -> int:
    """Seconds from the spike's end until all is as before, for nearly all of `CALM_SECONDS` in a row; -1 for never.

    As before: nobody shed, nobody failed, and a p99 that the seconds at rest had too."""
    seconds = found.models[name]
    rest = [one.p99_ms for one in seconds[min(SETTLE_SECONDS, found.spike_at // 2) : found.spike_at]]
    most = max(float(np.percentile(rest, CALM_PERCENTILE)), 2.0 * median(rest))
    calm = [not one.shed and not one.unsure and 0 <= one.p99_ms <= most for one in seconds[found.spike_ends_at :]]
    for at in range(len(calm) - CALM_SECONDS + 1):
        if calm[at] and sum(calm[at : at + CALM_SECONDS]) >= CALM_SECONDS - 1:
            return at
    return -1


def judge(found: Soak) -> list[Verdict]:
    """All that is claimed."""
    rest = slice(min(SETTLE_SECONDS, found.spike_at // 2), found.spike_at)
    spike = slice(found.spike_at, found.spike_ends_at)
    return [
        _memory(found, rest),
        *(_at_rest(found.models[name][rest], name) for name in (QUICK, SLOWLY)),
        _quick_in_spike(found.models[QUICK][spike]),
        _slow_in_spike(found, found.models[SLOWLY][spike]),
        *(_recovered(found, name) for name in (QUICK, SLOWLY)),
    ]


def _memory(found: Soak, rest: slice) -> Verdict:
    resident = found.resident_mib[rest]
    slope, hours = slope_of(resident), len(resident) / 3600.0
    most = GROWTH_SHARE * median(resident)
    said = (
        f"{median(resident):.1f} MiB at rest, slope {slope.middle:+.1f} MiB an hour (95 % {slope.low:+.1f} to "
        f"{slope.high:+.1f}), that is {slope.middle * hours:+.2f} MiB in {len(resident) / 60:.0f} minutes; most in the "
        f"spike {max(found.resident_mib[found.spike_at : found.spike_ends_at]):.1f}, at the end "
        f"{median(found.resident_mib[-10:]):.1f}"
    )
    return Verdict("memory is flat", slope.low <= 0.0 or slope.high * hours < most, said)


def _at_rest(seconds: list[Second], name: str) -> Verdict:
    shed, unsure = sum(one.shed for one in seconds), sum(one.unsure for one in seconds)
    answered = sum(one.answered for one in seconds)
    p50, p99 = median(one.p50_ms for one in seconds), median(one.p99_ms for one in seconds)
    said = f"{answered:,} answered, {shed} shed, {unsure} failed; p50 {p50:.1f} ms, p99 {p99:.1f} ms (median second)"
    return Verdict(f"at rest the {name} model fails nobody", not unsure, said)


def _quick_in_spike(seconds: list[Second]) -> Verdict:
    answered, due = sum(one.answered for one in seconds), sum(one.due for one in seconds)
    p50, p99 = median(one.p50_ms for one in seconds), median(one.p99_ms for one in seconds)
    said = f"{answered:,} of {due:,} answered; p50 {p50:.1f} ms, p99 {p99:.1f} ms (median second)"
    return Verdict("in the spike the quick model answers everyone", answered == due, said)


def _slow_in_spike(found: Soak, seconds: list[Second]) -> Verdict:
    answered, shed = sum(one.answered for one in seconds), sum(one.shed for one in seconds)
    unsure = sum(one.unsure for one in seconds)
    most = max(one.p99_ms for one in seconds)
    refused = median([one.shed_p99_ms for one in seconds if one.shed_p99_ms >= 0.0] or [-1.0])
    said = (
        f"{answered:,} answered, {shed:,} shed with 503 and Retry-After (told within {refused:.1f} ms: p99, median "
        f"second), {unsure} otherwise; the answered waited {most:.0f} ms at most (p99, worst second), time-out "
        f"{found.timeout_seconds * 1e3:.0f} ms"
    )
    holds = not unsure and shed > 0 and most <= found.timeout_seconds * 1e3
    return Verdict("in the spike the slow model sheds, and whoever is admitted is answered in time", holds, said)


def _recovered(found: Soak, name: str) -> Verdict:
    after = calm_after(found, name)
    said = "never" if after < 0 else f"{after} s after the spike"
    return Verdict(f"the {name} model is as before", 0 <= after <= SOON_SECONDS, said)
