"""The settings of alerts as the outbox takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fairlead.config.alerting import Alerting, Channel, PageBudget
from fairlead.config.usual_alerts import STAND_INS
from fairlead.core.held import Quiet
from fairlead.core.paging import Escalation, Inhibition, Outlet, PagingPlan

# Where none is stated: a model may page once a month unless there is harm. Of notices alone: thresholds stay.
USUAL_BUDGET = PageBudget(1)
_EVERY = {"hourly": 3600.0, "daily": 86_400.0}


def paging_plan(alerting: Alerting, outlets: Sequence[Outlet], console: str = "") -> PagingPlan:
    """What the settings say of notices, with the channels as they were opened; `console` is where notices link to where
    the settings name no dashboard."""
    usual = PagingPlan(())
    throttle, budget = alerting.throttle, alerting.budget or USUAL_BUDGET
    return PagingPlan(
        outlets=tuple(outlets),
        group_by=alerting.group_by,
        wait=float(alerting.group_wait),
        interval=float(alerting.group_interval),
        join=float(alerting.group_for),
        storm=alerting.storm,
        throttle=None if throttle is None else throttle.notices,
        throttle_seconds=usual.throttle_seconds if throttle is None else float(throttle.per),
        escalation=tuple(Escalation(float(one.after), one.to) for one in alerting.escalation),
        dead_after=float(alerting.dead_after),
        inhibit=(
            *(Inhibition(one.when, one.mutes) for one in alerting.inhibit),
            *(Inhibition(f"{one.name}:critical", one.name) for one in alerting.alerts if one.parsed_critical),
            *(Inhibition(f"{name}:{graver}", name) for name, (_, (_, graver)) in _stand_ins(alerting)),
        ),
        dashboard=alerting.dashboard or console,
        pages=budget.pages,
        pages_seconds=float(budget.per),
        each=budget.across == "model",
    )


def _stand_ins(alerting: Alerting) -> Iterable[tuple[str, tuple[tuple[str, str], tuple[str, str]]]]:
    return STAND_INS.items() if alerting.defaults else ()


def quiet_hours(alerting: Alerting) -> Quiet:
    """Until when notices of a severity wait."""

    def quiet(at: float, severity: str) -> float | None:
        ends = [one.until(at) for one in alerting.quiet_hours if severity in one.severities]
        return max((end for end in ends if end is not None), default=None)

    return quiet


def daily(channel: Channel) -> tuple[str, ...]:
    """The severities of which a channel sends a digest at the end of the day: by mail, what nobody hurries for, unless
    the settings say how it is told."""
    return ("low",) if channel.type == "email" and channel.severity is None and channel.frequency is None else ()


def collects(channel: Channel) -> float:
    """How long a channel collects notices, in seconds; 0 where each goes out by itself."""
    return _EVERY.get(channel.frequency or "", 0.0)
