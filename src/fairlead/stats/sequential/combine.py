"""Several guardrails and segments: one verdict from many e-processes and confidence sequences.

**Rollback.** m guardrails share alpha: each at alpha / m (a union bound), or their average e-value at alpha: an average
of e-processes is one for "all nulls hold". Both keep P(a false rollback) <= alpha over the whole rollout.

**Promotion** (Schultzberg, Ankargren, Franberg, "Risk-aware product decisions in A/B tests with multiple metrics",
2024): every guardrail must be shown not inferior, its confidence sequence on the good side of its margin. If any one is
in truth beyond its margin, promoting takes that one's sequence to be wrong: P <= alpha *without* correction. Power is
what many guardrails cost: all must succeed, so each is planned at 1 - beta / m.

**Segments**: e-BH (Wang, Ramdas, "False discovery rate control with e-values", JRSS B 2022) rejects the k largest
e-values, k the largest with e_(k) >= m / (k alpha). The expected share of false ones among them is at most alpha
*whatever* their dependence: segments overlap. E now may be used at one stopping time; the running maximum of E may not
(it is no e-value).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf, isfinite, isnan, log
from typing import Literal

import numpy as np
from msgspec import Struct
from scipy.special import ndtri

from fairlead.stats.sequential.evidence import Evidence, level
from fairlead.stats.sequential.means import normal_margin

Call = Literal["regress", "safe", "not yet"]


class Bound(Struct, frozen=True):
    """One guardrail: how much worse the canary is (positive is worse), and how much worse it may be.

    `harm` is the evidence that it is worse than allowed; [`low`, `high`] a confidence sequence of how much worse it is,
    after `units`. Without data it is everything: (-inf, inf).
    """

    name: str
    margin: float
    harm: Evidence = Evidence()
    low: float = -inf
    high: float = inf
    units: int = 0


class Judgement(Struct, frozen=True):
    """`regress` (roll back), `safe` (next step) or `not yet` (hold); the guardrail that decided; units still to come
    until it is expected to be told, where it can be (`forecast_units`), and the reason in a sentence."""

    call: Call
    reason: str
    guardrail: str | None = None
    forecast_units: float | None = None


def decide(bounds: Sequence[Bound], alpha: float, rule: Literal["each", "average"] = "each") -> Judgement:
    """What all guardrails say together. P(false `regress`) <= alpha, and P(false `safe`) <= the sequences' alpha.

    `rule` is how harm is put together: each guardrail at alpha / m, or the average e-value at alpha (of E now). Without
    a guardrail nothing was measured: `not yet`.

    >>> errors = Bound("errors", 0.01, Evidence(0.2, 1.0), -0.004, 0.006, units=4000)
    >>> decide([errors], alpha=0.01).call, decide([Bound("errors", 0.01, Evidence(9.0, 9.0))], alpha=0.01).call
    ('safe', 'regress')
    >>> found = decide([errors, Bound("revenue", 0.01, Evidence(), -0.03, 0.03, units=4000)], alpha=0.01)
    >>> found.call, found.guardrail, round(found.forecast_units)
    ('not yet', 'revenue', 32000)
    """
    level(alpha)
    if not bounds:
        return Judgement("not yet", "there is no guardrail: nothing was measured")
    for bound in bounds:
        if any(isnan(one) for one in (bound.margin, bound.low, bound.high, bound.harm.log_e, bound.harm.log_e_max)):
            raise ValueError(f"{bound.name} holds nan: without data leave its interval open and its evidence at 0")
    broken = _broken(bounds, alpha, rule)
    if broken is not None:
        return broken
    open_ = [bound for bound in bounds if not bound.high < bound.margin]
    if not open_:
        return Judgement("safe", f"all {len(bounds)} guardrails are within their margins")
    waits = {bound.name: _units_left(bound, log(len(bounds) / alpha)) for bound in open_}
    last = max(open_, key=lambda bound: waits[bound.name])
    left = waits[last.name] if isfinite(waits[last.name]) else None
    reason = f"{last.name} may be worse by {last.high:.4g}, allowed {last.margin:.4g}"
    return Judgement("not yet", reason, last.name, left)


def forecast_seconds(judgement: Judgement, units_per_second: float) -> float | None:
    """Seconds until a verdict can be expected at this traffic; None where it cannot be told, or none is due.

    >>> forecast_seconds(Judgement("not yet", "", "revenue", 3000.0), units_per_second=2.0)
    1500.0
    """
    if judgement.forecast_units is None or not units_per_second > 0.0:
        return None
    return judgement.forecast_units / units_per_second


def average_log_e(log_es: Sequence[float]) -> float:
    """ln of the average E: an e-process for "all nulls hold". 0 for none.

    >>> round(average_log_e([log(300.0), log(0.5), log(0.5)]), 3)  # e-values 300, 0.5 and 0.5
    4.608
    """
    if not log_es:
        return 0.0
    logs = np.asarray(log_es, dtype=np.float64)
    if np.isnan(logs).any():
        raise ValueError("ln E is nan: an observation was missing or not a number")
    peak = float(logs.max())
    return peak + log(float(np.exp(logs - peak).mean())) if isfinite(peak) else peak


def e_bh(log_es: Sequence[float], alpha: float) -> tuple[bool, ...]:
    """Which of m hypotheses are rejected, in the order given: the k largest E, k the largest with E_(k) >= m / (k
    alpha).

    The expected share of false ones among the rejected is at most alpha under any dependence. Each E must be an
    e-value: the value now, at a time that did not look at the maximum of another.

    >>> e_bh([log(90), log(2), log(70), log(0.1)], alpha=0.05)
    (True, False, True, False)
    """
    logs = np.asarray(log_es, dtype=np.float64)
    if np.isnan(logs).any():
        raise ValueError("ln E is nan: an observation was missing or not a number")
    order = np.argsort(-logs, kind="stable")
    ranks = np.arange(1, logs.size + 1)
    enough = np.flatnonzero(logs[order] >= log(max(1, logs.size) / level(alpha)) - np.log(ranks))
    rejected = np.zeros(logs.size, dtype=bool)
    if enough.size:
        rejected[order[: enough[-1] + 1]] = True
    return tuple(rejected.tolist())


def non_inferiority_units(
    deviation: float,
    margin: float,
    alpha: float,
    power: float = 0.8,
    guardrails: int = 1,
    share: float = 0.5,
    effect: float = 0.0,
) -> float:
    """Units on both arms until all `guardrails` are expected to be within their margins, with probability `power`.

    `deviation` is the standard deviation of one unit's value, `margin` how much worse the canary may be, `effect` how
    much worse it is. The half-width of the asymptotic sequence, shortest at that size, and z_{1 - beta / m} standard
    errors must fit into `margin` - `effect`; infinite where nothing can be shown. Each further guardrail costs power,
    not alpha.

    >>> non_inferiority_units(0.3, 0.01, alpha=0.05), non_inferiority_units(0.3, 0.01, alpha=0.05, guardrails=3)
    (54108, 74081)
    """
    if not 0.0 < power < 1.0 or guardrails < 1 or not deviation >= 0.0:
        asked = f"power {power}, {guardrails} guardrails, a deviation of {deviation}"
        raise ValueError(f"{asked}: power lies between 0 and 1, there is a guardrail, no deviation is negative")
    if not 0.0 < share < 1.0 or not margin > effect:
        return inf
    width = float(normal_margin(np.float64(1.0), level(alpha), 1.0))
    sure = float(ndtri(1.0 - (1.0 - power) / guardrails))
    return ceil((deviation * (width + max(0.0, sure)) / (margin - effect)) ** 2 / (share * (1.0 - share)))


def _broken(bounds: Sequence[Bound], alpha: float, rule: str) -> Judgement | None:
    if rule == "average":
        found = average_log_e([bound.harm.log_e for bound in bounds])
        if found >= log(1.0 / alpha):
            worst = max(bounds, key=lambda bound: bound.harm.log_e)
            return Judgement("regress", f"average evidence e^{found:.1f}, most of it on {worst.name}", worst.name)
        return None
    if rule != "each":
        raise ValueError(f"{rule!r} is no way to put guardrails together: use 'each' or 'average'")
    worst = max(bounds, key=lambda bound: bound.harm.log_e_max)
    needed = log(len(bounds) / alpha)
    if worst.harm.log_e_max < needed:
        return None
    return Judgement("regress", f"{worst.name}: evidence e^{worst.harm.log_e_max:.1f} over e^{needed:.1f}", worst.name)


def _units_left(bound: Bound, needed: float) -> float:
    """Units until the sequence is within the margin, or until the evidence of harm is there, as things stand."""
    if not (isfinite(bound.low) and isfinite(bound.high)) or bound.units <= 0:
        return inf
    centre, half = (bound.low + bound.high) / 2.0, (bound.high - bound.low) / 2.0
    if centre < bound.margin:
        # Half-widths shrink a little faster than 1 / sqrt(n) before, and slower after, the size they are tuned to.
        return max(0.0, bound.units * ((half / (bound.margin - centre)) ** 2 - 1.0))
    if bound.harm.log_e > 0.0:
        return max(0.0, bound.units * (needed / bound.harm.log_e - 1.0))
    return inf
