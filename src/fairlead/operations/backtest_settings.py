"""What the settings state of a model, tried on a past: their alerts, or those that stand in for them."""

from __future__ import annotations

import numpy as np

from fairlead.config.paging_plan import paging_plan
from fairlead.config.watchpoints import rollback_watchpoint, stand_ins, watchpoints
from fairlead.core.alert import AlertPolicy
from fairlead.core.backtest import SETTINGS, Told
from fairlead.flows.backtest import Past
from fairlead.flows.backtest_conditions import Stated, says, told_by_conditions
from fairlead.flows.backtest_rows import Rows
from fairlead.flows.metrics_now import Prices
from fairlead.operations.context import Context
from fairlead.stats.performance import Floats


def alerts_told(
    context: Context, whose: tuple[str, int], past: Past, rows: Rows, policy: AlertPolicy
) -> tuple[Told, ...]:
    """Each alert of the settings that is of a model, and each that stands in where none is stated. `whose` are its name
    and the version's number; `rows` are its answers, in any order."""
    settings, model = context.settings, whose[0]
    usual = stand_ins(settings, model)
    known = settings.models.get(model)
    cost = None if known is None else known.cost
    prices = Prices() if cost is None else Prices(cost.matrix, cost.budget)
    stated = Stated(
        (*watchpoints(settings, model), *usual),
        frozenset(point.key for point in usual),
        paging_plan(settings.alerting, ()).inhibit,
        prices,
        labels_of(rows) if cost is not None else np.empty((3, 0)),
    )
    found = told_by_conditions(whose, past, stated, policy)
    rollback = rollback_watchpoint(settings)
    if rollback is None:
        return found
    why = "it looks at a version while it is rolled out, and for a while after its promotion"
    return (*found, Told(rollback.key, says(rollback), SETTINGS, missing=why))


def labels_of(rows: Rows) -> Floats:
    """When each label came, what it says and what was decided, (3, n), in order of the instants."""
    known = np.flatnonzero(np.isfinite(rows.observed_at) & ~(np.isnan(rows.truth) | np.isnan(rows.decided)))
    order = known[np.argsort(rows.observed_at[known], kind="stable")]
    return np.stack((rows.observed_at[order], rows.truth[order], rows.decided[order]))
