"""Estimates without labels: right on average, and their intervals cover what is realised later."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fairlead.stats import performance as metrics
from fairlead.stats.estimate import Estimates, confidence, drawn_once, estimate, heldout
from fairlead.stats.performance import Floats

Check = Callable[[int, int, float], None]
Nominal = Callable[[dict[str, int], int], None]
NAMES = ("accuracy", "precision", "recall", "f1", "specificity", "auroc", "auprc", "log_loss", "brier", "cost")
COST = {"false_positive": 1.0, "false_negative": 5.0}


def world(n: int, rng: np.random.Generator, shift: float = 0.0) -> tuple[Floats, Floats]:
    """Truth and an uncalibrated score; `shift` moves the inputs and leaves P(truth | inputs) as it is."""
    x = rng.normal(shift, size=n)
    truth = (rng.random(n) < 1 / (1 + np.exp(1 - 1.3 * x))).astype(np.float64)
    return truth, 1 / (1 + np.exp(0.3 - 0.8 * x))


def realised(truth: Floats, score: Floats) -> dict[str, float]:
    """What the metrics turn out to be."""
    decided = (score >= 0.5).astype(np.float64)
    found = {name: getattr(metrics, name)(truth, decided).value for name in NAMES[:5]}
    found |= {name: getattr(metrics, name)(truth, score) for name in ("auroc", "auprc")}
    found |= {name: getattr(metrics, name)(truth, score).value for name in ("log_loss", "brier")}
    return {**found, "cost": metrics.cost_per_row(truth, decided, COST).value}


def coverage(runs: int, known_rows: int, live_rows: int) -> dict[str, int]:
    """How often each metric's interval holds the realised value."""
    rng = np.random.default_rng(0)
    hits = dict.fromkeys(NAMES, 0)
    for _ in range(runs):
        known = heldout(*world(known_rows, rng))
        truth, score = world(live_rows, rng)
        found = estimate(score, known, 0.5, rng, cost=COST)
        for name, value in realised(truth, score).items():
            measure = getattr(found, name)
            hits[name] += measure.low <= value <= measure.high
    return hits


def test_intervals_hold_the_realised_metrics(nominal: Nominal) -> None:
    """Where the inputs stay as they were, the 95 % intervals of all ten metrics hold what is realised in 93 to 97 % of
    60 windows."""
    nominal(coverage(60, 2000, 1000), 60)


@pytest.mark.slow
@pytest.mark.parametrize(("known_rows", "live_rows", "runs"), [(2000, 1000, 2000), (1000, 4000, 1000)])
def test_intervals_cover_near_nominally(nominal: Nominal, known_rows: int, live_rows: int, runs: int) -> None:
    """Twice as many held-out rows as live ones, or a quarter: the same in thousands of windows."""
    nominal(coverage(runs, known_rows, live_rows), runs)


def rare_coverage(runs: int, known_rows: int, live_rows: int) -> dict[str, int]:
    """The same of a class of one row in thirty."""
    rng = np.random.default_rng(3)
    hits = {"auroc": 0, "auprc": 0}

    def rare(n: int) -> tuple[Floats, Floats]:
        x = rng.normal(size=n)
        return (rng.random(n) < 1 / (1 + np.exp(4.2 - 1.2 * x))).astype(np.float64), 1 / (1 + np.exp(2 - 0.8 * x))

    for _ in range(runs):
        known = heldout(*rare(known_rows))
        truth, score = rare(live_rows)
        found = estimate(score, known, 0.5, rng).named()
        for name in hits:
            real = float(getattr(metrics, name)(truth, score))
            hits[name] += found[name].low <= real <= found[name].high
    return hits


@pytest.mark.slow
def test_intervals_of_a_rare_class_fall_short_by_little(at_least: Check) -> None:
    """Of about 85 held-out rows of a class, the 95 % intervals of AUROC and average precision cover at least 90 % of
    600 windows."""
    for count in rare_coverage(600, 3000, 1000).values():
        at_least(count, 600, 0.90)


def test_a_covariate_shift_is_foretold() -> None:
    """Inputs that move to where the model is unsure lower the estimate as far as they lower the realised accuracy."""
    rng = np.random.default_rng(1)
    known = heldout(*world(8000, rng))
    easy, hard = world(20_000, rng, -1.5), world(20_000, rng, 0.8)
    for truth, score in (easy, hard):
        found = estimate(score, known, 0.5, rng)
        assert found.accuracy.value == pytest.approx(realised(truth, score)["accuracy"], abs=0.015)
    assert estimate(easy[1], known, 0.5, rng).accuracy.low > estimate(hard[1], known, 0.5, rng).accuracy.high


def test_the_same_seed_gives_the_same_estimate() -> None:
    """The bootstrap is seeded by its argument, and the order of the rows does not matter."""
    rng = np.random.default_rng(2)
    known, score = heldout(*world(500, rng)), world(300, rng)[1]
    first = estimate(score, known, 0.5, np.random.default_rng(7))
    assert first == estimate(score[::-1], known, 0.5, np.random.default_rng(7))
    assert first.rows == 300


def test_accuracy_by_hand() -> None:
    """With a flat calibration of one half, half the answers are right, with the Poisson-binomial variance n / 4."""
    known = heldout([0, 1] * 5000, [0.4] * 10_000)
    found = estimate([0.4] * 100, known, 0.5, np.random.default_rng(0))
    assert found.accuracy.value == pytest.approx(0.5)
    assert found.accuracy.high - found.accuracy.value == pytest.approx(1.96 * 0.05, abs=0.005)
    assert not found.precision.defined


def test_nothing_to_estimate_is_undefined() -> None:
    """No rows have no metrics; no held-out rows are refused; a threshold beyond all scores still cuts nothing."""
    known = heldout([0, 1], [0.2, 0.8])
    found: Estimates = estimate([], known, 0.5, np.random.default_rng(0))
    assert found.rows == 0
    assert not found.accuracy.defined
    with pytest.raises(ValueError, match="at least one held-out row"):
        heldout([], [])
    assert estimate([0.2, 0.3], known, 0.9, np.random.default_rng(0)).recall.value == 0.0


@pytest.mark.parametrize("rows", [1, 2, 37, 200])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 2.0])
def test_small_windows_give_the_same_numbers_as_any(
    rows: int, threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row a cell is counted in half the room: each end of each interval is the same to the last bit, whatever is
    decided, and where all cells are asked in a few parts."""
    rng = np.random.default_rng(rows)
    chance = rng.random(900)
    known = drawn_once(heldout(rng.random(900) < chance, chance), rng)
    score = rng.random(rows)
    cost = COST
    found = [estimate(score, known, threshold, np.random.default_rng(5), cost=cost)]
    monkeypatch.setattr(confidence, "_turn", lambda _: None)
    found.append(estimate(score, known, threshold, np.random.default_rng(5), cost=cost))
    monkeypatch.setattr(confidence, "PART", 2_000)
    found.append(estimate(score, known, threshold, np.random.default_rng(5), cost=cost))
    assert repr(found[0]) == repr(found[1]) == repr(found[2])
