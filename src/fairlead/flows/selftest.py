"""self-test: a model's own logged traffic, dealt again and again to a version and itself.

A run draws a fresh salt, deals each logged request by it as a rollout's route would, and hands the records to the same
collector and the same `advance` as a real rollout. All answers are one version's, so who got which arm is chance alone,
and a rollback is false. Given the traffic the runs are independent: their share of rollbacks has an exact bound, for
this traffic with its heavy users, its bursts and its outages.

Time is the log's. Where it is shorter than the plan, the holds are shortened in proportion, so that every step is seen.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from msgspec import Struct, structs

from fairlead.core.advance import advance
from fairlead.core.listing import counted
from fairlead.core.record import EventRecord, Prediction
from fairlead.core.rollout import Baseline, Phase, Plan, Rollout, share_of, start
from fairlead.core.route import Arm, ModelRoute, deal
from fairlead.core.split import Dealt
from fairlead.errors import Refused
from fairlead.flows.baseline import Cells, Recent, baseline_of
from fairlead.flows.dealing import value_of
from fairlead.flows.evidence import Collector

PAST = 1_000  # answers that come before the rollout: what the baseline is made of
LEAST_PAST, LEAST = 200, 500  # below these there is no baseline, and no rollout worth the name
LOOKS = 200  # of a run
_SELF = 1  # added to a version's number it is that of its stand-in
Told = Callable[[int, int], None] | None


class Traffic(Struct, frozen=True):
    """What one version answered, oldest first, and what came before it."""

    model: str
    version: int
    past: tuple[Prediction, ...]
    records: tuple[Prediction, ...]
    cells: Cells  # of the version's own held-out scores
    events: tuple[EventRecord, ...] = ()  # what the units logged meanwhile, oldest first

    @property
    def digest(self) -> str:
        """SHA-256 of the requests, in order."""
        found = sha256()
        for record in self.records:
            found.update(record.request_id.encode() + b"\0")
        return found.hexdigest()


class Tested(Struct, frozen=True):
    """How the runs ended: by phase, and the false rollbacks by guardrail."""

    runs: int
    requests: int
    units: int
    phases: dict[str, int]
    guardrails: dict[str, int]

    @property
    def rolled_back(self) -> int:
        """False rollbacks."""
        return self.phases.get(Phase.ROLLED_BACK.value, 0)


def traffic_of(model: str, version: int, records: Iterable[Prediction], cells: Cells, most: int = 100_000) -> Traffic:
    """The latest records that a version answered for callers, `most` at most, and the past before them.

    Raises `Refused` where they are too few, with how many there are.
    """
    mine = [one for one in records if one.model_name == model and one.model_version == version and one.arm != "shadow"]
    mine.sort(key=lambda one: (one.received_at, one.request_id))
    mine = mine[-most - PAST :]
    past = min(PAST, max(LEAST_PAST, len(mine) // 5, len(mine) - most))
    if len(mine) < past + LEAST:
        raise Refused(
            f"the log holds {counted(len(mine), 'answer')} of version {version} of {model}: a self-test deals at least "
            f"{LEAST_PAST + LEAST}, so let it serve for longer"
        )
    return Traffic(model, version, tuple(mine[:past]), tuple(mine[past:]), cells)


def with_events(traffic: Traffic, events: Iterable[EventRecord]) -> Traffic:
    """The traffic, and what its units logged from its first answer on."""
    begun = traffic.records[0].received_at
    mine = sorted(
        (event for event in events if event.model_name == traffic.model and event.at >= begun),
        key=lambda event: (event.at, event.event_id),
    )
    return structs.replace(traffic, events=tuple(mine))


def self_test(plan: Plan, traffic: Traffic, runs: int, told: Told = None) -> Tested:
    """So many rollouts of the version against itself. `told` is given (done, in all) after each.

    The shadow phase is left out: both answers would be the same ones. Raises `Refused` for a plan that never has both
    versions answer side by side, as nothing is dealt by chance then.
    """
    if not any(step.traffic < 1.0 for step in plan.steps):
        raise Refused(
            f"the strategy {plan.strategy} compares all traffic with the past: there is nothing to deal by chance, so "
            "test a canary's plan"
        )
    fitted = _fitted(plan, traffic)
    baseline = _baseline(traffic)
    ends, broken = Counter[str](), Counter[str]()
    for number in range(runs):
        rollout, guardrail = _run(fitted, traffic, baseline, f"self-test-{number}")
        ends[rollout.phase.value] += 1
        if guardrail is not None and rollout.phase is Phase.ROLLED_BACK:
            broken[guardrail] += 1
        if told is not None:
            told(number + 1, runs)
    units = len({record.unit_id for record in traffic.records})
    return Tested(runs, len(traffic.records), units, dict(ends), dict(broken))


def _fitted(plan: Plan, traffic: Traffic) -> Plan:
    """The plan without its shadow phase, rolling back by itself, with holds that fit the traffic's time; no deadline
    ends it."""
    records = traffic.records
    span, asked = records[-1].received_at - records[0].received_at, sum(step.hold_seconds for step in plan.steps)
    scale = min(1.0, 0.9 * span / asked) if asked > 0.0 else 1.0
    steps = tuple(structs.replace(step, hold_seconds=step.hold_seconds * scale, manual=False) for step in plan.steps)
    return structs.replace(plan, steps=steps, shadow=None, among=None, deadline_seconds=None, automatic=True)


def _baseline(traffic: Traffic) -> Baseline:
    recent = Recent()
    recent.add((structs.replace(one, arm="champion") for one in traffic.past), traffic.version)
    return baseline_of(recent, traffic.cells, recent.cells or traffic.cells)


def _run(plan: Plan, traffic: Traffic, baseline: Baseline, salt: str) -> tuple[Rollout, str | None]:
    """One rollout, until it is over or held, or the traffic ends; and the guardrail that broke."""
    records, version = traffic.records, traffic.version
    begun = records[0].received_at
    rollout = start(salt, traffic.model, version + _SELF, version, plan, baseline, begun)
    collector, at, guardrail = Collector(rollout), 0, None
    events = deque(traffic.events)
    for end in _looks(records):
        now = records[end - 1].received_at
        collector.add(_dealt(rollout, records[at:end]))
        collector.add_events(_until(events, now))
        at = end
        rollout, decision = advance(rollout, collector.since(rollout.seen), now)
        guardrail = decision.guardrail
        if rollout.phase is not Phase.CANARY:
            break
    return rollout, guardrail


def _until(events: deque[EventRecord], now: float) -> list[EventRecord]:
    """Takes those off that have happened."""
    found = []
    while events and events[0].at <= now:
        found.append(events.popleft())
    return found


def _looks(records: Sequence[Prediction]) -> list[int]:
    """Where each look ends: after every so many records, and with the last."""
    step = max(1, len(records) // LOOKS)
    return [*range(step, len(records), step), len(records)]


def _dealt(rollout: Rollout, records: Sequence[Prediction]) -> list[Prediction]:
    """The records as a route with the rollout's present share would have dealt them."""
    share, split = share_of(rollout), rollout.plan.split
    champion = rollout.champion or 0
    arms = (Arm("canary", rollout.version, share), Arm("champion", champion, round(1.0 - share, 12)))
    route = ModelRoute(arms if share < 1.0 else arms[:1], {}, salt=rollout.id, split=split)
    found = []
    for record in records:
        value = value_of(record.features, split.feature) if split.feature else None
        to = deal(route, Dealt(record.request_id, record.unit_id, record.received_at, value))
        found.append(
            structs.replace(
                record,
                model_version=to.version,
                arm=to.arm,
                propensity=to.propensity,
                rollout=to.rollout,
                shadow_of=None,
            )
        )
    return found
