"""What a rollout could see, and how soon: the time and the requests until a raised error rate is expected to be told.

Nothing is told where the champion's traffic or failures are not known, or where no guardrail compares the two.
"""

from __future__ import annotations

from math import exp, inf

from msgspec import Struct

from fairlead.core.guard import percent, threshold
from fairlead.core.rollout import Plan
from fairlead.stats.sequential.sizing import requests_needed

RISKS = (1.5, 2.0, 3.0)
_SHADOW_SHARE = 0.5  # each request has both answers: as many of one version as of the other
_LEAST_FAILING = 0.001  # a champion that never failed is taken to fail this often
_WORDS = ((5400.0, 60.0, "minute"), (172_800.0, 3600.0, "hour"), (inf, 86_400.0, "day"))


class Traffic(Struct, frozen=True):
    """What is known of a model's traffic: requests a second, and the share of them that the champion fails."""

    per_second: float | None = None
    failing: float | None = None


class Sight(Struct, frozen=True):
    """How much it takes to tell that the version fails `risk` times as often: requests on both arms, and seconds where
    the traffic is known."""

    risk: float
    requests: int
    seconds: float | None


class Outlook(Struct, frozen=True):
    """The sights of one phase or step; `place` says which."""

    place: str
    share: float
    sights: tuple[Sight, ...]


def sights(plan: Plan, share: float, traffic: Traffic) -> tuple[Sight, ...]:
    """What can be told while the canary holds `share` of the traffic. What the guardrail tolerates is never told."""
    rule = next((rule for rule in plan.guardrails if rule.metric == "error_rate" and rule.relative), None)
    if rule is None or traffic.failing is None or not 0.0 < share < 1.0:
        return ()
    failing = max(traffic.failing, _LEAST_FAILING)
    found = []
    for risk in RISKS:
        requests = requests_needed(share, failing, risk, exp(-threshold(plan)), rule.bound - 1.0)
        if requests < inf:
            seconds = requests / traffic.per_second if traffic.per_second else None
            found.append(Sight(risk, int(requests), seconds))
    return tuple(found)


def outlooks(plan: Plan, traffic: Traffic) -> tuple[Outlook, ...]:
    """Those of the shadow phase and of each step in which the champion answers too."""
    places = [("in shadow", _SHADOW_SHARE)] if plan.shadow is not None else []
    places += [(f"at {percent(step.traffic)}", step.traffic) for step in plan.steps if step.traffic < 1.0]
    return tuple(Outlook(place, share, found) for place, share in places if (found := sights(plan, share, traffic)))


def told(found: tuple[Sight, ...]) -> str:
    """The sights in words; nothing for none.

    >>> told((Sight(1.5, 21_600, 1080.0), Sight(3.0, 1_500, 75.0)))
    'about 18 minutes (21,600 requests) to detect 1.5x errors at this traffic, 75 seconds (1,500) for 3x'
    >>> told((Sight(2.0, 6_000, None),))
    'about 6,000 requests to detect 2x errors'
    """
    if not found:
        return ""
    first, *others = found
    if first.seconds is None:
        rest = "".join(f", {one.requests:,} for {one.risk:g}x" for one in others)
        return f"about {first.requests:,} requests to detect {first.risk:g}x errors{rest}"
    rest = "".join(f", {lasting(one.seconds or 0.0)} ({one.requests:,}) for {one.risk:g}x" for one in others)
    asked = f"about {lasting(first.seconds)} ({first.requests:,} requests)"
    return f"{asked} to detect {first.risk:g}x errors at this traffic{rest}"


def lasting(seconds: float) -> str:
    """A time as people say it.

    >>> lasting(42.4), lasting(1080.0), lasting(7200.0), lasting(400_000.0)
    ('42 seconds', '18 minutes', '2 hours', '5 days')
    """
    if seconds < 100.0:
        return f"{seconds:.0f} second{'s' * (round(seconds) != 1)}"
    size, word = next((size, word) for most, size, word in _WORDS if seconds < most)
    return f"{seconds / size:.0f} {word}{'s' * (round(seconds / size) != 1)}"


def shown_share(share: float, *, unseen: bool) -> float:
    """The share at which the two versions are compared: in a shadow phase each answers every request."""
    return _SHADOW_SHARE if unseen else share
