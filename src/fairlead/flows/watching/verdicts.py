"""From what was measured of a window to its report. Nothing is measured here: the same evidence gives the same bytes.

Measured are the window's counts, what its shifts cost on held-out rows, the metrics with their intervals, and the test
of the live loss; decided are drift, its ranking, the quadrant, harm, the verdicts and the sentence.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.conclude import conclude
from fairlead.core.harm import HarmPolicy, LossEvidence, judge_harm
from fairlead.core.plain import kept, taken
from fairlead.core.quadrant import Band, oriented, place
from fairlead.core.ranking import ranked_by_harm
from fairlead.core.report import SCORE, FeatureShift, Harm, Performance, Stage, WindowReport
from fairlead.core.verdict import Outcome, Verdict
from fairlead.flows.watching.shifts import Costs, judge_shifts
from fairlead.stats.performance import HIGHER_IS_BETTER
from fairlead.stats.profile import TableProfile
from fairlead.stats.sequential.betting import LossWatch

EDITION = 1  # of how windows are decided and told: evidence of another one is not judged again


class LossSeen(Struct, frozen=True):
    """The test of the live loss: what it stood at before the window, what the window's labels showed, and where it
    stands after them (None where it has no bound)."""

    before: LossWatch | None = None
    shown: LossEvidence = LossEvidence()
    after: LossWatch | None = None


class WindowEvidence(Struct, frozen=True):
    """What was measured of one window. `bare` is its report without any verdict; `profile` its counts, None where the
    data were judged at its close, or where there are none. `bundle` is the digest of the version's bundle, which holds
    the profile that the counts are compared with."""

    bare: WindowReport
    alpha: float
    harm: HarmPolicy
    loss: LossSeen
    profile: TableProfile | None = None
    costs: Costs = Costs()
    at_close: bool = True  # whether the data are judged here, or stand as they were judged when it closed
    bundle: str = ""
    edition: int = EDITION


def judged(
    evidence: WindowEvidence, reference: TableProfile | None, before: WindowReport | None = None
) -> WindowReport:
    """The report of what was measured. `reference` is the profile of the bundle, `before` the report at the close."""
    shifts, data = _data(evidence, reference, before)
    bare, policy = replace(evidence.bare, drift=shifts), evidence.harm
    performance = bare.performance or Performance("")
    known, estimated, realised = _bands(performance)
    ripe = is_ripe(bare, policy)
    shown = realised if ripe else None
    found = place(
        moved=sum(shift.moved for shift in shifts if shift.name != SCORE),
        reference=known,
        estimated=estimated,
        realised=shown,
    )
    harm = Harm(state=evidence.loss.before)
    if ripe:
        harm = replace(
            judge_harm(performance.metric, known, shown, evidence.loss.shown, policy), state=evidence.loss.after
        )
    report = replace(
        bare,
        quadrant=found.quadrant,
        quadrant_reason=found.reason,
        harmful=harm.harmful,
        harm=harm,
        suspects=suspects_of(shifts),
    )
    return conclude(report, data, policy)


def is_ripe(bare: WindowReport, policy: HarmPolicy) -> bool:
    """Whether its labels are there, and enough of them."""
    labels = 0 if bare.performance is None else bare.performance.labels
    return bare.stage is Stage.MATURED and labels >= policy.at_least_labels


def suspects_of(shifts: tuple[FeatureShift, ...]) -> tuple[str, ...]:
    """The features that moved, the most harmful first: by money where that is known, as the shifts are ranked."""
    return tuple(shift.name for shift in ranked_by_harm(shifts) if shift.moved and shift.name != SCORE)


def text_of(evidence: WindowEvidence) -> bytes:
    """Evidence as it is kept."""
    return msgspec.json.encode(kept(evidence))


def read_evidence(text: bytes) -> WindowEvidence:
    """Kept evidence. Raises `msgspec.MsgspecError`."""
    plain: Any = msgspec.json.decode(text)
    found: WindowEvidence = taken(plain, WindowEvidence)
    return found


def _data(
    evidence: WindowEvidence, reference: TableProfile | None, before: WindowReport | None
) -> tuple[tuple[FeatureShift, ...], Verdict]:
    if not evidence.at_close:
        layer = None if before is None else before.layer("data")
        verdict = Verdict(layer.outcome, layer.reason) if layer else Verdict(Outcome.UNMEASURED, _NOT_JUDGED)
        return (() if before is None else before.drift), verdict
    if evidence.profile is None or reference is None:
        return (), Verdict(Outcome.UNMEASURED, "the window has no rows")
    return judge_shifts(reference, evidence.profile, evidence.alpha, evidence.costs)


_NOT_JUDGED = "the data were not judged"


def _bands(performance: Performance) -> tuple[Band | None, Band | None, Band | None]:
    each = performance
    better = each.metric in HIGHER_IS_BETTER
    return (
        _band(each.reference, each.reference_low, each.reference_high, better=better),
        _band(each.estimated, each.estimated_low, each.estimated_high, better=better),
        _band(each.realised, each.low, each.high, better=better),
    )


def _band(value: float | None, low: float | None, high: float | None, *, better: bool) -> Band | None:
    if value is None or low is None or high is None:
        return None
    return oriented(value, low, high, higher_is_better=better)
