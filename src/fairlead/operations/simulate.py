"""simulate: what a version would have answered to the logged requests of a window, against what was answered."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.core.contract import Task
from fairlead.core.listing import counted
from fairlead.core.report import MetricReading
from fairlead.core.verdict import Outcome, Verdict
from fairlead.errors import NotFound, UsageError
from fairlead.flows.backtest_rows import Rows
from fairlead.flows.watching.reference import Reference
from fairlead.operations.backtest_log import Version, answered, log_from_to, newest, open_version, rows_of, served
from fairlead.operations.context import Context
from fairlead.operations.performance_clock import instant, seconds_of
from fairlead.operations.prediction_log import predictions_with_outcomes
from fairlead.operations.report_output import as_json
from fairlead.stats.performance import HIGHER_IS_BETTER, Floats, difference

if TYPE_CHECKING:
    import pyarrow as pa

FEWEST_LABELS = 30


class Compared(Struct, frozen=True):
    """One metric on the same labelled rows: as it was served, and as the version would have."""

    served: MetricReading
    simulated: MetricReading


class Simulation(Struct, frozen=True):
    """What a version would have answered. `flips` are other decisions (of values: other answers); `shift` is the mean
    change of the score, or of the value."""

    model: str
    version: int
    starts_at: float
    ends_at: float
    requests: int
    labels: int
    flips: int
    shift: float
    metrics: tuple[Compared, ...]
    verdict: Verdict
    others: dict[int, int] = {}  # requests by the version that answered them

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def to_json(self) -> str:
        """`to_dict` as one JSON document."""
        return as_json(self.to_dict())


def simulate(context: Context, name: str, window: str, output: str | Path | None = None) -> Simulation:
    """Answers a past window's logged requests by `name@version`, of whichever version answered them then.

    `window` is "2026-01-01/7d", "2026-01-01/2026-01-08", or a length, such as "7d", that ends with the newest answer of
    the log. `output` takes a Parquet table of both answers, one row a request. Raises `NotFound` for a window without
    requests, `UsageError` for one that is none.

    The verdict breaches where the primary metric would have been lower beyond chance on the same labels, and is
    undecided with fewer than 30 labels.
    """
    version = open_version(context, name)
    since, until = span_of(window, newest(context, version.model))
    table = served(predictions_with_outcomes(context, version.model, since, until))
    if not table.num_rows:
        has = log_from_to(context, version.model)
        raise NotFound(f"the log of {version.model} has no answered request in {window}: {has}")
    before = rows_of(table, version.reference)
    after = answered(before, version, version.load())
    found = _compared(version, (since, until), before, after, table)
    if output is not None:
        _write(table, before, after, version.reference, Path(output))
    return found


def span_of(window: str, now: float) -> tuple[float, float]:
    """The instants that a window names. Raises `UsageError`.

    >>> span_of("1970-01-02/12h", 0.0)
    (86400.0, 129600.0)
    """
    start, slash, end = window.partition("/")
    if not slash:
        length = seconds_of(start)
        assert length is not None
        return max(0.0, now - length), now
    since = instant(start)
    until = instant(end) if end[:4].isdigit() and "-" in end else since + (seconds_of(end) or 0.0)
    if not 0.0 <= since < until:
        raise UsageError(f"--window {window}: it ends before it begins; write 2026-01-01/7d")
    return since, until


def _compared(version: Version, span: tuple[float, float], before: Rows, after: Rows, table: pa.Table) -> Simulation:
    reference = version.reference
    known = ~(np.isnan(before.truth) | np.isnan(before.decided) | np.isnan(after.decided))
    if reference.contract.task is Task.BINARY:
        known &= ~(np.isnan(before.score) | np.isnan(after.score))
    labels = int(known.sum())
    both = ~(np.isnan(before.decided) | np.isnan(after.decided))
    flips = int((before.decided[both] != after.decided[both]).sum())
    metrics = _metrics(reference, before, after, known) if labels else ()
    counts: dict[int, int] = {}
    for number in table["model_version"].to_pylist():
        counts[number] = counts.get(number, 0) + 1
    moved = after.score - before.score
    return Simulation(
        version.model,
        version.number,
        *span,
        before.size,
        labels,
        flips,
        float(np.nanmean(moved)) if (~np.isnan(moved)).any() else 0.0,
        metrics,
        _verdict(metrics, labels, flips, before.size),
        dict(sorted(counts.items())),
    )


def _metrics(reference: Reference, before: Rows, after: Rows, known: Any) -> tuple[Compared, ...]:
    cards = [reference.card(one.truth[known], _score(one)[known], one.decided[known]) for one in (before, after)]
    return tuple(
        Compared(
            *(
                MetricReading(name, realised=card[name].value, low=card[name].low, high=card[name].high)
                for card in cards
            )
        )
        for name in cards[0]
        if cards[0][name].defined and cards[1][name].defined
    )


def _score(rows: Rows) -> Floats:
    return np.nan_to_num(rows.score)


def _verdict(metrics: tuple[Compared, ...], labels: int, flips: int, rows: int) -> Verdict:
    said = f"{counted(flips, 'decision')} of {rows:,} would have been another"
    if labels < FEWEST_LABELS or not metrics:
        return Verdict(Outcome.UNDECIDED, f"{said}; {counted(labels, 'label')} so far, {FEWEST_LABELS} are needed")
    first = metrics[0]
    gap = difference(_measure(first.simulated), _measure(first.served))
    better = first.served.metric in HIGHER_IS_BETTER
    worse = gap.high < 0 if better else gap.low > 0
    figures = f"{first.served.metric} {first.simulated.realised:.4g} against {first.served.realised:.4g} as served"
    text = f"{said}; {figures}, on {counted(labels, 'label')}"
    return Verdict(Outcome.BREACHED if worse else Outcome.HOLDS, text)


def _measure(reading: MetricReading) -> Any:
    from fairlead.stats.performance import Measure

    return Measure(reading.realised or 0.0, reading.low or 0.0, reading.high or 0.0)


def _write(table: pa.Table, before: Rows, after: Rows, reference: Reference, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def answer(values: Floats) -> list[Any]:
        if reference.contract.task is Task.REGRESSION:
            return [None if np.isnan(value) else value for value in values.tolist()]
        return [None if np.isnan(value) else reference.contract.classes[int(value)] for value in values.tolist()]

    columns = {
        "request_id": table["request_id"],
        "timestamp": pa.array(
            [datetime.fromtimestamp(at, UTC) for at in before.at.tolist()], pa.timestamp("us", "UTC")
        ),
        "served_by": table["model_version"],
        "served": pa.array(answer(before.decided)),
        "simulated": pa.array(answer(after.decided)),
        "served_score": pa.array(before.score, from_pandas=True),
        "simulated_score": pa.array(after.score, from_pandas=True),
        "outcome": table["outcome"],
    }
    try:
        pq.write_table(pa.table(columns), path, compression="zstd")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
