"""How one cohort is judged: drift against the reference, performance estimated and realised, harm, one sentence."""

from __future__ import annotations

from math import inf, isfinite
from zlib import crc32

import msgspec
import numpy as np
from msgspec import UNSET, Struct
from msgspec.structs import replace

from fairlead.core.change import change_of
from fairlead.core.compared import Slide, Wanted
from fairlead.core.conclude import conclude
from fairlead.core.contract import Task
from fairlead.core.correlation import share_of
from fairlead.core.groups import Rules
from fairlead.core.harm import HarmPolicy, LossEvidence
from fairlead.core.report import MetricReading, Performance, Stage, WindowReport
from fairlead.core.verdict import Outcome, Verdict
from fairlead.core.window import Window
from fairlead.flows.watching.cohort import Cohort, Labelled
from fairlead.flows.watching.correlations import MOST, NO_ROWS
from fairlead.flows.watching.early import early_of
from fairlead.flows.watching.lately import beside_the_last
from fairlead.flows.watching.previous import leaps_of
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.references import Chosen, found_by
from fairlead.flows.watching.segments import segment_of
from fairlead.flows.watching.shifts import compared, costs_of
from fairlead.flows.watching.slides import Joined
from fairlead.flows.watching.verdicts import LossSeen, WindowEvidence, is_ripe, judged
from fairlead.stats.drift import ColumnDrift
from fairlead.stats.estimate import estimate, estimate_by_prediction, root
from fairlead.stats.exceedance import Tolerance, exceedance, sums_of
from fairlead.stats.multivariate.dependence import Compared
from fairlead.stats.performance import Floats, Measure
from fairlead.stats.sequential.betting import LossWatch, begun_again, update
from fairlead.stats.sparse import sparse


class Policy(Struct, frozen=True):
    """What the watch holds a model to. A window counts as matured when this share of its labels is known, or
    `maturity_seconds` after its end. `alpha` is the share of wrongly flagged columns that a window may have."""

    harm: HarmPolicy = HarmPolicy()
    alpha: float = 0.01
    matured_share: float = 0.9
    widest: int = MOST  # numbers of a table, beyond which their correlations are not watched
    groups: Rules = Rules()
    maturity_seconds: float = 14 * 86_400.0
    reference: Wanted = Wanted()


class Seen(Struct, frozen=True):
    """What the watch knows of a window besides its cohort."""

    model: str
    window: Window
    judged_at: float
    stage: Stage
    other_rows: int = 0
    failed: int = 0
    late: int = 0


def judge(seen: Seen, cohort: Cohort, state: LossWatch | None, policy: Policy) -> WindowReport:
    """The report of a window from its cohort; `state` is the version's harmful-shift test before it."""
    evidence, found = measured(seen, cohort, state, policy)
    return judged(evidence, cohort.reference.profile, found=found)


def judge_again(
    before: WindowReport, seen: Seen, cohort: Cohort, state: LossWatch | None, policy: Policy
) -> WindowReport:
    """The same window once its labels have matured: the data layer stands as it was judged at the close."""
    return judged(measured_again(before, seen, cohort, state, policy), None, before)


def measured(
    seen: Seen, cohort: Cohort, state: LossWatch | None, policy: Policy, chosen: Chosen | None = None
) -> tuple[WindowEvidence, tuple[ColumnDrift, ...] | None]:
    """All that a closed window is judged from, and the comparison with the reference that its costs rest on. Compared
    with is what was `chosen`; else the training data."""
    current = cohort.profile()
    evidence = _measured(seen, cohort, state, policy)
    if current is None:
        return evidence, None
    known = cohort.reference
    if chosen is None:
        found = compared(known.profile, current, policy.alpha)
    else:
        found, against = found_by(chosen, known.profile, current, policy.alpha)
        base = None if chosen.profile is None else sparse(chosen.profile)
        evidence = replace(evidence, bare=replace(evidence.bare, against=against), base=base)
    calm = known.calm if chosen is None or chosen.calm is None else chosen.calm
    leaps = leaps_of(calm, known.profile, current, found, seen.window.name, policy.alpha)
    bonds = _bonds(cohort, share_of(policy.alpha, len(current.columns)))
    return replace(evidence, profile=current, costs=costs_of(known, current, found), leaps=leaps, bonds=bonds), found


def _bonds(cohort: Cohort, alpha: float) -> Compared | str:
    """How the window's numbers go together, or why nobody can say."""
    bonds = cohort.reference.bonds
    return NO_ROWS if bonds is None else bonds.compare(cohort.sums(), alpha)


def measured_again(
    before: WindowReport, seen: Seen, cohort: Cohort, state: LossWatch | None, policy: Policy
) -> WindowEvidence:
    """All that a matured window is judged from, beside its report at the close."""
    seen = replace(seen, other_rows=before.other_rows, failed=before.failed)
    found, slide = _measured(seen, cohort, state, policy), before.slide
    if isinstance(cohort, Joined) and isinstance(slide, Slide):
        slide = replace(slide, labels=int(cohort.staked().truth.size))
    bare = replace(found.bare, against=before.against, slide=slide)
    return replace(found, bare=bare, at_close=False)


def empty(seen: Seen, version: int, policy: Policy) -> WindowReport:
    """The report of a window in which nothing was answered."""
    return conclude(_report(seen, version, 0), Verdict(Outcome.UNMEASURED, "no rows"), policy.harm)


def _measured(seen: Seen, cohort: Cohort, state: LossWatch | None, policy: Policy) -> WindowEvidence:
    labelled = cohort.labelled()
    bare = _report(seen, cohort.reference.version, cohort.rows)
    known = measure(seen, cohort, labelled)
    known = replace(known, early=early_of(cohort, seen.window)) if seen.stage is Stage.CLOSED else known
    bare = replace(bare, performance=known, units=cohort.units)
    counts = cohort.groups()
    found = WindowEvidence(bare, policy.alpha, policy.harm, LossSeen(state), groups=UNSET if counts is None else counts)
    if is_ripe(bare, policy.harm):
        staked = cohort.staked() if isinstance(cohort, Joined) else None
        loss = _tested(cohort.reference, labelled, state, policy.harm, staked)
        if staked is None:  # windows that overlap are not each other's past
            loss = beside_the_last(loss, cohort.reference, labelled, known)
        return replace(found, loss=loss, segment=_worst_in(cohort, bare, loss, policy.harm))
    return found


def _worst_in(cohort: Cohort, bare: WindowReport, loss: LossSeen, policy: HarmPolicy) -> str:
    """The segment that explains a fall; looked for only where there is one beyond chance."""
    change = change_of(bare.performance, ripe=True)
    fell = change is not None and change.low > 0.0
    if not fell and loss.shown.log_e < policy.threshold_log_e and not loss.shown.exceeds(policy):
        return ""
    return segment_of(cohort.reference, cohort.cells(), cohort.truths(), cohort.places_decided())


def measure(seen: Seen, cohort: Cohort, labelled: Labelled) -> Performance:
    """Every metric of the task: on the reference, estimated, realised. The estimate is seeded by model and window."""
    reference = cohort.reference
    rng = np.random.default_rng(crc32(f"{seen.model}:{seen.window.name}".encode()))
    expected = _expected(reference, cohort, rng)
    card = reference.card(labelled.truth, labelled.score, labelled.decided) if labelled.truth.size else {}
    readings = {
        name: _reading(name, known, expected.get(name), card.get(name)) for name, known in reference.measures.items()
    }
    first = readings.pop(reference.metric, MetricReading(reference.metric))
    return Performance(
        **msgspec.structs.asdict(first),
        matured_share=labelled.share,
        labels=int(labelled.truth.size),
        unusable=labelled.unusable,
        also=tuple(readings.values()),
    )


def _expected(reference: Reference, cohort: Cohort, rng: np.random.Generator) -> dict[str, Measure]:
    """What the answers say of the metrics, before any label: by the score of a class, or by the predicted value."""
    if reference.contract.task is Task.REGRESSION:
        decided = cohort.decisions()
        found = {name: estimate_by_prediction(decided, curve) for name, curve in reference.errors.items()}
        return {**found, "rmse": root(found["mse"])} if found else {}
    scores = cohort.scores()
    if reference.known is not None:
        return estimate(scores, reference.known, reference.threshold, rng, cost=reference.cost).named()
    if reference.sure is not None:
        return {"accuracy": estimate(scores, reference.sure, -inf, rng).accuracy}
    return {}


def _reading(name: str, reference: Measure, expected: Measure | None, realised: Measure | None) -> MetricReading:
    parts = (_finite(reference), _finite(expected), _finite(realised))
    return MetricReading(name, *parts[0], *parts[1], *parts[2])


def _finite(measure: Measure | None) -> tuple[float | None, float | None, float | None]:
    if measure is None or not measure.defined:
        return None, None, None
    low, high = (bound if isfinite(bound) else None for bound in (measure.low, measure.high))
    return measure.value, low, high


def _tested(
    reference: Reference,
    labelled: Labelled,
    state: LossWatch | None,
    policy: HarmPolicy,
    staked: Labelled | None = None,
) -> LossSeen:
    """The test goes on where the last window left it, with more laid on it for a change that begins here; after an
    alarm it starts anew, or it could never recover. Only `staked` rows are laid on, where they are not all."""
    losses = reference.losses(labelled.truth, labelled.decided)
    shown = _held_to(reference, losses, policy)
    if reference.loss_bound is None:
        return LossSeen(state, shown)
    goes_on = state is not None and state.log_k_max < policy.threshold_log_e and state.allowed == reference.loss_bound
    start = begun_again(state if state is not None and goes_on else LossWatch(reference.loss_bound))
    if staked is not None:
        losses = reference.losses(staked.truth, staked.decided)
    after = update(replace(start, log_k_max=start.log_k), losses)
    shown = replace(shown, log_e=after.log_k_max, bound=reference.loss_bound)
    return LossSeen(state, shown, after)


def _held_to(reference: Reference, losses: Floats, policy: HarmPolicy) -> LossEvidence:
    """The window's mean loss against the held-out one: beyond what is tolerated, and worse at all?"""
    held, now = reference.held, sums_of(losses)
    if held is None or not now.count:
        return LossEvidence()
    return LossEvidence(
        loss=now.mean,
        held=held.mean,
        tolerated=policy.tolerated.above(held.mean),
        p_tolerated=exceedance(now, held, policy.tolerated),
        p_worse=exceedance(now, held, Tolerance()),
    )


def _report(seen: Seen, version: int, rows: int) -> WindowReport:
    return WindowReport(
        model=seen.model,
        version=version,
        window=seen.window.name,
        starts_at=seen.window.starts_at,
        ends_at=seen.window.ends_at,
        judged_at=seen.judged_at,
        stage=seen.stage,
        rows=rows,
        verdict=Outcome.UNMEASURED,
        reason="",
        other_rows=seen.other_rows,
        failed=seen.failed,
        late=seen.late or UNSET,
    )
