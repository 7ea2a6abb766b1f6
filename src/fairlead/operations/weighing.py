"""A challenger weighed against the champion: on the held-out rows and on the latest matured ones, guardrails and costs
included."""

from __future__ import annotations

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.core.gate import GateReport
from fairlead.core.worth import DAY, Side, Weighed, Worth, guards_of, worth_of
from fairlead.flows.challenge import Pair, both, compared
from fairlead.flows.labelled import asked_a_day, labelled
from fairlead.operations.context import Context
from fairlead.operations.training_data import TrainingData, later
from fairlead.ports import VersionInfo


def weigh(context: Context, sides: tuple[VersionInfo, VersionInfo], data: TrainingData, report: GateReport) -> Weighed:
    """The comparison of the champion and the challenger (`sides`). Raises `BundleError` where they cannot be
    compared."""
    champion, challenger = sides
    pair = Pair(context.bundles, champion.bundle, challenger.bundle)
    heldout = pair.asked(open_dataset(data.heldout))
    rows = context.settings.retraining.rows
    fresh = later(labelled(context.open_log(), champion.model, rows, data.frozen.without), data.frozen)
    latest = pair.answered(fresh) if fresh else None
    known = context.settings.models.get(champion.model)
    cost = known.cost.matrix if known is not None and known.cost is not None else None
    return Weighed(
        champion.version,
        challenger.version,
        compared(heldout, cost),
        compared(latest, cost) if latest is not None and latest.truth.size else None,
        guards_of(report),
        _worth(context, champion.model, compared(both(heldout, latest), cost)),
    )


def _worth(context: Context, model: str, side: Side) -> Worth | None:
    """What the challenger is worth over the stated horizon, where that and a cost matrix are stated."""
    stated = context.settings.retraining.worth
    if stated is None or side.saved is None:
        return None
    days = float(stated.horizon) / DAY
    return worth_of(side.saved, asked_a_day(context.open_log(), model) * days, days, float(stated.cost))
