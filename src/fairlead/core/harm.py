"""Is it harmful? Two questions to matured labels, either of which is enough.

Did the primary metric fall by more than a tenth of the reference, with an interval that excludes the reference? And has
the evidence that the live loss exceeds the held-out loss (plus a tolerance) reached 2/alpha since the promotion?
"""

from __future__ import annotations

from math import log
from statistics import NormalDist

from msgspec import Struct

from fairlead.core.cost import CostMatrix
from fairlead.core.quadrant import Band
from fairlead.core.report import Harm, metric_name

_USUAL = 0.025
_AT_95 = NormalDist().inv_cdf(1.0 - _USUAL)


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

    @property
    def widened(self) -> float:
        """How many times as wide as at 95 % the metric's interval is taken."""
        return 1.0 if self.drop_alpha == _USUAL else NormalDist().inv_cdf(1.0 - self.drop_alpha) / _AT_95

    @property
    def threshold_log_e(self) -> float:
        """Where the harmful-shift test alarms: half of alpha is its own, half went into the held-out bound."""
        return log(2 / self.alpha)


class LossEvidence(Struct, frozen=True):
    """The harmful-shift test of one version, as of one window: `log_e` is its peak in that window's labels."""

    log_e: float = 0.0
    loss: float | None = None
    bound: float | None = None


def judge_harm(
    metric: str, reference: Band | None, realised: Band | None, evidence: LossEvidence, policy: HarmPolicy
) -> Harm:
    """The harm in a matured cohort. Bands are oriented: higher is better."""
    threshold = policy.threshold_log_e
    drop = _drop(reference, realised)
    excluded = reference is not None and realised is not None and _high(realised, policy) < reference.value
    level = _level(drop if excluded else None, policy)
    alarm = evidence.log_e >= threshold
    return Harm(
        harmful=alarm or level == "critical",
        level="warning" if alarm and level == "none" else level,
        drop=drop,
        loss=evidence.loss,
        bound=evidence.bound,
        log_e=evidence.log_e,
        threshold=threshold,
        reason=_reason(metric, drop, excluded=excluded, evidence=evidence if alarm else None),
    )


def _high(realised: Band, policy: HarmPolicy) -> float:
    """The upper end of the interval at the policy's level; as it is at the usual one."""
    wide = policy.widened
    return realised.high if wide == 1.0 else realised.value + wide * (realised.high - realised.value)


def _drop(reference: Band | None, realised: Band | None) -> float | None:
    if reference is None or realised is None or reference.value == 0:
        return None
    return (reference.value - realised.value) / abs(reference.value)


def _level(drop: float | None, policy: HarmPolicy) -> str:
    if drop is None or drop <= policy.warning_drop:
        return "none"
    return "critical" if drop > policy.critical_drop else "warning"


def _reason(metric: str, drop: float | None, *, excluded: bool, evidence: LossEvidence | None) -> str:
    parts = []
    if evidence is not None and evidence.loss is not None and evidence.bound is not None:
        parts.append(
            f"the live loss since the promotion exceeds the held-out bound {evidence.bound:.3f} "
            f"(log e {evidence.log_e:.1f}; {evidence.loss:.3f} in this window)"
        )
    if drop is not None and drop > 0:
        sure = "" if excluded else ", within its interval"
        parts.append(f"{metric_name(metric)} is {drop:.1%} worse than the reference{sure}")
    return "; ".join(parts) or "no sign of harm"
