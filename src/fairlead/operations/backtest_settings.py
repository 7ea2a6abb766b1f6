"""What the settings state of a model, tried on a past: alerts (or those that stand in for them), drift tests, and what
asks for a retraining."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Raw

from fairlead.config.paging_plan import paging_plan
from fairlead.config.watchpoints import rollback_watchpoint, stand_ins, watchpoints
from fairlead.core.alert import AlertPolicy
from fairlead.core.backtest import SETTINGS, Told
from fairlead.core.record import Prediction
from fairlead.flows.backtest import Past
from fairlead.flows.backtest_conditions import Stated, says, told_by_conditions
from fairlead.flows.backtest_retraining import told_by_triggers
from fairlead.flows.backtest_rows import Rows
from fairlead.flows.backtest_tests import Tested, told_by_tests
from fairlead.flows.metrics_now import Prices
from fairlead.flows.watching.reference import Reference
from fairlead.operations.context import Context
from fairlead.operations.drift_named import alarm_told, named_tests, reference_of, table_of
from fairlead.stats.performance import Floats

if TYPE_CHECKING:
    import pyarrow as pa


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


def drift_told(
    context: Context, whose: tuple[str, int], answers: pa.Table, past: Past, policy: AlertPolicy, folder: Path
) -> tuple[Told, ...]:
    """The drift tests of the settings. `answers` are a version's in the log; in `folder` the path of a table that
    stands for the training data begins."""
    settings, (model, version) = context.settings.drift_detection, whose
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
    return told_by_tests(model, records_of(answers, model, version), asked, past.windows, policy)


def triggers_told(context: Context, whose: tuple[str, int], past: Past, reference: Reference) -> tuple[Told, ...]:
    """What would have asked for a retraining."""
    settings = context.settings.retraining
    trained = max((one.rows for one in reference.profile.columns), default=None)
    return told_by_triggers(whose, past, settings.policy, trained, trains=settings.trains)


def records_of(answers: pa.Table, model: str, version: int) -> list[Prediction]:
    """A version's answers in the order in which they were received, with as much of each as drift tests look at."""
    at, received = (instants_of(answers[name]) for name in ("timestamp", "received_at"))
    texts = answers["features"].to_pylist()
    return [
        Prediction(
            "", model, version, "", "", 1.0, float(at[place]), float(received[place]),
            Raw((texts[place] or "{}").encode()), None, None, 0.0,
        )
        for place in np.argsort(received, kind="stable").tolist()
    ]  # fmt: skip


def instants_of(values: pa.ChunkedArray) -> Floats:
    """Instants of the log, in seconds since 1970."""
    import pyarrow as pa

    return np.asarray(values.cast(pa.int64()).to_numpy(), np.float64) / 1e6


def labels_of(rows: Rows) -> Floats:
    """When each label came, what it says and what was decided, (3, n), in order of the instants."""
    known = np.flatnonzero(np.isfinite(rows.observed_at) & ~(np.isnan(rows.truth) | np.isnan(rows.decided)))
    order = known[np.argsort(rows.observed_at[known], kind="stable")]
    return np.stack((rows.observed_at[order], rows.truth[order], rows.decided[order]))
