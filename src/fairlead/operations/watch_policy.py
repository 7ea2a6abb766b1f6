"""What a model is held to: the settings and its part of the budget of false pages, as the live watch and a backtest of
it read them alike."""

from __future__ import annotations

from msgspec.structs import replace

from fairlead.config.group_rules import group_rules
from fairlead.config.monitoring import WIDEST
from fairlead.core.harm import HarmPolicy
from fairlead.core.page_budget import Thresholds, thresholds
from fairlead.flows.watching.judge import Policy
from fairlead.operations.context import Context
from fairlead.operations.page_budget import dealt


def policy_of(context: Context, model: str, granted: Thresholds) -> Policy:
    """The policy of a model whose monitors were `granted` so much of the budget."""
    known = context.settings.models.get(model)
    cost = None if known is None or known.cost is None else known.cost.matrix
    harm = HarmPolicy(alpha=granted.harm, drop_alpha=granted.metric, loss_alpha=granted.loss, cost=cost)
    policy = Policy(harm, granted.drift, groups=group_rules(context.settings, model, granted.groups))
    policy = replace(policy, widest=WIDEST[context.settings.monitoring.correlations])
    if known is None:
        return policy
    return replace(policy, maturity_seconds=known.labels.seconds, matured_share=float(known.labels.share))


def policy_tried(
    context: Context, model: str, stated: tuple[float, float] | None = None, seconds: float | None = None
) -> Policy:
    """The same before anything is switched on, with nothing journalled: under another budget (pages, and the seconds
    that they are for), or with windows of other `seconds`."""
    ledger = dealt(context, model, stated, seconds)
    return policy_of(context, model, thresholds(ledger, float(context.settings.monitoring.alpha)))
