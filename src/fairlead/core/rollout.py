"""A rollout: a new version earns its traffic, step by step, by evidence; or loses it at once.

The values are here, with the way to begin one (`start`); `core.evidence` adds evidence up, and
`core.advance.advance()` is the whole decision. It is pure: the same rollout, evidence and instant give the same answer,
byte for byte, which is what `replay` checks.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType

from fairlead.core.arms import Among
from fairlead.core.arms import fault_of as arms_fault
from fairlead.core.metrics import LATENCIES
from fairlead.core.split import Split, fault_of
from fairlead.errors import Refused

EDITION = 3  # of new plans


class Phase(StrEnum):
    """Where a rollout stands."""

    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    HELD = "held"  # waits for an operator: undecided at the deadline, or paused


class Call(StrEnum):
    """What the evidence says of one guardrail, and of the rollout."""

    SAFE = "safe"
    REGRESS = "regress"
    NOT_YET = "not_yet"


class ShadowPlan(Struct, frozen=True):
    """How long a version answers unseen: at least this long and this many paired requests, of this share of units."""

    seconds: float = 0.0
    at_least: int = 0
    traffic: float = 1.0


class Step(Struct, frozen=True):
    """A share of traffic, how long it is held, and how many canary requests it must have answered."""

    traffic: float
    hold_seconds: float = 0.0
    at_least: int = 0
    manual: bool = False  # whether an operator must let the rollout go on from here


class Guardrail(Struct, frozen=True):
    """A bound that the new version must not break.

    `metric` is error_rate, p99_latency, prediction_psi, … (`core.metrics`). With `relative` the bound is that multiple
    of the champion's value plus `margin`; otherwise it is the value itself. With `lower` the version must not fall
    below it. `text` is the rule as the user wrote it.
    """

    text: str
    metric: str
    bound: float
    relative: bool = False
    lower: bool = False
    margin: float = 0.0  # in the metric's unit, added to the bound


class Aftercare(Struct, frozen=True):
    """The watch over a version once it is promoted: for so long it may go back by itself; where nothing has changed it
    does so once in `alarm_seconds` on average, or more seldom. Events are waited for `events_seconds` after an answer;
    0, as in all older plans: they are not watched."""

    seconds: float
    alarm_seconds: float
    events_seconds: float = 0.0


class Plan(Struct, frozen=True):
    """How a version is rolled out. `alpha` is the budget of false rollbacks for the whole rollout.

    `deadline_seconds` is how long the shadow phase or a step may stay undecided (its own hold, if that is longer).
    `split` says what is dealt to the two versions: units or requests, as the tests of its evidence take them. `among`
    makes it one arm of an A/B rollout, which may deal clusters too: then its evidence is no verdict. New plans are of
    the newest `edition`.
    """

    strategy: str
    steps: tuple[Step, ...]
    guardrails: tuple[Guardrail, ...]
    shadow: ShadowPlan | None = None
    alpha: float = 0.01
    undecided: str = "hold"  # hold | roll_back | promote: what happens at the deadline
    deadline_seconds: float | None = None
    split: Split = Split()
    among: Among | None = None
    edition: int = 1  # of the rules that judge it: what was decided is replayed by the rules it was decided by
    segments: tuple[str, ...] = ()  # features by whose values a shadow's answers are told apart
    automatic: bool = True  # whether a broken guardrail rolls back by itself; else an operator is asked
    after: Aftercare | None = None  # without one a promotion is not watched


class Baseline(Struct, frozen=True):
    """What a rollout's evidence is measured against, fixed when it starts.

    `*_edges` are the inner edges (ascending) of a version's score cells, a score equal to an edge lies in the cell
    above it; `*_cells` the share that each cell is expected to hold: of the new version from its own held-out data,
    of the champion from its live scores just before the rollout (its held-out data where there were too few).
    `champion_error_rate` is its share of failed requests just before the rollout; it is what a flip of all traffic
    is compared to, as then no champion answers beside the new version.
    """

    champion_p99_ms: float | None
    canary_edges: tuple[float, ...]
    canary_cells: tuple[float, ...]
    champion_edges: tuple[float, ...] = ()
    champion_cells: tuple[float, ...] = ()
    champion_error_rate: float | None = None
    champion_per_second: float | None = None  # its requests just before the rollout
    champion_p95_ms: float | None = None
    champion_p50_ms: float | None = None
    positive: str = ""  # of models of two classes: the one whose probability is the score


class FirstFailures(Struct, frozen=True):
    """Units that failed for the first time, while the canary held `share` of the traffic."""

    metric: str  # error_rate | p99_latency
    share: float
    champion: int
    canary: int


class Units(Struct, frozen=True):
    """Units by their first answer: how many there were, and for how many it failed or was slow.

    A unit that asks a thousand times is one, so these are the trials of a test against a fixed rate. `slow` is slower
    than the latency guardrail's bound.
    """

    asked: int = 0
    failed: int = 0
    slow: int = 0


class ShadowPairs(Struct, frozen=True):
    """Requests that both versions answered, and units of the shadow phase that one version alone failed first."""

    pairs: int = 0
    flips: int = 0  # the predicted class differs
    sum_difference: float = 0.0  # of scores, shadow minus served
    sum_squared_difference: float = 0.0
    served_failed: int = 0  # units that the champion failed, and not the shadow on the same request
    shadow_failed: int = 0  # units that the shadow failed, and not the champion


class ValueCounts(Struct, frozen=True):
    """Units of each arm by the value that they showed of a business event, as (value, units), ascending.

    The units were dealt with the probability `share` of the canary. A unit that logged nothing has the value 0.
    """

    metric: str
    share: float
    champion: tuple[tuple[float, int], ...] = ()
    canary: tuple[tuple[float, int], ...] = ()


class Paired(Struct, frozen=True):
    """Units by their first request that both versions answered in the shadow phase; of one segment, or (empty) all.

    `flips` decided otherwise: `up` of them with a higher score by the shadow, `down` with a lower one. `differences`
    counts shadow minus served score, as (difference, units), ascending.
    """

    segment: str = ""
    units: int = 0
    flips: int = 0
    up: int = 0
    down: int = 0
    differences: tuple[tuple[float, int], ...] = ()


class Dealt(Struct, frozen=True):
    """Units of each arm by what their first answer at a share of the canary was like, as (cell, units), ascending.

    They were dealt with the probability `share` of the canary; 0 where it was no draw. Under a metric of latency a cell
    holds milliseconds, the canary's divided by the bound's factor, in one `block` of time; under score_shift it is a
    cell of the version's own scores.
    """

    metric: str
    block: int
    share: float
    champion: tuple[tuple[int, int], ...] = ()
    canary: tuple[tuple[int, int], ...] = ()


class Evidence(Struct, frozen=True):
    """What the log added since the last look. Adding evidence is exact, associative and commutative (`merge`).

    The keys of the maps are arms: champion, canary, shadow. `units` has champion, canary and version: the new version
    under either of its arms, where a unit that met it unseen and as canary is one. A count is negative where a record
    that came late, or a log that lost its end, takes something back: the sum is what the log says.
    """

    requests: dict[str, int] = {}
    errors: dict[str, int] = {}
    slow: dict[str, int] = {}  # slower than the latency guardrail's bound
    failures: tuple[FirstFailures, ...] = ()
    scores: dict[str, tuple[int, ...]] = {}  # counts per score cell, each version on its own edges
    shadow: ShadowPairs = ShadowPairs()
    units: dict[str, Units] = {}
    values: tuple[ValueCounts, ...] | UnsetType = UNSET  # of plans of edition 2 with events
    paired: tuple[Paired, ...] | UnsetType = UNSET  # of plans of edition 2 with a shadow phase
    dealt: tuple[Dealt, ...] | UnsetType = UNSET  # of plans of edition 3 with a bound that compares the arms by them


class Reading(Struct, frozen=True):
    """One guardrail's state: its evidence against its threshold.

    `champion` and `canary` are what was measured on each arm: for error_rate the share of failed requests (of failed
    first answers to a unit where the bound is a fixed rate), for p99_latency the share of units whose first answer was
    slower than the bound (from edition 3, where that is relative: slower than its multiple of what the champion's
    slowest took just before), the index for prediction_psi. In the shadow phase the canary's value is the shadow's.
    """

    guardrail: str
    metric: str
    call: Call
    log_e: float
    log_e_max: float  # since the rollout began
    threshold_log_e: float  # ln(number of guardrails / alpha)
    champion: float | None
    canary: float | None
    reason: str


class Decision(Struct, frozen=True):
    """What `advance` decided, and why. `share` is the canary's traffic after it."""

    rollout: str
    at: float
    call: Call
    before: Phase
    after: Phase
    step: int
    share: float
    readings: tuple[Reading, ...]
    forecast_seconds: float | None  # until a verdict on the current step at the traffic seen; None where unknown
    forecast: str  # the same as a sentence
    reason: str
    guardrail: str | None = None  # the one that was broken
    requests: dict[str, int] = {}
    evidence: str = ""  # SHA-256 of what this look added, canonical; empty for what an operator did


class Rollout(Struct, frozen=True):
    """A rollout's whole state: a fold of `advance` over its evidence."""

    id: str
    model: str
    version: int
    champion: int | None
    plan: Plan
    baseline: Baseline
    phase: Phase
    step: int
    started_at: float
    phase_at: float  # when the current phase or step began
    seen: Evidence = Evidence()  # since the start
    step_requests: int = 0  # canary (or shadow) requests since `phase_at`
    peaks: dict[str, float] = {}  # guardrail -> largest log e so far
    held: str = ""  # why it waits, when it does
    held_in: Phase | None = None  # the phase in which it waits, when it does
    waived: tuple[str, ...] = ()  # guardrails that could not be measured and that an operator went on without


def start(
    rollout: str, model: str, version: int, champion: int | None, plan: Plan, baseline: Baseline, now: float
) -> Rollout:
    """A rollout at its beginning: unseen where the plan has a shadow phase, else at its first step.

    Raises `Refused` for a plan without steps, with a share of traffic outside (0, 1], with a split or arms that cannot
    be dealt, and for a split that deals clusters outside an A/B rollout.
    """
    if not plan.steps:
        raise Refused(f"the rollout of {model} version {version} has no steps: give at least one share of traffic")
    if fault := fault_of(plan.split):
        raise Refused(f"the rollout of {model} version {version} cannot be dealt: {fault}")
    if plan.among is not None and (fault := _arms_fault(plan.among, version, champion)):
        raise Refused(f"version {version} of {model} cannot be an arm: {fault}")
    if plan.split.clusters and plan.among is None:
        raise Refused(f"a rollout is judged by units: a split by {plan.split.by.value} is for an experiment")
    for step in plan.steps:
        if not 0.0 < step.traffic <= 1.0:
            raise Refused(f"a step of {step.traffic:g} of the traffic is none: write more than 0 %, at most 100 %")
    return Rollout(
        id=rollout,
        model=model,
        version=version,
        champion=champion,
        plan=plan,
        baseline=baseline,
        phase=Phase.SHADOW if plan.shadow else Phase.CANARY,
        step=0,
        started_at=now,
        phase_at=now,
    )


def _arms_fault(among: Among, version: int, champion: int | None) -> str:
    if champion is None:
        return "there is no champion to compare it with: deploy a first version by itself"
    if version not in (arm.version for arm in among.shares):
        return "it is none of the challengers"
    return arms_fault(among)


def share_of(rollout: Rollout) -> float:
    """The canary's share of the traffic now."""
    phase = rollout.held_in if rollout.phase is Phase.HELD else rollout.phase
    if phase is Phase.CANARY:
        return rollout.plan.steps[rollout.step].traffic
    return 1.0 if phase is Phase.PROMOTED else 0.0


def latency_rule(plan: Plan) -> Guardrail | None:
    """The guardrail by which requests are counted as slow: the plan's first on a quantile of latency."""
    return next((rule for rule in plan.guardrails if rule.metric in LATENCIES), None)


def slow_bound_ms(plan: Plan, baseline: Baseline) -> float | None:
    """The latency above which a request counts as slow, in milliseconds: that of the plan's first latency guardrail.

    None without such a guardrail, or where the champion's quantile is not known.
    """
    rule = latency_rule(plan)
    if rule is None:
        return None
    known = {
        "p50_latency": baseline.champion_p50_ms,
        "p95_latency": baseline.champion_p95_ms,
        "p99_latency": baseline.champion_p99_ms,
    }
    reference = known[rule.metric] if rule.relative else 1.0
    return None if reference is None else rule.bound * reference
