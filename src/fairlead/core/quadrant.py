"""Data drift or concept drift: where a window lies, by what moved and what it cost.

|              | realised no worse than reference | realised down as the scores foretold | realised below the estimate |
|--------------|----------------------------------|--------------------------------------|-----------------------------|
| inputs moved | benign                           | covariate shift                      | concept drift               |
| inputs still | benign (nothing happened)        | concept drift                        | concept drift               |

"Below" means that two intervals do not meet. An estimate's interval counts the labels to come, so where neither the
concept nor the calibration changed, a realised metric that is measured on them lies below it far less often than the
2.5 % of one side: a concept drift that is none is rare. Where inputs moved and the metric fell, the scores foretold it
if the estimate fell by at least half as much; with less than that, and no gap between the intervals, it is `unknown`.

Confidence-based estimates assume that P(truth | inputs) stayed; realised below the estimate, beyond both intervals, is
therefore evidence against that assumption. Until labels are there, the estimate stands in for them. The answer is
`unknown` where neither is there, and where inputs moved and the metric fell without an estimate to tell the two apart.
Benign drift never pages.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

FORETOLD = 0.5  # the share of a fall that the estimate must have shown, for the inputs to explain it


class Quadrant(StrEnum):
    """Where a window lies."""

    BENIGN = "benign"
    COVARIATE = "covariate"
    CONCEPT = "concept"
    UNKNOWN = "unknown"


class Band(Struct, frozen=True):
    """A metric with its interval, turned so that higher is better."""

    value: float
    low: float
    high: float

    def below(self, other: Band) -> bool:
        """Whether the two intervals do not meet and this one is the lower."""
        return self.high < other.low


class Placement(Struct, frozen=True):
    """A quadrant with its reason."""

    quadrant: Quadrant
    reason: str


def oriented(value: float, low: float, high: float, *, higher_is_better: bool) -> Band:
    """A band turned so that higher is better: errors change their sign.

    >>> oriented(2.0, 1.5, 2.5, higher_is_better=False)
    Band(value=-2.0, low=-2.5, high=-1.5)
    """
    return Band(value, low, high) if higher_is_better else Band(-value, -high, -low)


def place(*, moved: int, reference: Band | None, estimated: Band | None, realised: Band | None) -> Placement:
    """The quadrant of a window in which `moved` inputs shifted.

    >>> band = Band(0.80, 0.78, 0.82)
    >>> place(moved=0, reference=band, estimated=band, realised=Band(0.70, 0.67, 0.73)).quadrant.value
    'concept'
    """
    inputs = f"{moved} input{'s' * (moved != 1)} moved" if moved else "the inputs are still"
    if reference is None or (estimated is None and realised is None):
        return Placement(Quadrant.UNKNOWN, f"{inputs}; there are neither labels nor an estimate to judge the effect by")
    if realised is None:
        return _by_estimate(inputs, reference, estimated)
    if estimated is not None and realised.below(estimated):
        return Placement(
            Quadrant.CONCEPT,
            f"{inputs}, and the realised metric lies below what the scores promised, beyond both intervals: "
            "the relation between inputs and truth changed",
        )
    if realised.below(reference):
        return _down(inputs, moved, estimated, (reference, realised))
    return Placement(Quadrant.BENIGN, f"{inputs}, and the realised metric is not below the reference")


def overruled(placement: Placement, moved: int, reason: str) -> Placement:
    """A benign placement where the live loss alone shows harm: the metric does not tell, so it is no longer benign."""
    if placement.quadrant is not Quadrant.BENIGN:
        return placement
    if not moved:
        return Placement(Quadrant.CONCEPT, f"the inputs are still, yet {reason}")
    return Placement(Quadrant.UNKNOWN, f"{moved} inputs moved, and {reason}; the metric does not tell which kind it is")


def _by_estimate(inputs: str, reference: Band, estimated: Band | None) -> Placement:
    if estimated is not None and estimated.below(reference):
        return Placement(Quadrant.COVARIATE, f"{inputs}, and the estimate lies below the reference; labels are due")
    return Placement(Quadrant.BENIGN, f"{inputs}, and the estimate is not below the reference; labels are due")


def _down(inputs: str, moved: int, estimated: Band | None, bands: tuple[Band, Band]) -> Placement:
    if not moved:
        return Placement(Quadrant.CONCEPT, f"{inputs} and the realised metric fell: the relation to the truth changed")
    if estimated is None:
        return Placement(Quadrant.UNKNOWN, f"{inputs} and the realised metric fell; no estimate tells which kind it is")
    reference, realised = bands
    foretold = (reference.value - estimated.value) / (reference.value - realised.value)
    if foretold < FORETOLD:
        return Placement(
            Quadrant.UNKNOWN,
            f"{inputs} and the realised metric fell; the scores foretold {max(foretold, 0.0):.0%} of that, and the "
            "intervals are too wide to say which kind it is",
        )
    return Placement(Quadrant.COVARIATE, f"{inputs}, and the realised metric fell as far as the scores foretold")
