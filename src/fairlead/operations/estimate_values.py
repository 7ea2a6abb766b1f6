"""What an estimate without labels holds, chunk by chunk."""

from __future__ import annotations

from math import isfinite
from typing import Any

from msgspec import Struct

from fairlead.core.estimated import judge_estimate
from fairlead.core.quadrant import Band, Placement, Quadrant, oriented, place
from fairlead.core.verdict import Outcome, Verdict
from fairlead.stats.performance import HIGHER_IS_BETTER, UNDEFINED, Measure

FEWEST_LABELS = 100  # from which the realised metric speaks
PRIMARY = {"binary": "auroc", "multiclass": "accuracy", "regression": "mae"}


class Reading(Struct, frozen=True):
    """One metric of one chunk: on the reference, estimated, realised on the labels that are there, and estimated over
    all rows with the correction of those labels (`powered`). nan where there is none."""

    metric: str
    reference: Measure
    estimated: Measure = UNDEFINED
    realised: Measure = UNDEFINED
    powered: Measure = UNDEFINED


class Chunk(Struct, frozen=True):
    """One part of the current data, in its order or by time. `left_out` rows had no usable prediction.

    `effective` is what the weighted reference rows are worth, where they were weighted; `moved` names the features that
    drifted; `refused` says why an estimate was not made.
    """

    name: str
    rows: int
    left_out: int
    labels: int
    method: str
    readings: tuple[Reading, ...]
    effective: float | None = None
    clipped: int = 0
    refused: str = ""
    moved: tuple[str, ...] | None = None
    quadrant: Quadrant = Quadrant.UNKNOWN
    quadrant_reason: str = ""
    verdict: Verdict = Verdict(Outcome.UNMEASURED, "not judged")

    @property
    def labelled(self) -> float:
        """The share of the rows whose label is there."""
        return self.labels / self.rows if self.rows else 0.0

    def reading(self, metric: str) -> Reading | None:
        """The reading of that name."""
        return next((one for one in self.readings if one.metric == metric), None)


def judged(chunk: Chunk, metric: str) -> Chunk:
    """The chunk with its quadrant and verdict, by the primary metric. Benign drift does not breach."""
    from msgspec.structs import replace

    reading = chunk.reading(metric)
    if chunk.rows == 0 or reading is None:
        return replace(chunk, verdict=Verdict(Outcome.UNMEASURED, f"{chunk.name} has no row with a usable prediction"))
    better = metric in HIGHER_IS_BETTER
    reference, estimated, realised = (
        band_of(each, better=better) for each in (reading.reference, reading.estimated, reading.realised)
    )
    realised = realised if chunk.labels >= FEWEST_LABELS else None
    if chunk.moved is None:
        placed = Placement(Quadrant.UNKNOWN, "no features were named: whether the inputs moved is not known")
    else:
        placed = place(moved=len(chunk.moved), reference=reference, estimated=estimated, realised=realised)
    verdict = judge_estimate(metric, reference, estimated, realised, chunk.refused)
    return replace(chunk, quadrant=placed.quadrant, quadrant_reason=placed.reason, verdict=verdict)


def band_of(measure: Measure, *, better: bool) -> Band | None:
    """A measure as the decisions take it; None where it, or its interval, is not defined."""
    if not (measure.defined and isfinite(measure.low) and isfinite(measure.high)):
        return None
    return oriented(measure.value, measure.low, measure.high, higher_is_better=better)


def plain(measure: Measure) -> dict[str, float | None] | None:
    """A measure for JSON; None where it is not defined."""
    if not measure.defined:
        return None
    return {name: _finite(getattr(measure, name)) for name in ("value", "low", "high")}


def row_of(chunk: Chunk, reading: Reading) -> dict[str, Any]:
    """One line of the frame: a chunk's metric."""
    found: dict[str, Any] = {
        "chunk": chunk.name,
        "rows": chunk.rows,
        "labels": chunk.labels,
        "method": chunk.method,
        "metric": reading.metric,
        "reference": reading.reference.value,
    }
    for name in ("estimated", "realised", "powered"):
        measure: Measure = getattr(reading, name)
        found |= {name: measure.value, f"{name}_low": measure.low, f"{name}_high": measure.high}
    quadrant, outcome = chunk.quadrant.value, chunk.verdict.outcome.value
    return found | {"effective_rows": chunk.effective, "quadrant": quadrant, "outcome": outcome}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


class Estimated(Struct, frozen=True):
    """What was estimated: a verdict on the primary metric, the chunks in their order, and why by which method.

    `reference` holds every metric of the reference rows. Intervals are at `level`, of one chunk each: nothing is
    promised of all chunks together. The verdict is the worst of the chunks'.
    """

    verdict: Verdict
    task: str
    metric: str
    method: str
    reason: str  # which method, and why
    level: float
    reference_rows: int
    reference: dict[str, Measure]
    chunks: tuple[Chunk, ...]
