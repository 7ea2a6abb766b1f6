"""From what was measured of a window to its report. Nothing is measured here: the same evidence gives the same bytes.

Measured are the window's counts, what its shifts cost on held-out rows, the metrics with their intervals, and the test
of the live loss; decided are drift, its ranking, the quadrant, harm, the verdicts and the sentence.
"""

from __future__ import annotations

from typing import Any
from zlib import compress, decompress
from zlib import error as ZlibError  # noqa: N812 - zlib spells its class in lower case

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from fairlead.core.change import change_of
from fairlead.core.compared import Against
from fairlead.core.conclude import conclude
from fairlead.core.correlation import judge_correlation, share_of, with_correlation
from fairlead.core.groups import GroupCounts
from fairlead.core.harm import HarmPolicy, LossEvidence, judge_harm
from fairlead.core.judge_groups import by_groups
from fairlead.core.listing import counted
from fairlead.core.plain import kept, taken
from fairlead.core.quadrant import Band, oriented, overruled, place
from fairlead.core.ranking import ranked_by_harm, ranked_by_jump, ranked_by_surprise
from fairlead.core.report import SCORE, FeatureShift, Harm, Performance, Predictions, Stage, WindowReport
from fairlead.core.sudden import LabelsSeen, judge_sudden
from fairlead.core.verdict import Outcome, Verdict
from fairlead.flows.watching.compact import compacted
from fairlead.flows.watching.predictions import predictions_of
from fairlead.flows.watching.previous import Leaps
from fairlead.flows.watching.references import calmed
from fairlead.flows.watching.shifts import Costs, Ranking, compared, judge_shifts
from fairlead.stats.drift import ColumnDrift, compare
from fairlead.stats.multivariate.dependence import Compared
from fairlead.stats.performance import HIGHER_IS_BETTER
from fairlead.stats.profile import TableProfile
from fairlead.stats.sequential.betting import LossWatch
from fairlead.stats.sparse import TableCounts, dense, sparse

# Of how windows are decided and told: evidence is judged again by its own edition. In the first, every column is told
# in full; since the second, calm ones in short, windows of few rows are compared on fewer cells, and what broke or
# jumped since the last calm window ranks first. The third is the present one.
EDITION = 3
EDITIONS = (1, 2, EDITION)
COMPACT = LEAPS = COARSE = 2
CALENDAR = 3  # since then, windows may slide, and be compared with others than the training data
BEYOND = 3  # harm lies beyond what is tolerated, and a window's loss is tested by itself
HABITS = 3  # jumps are read against the column's own, labels against the last windows'
LADDER = 3  # correlations, and the metric by class and by group
EVIDENT = 3  # a column is told by a distance that is significant by itself


class LossSeen(Struct, frozen=True):
    """The test of the live loss: what it stood at before the window, what the window's labels showed, and where it
    stands after them (None where it has no bound)."""

    before: LossWatch | None = None
    shown: LossEvidence = LossEvidence()
    after: LossWatch | None = None
    labels: LabelsSeen | UnsetType = UNSET  # beside those of the last windows


class WindowEvidence(Struct, frozen=True):
    """What was measured of one window. `bare` is its report without any verdict. `bundle` is the digest of the
    version's bundle, which holds the profile that the window's counts are compared with.

    The counts are a `profile` in memory, and as they are kept `counts` on the grids of the bundle's profile; neither
    where the data were judged at the window's close, or where it has no rows."""

    bare: WindowReport
    alpha: float
    harm: HarmPolicy
    loss: LossSeen
    profile: TableProfile | None = None
    costs: Costs = Costs()
    at_close: bool = True  # whether the data are judged here, or stand as they were judged when it closed
    bundle: str = ""
    edition: int = EDITION
    counts: TableCounts | None = None
    leaps: Leaps = Leaps()
    segment: str = ""  # the smallest that explains a fall of the metric
    base: TableCounts | None = None  # what the counts were compared with, on the same grids; None: the training data
    newest: TableCounts | None = None  # the last slot of a window that slides, where seasons are made of slots
    bonds: Compared | str | UnsetType = UNSET  # how the numbers go together, or why nobody can say
    groups: GroupCounts | UnsetType = UNSET  # the window and the held-out rows by class and by group

    @property
    def counted(self) -> bool:
        """Whether there is something to compare with the bundle's profile."""
        return self.profile is not None or self.counts is not None

    def current(self, reference: TableProfile) -> TableProfile | None:
        """The window's profile. Raises `TableError` where its counts are not on the reference's grids."""
        if self.profile is None and self.counts is not None:
            return dense(self.counts, reference.grids)
        return self.profile


class _Kept(Struct, frozen=True, array_like=True):
    """Evidence as it is kept: all but the counts in plain values, the counts packed."""

    plain: Any
    counts: TableCounts | None = None
    base: TableCounts | None = None
    newest: TableCounts | None = None


def judged(
    evidence: WindowEvidence,
    reference: TableProfile | None,
    before: WindowReport | None = None,
    found: tuple[ColumnDrift, ...] | None = None,
) -> WindowReport:
    """The report of what was measured. `reference` is the profile of the bundle, `before` the report at the close,
    `found` the comparison with the reference where it was made already."""
    shifts, data = _data(evidence, reference, before, found)
    bare, policy = replace(evidence.bare, drift=shifts), evidence.harm
    if evidence.edition >= LADDER:
        bare, data = _coupled(evidence, bare, data, before)
    performance = bare.performance or Performance("")
    known, estimated, realised = _bands(performance)
    ripe = is_ripe(bare, policy)
    shown = realised if ripe else None
    moved = sum(shift.moved for shift in shifts if shift.name != SCORE) + (bare.uncoupled is not None)
    placed = place(
        moved=moved,
        reference=known,
        estimated=estimated,
        realised=shown,
    )
    harm = Harm(state=evidence.loss.before)
    if ripe:
        beyond = evidence.edition >= BEYOND
        harm = judge_harm(performance.metric, known, shown, evidence.loss.shown, policy, beyond=beyond)
        harm = replace(harm, state=evidence.loss.after)
        if evidence.edition >= HABITS and isinstance(evidence.loss.labels, LabelsSeen):
            harm = replace(harm, sudden=judge_sudden(evidence.loss.labels))
    if evidence.edition >= LEAPS:
        if harm.harmful:
            placed = overruled(placed, moved, harm.reason)
        change = change_of(bare.performance, ripe=ripe)
        told = _predictions(evidence, reference, before)
        harm = replace(harm, change=change, segment=evidence.segment, predictions=told)
    report = replace(
        bare,
        quadrant=placed.quadrant,
        quadrant_reason=placed.reason,
        harmful=harm.harmful,
        harm=harm,
        suspects=_suspects(shifts, bare, evidence.edition),
    )
    report = conclude(report, data, policy)
    return _with_late(by_groups(report, evidence.groups)) if evidence.edition >= LADDER else report


def _with_late(report: WindowReport) -> WindowReport:
    if isinstance(report.late, UnsetType):
        return report
    line = f"{report.reason}; {counted(report.late, 'answer')} came once it had been judged, and changed nothing"
    return replace(report, reason=line)


def _coupled(
    evidence: WindowEvidence, bare: WindowReport, data: Verdict, before: WindowReport | None
) -> tuple[WindowReport, Verdict]:
    """The report with its correlations, and the data layer with them; both stand as they were judged at the close."""
    if not evidence.at_close:
        return (bare if before is None else replace(bare, correlation=before.correlation)), data
    if isinstance(evidence.bonds, UnsetType):
        return bare, data
    found = judge_correlation(evidence.bonds, share_of(evidence.alpha, len(bare.drift)))
    return replace(bare, correlation=found), with_correlation(data, found)


def _suspects(shifts: tuple[FeatureShift, ...], bare: WindowReport, edition: int) -> tuple[str, ...]:
    """With the column that no longer goes together with the others, where it is no suspect by itself."""
    found = suspects_of(shifts, edition)
    loose = "" if bare.uncoupled is None else bare.uncoupled.column
    return (*found, loose) if loose and loose not in found else found


def is_ripe(bare: WindowReport, policy: HarmPolicy) -> bool:
    """Whether its labels are there, and enough of them."""
    labels = 0 if bare.performance is None else bare.performance.labels
    return bare.stage is Stage.MATURED and labels >= policy.at_least_labels


def suspects_of(shifts: tuple[FeatureShift, ...], edition: int = EDITION) -> tuple[str, ...]:
    """The features that moved or broke: first what broke or jumped since the last calm window, then the most harmful,
    by money where that is known. In the first edition, the most harmful first; since the third, also what jumped to
    where the reference was, and of what jumped the most unusual first."""
    if edition < LEAPS:
        return tuple(shift.name for shift in ranked_by_harm(shifts) if shift.moved and shift.name != SCORE)
    features = [shift for shift in _ranking(edition)(shifts) if shift.name != SCORE]
    leapt = edition >= HABITS
    return tuple(shift.name for shift in features if shift.moved or shift.broken or (leapt and shift.jump_level))


def text_of(evidence: WindowEvidence) -> bytes:
    """Evidence as it is kept, compressed."""
    counts = evidence.counts if evidence.profile is None else sparse(evidence.profile)
    plain = kept(replace(evidence, profile=None, counts=None, base=None, newest=None))
    return compress(msgspec.msgpack.encode(_Kept(plain, counts, evidence.base, evidence.newest)), 1)


def read_evidence(text: bytes) -> WindowEvidence:
    """Kept evidence; the first edition's is JSON with the whole profile. Raises `msgspec.MsgspecError`."""
    if text.startswith(b"{"):
        found: WindowEvidence = taken(msgspec.json.decode(text), WindowEvidence)
        return found
    try:
        one = msgspec.msgpack.decode(decompress(text), type=_Kept)
    except ZlibError as error:
        raise msgspec.DecodeError(f"it is not what was compressed: {error}") from None
    found = taken(one.plain, WindowEvidence)
    return replace(found, counts=one.counts, base=one.base, newest=one.newest)


def _data(
    evidence: WindowEvidence,
    reference: TableProfile | None,
    before: WindowReport | None,
    found: tuple[ColumnDrift, ...] | None,
) -> tuple[tuple[FeatureShift, ...], Verdict]:
    if not evidence.at_close:
        layer = None if before is None else before.layer("data")
        verdict = Verdict(layer.outcome, layer.reason) if layer else Verdict(Outcome.UNMEASURED, _NOT_JUDGED)
        return (() if before is None else before.drift), verdict
    current = None if reference is None else evidence.current(reference)
    if current is None or reference is None:
        return (), Verdict(Outcome.UNMEASURED, "the window has no rows")
    if found is None:
        judge = compare if evidence.edition < COARSE else compared
        found = judge(_base(evidence, reference), current, alpha=evidence.alpha)
        found = found if evidence.edition < CALENDAR else calmed(found, evidence.bare.against)
    jumps = evidence.leaps.jumps if evidence.edition >= LEAPS else None
    ranking, evident = _ranking(evidence.edition), evidence.edition >= EVIDENT
    shifts, verdict = judge_shifts(reference, current, found, evidence.costs, jumps, ranking, evident=evident)
    if evidence.edition >= CALENDAR and isinstance(evidence.bare.against, Against):
        verdict = Verdict(verdict.outcome, f"{verdict.reason}; {evidence.bare.against.said}")
    return (shifts if evidence.edition < COMPACT else compacted(shifts)), verdict


def _predictions(
    evidence: WindowEvidence, reference: TableProfile | None, before: WindowReport | None
) -> Predictions | None:
    if not evidence.at_close:
        return None if before is None else before.harm.predictions
    return None if reference is None else predictions_of(_base(evidence, reference), evidence.current(reference))


def _base(evidence: WindowEvidence, reference: TableProfile) -> TableProfile:
    """What the window's counts are compared with."""
    return reference if evidence.base is None else dense(evidence.base, reference.grids)


def _ranking(edition: int) -> Ranking:
    return ranked_by_jump if edition < HABITS else ranked_by_surprise


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
