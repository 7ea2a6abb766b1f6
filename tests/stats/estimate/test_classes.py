"""Several classes, estimated without labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fairlead.stats import performance as metrics
from fairlead.stats.estimate import (
    calibrated,
    estimate,
    estimate_classes,
    heldout,
    heldout_classes,
)
from fairlead.stats.estimate.classes import HeldoutClasses
from fairlead.stats.performance import Floats

Nominal = Callable[[dict[str, int], int], None]
Places = np.ndarray[tuple[int], np.dtype[np.intp]]


def world(n: int, rng: np.random.Generator, spread: float = 1.2, sure: float = 1.6) -> tuple[Places, Floats]:
    """Class numbers, and probabilities that are `sure` times too sharp on the log scale."""
    z = rng.normal(size=(n, 3)) * spread
    p, shown = (np.exp(scale * z) / np.exp(scale * z).sum(axis=1, keepdims=True) for scale in (1.0, sure))
    return (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1), shown


def realised(truth: Places, p: Floats) -> dict[str, float]:
    """What the metrics turn out to be."""
    d = p.argmax(axis=1)
    matrix = metrics.confusion(truth, d, p.shape[1])
    found = {f"macro_{kind}": metrics.averaged(matrix, kind).value for kind in ("f1", "precision", "recall")}
    return {**found, "accuracy": float((truth == d).mean()), "macro_auroc": metrics.macro_auroc(truth, p).value}


def coverage(trials: int, known_rows: int, live_rows: int, seed: int) -> dict[str, int]:
    """How often each metric's interval holds the realised value."""
    rng = np.random.default_rng(seed)
    hits: dict[str, int] = {}
    for _ in range(trials):
        y, p = world(known_rows, rng)
        known = heldout_classes(y, p, rng)
        y, p = world(live_rows, rng)
        real = realised(y, p)
        for name, found in estimate_classes(p, known, rng).named().items():
            hits[name] = hits.get(name, 0) + (found.low <= real[name] <= found.high)
    return hits


def test_intervals_hold_the_realised_metrics(nominal: Nominal) -> None:
    """The 95 % intervals of all five metrics hold what is realised in 93 to 97 % of 20 windows."""
    hits = coverage(20, 800, 400, 0)
    assert set(hits) == {"accuracy", "macro_f1", "macro_precision", "macro_recall", "macro_auroc"}
    nominal(hits, 20)


@pytest.mark.slow
@pytest.mark.parametrize(("known_rows", "live_rows"), [(600, 400), (1500, 800)])
def test_intervals_cover_near_nominally(nominal: Nominal, known_rows: int, live_rows: int) -> None:
    """The same in 1,000 windows, at two sizes."""
    nominal(coverage(1000, known_rows, live_rows, 1), 1000)


def test_less_sure_rows_are_foretold() -> None:
    """Where the classes are harder to tell, every metric is expected as low as it turns out."""
    rng = np.random.default_rng(2)
    y, p = world(8000, rng)
    known = heldout_classes(y, p, rng)
    y, p = world(8000, rng, spread=0.5)
    found = estimate_classes(p, known, rng)
    real = realised(y, p)
    for name, measure in found.named().items():
        assert measure.value == pytest.approx(real[name], abs=0.03), name
    assert real["accuracy"] < 0.6


def test_two_classes_agree_with_the_binary_estimate() -> None:
    """Of two classes whose probabilities add up, accuracy and macro AUROC are the binary ones."""
    rng = np.random.default_rng(3)
    s = np.round(rng.random(3000), 2)
    y = (rng.random(3000) < s**2).astype(np.intp)
    live = np.round(rng.random(2000), 2)
    one = estimate(live, heldout(y, s), 0.5, rng, decided=live > 0.5)
    both = np.column_stack([1 - live, live])
    known = heldout_classes(y, np.column_stack([1 - s, s]), rng)
    two = estimate_classes(both, known, rng)
    assert two.accuracy.value == pytest.approx(one.accuracy.value, abs=2e-3)
    assert two.macro_auroc.value == pytest.approx(one.auroc.value, abs=2e-3)
    assert two.accuracy.low == pytest.approx(one.accuracy.low, abs=0.01)


def test_probabilities_add_up() -> None:
    """Calibrated probabilities of a row add up to 1, whatever the curves say."""
    rng = np.random.default_rng(4)
    y, p = world(500, rng)
    q = calibrated(p, heldout_classes(y, p, rng).fitted, p.argmax(axis=1))
    assert np.allclose(q.sum(axis=1), 1.0)
    assert (q > 0).all()


def test_of_many_rows_the_labels_part_is_scaled() -> None:
    """Beyond 20,000 rows the interval still narrows: replicates are drawn on some, and scaled."""
    rng = np.random.default_rng(5)
    y, p = world(30_000, rng)
    known = heldout_classes(y, p, rng)
    widths = []
    for size in (5_000, 60_000):
        found = estimate_classes(np.tile(p[:5_000], (size // 5_000, 1)), known, rng).accuracy
        widths.append(found.high - found.low)
    assert widths[1] < 0.75 * widths[0]


def known_of_two() -> HeldoutClasses:
    """Two classes."""
    return heldout_classes([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], np.random.default_rng(0))


def test_what_cannot_be_estimated_is_refused() -> None:
    """Shapes that do not fit, numbers that are no class, nan; no rows have no metrics."""
    rng = np.random.default_rng(0)
    known = known_of_two()
    assert estimate_classes(np.empty((0, 2)), known, rng).rows == 0
    assert estimate_classes(np.empty((0, 2)), known, rng).named() == {}
    with pytest.raises(ValueError, match="calibration needs as many"):
        heldout_classes([], np.empty((0, 2)), rng)
    with pytest.raises(ValueError, match="numbered 0 to 1"):
        heldout_classes([0, 2], [[0.9, 0.1], [0.2, 0.8]], rng)
    for bad, words in (([[0.1, 0.2, 0.7]], "3 classes"), ([0.5], "pass a row"), ([[np.nan, 1.0]], "nan or negative")):
        with pytest.raises(ValueError, match=words):
            estimate_classes(bad, known, rng)
    for decided, words in (([0, 1], "one decision a row"), ([2], "among the decisions")):
        with pytest.raises(ValueError, match=words):
            estimate_classes([[0.5, 0.5]], known, rng, decided=decided)
