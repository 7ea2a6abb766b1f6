"""When a rollout's next verdict can be expected, and what it would see."""

from __future__ import annotations

from math import exp, inf

from fairlead.core.guard import candidate, failure_groups, has_company, in_shadow, percent, threshold
from fairlead.core.listing import counted
from fairlead.core.outlook import Traffic, shown_share, sights, told
from fairlead.core.rollout import Phase, Rollout
from fairlead.stats.sequential.sizing import requests_needed

_TOLD_RISK = 3.0  # the relative risk that a forecast speaks of
# A flip of all traffic that asks for nothing is still watched for this many requests before it is called a success.
_LEAST_WATCH = 100


def demands(rollout: Rollout) -> tuple[float, int]:
    """The seconds and the requests that the present phase or step asks for: one request at least."""
    plan = rollout.plan
    if in_shadow(rollout) and plan.shadow is not None:
        return plan.shadow.seconds, max(1, plan.shadow.at_least)
    step = plan.steps[rollout.step]
    least = 1 if has_company(plan) else _LEAST_WATCH
    return step.hold_seconds, step.at_least or least


def forecast(rollout: Rollout, now: float) -> tuple[float | None, str]:
    """Seconds until the present step can be passed at the traffic seen (None where unknown), and a sentence."""
    if rollout.phase not in (Phase.SHADOW, Phase.CANARY) or rollout.plan.among is not None:
        return None, ""
    seconds, requests = demands(rollout)
    elapsed, arm = now - rollout.phase_at, candidate(rollout)
    missing = max(0, requests - rollout.step_requests)
    if elapsed <= 0.0 or rollout.step_requests == 0:
        waits = f"{counted(missing, f'{arm} request')} and {max(0.0, seconds - elapsed):.0f} s to the next step"
        return None, waits if rollout.plan.edition == 1 else f"{waits}{_seen(rollout, None)}"
    rate = rollout.step_requests / elapsed
    left = max(0.0, seconds - elapsed, missing / rate)
    sight = _sight(rollout) if rollout.plan.edition == 1 else _seen(rollout, rate)
    if left == 0.0:
        return None, f"time and requests are reached, the guardrails decide, at {rate:.3g} {arm} requests/s{sight}"
    return left, f"about {left:.0f} s to the next step at {rate:.3g} {arm} requests/s{sight}"


def _seen(rollout: Rollout, rate: float | None) -> str:
    """How soon raised error rates would be seen here, and at the next step; `rate` is that of the version's requests.

    Before there are any it is told from the champion's traffic just before the rollout.
    """
    plan, unseen = rollout.plan, in_shadow(rollout)
    step = plan.steps[rollout.step]
    whole = rollout.baseline.champion_per_second
    if rate is not None:
        whole = rate / ((plan.shadow.traffic if plan.shadow else 1.0) if unseen else step.traffic)
    traffic = Traffic(whole, _failing(rollout))
    of_pairs = Traffic(None if whole is None else 2.0 * whole, traffic.failing)  # a pair is two answers
    here = told(sights(plan, shown_share(step.traffic, unseen=unseen), of_pairs if unseen else traffic))
    following = step if unseen else next(iter(plan.steps[rollout.step + 1 :]), None)
    later = told(sights(plan, following.traffic, traffic)) if following is not None else ""
    said = f"; {here}" if here else ""
    return f"{said}; then at {percent(following.traffic)} {later}" if following is not None and later else said


def _failing(rollout: Rollout) -> float | None:
    """The share of the champion's requests that are a unit's first failure; that before the rollout where none was."""
    asked = rollout.seen.requests.get("champion", 0)
    failed = sum(champion for _, champion, _ in failure_groups(rollout, "error_rate"))
    return failed / asked if asked > 0 and failed > 0 else rollout.baseline.champion_error_rate


def _sight(rollout: Rollout) -> str:
    """How soon a raised error rate would be seen, where the champion's own is known and can be compared."""
    rule = next((rule for rule in rollout.plan.guardrails if rule.metric == "error_rate" and rule.relative), None)
    share = 0.5 if in_shadow(rollout) else rollout.plan.steps[rollout.step].traffic
    # Units that failed first, a request: what repeated requests of one unit add is no evidence, and no speed.
    asked = rollout.seen.requests.get("champion", 0)
    failed = sum(champion for _, champion, _ in failure_groups(rollout, "error_rate"))
    if rule is None or failed <= 0 or asked <= 0:
        return ""
    risk = max(_TOLD_RISK, 2.0 * rule.bound)
    total = requests_needed(share, failed / asked, risk, exp(-threshold(rollout.plan)), rule.bound - 1.0)
    if total == inf:
        return ""
    return f"; would detect {risk:g}x errors after about {share * total:.0f} {candidate(rollout)} requests"
