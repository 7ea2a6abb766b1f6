"""Density-ratio weights, and what they are for: estimates where inputs moved."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairlead.stats import performance as metrics
from fairlead.stats.estimate import density_ratio, effective_rows, estimate, heldout, heldout_classes
from fairlead.stats.estimate.classes import estimate_classes
from fairlead.stats.performance import Floats

Check = Callable[[int, int, float], None]
Nominal = Callable[[dict[str, int], int], None]
COST = {"false_positive": 1.0, "false_negative": 5.0}


def world(n: int, at: float, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """An input that moves and that the score ignores, the truth, and the score: P(truth | inputs) stays."""
    seen, hidden = rng.normal(size=n), rng.normal(at, 1.0, n)
    truth = (rng.random(n) < 1 / (1 + np.exp(-seen * (2.0 - 1.2 * hidden)))).astype(np.float64)
    return hidden, truth, 1 / (1 + np.exp(-2.0 * seen))


def chance_of(hidden: Floats, at: float) -> Floats:
    """The chance of being live at an input, among as many rows of both: N(at, 1) against N(0, 1)."""
    return np.asarray(1 / (1 + np.exp(-(at * hidden - at * at / 2))))


def test_weighting_beats_not_weighting_under_covariate_shift() -> None:
    """Where inputs move, P(truth | inputs) stays and the score is then miscalibrated, PAPE's error is a fraction of
    CBPE's, in accuracy, F1 and AUROC, over 10 pairs of samples; without a shift the two agree."""
    rng = np.random.default_rng(0)
    errors: dict[float, list[tuple[Floats, Floats]]] = {0.0: [], 1.0: []}
    for at, pairs in errors.items():
        for _ in range(10):
            hidden, y, s = world(4000, 0.0, rng)
            _, came, score = world(4000, at, rng)
            d = (score >= 0.5).astype(np.float64)
            real = np.array([np.mean(came == d), metrics.f1(came, d).value, metrics.auroc(came, score)])
            weights = density_ratio(chance_of(hidden, at), 4000, 4000)
            found = []
            for known in (heldout(y, s), heldout(y, s, weights.values)):
                one = estimate(score, known, 0.5, rng)
                found.append(np.abs(np.array([one.accuracy.value, one.f1.value, one.auroc.value]) - real))
            pairs.append((found[0], found[1]))
    plain, weighted = np.mean([pair[0] for pair in errors[1.0]], axis=0), np.mean([p[1] for p in errors[1.0]], axis=0)
    assert (weighted < 0.25 * plain).all(), (plain, weighted)
    still = np.mean([pair[0] for pair in errors[0.0]], axis=0), np.mean([p[1] for p in errors[0.0]], axis=0)
    assert np.allclose(still[0], still[1], atol=0.003)


def realised(y: Floats, s: Floats) -> dict[str, float]:
    """What the binary metrics turn out to be."""
    d = (s >= 0.5).astype(np.float64)
    names = ("accuracy", "precision", "recall", "f1", "specificity")
    found = {name: getattr(metrics, name)(y, d).value for name in names}
    found |= {name: getattr(metrics, name)(y, s).value for name in ("log_loss", "brier")}
    found |= {name: getattr(metrics, name)(y, s) for name in ("auroc", "auprc")}
    return found | {"cost": metrics.cost_per_row(y, d, COST).value}


def binary_coverage(runs: int, known_rows: int, live_rows: int, at: float) -> dict[str, int]:
    """How often the weighted interval of each binary metric holds the realised value."""
    rng = np.random.default_rng(1)
    hits: dict[str, int] = {}
    for _ in range(runs):
        hidden, y, s = world(known_rows, 0.0, rng)
        _, came, score = world(live_rows, at, rng)
        weights = density_ratio(chance_of(hidden, at), known_rows, known_rows)
        found = estimate(score, heldout(y, s, weights.values), 0.5, rng, cost=COST).named()
        for name, value in realised(came, score).items():
            hits[name] = hits.get(name, 0) + (found[name].low <= value <= found[name].high)
    return hits


def classes_coverage(runs: int, known_rows: int, live_rows: int, at: float) -> dict[str, int]:
    """The same of three classes: how sure they are depends on an input that the probabilities ignore and that moves."""
    rng = np.random.default_rng(2)
    hits: dict[str, int] = {}

    def softmax(z: Floats) -> Floats:
        raised = np.exp(z - z.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def several(n: int, moved: float) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.intp]], Floats]:
        z, hidden = 1.2 * rng.normal(size=(n, 3)), rng.normal(moved, 1.0, n)
        p = softmax(z * (1.5 - 0.8 * hidden)[:, None])
        return hidden, (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=2), softmax(1.6 * z)

    for _ in range(runs):
        hidden, y, p = several(known_rows, 0.0)
        _, came, live = several(live_rows, at)
        weights = density_ratio(chance_of(hidden, at), known_rows, known_rows)
        found = estimate_classes(live, heldout_classes(y, p, rng, weights.values), rng).named()
        d = live.argmax(axis=1)
        matrix = metrics.confusion(came, d, 3)
        real = {f"macro_{kind}": metrics.averaged(matrix, kind).value for kind in ("f1", "precision", "recall")}
        real |= {"accuracy": float((came == d).mean()), "macro_auroc": metrics.macro_auroc(came, live).value}
        for name, value in real.items():
            hits[name] = hits.get(name, 0) + (found[name].low <= value <= found[name].high)
    return hits


def test_intervals_count_what_weighting_costs(nominal: Nominal) -> None:
    """Weighted rows are worth fewer, so the interval is wider, and it holds the realised metrics near nominally."""
    hits = binary_coverage(40, 2000, 1000, 0.8)
    del hits["auprc"]  # see below
    nominal(hits, 40)
    rng = np.random.default_rng(1)
    wider = 0
    for _ in range(10):
        hidden, y, s = world(3000, 0.0, rng)
        _, _, score = world(6000, 0.8, rng)
        weights = density_ratio(chance_of(hidden, 0.8), 3000, 3000)
        found = estimate(score, heldout(y, s, weights.values), 0.5, rng).accuracy
        plain = estimate(score, heldout(y, s), 0.5, rng).accuracy
        wider += found.high - found.low > plain.high - plain.low
    assert wider >= 8


@pytest.mark.slow
@pytest.mark.parametrize(("known_rows", "live_rows"), [(2000, 1000), (3000, 1000)])
def test_weighted_intervals_cover_near_nominally(
    nominal: Nominal, at_least: Check, known_rows: int, live_rows: int
) -> None:
    """With the true weights the 95 % intervals of nine metrics cover 93 to 97 % of 1,000 windows, at two sizes; that of
    average precision at least 91 %."""
    hits = binary_coverage(1000, known_rows, live_rows, 0.6)
    at_least(hits.pop("auprc"), 1000, 0.91)
    nominal(hits, 1000)


@pytest.mark.slow
@pytest.mark.parametrize(("known_rows", "live_rows", "runs"), [(800, 400, 1000), (1500, 800, 200)])
def test_weighted_intervals_of_classes_cover_near_nominally(
    nominal: Nominal, known_rows: int, live_rows: int, runs: int
) -> None:
    """The same of five metrics of three classes, in 1,000 windows, and in 200 larger ones."""
    nominal(classes_coverage(runs, known_rows, live_rows, 0.6), runs)


def test_several_classes_are_weighted_too() -> None:
    """Of two classes told as several, weighting moves the estimate as it moves the binary one."""
    rng = np.random.default_rng(2)
    hidden, y, s = world(6000, 0.0, rng)
    _, _, score = world(3000, 1.0, rng)
    weights = density_ratio(chance_of(hidden, 1.0), 6000, 6000).values
    binary = estimate(score, heldout(y, s, weights), 0.5, rng).accuracy.value
    known = heldout_classes(y.astype(np.intp), np.column_stack([1 - s, s]), rng, weights)
    found = estimate_classes(np.column_stack([1 - score, score]), known, rng).accuracy.value
    assert found == pytest.approx(binary, abs=0.01)


def test_the_ratio_is_that_of_the_densities() -> None:
    """With the true chances the weights are the densities' ratio, with as many rows of both or not."""
    hidden = np.linspace(-2, 2, 401)
    ratio = np.exp(hidden - 0.5)
    for live in (401, 4010):
        odds = ratio * live / 401
        found = density_ratio(odds / (1 + odds), 401, live, fewest=1)
        assert np.allclose(found.values / found.values[0], ratio / ratio[0])
        assert found.values.sum() == pytest.approx(found.effective)


@given(arrays(np.float64, 30, elements=st.floats(0.01, 100)), st.floats(0.1, 10))
def test_the_effective_number_is_kishs(weight: Floats, scale: float) -> None:
    """Between 1 and n, whatever the weights' scale; n for equal ones."""
    found = effective_rows(weight)
    assert 1 - 1e-9 <= found <= 30 + 1e-9
    assert effective_rows(weight * scale) == pytest.approx(found)
    assert effective_rows(np.full(30, scale)) == pytest.approx(30)


def test_sides_that_do_not_overlap_are_refused() -> None:
    """Where a few rows carry all the weight, they are cut, and the weights refused with the numbers."""
    chance = np.full(10_000, 1e-4)
    chance[:3] = 0.9999
    found = density_ratio(chance, 10_000, 10_000)
    assert not found.usable
    assert found.clipped == 3
    assert "10,000 of these are worth" in found.reason
    assert density_ratio(np.full(10_000, 0.5), 10_000, 10_000).usable
    certain = density_ratio(np.array([0.0, 1.0]), 2, 2, fewest=1)
    assert np.isfinite(certain.values).all()


def test_impossible_chances_are_refused() -> None:
    """Nothing, and what is no probability."""
    for chance in ([1.5], [np.nan]):
        with pytest.raises(ValueError, match="outside"):
            density_ratio(chance, 1, 1)
    with pytest.raises(ValueError, match="both sides"):
        density_ratio([], 0, 1)
    assert effective_rows([]) == 0.0
