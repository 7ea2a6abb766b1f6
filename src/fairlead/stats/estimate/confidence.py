"""Confidence-based estimation of binary metrics (CBPE; Kivimäki et al., arXiv 2407.08649).

With c the calibrated probability of class 1 and d the decision, TP = sum c [d=1], FP = sum (1-c)[d=1],
FN = sum c [d=0], TN = sum (1-c)[d=0]; AUROC and average precision by sweeping the score; losses as their expectation
over c. It holds as long as P(truth | score) is what it was on the held-out rows; where the concept drifts, it does not,
and the distance between estimated and realised is then the evidence. Held-out rows that are weighted by how much more
common they have become make it PAPE (`fairlead.stats.estimate.shifted`).

The intervals count both sources of chance: which labels the live rows will turn out to have (for accuracy, the
Poisson-binomial variance sum c(1-c) / n²) and how well finite held-out rows pin the calibration down (bootstrap). A
fitted curve is a little surer than the truth; the bootstrap says by how much, and the interval is moved by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import nan, sqrt

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict, replace
from numpy.typing import ArrayLike
from scipy.special import ndtri

from fairlead.stats.calibrate import Calibration, Cells, Curves, cells, curve_of, curves_of, redrawn
from fairlead.stats.estimate.spread import ANY, POSITIVE, REPLICATES, UNIT, centre_of, ratio, spreads
from fairlead.stats.performance import COSTS, LEVEL, UNDEFINED, Floats, Measure

CELLS = 400
PART = 40_000  # numbers of replicates that are counted at once
TINY = 1e-15
NAMES = ("accuracy", "precision", "recall", "f1", "auroc", "specificity", "auprc", "log_loss", "brier", "cost")
BOUNDS = dict.fromkeys(NAMES, UNIT) | {"log_loss": POSITIVE, "cost": ANY}


class Heldout(Struct, frozen=True, eq=False):
    """Held-out rows in cells of ascending score, and the curve fitted to them. `redrawn` are the curves of bootstrap
    replicates, where they were drawn once for many estimates; else each estimate draws its own."""

    cells: Cells
    curve: Calibration
    redrawn: Curves | None = None

    @property
    def rows(self) -> Floats:
        """The weight of the rows in each cell."""
        return self.cells.rows


class Estimates(Struct, frozen=True):
    """Expected binary metrics of unlabelled rows, each with its interval. `cost` is the mean over rows of what each
    outcome costs; it is not defined where no costs were given, nor are the losses of scores outside [0, 1]."""

    rows: int
    accuracy: Measure = UNDEFINED
    precision: Measure = UNDEFINED
    recall: Measure = UNDEFINED
    f1: Measure = UNDEFINED
    auroc: Measure = UNDEFINED
    specificity: Measure = UNDEFINED
    auprc: Measure = UNDEFINED
    log_loss: Measure = UNDEFINED
    brier: Measure = UNDEFINED
    cost: Measure = UNDEFINED

    def named(self) -> dict[str, Measure]:
        """The metrics that are defined, by name."""
        return {name: value for name, value in asdict(self).items() if name != "rows" and value.defined}


class _Live(Struct, frozen=True, eq=False):
    """Live rows in cells of ascending score: first axis 0/1 by decision, second the cell. `loss` and `brier` are the
    mean loss of a row whose truth is 0 or 1 (first axis), in each cell."""

    centres: Floats
    counts: Floats
    loss: Floats
    brier: Floats


def heldout(truth: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Heldout:
    """Takes in held-out rows: 0/1 truth and score, both (n,), and their weights. Raises `ValueError` for none.

    >>> known = heldout([0, 0, 1, 1], [0.2, 0.4, 0.4, 0.9])
    >>> known.rows.tolist(), known.curve([0.4]).tolist()
    ([1.0, 2.0, 1.0], [0.5])
    """
    held = cells(truth, score, weight)
    return Heldout(held, curve_of(held))


def drawn_once(known: Heldout, rng: np.random.Generator) -> Heldout:
    """The same held-out rows with their replicates' curves, for who estimates often: drawing them is most of the work.

    >>> known = drawn_once(heldout([0, 0, 1, 1], [0.2, 0.4, 0.4, 0.9]), np.random.default_rng(0))
    >>> known.redrawn([0.1, 0.4, 0.5]).shape
    (200, 3)
    """
    return replace(known, redrawn=curves_of(known.cells, [redrawn(known.cells, rng) for _ in range(REPLICATES)]))


def estimate(
    score: ArrayLike,
    known: Heldout,
    threshold: float,
    rng: np.random.Generator,
    level: float = LEVEL,
    *,
    decided: ArrayLike | None = None,
    cost: Mapping[str, float] | None = None,
) -> Estimates:
    """The metrics that rows with these scores (n,) are expected to show.

    Class 1 is decided from `threshold` up, or where `decided` (n,) is 1. `cost` names what a true_positive, a
    false_positive, a true_negative and a false_negative cost (0 where left out). The seeded `rng` makes it repeatable.

    The point is computed on every distinct score. For the interval, rows are gathered in up to 400 score cells that
    never straddle the threshold, and a cell's labels are one binomial draw: O(n log n) once, O(cells) per replicate.

    Raises `ValueError` for a score that is nan, decisions of another shape, and a cost of an unknown name.

    >>> rng = np.random.default_rng(0)
    >>> chance = rng.random(2000)
    >>> found = estimate(chance, heldout(rng.random(2000) < chance, chance), 0.5, rng)
    >>> round(found.accuracy.value, 2), found.accuracy.low < 0.75 < found.accuracy.high
    (0.75, True)
    """
    s, d = _ordered(score, threshold, decided)
    if s.size == 0:
        return Estimates(0)
    price = _price(cost)
    every, some = _live(s, d, s.size), _live(s, d, CELLS)
    chance = known.curve(every.centres)
    point = _metrics(every, chance * every.counts, price)
    drawn, expected = _replicates(known, some, price, rng)
    base = _metrics(some, known.curve(some.centres) * some.counts, price)
    centres = {name: centre_of(float(base[name]), expected[name]) for name in point}
    found = spreads({name: float(value) for name, value in point.items()}, drawn, level, BOUNDS, centres)
    labels = float(np.sum(every.counts * chance * (1 - chance))) / s.size**2
    right = expected["accuracy"]
    off, deviation = float(right.mean() - base["accuracy"]), sqrt(labels + float(right.var(ddof=1)))
    found["accuracy"] = _normal(float(point["accuracy"]), off, deviation, level)
    return Estimates(s.size, **found)


def _replicates(
    known: Heldout, some: _Live, price: Floats | None, rng: np.random.Generator
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Every metric of the replicates: of labels drawn by each one's curve, and as that curve expects them."""
    turn = _turn(some.counts)
    if turn is not None and known.redrawn is not None and known.redrawn.knots.size > 1:
        return _of_single_rows(some, turn, known.redrawn, rng, price)
    curves = _curves(known, some, rng)
    ones = _labels(known, some.counts, curves, rng)
    return _by_part(some, ones, price), _by_part(some, curves * some.counts, price)


def _turn(counts: Floats) -> int | None:
    """The cell from which on class 1 is decided, where each cell holds one row; None where one holds several."""
    turn = int(np.count_nonzero(counts[0]))
    plain = counts.max() == 1.0 and counts[0, :turn].all() and counts[1, turn:].all() and not counts[1, :turn].any()
    return turn if plain else None


def _of_single_rows(
    some: _Live, turn: int, redrawn: Curves, rng: np.random.Generator, price: Floats | None
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """`_replicates` of a row a cell, as in small windows: arrays of half the size, and the same numbers are drawn and
    added in the same order."""
    curves = redrawn(_one_of(some.centres, turn))
    chance = rng.random((len(curves), *some.counts.shape))
    ones = np.asarray(_one_of(chance, turn) < curves, np.float64)
    return _metrics_of_single_rows(some, turn, ones, price), _metrics_of_single_rows(some, turn, curves, price)


def _one_of(pair: Floats, turn: int) -> Floats:
    """Of both decisions (..., 2, cells) the one that each cell has, (..., cells)."""
    return np.concatenate((pair[..., 0, :turn], pair[..., 1, turn:]), axis=-1)


def _metrics_of_single_rows(live: _Live, turn: int, ones: Floats, price: Floats | None) -> dict[str, Floats]:
    zeros = 1.0 - ones
    fn, tp = (part.sum(axis=-1) for part in (ones[:, :turn], ones[:, turn:]))
    tn, fp = (part.sum(axis=-1) for part in (zeros[:, :turn], zeros[:, turn:]))
    found = _rates((fn, tp, tn, fp), float(ones.shape[1]), price)
    found |= {"auroc": auroc_of_cells(ones, zeros), "auprc": _auprc(ones, zeros)}
    spare = np.empty_like(ones), np.empty_like(ones)
    for name, loss in (("log_loss", live.loss), ("brier", live.brier)):
        np.multiply(zeros, _one_of(loss[0], turn), out=spare[0])
        np.multiply(ones, _one_of(loss[1], turn), out=spare[1])
        np.add(spare[0], spare[1], out=spare[0])
        found[name] = _as_of_both(spare[0], turn).sum(axis=(-2, -1)) / ones.shape[1]
    return found


def _as_of_both(losses: Floats, turn: int) -> Floats:
    """(replicates, 2, cells) again, where the order of adding depends on it."""
    if losses.strides[0] < losses.strides[-1]:
        return losses[:, None]
    both = np.zeros((len(losses), 2, losses.shape[1]))
    both[:, 0, :turn], both[:, 1, turn:] = losses[:, :turn], losses[:, turn:]
    return both


def _curves(known: Heldout, live: _Live, rng: np.random.Generator) -> Floats:
    """Each replicate's probability in each cell; 0 in a cell without rows, of which half are: it counts nothing."""
    if known.redrawn is None:
        return np.stack([redrawn(known.cells, rng)(live.centres) for _ in range(REPLICATES)])
    if known.redrawn.knots.size == 1:
        return known.redrawn(live.centres)
    filled = np.flatnonzero(live.counts)
    found = np.zeros((live.counts.size, len(known.redrawn.levels)))  # a replicate's numbers lie apart, here as below
    found[filled] = known.redrawn(live.centres.ravel()[filled]).T
    return np.moveaxis(found.reshape(*live.counts.shape, -1), -1, 0)


def _labels(known: Heldout, counts: Floats, chance: Floats, rng: np.random.Generator) -> Floats:
    """How many rows of each cell turn out to be 1, in each replicate."""
    if (
        known.redrawn is not None and counts.max() <= 1.0
    ):  # a row a cell, as in small windows: many times faster than as many binomial draws
        return np.asarray((rng.random(chance.shape) < chance) * counts, np.float64)
    return rng.binomial(counts.astype(np.int64), chance).astype(np.float64)


def _ordered(score: ArrayLike, threshold: float, decided: ArrayLike | None) -> tuple[Floats, Floats]:
    """Scores, ascending, and the decisions on them."""
    s = np.asarray(score, np.float64)
    d = (s >= threshold).astype(np.float64) if decided is None else np.asarray(decided, np.float64)
    if d.shape != s.shape:
        raise ValueError(f"{s.size:,} scores and {d.size:,} decisions: pass one decision a score")
    if np.isnan(s).any():
        raise ValueError(f"{int(np.isnan(s).sum()):,} scores are nan: leave those rows out")
    order = np.lexsort((d, s))
    return s[order], d[order]


def _price(cost: Mapping[str, float] | None) -> Floats | None:
    """Costs by truth (first axis) and decision."""
    if cost is None:
        return None
    wrong = [name for name, value in cost.items() if name not in COSTS or not np.isfinite(value)]
    if wrong:
        raise ValueError(f"cost {wrong[0]!r}: name finite costs of {', '.join(COSTS)}")
    hits, falses, rights, misses = (float(cost.get(name, 0.0)) for name in COSTS)
    return np.array([[rights, falses], [misses, hits]])


def _live(s: Floats, d: Floats, most: int) -> _Live:
    """At most `most` cells of about equally many rows, and one more at the score where the decision first turns."""
    edges = np.linspace(0, s.size, min(most, s.size) + 1).astype(np.intp)[:-1]
    starts = np.searchsorted(s, s[edges], side="left")  # ties share a cell
    turn = int(np.searchsorted(s, s[int(np.argmax(d))], side="left")) if d.any() else 0
    starts = np.unique(np.append(starts, turn))
    cell = np.zeros(s.size, np.intp)
    cell[starts[1:]] = 1
    place = 2 * np.cumsum(cell) + d.astype(np.intp)
    size = 2 * starts.size
    counts = np.bincount(place, minlength=size).astype(np.float64)
    held = np.maximum(counts, 1.0)

    def mean(values: Floats) -> Floats:
        return np.asarray((np.bincount(place, values, size) / held).reshape(-1, 2).T)

    if s[0] < 0 or s[-1] > 1:
        loss = brier = np.full((2, 2, starts.size), nan)
    else:
        p = np.clip(s, TINY, 1 - TINY)
        loss = np.stack([mean(-np.log1p(-p)), mean(-np.log(p))])
        brier = np.stack([mean(s**2), mean((1 - s) ** 2)])
    return _Live(mean(s), counts.reshape(-1, 2).T, loss, brier)


def _by_part(live: _Live, ones: Floats, price: Floats | None) -> dict[str, Floats]:
    """Every metric of replicates (replicates, 2, cells), some at a time: arrays that are larger are given back to the
    system and asked for again at each step, which costs more than the step."""
    size = max(2, PART // max(1, live.counts.size))
    parts = [_metrics(live, _laid_out(ones[start : start + size]), price) for start in range(0, len(ones), size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _laid_out(part: Floats) -> Floats:
    """The same without gaps, the nearest numbers staying the nearest: the order of adding must not depend on parts."""
    if part.strides[0] > part.strides[-1]:
        return part
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(part, 0, -1)), -1, 0)


def _metrics(live: _Live, ones: Floats, price: Floats | None) -> dict[str, Floats]:
    """Every metric of cells of ascending score, `ones` (…, 2, cells) of whose rows are 1; first axes are replicates."""
    zeros = live.counts - ones
    total = float(live.counts.sum())
    fn, tp = np.moveaxis(ones.sum(axis=-1), -1, 0)
    tn, fp = np.moveaxis(zeros.sum(axis=-1), -1, 0)
    up, down = ones.sum(axis=-2), zeros.sum(axis=-2)
    found = _rates((fn, tp, tn, fp), total, price)
    found |= {"auroc": auroc_of_cells(up, down), "auprc": _auprc(up, down)}
    spare = np.empty_like(ones), np.empty_like(ones)
    for name, loss in (("log_loss", live.loss), ("brier", live.brier)):
        found[name] = _total_loss(loss, ones, zeros, spare) / total
    return found


def _rates(table: tuple[Floats, Floats, Floats, Floats], total: float, price: Floats | None) -> dict[str, Floats]:
    """What the numbers of false negatives, true positives, true negatives and false positives say."""
    fn, tp, tn, fp = table
    found = {
        "accuracy": (tp + tn) / total,
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "specificity": ratio(tn, tn + fp),
    }
    if price is not None:
        found["cost"] = (tn * price[0, 0] + fp * price[0, 1] + fn * price[1, 0] + tp * price[1, 1]) / total
    return found


def auroc_of_cells(ones: Floats, zeros: Floats) -> Floats:
    """AUROC from the weight of each class in cells (…, cells) of ascending score; within a cell all are tied."""
    below = np.cumsum(zeros, axis=-1) - 0.5 * zeros
    return ratio(np.sum(ones * below, axis=-1), ones.sum(axis=-1) * zeros.sum(axis=-1))


def _auprc(ones: Floats, zeros: Floats) -> Floats:
    """Average precision, from the highest cell down."""
    found, there = np.cumsum(ones[..., ::-1], axis=-1), np.cumsum((ones + zeros)[..., ::-1], axis=-1)
    gain = np.sum(ones[..., ::-1] * found / np.maximum(there, TINY), axis=-1)
    return ratio(gain, found[..., -1])


def _total_loss(loss: Floats, ones: Floats, zeros: Floats, spare: tuple[Floats, Floats]) -> Floats:
    """The sum of losses; `spare` is room, laid out as `ones` is: the order of adding must stay."""
    np.multiply(zeros, loss[0], out=spare[0])
    np.multiply(ones, loss[1], out=spare[1])
    np.add(spare[0], spare[1], out=spare[0])
    return np.asarray(np.sum(spare[0], axis=(-2, -1)))


def _normal(value: float, off: float, deviation: float, level: float) -> Measure:
    """The normal interval of a share whose point lies `off` above what it stands for."""
    half = float(ndtri(0.5 + level / 2)) * deviation
    low, high = value - off - half, value - off + half
    return Measure(value, max(0.0, min(value, low)), min(1.0, max(value, high)))
