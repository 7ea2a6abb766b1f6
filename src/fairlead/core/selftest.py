"""What a self-test proves: how often a rollout of a version against itself would be rolled back on a model's own
traffic. Every such rollback is false."""

from __future__ import annotations

from hashlib import sha256

from msgspec import structs

from fairlead.core.event import SelfTested, canonical
from fairlead.core.listing import counted
from fairlead.core.rollout import Plan
from fairlead.core.verdict import Outcome
from fairlead.stats.intervals import clopper_pearson, upper_bound

ALPHA = 0.05  # of the bounds
VALID_SECONDS = 90 * 86_400.0  # traffic changes: what was measured on it grows old


def plan_digest(plan: Plan) -> str:
    """What decides a rollback, as one SHA-256: the guardrails, the budget, the shares and how they are dealt.

    How long a step lasts, and what happens at a deadline, change no verdict.
    """
    shares = tuple(step.traffic for step in plan.steps)
    return sha256(canonical((plan.guardrails, plan.alpha, shares, plan.split))).hexdigest()


def bound(rolled_back: int, runs: int) -> float:
    """The upper bound (95 %) of the share that is rolled back; 1 without a run."""
    return upper_bound(rolled_back, runs, ALPHA) if runs else 1.0


def outcome(rolled_back: int, runs: int, alpha: float) -> Outcome:
    """Whether the share that is rolled back is proven to be within the budget, or beyond it.

    >>> outcome(0, 500, 0.01), outcome(4, 500, 0.01), outcome(20, 500, 0.01)
    (<Outcome.HOLDS: 'holds'>, <Outcome.UNDECIDED: 'undecided'>, <Outcome.BREACHED: 'breached'>)
    """
    if not runs:
        return Outcome.UNMEASURED
    if bound(rolled_back, runs) <= alpha:
        return Outcome.HOLDS
    return Outcome.BREACHED if clopper_pearson(rolled_back, runs, 2 * ALPHA)[0] > alpha else Outcome.UNDECIDED


def why_invalid(tested: SelfTested | None, at: float, plan: Plan, now: float) -> str:
    """Why a plan may not roll back by itself on the strength of a self-test made `at` an instant; nothing where it may.

    Instants are seconds since 1970, UTC.
    """
    if tested is None:
        return "no self-test was made"
    if tested.plan != plan_digest(plan):
        return "the last self-test was of other guardrails, shares or another budget"
    if now - at > VALID_SECONDS:
        return f"the last self-test is {(now - at) / 86_400.0:.0f} days old"
    if tested.upper > plan.alpha:
        done = f"{tested.rolled_back} of {counted(tested.runs, 'rollout')} of a version against itself"
        most = f"at most {100 * tested.upper:.3g} %, allowed {100 * plan.alpha:.3g} %"
        return f"the last self-test rolled back {done}: {most}"
    return ""


def by_hand(plan: Plan) -> Plan:
    """The same plan, but for a broken guardrail, which asks an operator."""
    return structs.replace(plan, automatic=False)
