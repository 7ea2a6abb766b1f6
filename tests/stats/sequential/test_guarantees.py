"""Every sequential test, looked at after every observation, in three kinds of traffic: how often it decides wrongly.

All nulls are true in every run, at their boundary where there is one. The canary's share ramps from 1 to 50 %.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import log

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.stats.intervals import rate_sequence_path
from fairlead.stats.sequential.betting import harm_path
from fairlead.stats.sequential.capital import mean_log_e_path
from fairlead.stats.sequential.divergence import divergence_path
from fairlead.stats.sequential.evidence import log_mean
from fairlead.stats.sequential.failures import failure_path
from fairlead.stats.sequential.latency import latency_path
from fairlead.stats.sequential.mean_difference import difference_sequence, rise_path
from fairlead.stats.sequential.means import bernstein_sequence, normal_sequence
from fairlead.stats.sequential.quantiles import QuantileWatch
from fairlead.stats.sequential.rates import rate_path
from fairlead.stats.sequential.sample_ratio import RatioWatch
from fairlead.stats.shadow import mcnemar_path

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ALPHA = 0.05
REQUESTS, UNITS = 4000, 3000
RAMP = (0.01, 0.05, 0.25, 0.5)
REFERENCE = np.array([0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01])
BOUND = 0.25  # of the score index
SCENARIOS = ("independent requests", "heavy users, sticky", "outage on both arms")
FAILS, OUTAGE = 0.02, 8.0


def shifted(cells: slice) -> Floats:
    """The reference moved towards some cells until its index is exactly the bound."""
    towards = np.zeros_like(REFERENCE)
    towards[cells] = REFERENCE[cells] / REFERENCE[cells].sum()
    low, high = 0.0, 1.0 - 1e-9
    for _ in range(60):
        weight = (low + high) / 2
        p = (1 - weight) * REFERENCE + weight * towards
        over = float(((p - REFERENCE) * np.log(p / REFERENCE)).sum()) > BOUND
        low, high = (low, weight) if over else (weight, high)
    moved: Floats = (1 - low) * REFERENCE + low * towards
    return moved


UP, DOWN = shifted(slice(7, None)), shifted(slice(0, 2))


class Traffic:
    """One run: who asked, on which arm, what came of it. Arms are equal, so no outcome looks at the arm."""

    def __init__(self, rng: np.random.Generator, scenario: str) -> None:
        heavy, outage = scenario != SCENARIOS[0], scenario == SCENARIOS[2]
        self.rng = rng
        if heavy:
            activity = np.cumsum(rng.gamma(0.3, size=UNITS))
            self.unit = np.searchsorted(activity / activity[-1], rng.random(REQUESTS))
        else:
            self.unit = np.arange(REQUESTS)
        units = UNITS if heavy else REQUESTS
        self.share = np.repeat(RAMP, REQUESTS // len(RAMP))
        self.canary = rng.random(units)[self.unit] < self.share
        self.first = self.firsts(np.ones(REQUESTS, dtype=bool))
        self.first_on_canary = self.firsts(self.canary)
        # The outage begins within one step of the ramp and ends in the next.
        time = np.arange(REQUESTS) / REQUESTS
        self.out = (time > 0.4) & (time < 0.6) if outage else np.zeros(REQUESTS, dtype=bool)
        self.outage = outage
        # Some units fail most of the time, others never.
        self.frailty = (rng.gamma(0.5, 2.0, units) if heavy else np.ones(units))[self.unit]

    def firsts(self, among: Bools) -> NDArray[np.int64]:
        """The first of those requests of each unit, in order of time."""
        at = np.flatnonzero(among)
        return at[np.sort(np.unique(self.unit[at], return_index=True)[1])]

    def happens(self, rate: float) -> Bools:
        """Whether it happens at each request: by the unit's frailty, and more in the outage."""
        chance = np.minimum(1.0, rate * self.frailty * np.where(self.out, OUTAGE, 1.0))
        return self.rng.random(REQUESTS) < chance

    def limit(self, rate: float) -> float:
        """What a unit's chance is, on average, at most."""
        return rate * (OUTAGE if self.outage else 1.0)


def ratio_path(traffic: Traffic) -> Floats:
    """A look after each unit, the weights set anew at each step of the ramp."""
    arms, shares = traffic.canary[traffic.first].astype(int), traffic.share[traffic.first]
    watch, peaks = RatioWatch((1 - RAMP[0], RAMP[0])), []
    for step in RAMP:
        watch = watch.reweigh((1 - step, step)).update(arms[shares == step])
        peaks.append(watch.evidence.log_e_max)
    return np.array(peaks)


def left_out(bounds: tuple[Floats, Floats], truth: float) -> bool:
    """Whether a confidence sequence ever left the truth out."""
    return bool((bounds[0] > truth).any() or (bounds[1] < truth).any())


def of_failures(traffic: Traffic) -> dict[str, float]:
    """ln E at its largest for the tests of failures and latency, by first failures and first answers of units."""
    share, canary = traffic.share, traffic.canary
    failed, slow = traffic.happens(FAILS), traffic.happens(0.01)
    first, first_slow = traffic.firsts(failed), traffic.firsts(slow)
    answers = traffic.first_on_canary
    slow_mark, answer_mark = np.full(REQUESTS, -1), np.full(REQUESTS, -1)
    slow_mark[first_slow] = canary[first_slow]
    answer_mark[answers] = slow[answers]
    path = {
        "failures": failure_path(share[first], canary[first]),
        "failures, tolerance": failure_path(share[first], canary[first], 0.25),
        "rate": rate_path(failed[answers], traffic.limit(FAILS)),
        "harm": harm_path(failed[answers].astype(float), traffic.limit(FAILS)),
        "latency": latency_path(share, slow_mark, answer_mark),
        "sample ratio": ratio_path(traffic),
    }
    return {name: float(values.max(initial=0.0)) for name, values in path.items()}


def of_values(traffic: Traffic) -> dict[str, float]:
    """ln E at its largest for scores, means and pairs; of a confidence sequence infinity where it left the truth
    out."""
    rng, first, share = traffic.rng, traffic.first, traffic.share
    canary = traffic.canary[first]
    cells = np.where(traffic.out, rng.choice(10, REQUESTS, p=DOWN), rng.choice(10, REQUESTS, p=UP))
    value = rng.beta(2.0, 3.0, REQUESTS)[first] * np.where(traffic.out[first], 0.2, 1.0)
    # An outage that leaves a mean where it was, and spreads it.
    wild = np.where(traffic.out, rng.random(REQUESTS) < 0.4, rng.beta(2.0, 3.0, REQUESTS))[traffic.first_on_canary]
    right = np.stack([rng.random(REQUESTS), rng.random(REQUESTS)]) > np.where(traffic.out, 0.7, 0.15)
    difference = difference_sequence(100.0 * value, canary, share[first], ALPHA)
    path = {
        "scores against a reference": divergence_path(cells[traffic.first_on_canary], REFERENCE.tolist(), BOUND),
        "means of two arms": rise_path(value, canary, share[first]),
        "mean, betting": mean_log_e_path(wild, 0.4, ALPHA),
        "flips": mcnemar_path(right[0, first], right[1, first]),
    }
    found = {name: float(values.max(initial=0.0)) for name, values in path.items()}
    found["difference, asymptotic"] = np.inf if left_out(difference, 0.0) else 0.0
    found["non-inferiority at the margin"] = np.inf if (difference[1] < 0.0).any() else 0.0
    found["mean, empirical Bernstein"] = np.inf if left_out(bernstein_sequence(wild, ALPHA), 0.4) else 0.0
    found["mean, asymptotic"] = np.inf if left_out(normal_sequence(wild, ALPHA), 0.4) else 0.0
    return found


def of_quantiles(traffic: Traffic) -> dict[str, float]:
    """Whether the median and the p99 were ever left out; in the outage what is slow is slower, what is fast faster."""
    latency = traffic.rng.lognormal(0.0, 1.2, REQUESTS)
    # A sequence holds a constant: this rate does not move in the outage.
    steady = traffic.rng.random(traffic.first_on_canary.size) < 0.1
    found = {"rate, sequence": np.inf if left_out(rate_sequence_path(steady, ALPHA), 0.1) else 0.0}
    for name, p, q in (("median", 0.5, 1.0), ("p99", 0.99, float(np.exp(1.2 * 2.3263478740408408)))):
        stretched = np.where(traffic.out, q * (latency / q) ** 3, latency)[traffic.first_on_canary]
        watch = QuantileWatch((q,), p, ALPHA).update(stretched)
        found[name] = np.inf if any(watch.refuted) else 0.0
    return found


def average(traffic: Traffic) -> float:
    """ln of the average of three e-processes at its largest, after each request."""
    rng, share, canary = traffic.rng, traffic.share, traffic.canary
    failed, first = traffic.firsts(traffic.happens(FAILS)), traffic.first
    cells, value = rng.choice(10, first.size, p=REFERENCE), rng.beta(2.0, 3.0, first.size)
    paths = {
        "failures": (failed, failure_path(share[failed], canary[failed])),
        "scores": (first[canary[first]], divergence_path(cells[canary[first]], REFERENCE.tolist(), BOUND)),
        "means": (first, rise_path(value, canary[first], share[first])),
    }
    # Before its first observation each is 1; between two it stays where it was.
    seen = [np.searchsorted(at, np.arange(REQUESTS), side="right") for at, _ in paths.values()]
    logs = [np.concatenate([[0.0], path])[n] for n, (_, path) in zip(seen, paths.values(), strict=True)]
    return float(log_mean(np.stack(logs)).max())


@cache
def false_decisions(scenario: str, runs: int) -> dict[str, int]:
    """In how many runs each test decided wrongly, at alpha = 5 %."""
    rng, counts = np.random.default_rng(71 + SCENARIOS.index(scenario)), dict.fromkeys(TESTS, 0)
    for _ in range(runs):
        traffic = Traffic(rng, scenario)
        found = {**of_failures(traffic), **of_values(traffic), **of_quantiles(traffic)}
        three = [found[name] for name in ("failures", "scores against a reference", "means of two arms")]
        found["three guardrails, average"] = average(traffic)
        found["three guardrails at alpha / 3"] = max(three) - log(3)
        for name, largest in found.items():
            counts[name] += largest >= log(1 / ALPHA)
    return counts


TESTS = (
    "failures",
    "failures, tolerance",
    "rate",
    "rate, sequence",
    "harm",
    "latency",
    "sample ratio",
    "scores against a reference",
    "means of two arms",
    "difference, asymptotic",
    "non-inferiority at the margin",
    "mean, betting",
    "mean, empirical Bernstein",
    "mean, asymptotic",
    "median",
    "p99",
    "flips",
    "three guardrails at alpha / 3",
    "three guardrails, average",
)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("test", TESTS)
def test_false_decisions_stay_within_alpha_at_every_look(
    within: Callable[[int, int, float], None], test: str, scenario: str
) -> None:
    """Over 2,000 seeded runs, a look at every observation: at most alpha of them decide wrongly, for every test, also
    with heavy users under sticky routing and with an outage that hits both arms.
    """
    within(false_decisions(scenario, 2000)[test], 2000, ALPHA)
