"""Reweighted losses: exact where they can be computed by hand, covered as stated, and harmful shifts come first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from fairlead.stats.attribution import Attribution, CellLosses, attribute, attribute_auroc, cell_losses
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.performance import auroc
from fairlead.stats.profile import profile_column


def held(column: Column, losses: np.ndarray) -> tuple[CellLosses, object]:
    """Cells of a column that is its own reference, and the grid."""
    grid = profile_column(column).grid
    found = cell_losses(column, grid, losses)
    assert found is not None
    return found, grid


def change(before: Column, losses: np.ndarray, after: Column) -> Attribution:
    """The attribution of a shift from one column to another."""
    grid = profile_column(before).grid
    found = cell_losses(before, grid, losses)
    assert found is not None
    result = attribute(found, profile_column(after, grid))
    assert result is not None
    return result


def test_the_change_is_the_reweighted_loss() -> None:
    """By hand, on two categories: 0.5 (0.4 - 0.1), and by importance weights on the rows."""
    before = CategoricalColumn("c", np.array([0] * 600 + [1] * 400, np.int32), ("a", "b"))
    after = CategoricalColumn("c", np.array([0] * 100 + [1] * 900, np.int32), ("a", "b"))
    losses = np.array([1.0] * 60 + [0.0] * 540 + [1.0] * 160 + [0.0] * 240)
    found = change(before, losses, after)
    assert found.change == pytest.approx(0.5 * (0.4 - 0.1))
    weights = np.where(before.codes == 0, 0.1 / 0.6, 0.9 / 0.4)
    assert found.change == pytest.approx(float((weights * losses).mean() - losses.mean()), abs=1e-9)
    assert found.effective_rows == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert found.unsupported == 0.0


@given(st.integers(0, 2**32 - 1))
def test_no_shift_costs_nothing(seed: int) -> None:
    """Held-out rows against themselves: no change, all rows effective, whatever the column."""
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(300) < 0.1, np.nan, np.round(rng.lognormal(size=300), rng.integers(0, 4)))
    column = NumericColumn("x", values)
    found = change(column, rng.random(300), column)
    assert found.change == pytest.approx(0.0, abs=1e-12)
    assert found.effective_rows == pytest.approx(300, rel=0.2)
    assert found.low <= 0.0 <= found.high


def test_nulls_are_a_cell_of_their_own() -> None:
    """Where nulls cost more, more nulls cost."""
    rng = np.random.default_rng(0)
    x = np.where(rng.random(5_000) < 0.2, np.nan, rng.normal(size=5_000))
    losses = (rng.random(5_000) < np.where(np.isnan(x), 0.5, 0.1)).astype(float)
    more = np.where(rng.random(5_000) < 0.6, np.nan, rng.normal(size=5_000))
    found = change(NumericColumn("x", x), losses, NumericColumn("x", more))
    assert found.low <= 0.4 * 0.4 <= found.high
    assert found.harmful


def test_what_was_never_seen_widens_the_interval() -> None:
    """A new category, or values beyond the range, may cost as little or as much as any row."""
    rng = np.random.default_rng(0)
    before = CategoricalColumn("c", rng.integers(0, 2, 2_000).astype(np.int32), ("a", "b", "new"))
    losses = (rng.random(2_000) < 0.1).astype(float)
    after = CategoricalColumn("c", np.array([2] * 500 + [0] * 750 + [1] * 750, np.int32), ("a", "b", "new"))
    found = change(before, losses, after)
    assert found.unsupported == pytest.approx(0.25)
    assert found.high > 0.2
    assert found.low < -0.02
    x = NumericColumn("x", rng.normal(size=2_000))
    beyond = change(x, losses, NumericColumn("x", np.append(rng.normal(size=1_000), np.full(1_000, 99.0))))
    assert beyond.unsupported == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("kind", ["errors", "costs", "categories"])
@pytest.mark.parametrize("runs", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_the_interval_holds_the_true_change(kind: str, runs: int) -> None:
    """95 % intervals hold the change of the expected loss, with new draws of held-out and current rows each time."""
    rng = np.random.default_rng(0)
    one: Column
    two: Column
    size, covered = (50.0 if kind == "costs" else 1.0), 0
    for _ in range(runs):
        if kind == "categories":
            rates = np.array([0.05, 0.1, 0.2, 0.4])
            codes = [rng.choice(4, n, p=p) for n, p in ((2_000, [0.4] * 2 + [0.1] * 2), (1_000, [0.1] * 2 + [0.4] * 2))]
            one, two = (CategoricalColumn("x", c.astype(np.int32), ("a", "b", "c", "d")) for c in codes)
            risk, truth = rates[codes[0]], float(rates @ [-0.3, -0.3, 0.3, 0.3])
        else:
            x, y = rng.normal(size=2_000), rng.normal(0.7, 1.0, 1_000)
            one, two = NumericColumn("x", x), NumericColumn("x", y)
            risk = norm.cdf(x - 1.5)
            truth = float(norm.cdf((0.7 - 1.5) / 2**0.5) - norm.cdf(-1.5 / 2**0.5))
        losses = size * (rng.random(2_000) < risk)
        found = change(one, losses, two)
        covered += found.low <= size * truth <= found.high
    assert float(binom.cdf(covered, runs, 0.95)) >= 0.001, covered


@pytest.mark.parametrize("runs", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_a_benign_shift_is_rarely_called_harmful(runs: int) -> None:
    """A shift of two deviations that costs nothing: harmful in at most 2.5 %."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(runs):
        losses = (rng.random(2_000) < 0.1).astype(float)
        one, two = NumericColumn("x", rng.normal(size=2_000)), NumericColumn("x", rng.normal(0.8, 1.0, 1_000))
        wrong += change(one, losses, two).harmful
    assert float(binom.sf(wrong - 1, runs, 0.025)) >= 0.001, wrong


def test_the_fall_of_auroc_is_that_of_the_weighted_one() -> None:
    """By importance weights on the rows, ties included."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, 3_000).astype(np.int32)
    score = np.round(rng.random(3_000), 2)
    truth = (rng.random(3_000) < np.where(codes == 0, score, 0.5)).astype(float)
    before = CategoricalColumn("c", codes, ("a", "b"))
    after = CategoricalColumn("c", np.array([0] * 200 + [1] * 800, np.int32), ("a", "b"))
    found, _ = held(before, truth)
    grid = profile_column(before).grid
    result = attribute_auroc(found, truth, score, profile_column(after, grid))
    assert result is not None
    shares = np.bincount(codes) / 3_000
    weight = np.array([0.2, 0.8])[codes] / shares[codes]
    assert result.change == pytest.approx(auroc(truth, score) - auroc(truth, score, weight), abs=1e-9)
    assert result.harmful
    assert result.effective_rows == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert attribute_auroc(found, np.ones(3_000), score, profile_column(after, grid)) is None


@pytest.mark.parametrize("runs", [60, pytest.param(600, marks=pytest.mark.slow)])
def test_the_interval_holds_the_true_fall_of_auroc(runs: int) -> None:
    """95 % intervals hold the fall between two large populations; new held-out and current rows each time."""
    rng = np.random.default_rng(0)

    def population(n: int, rare: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        codes = rng.choice(3, n, p=[rare, 0.3, 0.7 - rare]).astype(np.int32)
        score = rng.beta(1.0, 2.0, n)
        sharp = np.array([1.0, 0.6, 0.2])[codes]
        return codes, score, (rng.random(n) < sharp * score + (1 - sharp) * 0.33).astype(float)

    large = [population(400_000, rare) for rare in (0.6, 0.1)]
    truth = auroc(large[0][2], large[0][1]) - auroc(large[1][2], large[1][1])
    covered = 0
    for _ in range(runs):
        codes, score, label = population(2_000, 0.6)
        now = population(1_000, 0.1)[0]
        names = ("a", "b", "c")
        grid = profile_column(CategoricalColumn("c", codes, names)).grid
        cells = cell_losses(CategoricalColumn("c", codes, names), grid, label)
        assert cells is not None
        found = attribute_auroc(cells, label, score, profile_column(CategoricalColumn("c", now, names), grid))
        assert found is not None
        covered += found.low <= truth <= found.high
    assert float(binom.cdf(covered, runs, 0.95)) >= 0.001, covered


def test_impossible_arguments_are_refused() -> None:
    """Losses that do not fit, a profile on another grid; another kind or an open vocabulary has no cells."""
    x = NumericColumn("x", np.arange(50.0))
    found, grid = held(x, np.ones(50))
    with pytest.raises(ValueError, match="3 losses for 50 rows"):
        cell_losses(x, profile_column(x).grid, np.ones(3))
    with pytest.raises(ValueError, match="another grid"):
        attribute(found, profile_column(NumericColumn("x", np.arange(9.0))))
    text = CategoricalColumn("x", np.zeros(50, np.int32), ("a",))
    assert cell_losses(text, profile_column(x).grid, np.ones(50)) is None
    assert attribute(found, profile_column(NumericColumn("x", np.array([])), profile_column(x).grid)) is None
    assert grid == profile_column(x).grid
