"""selftest: how often this model's own traffic would roll a version back that is no other; and what a plan may do on
the strength of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from hashlib import sha256

from msgspec import Struct

from fairlead.adapters.fact_log import SegmentFactReader
from fairlead.core.event import SelfTested
from fairlead.core.listing import counted
from fairlead.core.metrics import is_event
from fairlead.core.record import Prediction
from fairlead.core.rollout import Plan
from fairlead.core.selftest import bound, by_hand, outcome, plan_digest, why_invalid
from fairlead.core.verdict import Outcome
from fairlead.errors import Refused, UsageError
from fairlead.flows.baseline import heldout_cells
from fairlead.flows.selftest import PAST, Tested, Traffic, self_test, traffic_of, with_events
from fairlead.operations.context import Context
from fairlead.operations.models import resolve

RUNS, REQUESTS = 500, 10_000
_MOST = 1_000_000
Told = Callable[[int, int], None] | None


class SelfTestReport(Struct, frozen=True):
    """Rollouts of a version against itself, on its own traffic: `requests` of `units`, each dealt anew in every run.

    `upper` is the exact upper bound (95 %) of the share that is rolled back, `guardrails` which of them did it.
    """

    model: str
    version: int
    outcome: Outcome
    reason: str
    runs: int = 0
    rolled_back: int = 0
    upper: float = 1.0
    alpha: float = 0.0
    requests: int = 0
    units: int = 0
    phases: dict[str, int] = {}
    guardrails: dict[str, int] = {}


def selftest(
    context: Context, reference: str, runs: int = RUNS, requests: int = REQUESTS, told: Told = None
) -> SelfTestReport:
    """Tests the settings' rollout on the latest `requests` answers of `NAME` (its champion) or `NAME@V`, and journals
    what came of it.

    Unmeasured, and not journalled, while the log holds too few. `told` is given (runs done, in all). Raises
    `UsageError` for numbers that make no sense, `NotFound`, and `Refused` for a plan that deals nothing by chance.
    """
    for option, number in (("--runs", runs), ("--requests", requests)):
        if not 1 <= number <= _MOST:
            raise UsageError(f"{option} {number}: give a number from 1 to {_MOST:,}")
    info = resolve(context, reference if "@" in reference else f"{reference}@champion")
    plan = context.settings.rollout.plan()
    try:
        traffic = _traffic(context, (info.model, info.version, info.bundle), requests)
        if any(is_event(rule.metric) for rule in plan.guardrails):
            traffic = with_events(traffic, SegmentFactReader(context.home / "log").events())
    except Refused as error:
        return SelfTestReport(info.model, info.version, Outcome.UNMEASURED, error.line, alpha=plan.alpha)
    tested = self_test(plan, traffic, runs, told)
    report = _reported(traffic, plan, tested)
    fact = SelfTested(
        info.model, runs, report.rolled_back, report.upper, plan.alpha, _digest(plan, traffic), report.reason,
        plan_digest(plan),
    )  # fmt: skip
    context.journal.append([fact], actor=context.actor, at=context.clock.now())
    return report


def allowed(context: Context, model: str, plan: Plan) -> tuple[Plan, str]:
    """The plan as it may be deployed, and why it may not roll back by itself where that is so.

    With `rollout.automatic: after_selftest` a plan without a valid self-test asks an operator instead.
    """
    if context.settings.rollout.automatic == "always":
        return plan, ""
    last: tuple[SelfTested | None, float] = (None, 0.0)
    for entry in context.journal.read(model=model, kinds=["self_tested"]):
        if isinstance(entry.fact, SelfTested):
            last = entry.fact, entry.at
    why = why_invalid(*last, plan, context.clock.now())
    return (by_hand(plan), why) if why else (plan, "")


def _traffic(context: Context, version: tuple[str, int, str], requests: int) -> Traffic:
    model, number, bundle = version
    kept: deque[Prediction] = deque(maxlen=requests + PAST)
    reader = context.open_log()
    while True:
        records, outcomes = reader.poll()
        kept.extend(one for one in records if one.model_name == model and one.model_version == number)
        if not records and not outcomes:
            return traffic_of(model, number, kept, heldout_cells(context.bundles, bundle), requests)


def _digest(plan: Plan, traffic: Traffic) -> str:
    return sha256(f"{plan_digest(plan)} {traffic.digest}".encode()).hexdigest()


def _reported(traffic: Traffic, plan: Plan, tested: Tested) -> SelfTestReport:
    found, most = outcome(tested.rolled_back, tested.runs, plan.alpha), bound(tested.rolled_back, tested.runs)
    share = f"{tested.rolled_back} of {counted(tested.runs, 'rollout')} of version {traffic.version} against itself"
    said = {
        Outcome.HOLDS: f"at most {100 * most:.2g} %, within the budget of {100 * plan.alpha:.3g} %",
        Outcome.UNDECIDED: f"at most {100 * most:.2g} %, allowed {100 * plan.alpha:.3g} %: give more --runs",
        Outcome.BREACHED: f"more than the budget of {100 * plan.alpha:.3g} %: loosen or leave out what broke",
    }
    return SelfTestReport(
        traffic.model,
        traffic.version,
        found,
        f"{share} rolled back, {said[found]}",
        tested.runs,
        tested.rolled_back,
        most,
        plan.alpha,
        tested.requests,
        tested.units,
        tested.phases,
        tested.guardrails,
    )
