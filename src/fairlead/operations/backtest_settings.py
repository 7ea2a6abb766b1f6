"""What the settings state of a model, tried on a past: alerts (or those that stand in for them), drift tests, and what
asks for a retraining."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from fairlead.config.paging_plan import paging_plan
from fairlead.config.watchpoints import rollback_watchpoint, stand_ins, watchpoints
from fairlead.core.alert import AlertPolicy
from fairlead.core.backtest import SETTINGS, Told
from fairlead.core.impact import ImpactReport
from fairlead.flows.backtest import Past
from fairlead.flows.backtest_answers import Answers
from fairlead.flows.backtest_conditions import Stated, says, told_by_conditions
from fairlead.flows.backtest_retraining import told_by_triggers
from fairlead.flows.backtest_rows import Rows
from fairlead.flows.backtest_tests import Tested, told_by_tests
from fairlead.flows.metrics_now import Prices
from fairlead.flows.watching.reference import Reference
from fairlead.operations.backtest_answers import records_of
from fairlead.operations.context import Context
from fairlead.operations.drift_named import alarm_told, named_tests, reference_of, table_of
from fairlead.stats.performance import Floats

if TYPE_CHECKING:
    import pyarrow as pa


class Seen(Struct, frozen=True, eq=False):
    """What a log holds beside the windows: a version's rows, in any order, all answers, and what callers and the
    business had of each window of them."""

    rows: Rows
    answers: Answers
    impacts: tuple[ImpactReport, ...] = ()


def alerts_told(
    context: Context, whose: tuple[str, int], past: Past, seen: Seen, policy: AlertPolicy
) -> tuple[Told, ...]:
    """Each alert of the settings that is of a model, and each that stands in where none is stated. `whose` are its name
    and the version's number."""
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
        labels_of(seen.rows) if cost is not None else np.empty((3, 0)),
        seen.answers,
        seen.impacts,
    )
    found = told_by_conditions(whose, past, stated, policy)
    rollback = rollback_watchpoint(settings)
    if rollback is None:
        return found
    why = "it looks at a version while it is rolled out, and for a while after its promotion"
    return (*found, Told(rollback.key, says(rollback), SETTINGS, missing=why))


def drift_told(
    context: Context, whose: tuple[str, int], answers: pa.Table, past: Past, policy: AlertPolicy, folder: Path
) -> tuple[Told, ...]:
    """The drift tests of the settings. `answers` are a version's in the log; in `folder` the path of a table that
    stands for the training data begins."""
    settings, model = context.settings.drift_detection, whose[0]
    tests = named_tests(settings)
    if not tests:
        return ()
    window, path = settings.test_window, table_of(settings, folder)
    asked = Tested(
        tests,
        window.size_seconds,
        window.slide_seconds,
        lambda number: reference_of(context, model, number, tests, path),
        lambda found: alarm_told(context.settings, model, found),
    )
    return told_by_tests(model, records_of(answers, model, features=True), asked, past.windows, policy)


def triggers_told(context: Context, whose: tuple[str, int], past: Past, reference: Reference) -> tuple[Told, ...]:
    """What would have asked for a retraining."""
    settings = context.settings.retraining
    trained = max((one.rows for one in reference.profile.columns), default=None)
    return told_by_triggers(whose, past, settings.policy, trained, trains=settings.trains)


def labels_of(rows: Rows) -> Floats:
    """When each label came, what it says and what was decided, (3, n), in order of the instants."""
    known = np.flatnonzero(np.isfinite(rows.observed_at) & ~(np.isnan(rows.truth) | np.isnan(rows.decided)))
    order = known[np.argsort(rows.observed_at[known], kind="stable")]
    return np.stack((rows.observed_at[order], rows.truth[order], rows.decided[order]))
