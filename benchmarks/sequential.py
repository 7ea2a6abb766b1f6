"""Updates a second of every sequential test: each observation is looked at.

Three ways: `path`, ln E (or the bounds) after each of an array of observations; `stream`, a state of constant size fed
in batches of 1,000, with a look at each observation (the asymptotic ones give their interval when asked); `single`, the
same state fed one observation at a time, which is dominated by the calls and not what the library is for. Beside them
`loop`, the same update written in plain Python, observation by observation, as libraries for streams do it. CPU time;
the median of the repeats.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from math import exp, log, log1p, sqrt
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from fairlead.stats import intervals, shadow
from fairlead.stats.sequential import (
    betting,
    capital,
    divergence,
    edetector,
    failures,
    latency,
    mean_difference,
    means,
    quantiles,
    rates,
    sample_ratio,
)

Arrays = tuple[np.ndarray, ...]
BATCH, SINGLE, LOOPED = 1_000, 2_000, 20_000
REFERENCE = (0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01)
EDGES = tuple(np.exp(np.linspace(-4.0, 5.0, 200)).tolist())


class Contender(NamedTuple):
    """One test: its observations, its path, its state's update, and the plain loop."""

    data: Arrays
    path: Callable[..., Any]
    start: Any
    update: Callable[..., Any]
    loop: Callable[..., Any]


# -- plain loops -----------------------------------------------------------------------------------------------------


def loop_failures(share: np.ndarray, canary: np.ndarray) -> float:
    """Six likelihood ratios and their mean, failure by failure."""
    sums, peak = [0.0] * len(failures.RISKS), 0.0
    for rho, hit in zip(share.tolist(), canary.tolist(), strict=True):
        for i, risk in enumerate(failures.RISKS):
            sums[i] += hit * log(risk) - log1p(rho * (risk - 1.0))
        top = max(sums)
        peak = max(peak, top + log(sum(exp(one - top) for one in sums) / len(sums)))
    return peak


def loop_rates(outcomes: np.ndarray) -> float:
    """Eight likelihood ratios and their mean, trial by trial."""
    odds = rates.ODDS.tolist()
    sums, peak = [0.0] * len(odds), 0.0
    for hit in outcomes.tolist():
        for i, k in enumerate(odds):
            sums[i] += hit * log(k) - log1p(0.05 * (k - 1.0))
        top = max(sums)
        peak = max(peak, top + log(sum(exp(one - top) for one in sums) / len(sums)))
    return peak


def loop_sequence(outcomes: np.ndarray) -> tuple[float, float]:
    """`rate_sequence` after each trial, as one would call it without a path."""
    events, low, high = 0, 0.0, 1.0
    for count, hit in enumerate(outcomes.tolist(), start=1):
        events += int(hit)
        ends = intervals.rate_sequence(events, count)
        low, high = max(low, ends[0]), min(high, ends[1])
    return low, high


def loop_latency(share: np.ndarray, slow: np.ndarray, answer: np.ndarray) -> float:
    """Both tests."""
    held = slow >= 0
    return min(loop_failures(share[held], slow[held]), loop_rates(answer[answer >= 0]))


def loop_divergence(cells: np.ndarray) -> float:
    """`divergence_log_e` after each score, as one would call it without a path."""
    counts, peak = [0] * len(REFERENCE), 0.0
    for cell in cells.tolist():
        counts[cell] += 1
        peak = max(peak, divergence.divergence_log_e(counts, REFERENCE, 0.25))
    return peak


def loop_harm(losses: np.ndarray) -> float:
    """The bet that learns alone, loss by loss."""
    m, mean, spread, log_k, peak = 0.13, 0.5, 0.25, 0.0, 0.0
    for count, loss in enumerate(losses.tolist()):
        bet = min(max((mean - m) / (spread / (count + 1) + (mean - m) ** 2), 0.0), 0.75 / m)
        log_k += log1p(bet * (loss - m))
        peak = max(peak, log_k)
        mean += (loss - mean) / (count + 2)
        spread += (loss - mean) ** 2
    return peak


def loop_change(losses: np.ndarray) -> float:
    """Six Shiryaev-Roberts recursions, loss by loss."""
    m, peak = 0.13, 0.0
    bets = [(k - 1.0) / (1.0 - m + k * m) for k in edetector.ODDS]
    sums = [0.0] * len(bets)
    for loss in losses.tolist():
        sums = [min((one + 1.0) * (1.0 + bet * (loss - m)), 1e300) for one, bet in zip(sums, bets, strict=True)]
        peak = max(peak, sum(sums) / len(sums))
    return peak


def loop_bernstein(values: np.ndarray) -> tuple[float, float]:
    """One interval a value."""
    mean, spread, weight, weighted, penalty, low, high = 0.5, 0.25, 0.0, 0.0, 0.0, 0.0, 1.0
    for count, x in enumerate(values.tolist(), start=1):
        bet = min(0.5, sqrt(2.0 * log(40.0) / (spread / count * count * log1p(count))))
        penalty += (x - mean) ** 2 * (-log1p(-bet) - bet)
        weight += bet
        weighted += bet * x
        mean += (x - mean) / (count + 1)
        spread += (x - mean) ** 2
        half = (log(40.0) + penalty) / weight
        low, high = max(low, weighted / weight - half), min(high, weighted / weight + half)
    return low, high


def loop_capital(values: np.ndarray) -> tuple[int, int]:
    """A grid of 1,000 candidate means, each updated with numpy at each value (as the paper's own code does)."""
    grid = np.arange(1, 1000) / 1000
    up, down, mean, spread = np.zeros(999), np.zeros(999), 0.5, 0.25
    refuted = np.zeros(999, dtype=bool)
    for count, x in enumerate(values.tolist(), start=1):
        bet = sqrt(2.0 * log(40.0) / (spread / count * count * log1p(count)))
        up += np.log1p(np.minimum(bet, 0.5 / grid) * (x - grid))
        down += np.log1p(-np.minimum(bet, 0.5 / (1.0 - grid)) * (x - grid))
        mean += (x - mean) / (count + 1)
        spread += (x - mean) ** 2
        refuted |= np.maximum(up, down) >= log(40.0)
    return int(refuted[:500].sum()), int(refuted[500:].sum())


def loop_normal(values: np.ndarray) -> tuple[float, float]:
    """Welford's moments and one interval a value."""
    mean, squares, half, tuned = 0.0, 0.0, 0.0, means.tuning(0.05, 1000)
    for count, x in enumerate(values.tolist(), start=1):
        gap = x - mean
        mean += gap / count
        squares += gap * (x - mean)
        grown = count * tuned
        half = sqrt(squares / count * 2.0 * (grown + 1.0) / (grown * count) * (log1p(grown) / 2.0 + log(20.0)))
    return mean - half, mean + half


def loop_rise(values: np.ndarray, canary: np.ndarray, share: np.ndarray) -> float:
    """One bet a unit."""
    total, known, spread, log_e, peak = 0.0, 0.0, 0.25, 0.0, 0.0
    rows = zip(values.tolist(), canary.tolist(), share.tolist(), strict=True)
    for count, (y, arm, rho) in enumerate(rows, start=1):
        centre = total / max(count - 1, 1)
        gain, low = (arm - rho) * (y - centre), -max((1.0 - rho) * centre, rho * (1.0 - centre))
        bet = min(sqrt(2.0 * log(20.0) / (spread / count * count * log1p(count))), 0.5 / max(-low, 1e-300))
        log_e += log1p(bet * gain)
        peak = max(peak, log_e)
        total += y
        known += gain
        spread += (gain - known / (count + 1)) ** 2
    return peak


def loop_difference(values: np.ndarray, canary: np.ndarray, share: np.ndarray) -> tuple[float, float]:
    """One interval a unit."""
    total, g, v, gg, gv, vv = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    centre, half, tuned = 0.0, 0.0, means.tuning(0.05, 1000) / 0.25
    rows = zip(values.tolist(), canary.tolist(), share.tolist(), strict=True)
    for count, (y, arm, rho) in enumerate(rows):
        gain, weight = (arm - rho) * (y - total / max(count, 1)), rho * (1.0 - rho)
        total += y
        g, v, gg, gv, vv = g + gain, v + weight, gg + gain * gain, gv + gain * weight, vv + weight * weight
        centre, grown = g / v, v * tuned
        variance = max(gg - 2.0 * centre * gv + centre * centre * vv, 0.0)
        half = sqrt(2.0 * variance * (1.0 + 1.0 / grown) * (log1p(grown) / 2.0 + log(20.0))) / v
    return centre - half, centre + half


def loop_quantiles(values: np.ndarray) -> int:
    """The mixture of 200 edges, updated with numpy at each value."""
    edges, below, log_e = np.array(EDGES), np.zeros(200), np.zeros(200)
    refuted = np.zeros(200, dtype=bool)
    for count, x in enumerate(values.tolist()):
        hit = x <= edges
        log_e += np.log(np.where(hit, (below + 99.0) / 0.99, (count - below + 1.0) / 0.01) / (count + 100.0))
        below += hit
        refuted |= log_e >= log(20.0)
    return int(refuted.sum())


def loop_ratio(arms: np.ndarray) -> float:
    """One predictive probability a unit."""
    counts, shares, log_e, peak = [0.0, 0.0], (0.9, 0.1), 0.0, 0.0
    for count, arm in enumerate(arms.tolist()):
        log_e += log((1e4 * shares[arm] + counts[arm]) / (1e4 + count) / shares[arm])
        peak = max(peak, log_e)
        counts[arm] += 1
    return peak


def loop_pairs(one: np.ndarray, two: np.ndarray) -> float:
    """One coin a pair that disagrees."""
    counts, log_e, peak = [0, 0], 0.0, 0.0
    for a, b in zip(one.tolist(), two.tolist(), strict=True):
        if a != b:
            log_e += log((1.0 + 2.0 * counts[b > a]) / (1.0 + counts[0] + counts[1]))
            counts[b > a] += 1
            peak = max(peak, log_e)
    return peak


def fed(state: Any, *batch: np.ndarray) -> Any:
    """The state after one more batch."""
    return state.update(*batch)


def sequence_fed(state: Any, batch: np.ndarray) -> Any:
    """The counts after one more batch; the interval is asked for after each."""
    after = state.update(batch)
    intervals.rate_sequence(after.events, after.trials)
    return after


# -- the table -------------------------------------------------------------------------------------------------------


def contenders(rng: np.random.Generator, n: int) -> dict[str, Contender]:
    """Each test on `n` observations without a change."""
    share = np.repeat((0.01, 0.05, 0.25, 0.5), n // 4)
    canary = (rng.random(n) < share).astype(float)
    hits = (rng.random(n) < 0.05).astype(float)
    losses = (rng.random(n) < 0.12).astype(float)
    values = rng.beta(2.0, 3.0, n)
    cells = rng.choice(10, n, p=REFERENCE)
    wide = np.exp(rng.normal(0.0, 1.2, n))
    slow = np.where(rng.random(n) < 0.5, canary, -1.0)
    answer = np.where(rng.random(n) < 0.5, hits, -1.0)
    arms = (rng.random(n) < 0.1).astype(np.int64)
    right = (rng.random(n) < 0.9).astype(float), (rng.random(n) < 0.9).astype(float)
    one = Contender
    return {
        "failures": one((share, canary), failures.failure_path, failures.FailureWatch(), fed, loop_failures),
        "rates": one((hits,), partial(rates.rate_path, limit=0.05), rates.RateWatch(0.05), fed, loop_rates),
        "rates, sequence": one(
            (hits,),
            partial(intervals.rate_sequence_path, alpha=0.05),
            rates.RateWatch(0.05),
            sequence_fed,
            loop_sequence,
        ),
        "latency": one((share, slow, answer), latency.latency_path, latency.LatencyWatch(), fed, loop_latency),
        "divergence": one(
            (cells,),
            partial(divergence.divergence_path, expected=REFERENCE, bound=0.25),
            divergence.ScoreWatch(REFERENCE, 0.25),
            fed,
            loop_divergence,
        ),
        "mean_difference, exact": one(
            (values, canary, share), mean_difference.rise_path, mean_difference.RiseWatch(), fed, loop_rise
        ),
        "mean_difference, asymptotic": one(
            (values, canary, share),
            partial(mean_difference.difference_sequence, alpha=0.05),
            mean_difference.DifferenceWatch(0.05),
            fed,
            loop_difference,
        ),
        "means, empirical Bernstein": one(
            (values,), partial(means.bernstein_sequence, alpha=0.05), means.BernsteinWatch(0.05), fed, loop_bernstein
        ),
        "means, asymptotic": one(
            (values,), partial(means.normal_sequence, alpha=0.05), means.NormalWatch(0.05), fed, loop_normal
        ),
        "capital (betting)": one(
            (values,), partial(capital.mean_sequence, alpha=0.05), capital.MeanWatch(0.05), fed, loop_capital
        ),
        "quantiles": one(
            (wide,),
            partial(quantiles.quantile_path, edges=EDGES, p=0.99, alpha=0.05),
            quantiles.QuantileWatch(EDGES, 0.99, 0.05),
            fed,
            loop_quantiles,
        ),
        "sample_ratio": one(
            (arms,),
            partial(sample_ratio.sample_ratio_path, weights=(0.9, 0.1)),
            sample_ratio.RatioWatch((0.9, 0.1)),
            fed,
            loop_ratio,
        ),
        "betting (harm)": one(
            (losses,), partial(betting.harm_path, allowed=0.13), betting.LossWatch(0.13), betting.update, loop_harm
        ),
        "edetector": one(
            (losses,), partial(edetector.change_path, allowed=0.13), edetector.ChangeWatch(0.13, 1e-6), fed, loop_change
        ),
        "shadow (McNemar)": one(right, shadow.mcnemar_path, shadow.PairWatch(), fed, loop_pairs),
    }


def stream(contender: Contender, data: Arrays, batch: int) -> Any:
    """The state after the data, fed in batches."""
    state = contender.start
    for start in range(0, len(data[0]), batch):
        state = contender.update(state, *(column[start : start + batch] for column in data))
    return state


def rate(updates: int, repeats: int, work: Callable[..., Any], *arguments: Any) -> float:
    """Updates a second of CPU time."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work(*arguments)
        taken.append(time.process_time() - start)
    return updates / max(median(taken), 1e-9)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    n, repeats = chosen.updates, chosen.repeats
    print(f"updates a second of CPU time, {n:,} observations, medians of {repeats}")
    print(f"{'':30s}{'path':>14s}{'stream':>14s}{'single':>12s}{'loop':>12s}{'path/loop':>11s}{'stream/loop':>13s}")
    for name, one in contenders(np.random.default_rng(1), n).items():
        few, looped = tuple(c[:SINGLE] for c in one.data), tuple(c[-LOOPED:] for c in one.data)
        path = rate(n, repeats, one.path, *one.data)
        streamed = rate(n, repeats, stream, one, one.data, BATCH)
        single = rate(SINGLE, 1, stream, one, few, 1)
        loop = rate(len(looped[0]), 1, one.loop, *looped)
        ratios = f"{path / loop:11.1f}{streamed / loop:13.1f}"
        print(f"{name:30s}{path:14,.0f}{streamed:14,.0f}{single:12,.0f}{loop:12,.0f}{ratios}")


if __name__ == "__main__":
    main()
