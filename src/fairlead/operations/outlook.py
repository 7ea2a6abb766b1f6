"""What a deploy could see, and how soon, at the traffic that the log shows."""

from __future__ import annotations

from fairlead.adapters.recent_answers import recent_answers
from fairlead.core.outlook import Outlook, Traffic, outlooks, told
from fairlead.core.rollout import Plan
from fairlead.operations.context import Context

_RECENT_SECONDS = 900.0
_ENOUGH = 50  # answers below which nothing is said of a model's traffic


def outlook(context: Context, model: str, strategy: str | None = None) -> tuple[Outlook, ...]:
    """For the shadow phase and each step of the plan: requests and time until 1.5, 2 and 3 times the errors show.

    Empty where no guardrail compares errors, or where the model had too few answers in the last quarter of an hour.
    Raises `UsageError` for an unknown strategy.
    """
    return outlooks(context.settings.rollout.plan(strategy), traffic(context, model))


def lines(found: tuple[Outlook, ...]) -> tuple[str, ...]:
    """The same in words, one line a place."""
    return tuple(f"{one.place}: {told(one.sights)}" for one in found)


def traffic(context: Context, model: str) -> Traffic:
    """What the log's last answers say of a model's traffic: those of callers, of each worker, added up."""
    now = context.clock.now()
    rate = asked = failed = 0.0
    for records in recent_answers(context.home / "log", now - _RECENT_SECONDS):
        mine = [one for one in records if one.model_name == model and one.arm != "shadow"]
        mine = [one for one in mine if one.received_at >= now - _RECENT_SECONDS]
        if not mine:
            continue
        asked += len(mine)
        failed += sum(one.status >= 500 for one in mine)
        lasted = now - min(one.received_at for one in mine)
        rate += len(mine) / lasted if lasted > 0.0 else 0.0
    if asked < _ENOUGH or rate <= 0.0:
        return Traffic()
    # Half a failure more than were seen: a champion that never failed in so many answers fails less than once in them.
    return Traffic(rate, (failed + 0.5) / (asked + 1.0))


def plan_of(context: Context, model: str, strategy: str | None) -> Plan:
    """The plan of a model's rollout: the settings', told apart by the model's segments."""
    known = context.settings.models.get(model)
    return context.settings.rollout.plan(strategy, known.segments if known is not None else ())
