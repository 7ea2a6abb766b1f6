"""What the measures of guardrails have in common: what they found, and what they ask of a rollout."""

from __future__ import annotations

from enum import Enum
from math import log

from msgspec import Struct

from fairlead.core.rollout import Phase, Plan, Rollout, Units

NOBODY = Units()


class Holds(Enum):
    """Whether a reading keeps a rollout where it is."""

    NO = 0
    UNTIL_MORE = 1  # more evidence will tell
    FOR_OPERATOR = 2  # more evidence will not tell: once the step has had its time, a person must
    AT_ONCE = 3  # as FOR_OPERATOR, without waiting for the step's time


class Measured(Struct, frozen=True):
    """What a metric's measure found. `missing` says why there is no evidence; `sentence` gives the figures."""

    log_e: float = 0.0
    champion: float | None = None
    canary: float | None = None
    sentence: str = ""
    missing: str = ""
    holds: Holds = Holds.NO
    champion_log_e: float | None = None
    champion_moved: Holds = Holds.NO  # what the champion's own figure asks for, should the version break
    shown: bool = True  # whether it is shown to keep the bound, where that is more than not to have broken it


def threshold(plan: Plan) -> float:
    """ln(guardrails / alpha): each guardrail spends its part of the budget of false rollbacks."""
    return log(max(1, len(plan.guardrails)) / plan.alpha)


def in_shadow(rollout: Rollout) -> bool:
    """Whether the version answers unseen, or is held while it does."""
    return Phase.SHADOW in (rollout.phase, rollout.held_in)


def has_company(plan: Plan) -> bool:
    """Whether the champion answers beside the new version at some point of the plan."""
    return plan.shadow is not None or any(step.traffic < 1.0 for step in plan.steps)


def candidate(rollout: Rollout) -> str:
    """The arm under which the new version answers now."""
    return "shadow" if in_shadow(rollout) else "canary"


def failure_groups(rollout: Rollout, metric: str) -> list[tuple[float, int, int]]:
    """Units by their first failure as (share, champion, canary), those of the shadow phase included.

    In the shadow phase both versions answer a unit's requests, so where one alone fails first it is the shadow with
    probability 1/2 under equal rates. The champion's side also holds requests that it failed and of which no shadow was
    asked, which only lowers the evidence.
    """
    found = [(group.share, group.champion, group.canary) for group in rollout.seen.failures if group.metric == metric]
    shadow = rollout.seen.shadow
    if metric == "error_rate" and (shadow.served_failed or shadow.shadow_failed):
        found.append((0.5, shadow.served_failed, shadow.shadow_failed))
    return found


def percent(value: float) -> str:
    """A share for a sentence, with three figures.

    >>> percent(0.0123), percent(0.5), percent(0.0)
    ('1.23 %', '50 %', '0 %')
    """
    return f"{100 * value:.3g} %"


def amount(value: float) -> str:
    """What is no share, for a sentence, with four figures."""
    return f"{value:.4g}"
