"""Is it harmful? Three questions to matured labels, each of which is enough.

| question | sees | false |
|---|---|---|
| Did the primary metric fall by more than a tenth? | a worse order of scores | in a window: `drop_alpha` |
| Does the window's loss exceed what is tolerated? | worse decisions, at once | in a window: `loss_alpha` |
| Has the evidence against the loss's bound reached 2/alpha? | slightly worse decisions, in time | ever: `alpha` |

`false` bounds the chance that a version which is no worse than its held-out rows is called harmful. Tolerated is a
tenth of the held-out value, of losses also a point (0.01) where that is more. Harm lies beyond that with an error of
2.5 %, both sides' uncertainty counted. Until the second edition of the watch, the metric's interval had to exclude
the reference alone, and nobody asked of one window's loss.
"""

from __future__ import annotations

from math import hypot, log
from statistics import NormalDist

from msgspec import Struct

from fairlead.core.cost import CostMatrix
from fairlead.core.quadrant import Band
from fairlead.core.report import Harm, metric_name
from fairlead.stats.exceedance import Tolerance

USUAL = 0.025
_AT_95 = NormalDist().inv_cdf(1.0 - USUAL)


class HarmPolicy(Struct, frozen=True):
    """Where harm begins. Drops are shares of the reference; `tolerance` is added to the held-out loss's upper bound.

    `alpha` bounds the chance that a version which is no worse than its held-out data is ever called harmful. `cost`
    puts money on each shift.
    """

    warning_drop: float = 0.05
    critical_drop: float = 0.10
    tolerance: float = 0.01
    alpha: float = 0.01
    at_least_labels: int = 100
    cost: CostMatrix | None = None
    drop_alpha: float = 0.025  # the chance that one window of a version that is no worse seems to have fallen
    loss_alpha: float = 0.025  # the same of the window's mean loss

    @property
    def tolerated(self) -> Tolerance:
        """By how much a window's mean loss may exceed the held-out one."""
        return Tolerance(self.critical_drop, self.tolerance)

    @property
    def widened(self) -> float:
        """How many times as wide as at 95 % the metric's interval is taken."""
        return 1.0 if self.drop_alpha == USUAL else NormalDist().inv_cdf(1.0 - self.drop_alpha) / _AT_95

    @property
    def threshold_log_e(self) -> float:
        """Where the harmful-shift test alarms: half of alpha is its own, half went into the held-out bound."""
        return log(2 / self.alpha)


class LossEvidence(Struct, frozen=True):
    """The harmful-shift test of one version, as of one window: `log_e` is its peak in that window's labels. This
    window's mean `loss` against the `held` one: `p_tolerated` is its p-value against what is tolerated above that
    (`tolerated`), `p_worse` against no worse at all; 1 where they are not tested."""

    log_e: float = 0.0
    loss: float | None = None
    bound: float | None = None
    held: float | None = None
    tolerated: float | None = None
    p_tolerated: float = 1.0
    p_worse: float = 1.0

    def exceeds(self, policy: HarmPolicy) -> bool:
        """Whether the window's mean loss lies beyond what is tolerated."""
        return self.p_tolerated <= USUAL and self.p_worse <= policy.loss_alpha


def judge_harm(
    metric: str,
    reference: Band | None,
    realised: Band | None,
    evidence: LossEvidence,
    policy: HarmPolicy,
    *,
    beyond: bool = True,
) -> Harm:
    """The harm in a matured cohort. Bands are oriented: higher is better. `beyond` is false for the first two editions
    of the watch: an interval that excludes the reference was then enough."""
    threshold = policy.threshold_log_e
    drop = _drop(reference, realised)
    worse, sure = _fallen(reference, realised, policy) if beyond else _excluded(reference, realised, policy)
    level = _level(drop if worse else None, policy, sure=sure)
    bet, window = evidence.log_e >= threshold, beyond and evidence.exceeds(policy)
    return Harm(
        harmful=bet or window or level == "critical",
        level="warning" if (bet or window) and level == "none" else level,
        drop=drop,
        loss=evidence.loss,
        bound=evidence.bound,
        log_e=evidence.log_e,
        threshold=threshold,
        tolerated=evidence.tolerated,
        p_tolerated=None if evidence.tolerated is None else evidence.p_tolerated,
        reason="; ".join((*_losses(evidence, bet=bet, window=window), *_metric(metric, drop, worse=worse)))
        or "no sign of harm",
    )


def _fallen(reference: Band | None, realised: Band | None, policy: HarmPolicy) -> tuple[bool, bool]:
    """Whether the metric lies below the reference at the policy's level, and below what is tolerated at the usual one;
    both intervals count."""
    if reference is None or realised is None or reference.value == 0:
        return False, False
    worse = _below(reference, realised, 0.0, policy.widened)
    return worse, _below(reference, realised, policy.critical_drop, 1.0)


def _below(reference: Band, realised: Band, share: float, wide: float) -> bool:
    """Whether the metric lies below the reference less a share of it, beyond `wide` 95 % intervals."""
    tolerated = reference.value - share * abs(reference.value)
    low = tolerated / reference.value * (reference.value - reference.low)
    return tolerated - realised.value > wide * hypot(low, realised.high - realised.value)


def _excluded(reference: Band | None, realised: Band | None, policy: HarmPolicy) -> tuple[bool, bool]:
    """As the first two editions saw it: whatever excludes the reference is sure."""
    found = reference is not None and realised is not None and _high(realised, policy) < reference.value
    return found, found


def _high(realised: Band, policy: HarmPolicy) -> float:
    """The upper end of the interval at the policy's level; as it is at the usual one."""
    wide = policy.widened
    return realised.high if wide == 1.0 else realised.value + wide * (realised.high - realised.value)


def _drop(reference: Band | None, realised: Band | None) -> float | None:
    if reference is None or realised is None or reference.value == 0:
        return None
    return (reference.value - realised.value) / abs(reference.value)


def _level(drop: float | None, policy: HarmPolicy, *, sure: bool) -> str:
    if drop is None or drop <= policy.warning_drop:
        return "none"
    return "critical" if drop > policy.critical_drop and sure else "warning"


def _losses(evidence: LossEvidence, *, bet: bool, window: bool) -> list[str]:
    """What the losses show, where they show harm."""
    parts = []
    if bet and evidence.loss is not None and evidence.bound is not None:
        parts.append(
            f"the live loss since the promotion exceeds the held-out bound {evidence.bound:.3f} "
            f"(log e {evidence.log_e:.1f}; {evidence.loss:.3f} in this window)"
        )
    if window and evidence.loss is not None and evidence.held is not None and evidence.tolerated is not None:
        parts.append(
            f"this window's loss of {evidence.loss:.3f} exceeds the {evidence.tolerated:.3f} that are tolerated above "
            f"the held-out {evidence.held:.3f} (p {evidence.p_tolerated:.2g})"
        )
    return parts


def _metric(metric: str, drop: float | None, *, worse: bool) -> list[str]:
    if drop is None or drop <= 0:
        return []
    sure = "" if worse else ", within its interval"
    return [f"{metric_name(metric)} is {drop:.1%} worse than the reference{sure}"]
