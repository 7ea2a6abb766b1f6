from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.sequential.capital import MeanWatch, leading, mean_log_e_path, mean_sequence
from fairlead.stats.sequential.means import bernstein_sequence, normal_sequence

values = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=80)


def log_capital(xs: list[float], mean: float, alpha: float) -> tuple[list[float], list[float]]:
    """The paper's formula, value by value."""
    up, down, centre, spread, ups, downs = 0.0, 0.0, 0.5, 0.25, [], []
    for count, x in enumerate(xs, start=1):
        bet = sqrt(2 * log(2 / alpha) / (spread / count * count * log(1 + count)))
        up += log(1 + min(bet, 0.5 / mean) * (x - mean))
        down += log(1 - min(bet, 0.5 / (1 - mean)) * (x - mean))
        centre += (x - centre) / (count + 1)
        spread += (x - centre) ** 2
        ups.append(up)
        downs.append(down)
    return ups, downs


@given(values, st.floats(0.02, 0.98))
def test_is_the_formula_of_the_paper(xs: list[float], mean: float) -> None:
    """max(K+, K-) / 2, with bets from the past alone, truncated at 1/2 of the largest loss."""
    ups, downs = log_capital(xs, mean, 0.05)
    expected = [max(a, b) - log(2) for a, b in zip(ups, downs, strict=True)]
    assert mean_log_e_path(xs, mean, 0.05) == pytest.approx(expected, abs=1e-8)


@given(values, st.sampled_from([0.01, 0.05, 0.3]))
def test_the_bounds_are_the_refuted_candidates(xs: list[float], alpha: float) -> None:
    """Every candidate on the grid, each by its own capital at each value, gives the same bounds as the search."""
    cells = 40
    low, high = mean_sequence(xs, alpha, cells)
    lower = upper = 0
    for place in range(1, cells):
        ups, downs = log_capital(xs, place / cells, alpha)
        lower = max(lower, place if max(ups) >= log(2 / alpha) else 0)
        upper = max(upper, cells - place if max(downs) >= log(2 / alpha) else 0)
    if lower + upper < cells:
        assert low[-1] == pytest.approx(lower / cells)
        assert high[-1] == pytest.approx(1 - upper / cells)
    assert low[-1] < high[-1]


@given(values)
def test_bounds_only_close_in_and_mirror(xs: list[float]) -> None:
    """0 <= lower < upper <= 1, never wider than before; 1 - x turns the interval around."""
    low, high = mean_sequence(xs, 0.05)
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) <= 0).all()
    assert (low < high).all()
    other_low, other_high = mean_sequence([1 - x for x in xs], 0.05)
    assert 1 - other_high == pytest.approx(low, abs=2e-3)
    assert 1 - other_low == pytest.approx(high, abs=2e-3)


def test_values_without_any_spread_leave_one_cell() -> None:
    """A constant is bounded from both sides, and the bounds never cross."""
    watch = MeanWatch(0.05, cells=50).update(np.full(20_000, 0.505))
    assert watch.lower <= 0.505 <= watch.upper
    assert watch.upper - watch.lower <= 0.02 + 1e-9


def test_every_candidate_refuted_leaves_a_cell_still() -> None:
    """Where the mean moves and all candidates fall, an interval is left, at the last bounds."""
    watch = MeanWatch(0.05, cells=20).update(np.zeros(3000)).update(np.ones(30_000))
    assert 0.0 <= watch.lower < watch.upper <= 1.0
    assert watch.update([0.5]).lower == watch.lower


def test_rows_count_with_all_before_them() -> None:
    """Refuting a candidate refutes those beyond it, even where rounding did not."""
    assert leading(np.array([[False], [False], [True], [False]])).tolist() == [3]
    assert leading(np.zeros((0, 3), dtype=bool)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("shape", [(0.5, 0.5), (10.0, 30.0), (0.1, 2.0)], ids=["U", "narrow", "spiked at 0"])
def test_the_mean_is_held_at_every_look(
    runs: int, within: Callable[[int, int, float], None], shape: tuple[float, float]
) -> None:
    """Looked at after each of 1,000 values, the sequence ever leaves the mean out in at most alpha of the runs."""
    rng, alpha, mean = np.random.default_rng(101), 0.05, shape[0] / sum(shape)
    missed = 0
    for _ in range(runs // 100):
        path = mean_log_e_path(rng.beta(*shape, size=(100, 1000)), mean, alpha)
        missed += int((path.max(axis=1) >= log(1 / alpha)).sum())
    within(missed, runs, alpha)


def test_is_shorter_than_empirical_bernstein_and_longer_than_the_asymptotic_one() -> None:
    """At 1,000 values of a skewed distribution, on average over 50 runs."""
    rng, widths = np.random.default_rng(102), []
    for _ in range(50):
        xs = rng.beta(1.0, 9.0, 1000)
        ends = (mean_sequence(xs, 0.05), bernstein_sequence(xs, 0.05), normal_sequence(xs, 0.05))
        widths.append([high[-1] - low[-1] for low, high in ends])
    betting, bernstein, normal = np.mean(widths, axis=0)
    assert normal < betting < bernstein


@pytest.mark.parametrize("mean", [0.0, 1.0, float("nan")])
def test_refuses_a_mean_at_the_edge(mean: float) -> None:
    """Nothing can be bet against a mean of 0 or 1."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_log_e_path([0.5], mean)
