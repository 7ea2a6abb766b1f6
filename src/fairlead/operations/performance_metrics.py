"""The metrics that a task has, on any choice of its rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec import Struct

from fairlead.errors import UsageError
from fairlead.operations.performance_read import BINARY, REGRESSION, Rows
from fairlead.operations.performance_values import Metrics
from fairlead.stats import performance as stats
from fairlead.stats import scorecard
from fairlead.stats.performance.maturity import Mask
from fairlead.stats.performance.measure import HIGHER_IS_BETTER, Measure


class Terms(Struct, frozen=True):
    """How a table is to be measured."""

    level: float
    metric: str | None
    tolerance: float
    min_rows: int
    matured_share: float
    cost: dict[str, float] | None
    window: float | None


def metrics_of(rows: Rows, chosen: Mask, terms: Terms) -> Metrics:
    """Every metric of the task on the chosen rows, the primary one first."""
    found: Metrics = {}
    for group in _groups(rows, chosen, terms).values():
        found |= group()
    return found


def metric_of(rows: Rows, chosen: Mask, terms: Terms, name: str) -> Measure:
    """One metric of the chosen rows, without working out those of another kind."""
    for names, group in _groups(rows, chosen, terms).items():
        if name in names:
            return group()[name]
    raise UsageError(f"there is no metric {name!r}")


def _groups(rows: Rows, chosen: Mask, terms: Terms) -> dict[tuple[str, ...], Callable[[], Metrics]]:
    """What the columns allow to be measured, by the names of the metrics."""
    level, y = terms.level, rows.truth[chosen]
    decided = None if rows.decided is None else rows.decided[chosen]
    if rows.task == REGRESSION and decided is not None:
        return {scorecard.ERRORS: partial(scorecard.regression_metrics, y, decided, level)}
    found: dict[tuple[str, ...], Callable[[], Metrics]] = {}
    if rows.task != BINARY and decided is not None:
        found[scorecard.CLASSES] = partial(scorecard.multiclass_metrics, y, decided, len(rows.classes), level)
        if rows.probabilities is not None:
            p = rows.probabilities[chosen]
            found[scorecard.CLASS_PROBABILITIES] = partial(scorecard.probabilities_metrics, y, p, level)
        return found
    if rows.score is not None:
        found[scorecard.RANKING] = partial(scorecard.ranking_metrics, y, rows.score[chosen], level)
    if decided is not None:
        found[scorecard.DECISIONS] = partial(scorecard.decision_metrics, y, decided, level)
    if rows.score is not None and rows.probability:
        found[scorecard.PROBABILITIES] = partial(scorecard.probability_metrics, y, rows.score[chosen], level)
    if terms.cost is not None and decided is not None:
        cost = terms.cost
        found["cost_per_row",] = lambda: {"cost_per_row": stats.cost_per_row(y, decided, cost, level)}
    return found


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is better."""
    return metric in HIGHER_IS_BETTER
