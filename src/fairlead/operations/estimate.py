"""Performance without labels: `estimate_performance(reference, current)`, by chunk, with what early labels say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from msgspec.structs import replace

from fairlead.core.verdict import Outcome, Verdict, worst
from fairlead.errors import UsageError
from fairlead.operations.estimate_html import fragment, page
from fairlead.operations.estimate_methods import Plan, chunk_of, measured, planned
from fairlead.operations.estimate_read import Part, Sides, parts_of, read_sides
from fairlead.operations.estimate_values import PRIMARY, Chunk, Estimated, Reading, judged, plain, row_of
from fairlead.operations.performance_read import REGRESSION, Asked, named_probabilities
from fairlead.operations.report_output import as_json, frame_of, written
from fairlead.stats.performance import COSTS, LEVEL

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("auto", "cbpe", "pape", "dle")
Method = Literal["auto", "cbpe", "pape", "dle"]


class EstimateReport(Estimated, frozen=True):
    """What was estimated (see `Estimated` for the fields), and how it is shown."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON; a metric that is not defined is null."""
        return {
            "verdict": msgspec.to_builtins(self.verdict),
            "task": self.task,
            "metric": self.metric,
            "method": self.method,
            "reason": self.reason,
            "level": self.level,
            "reference": {"rows": self.reference_rows, **{name: plain(one) for name, one in self.reference.items()}},
            "chunks": [_chunk(chunk) for chunk in self.chunks],
        }

    def to_json(self) -> str:
        """`to_dict` as one JSON document."""
        return as_json(self.to_dict())

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame, one row for each chunk and metric. Raises `MissingExtra` without pandas."""
        return frame_of(
            [row_of(chunk, reading) for chunk in self.chunks for reading in chunk.readings], "EstimateReport.to_frame()"
        )

    def save_html(self, path: str | Path) -> Path:
        """Writes one self-contained page. Raises `UsageError` where the file cannot be written."""
        return written(path, page(self))

    def _repr_html_(self) -> str:
        return fragment(self)


def estimate_performance(  # noqa: PLR0913 - the columns' roles are named one by one
    reference: Any,
    current: Any,
    *,
    target: str,
    prediction: str | None = None,
    score: str | None = None,
    probabilities: Mapping[Any, str] | Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    task: str | None = None,
    method: Method = "auto",
    window: str | float | None = None,
    chunk_rows: int | None = None,
    timestamp: str | None = None,
    level: float = LEVEL,
    seed: int = 0,
    cost: Mapping[str, float] | None = None,
) -> EstimateReport:
    """How good the predictions of `current` are, learned from the labelled `reference`.

    Tables are pandas, polars, Arrow, dicts of columns, or paths. `score` is the column of the second class's
    probability (decided from 0.5 up, or as `prediction` says); `probabilities` names a column for each of several
    classes; a regression needs `prediction`. `current` may hold labels in `target` for some rows: what was realised,
    and the estimate corrected by it, then stand beside it. `features` are the model's inputs: with them, drift of the
    inputs is told from drift of the concept, `pape` can weight, and `dle` learns where errors are large. The data are
    cut by `window` of `timestamp`, by `chunk_rows`, or not at all. `cost` names what a true_positive, false_positive,
    true_negative and false_negative cost.

    `auto` is, for classes, `pape` for chunks that a cross-fitted classifier can tell from the reference, `cbpe` for the
    others and without features or scikit-learn; for values it is `dle`.

    Raises `TableError` for a table that cannot serve (a column missing, no labels in the reference, one class, scores
    outside [0, 1], too few rows, an unknown class), `UsageError` for arguments that contradict each other,
    `MissingExtra` where `pape`, or `dle` with features, lacks scikit-learn.

    >>> known = {"p": [0.1, 0.4, 0.6, 0.9] * 100, "y": [0, 0, 1, 1, 0, 1, 0, 1] * 50}
    >>> report = estimate_performance(known, {"p": [0.1, 0.4, 0.6, 0.9] * 50}, target="y", score="p")
    >>> report.method, round(report.chunks[0].reading("accuracy").estimated.value, 2)
    ('cbpe', 0.75)
    """
    _check(method, level, cost)
    asked = Asked(target, prediction, score, named_probabilities(probabilities), task)
    sides, table = read_sides(reference, current, asked, features)
    _fits(sides.reference.task, method, features)
    parts = parts_of(table, window, timestamp, chunk_rows)
    return _report(sides, parts, Plan(method, level, seed, cost))


def _report(sides: Sides, parts: Sequence[Part], asked: Plan) -> EstimateReport:
    task = sides.reference.task
    plan = planned(sides, replace(asked, method="dle") if task == REGRESSION else asked)
    known = measured(sides.reference, plan.level, plan.cost)
    chunks = tuple(judged(chunk_of(sides, part, plan, known), PRIMARY[task]) for part in parts)
    used = sorted({chunk.method for chunk in chunks if chunk.rows}) or [plan.method]
    return EstimateReport(
        worst(_named(chunk, alone=len(chunks) == 1) for chunk in chunks),
        task,
        PRIMARY[task],
        " and ".join(used),
        _why(task, asked.method, chunks, bool(sides.names)),
        plan.level,
        int(sides.reference.truth.size),
        known,
        chunks,
    )


def _check(method: str, level: float, cost: Mapping[str, float] | None) -> None:
    if method not in METHODS:
        raise UsageError(f"method is {method!r}: it is one of {', '.join(METHODS)}")
    if not 0.5 <= level < 1.0:
        raise UsageError(f"level is {level}: an interval's confidence lies between 0.5 and 1, as in 0.95")
    wrong = [name for name, value in (cost or {}).items() if name not in COSTS or not np.isfinite(value)]
    if wrong:
        raise UsageError(f"cost {wrong[0]!r}: name finite costs of {', '.join(COSTS)}")


def _fits(task: str, method: str, features: Sequence[str] | None) -> None:
    if (task == REGRESSION) != (method == "dle") and method != "auto":
        raise UsageError(f"method {method} does not fit a {task} task: use {'dle' if task == REGRESSION else 'cbpe'}")
    if method == "pape" and not features:
        raise UsageError("pape weights the reference by its inputs: name the model's inputs, features=[…]")


def _named(chunk: Chunk, *, alone: bool) -> Verdict:
    """The chunk's verdict, with its name where there are several."""
    if alone or chunk.verdict.outcome is Outcome.HOLDS:
        return chunk.verdict
    return Verdict(chunk.verdict.outcome, f"{chunk.name}: {chunk.verdict.reason}")


def _why(task: str, method: str, chunks: Sequence[Chunk], featured: bool) -> str:
    """One sentence: which method was taken, and why."""
    if task == REGRESSION:
        learned = "the features and the prediction" if featured else "the prediction alone, as no features were named"
        return f"dle: the error is learned from {learned}"
    if method != "auto":
        return f"{method}, as was asked"
    if not featured:
        return "cbpe: no features were named to weight the reference by"
    weighted = sum(chunk.method == "pape" for chunk in chunks)
    refused = sum(bool(chunk.refused) for chunk in chunks)
    told = f"pape for {weighted:,} of {len(chunks):,} chunks, whose inputs can be told from the reference's"
    rest = "" if weighted == len(chunks) else "; cbpe for the others"
    return told + rest + (f", {refused:,} of them because too little of the reference is like them" if refused else "")


def _chunk(chunk: Chunk) -> dict[str, Any]:
    return {
        "name": chunk.name,
        "rows": chunk.rows,
        "left_out": chunk.left_out,
        "labels": chunk.labels,
        "labelled": chunk.labelled,
        "method": chunk.method,
        "effective_rows": chunk.effective,
        "clipped_rows": chunk.clipped,
        "refused": chunk.refused,
        "moved": None if chunk.moved is None else list(chunk.moved),
        "quadrant": chunk.quadrant.value,
        "quadrant_reason": chunk.quadrant_reason,
        "verdict": msgspec.to_builtins(chunk.verdict),
        "metrics": {one.metric: _reading(one) for one in chunk.readings},
    }


def _reading(reading: Reading) -> dict[str, Any]:
    return {name: plain(getattr(reading, name)) for name in ("reference", "estimated", "realised", "powered")}
