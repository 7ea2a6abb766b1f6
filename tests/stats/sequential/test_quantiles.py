from __future__ import annotations

from collections.abc import Callable
from math import inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom, binom

from fairlead.stats.sequential.quantiles import (
    QuantileWatch,
    dkw_margin,
    log_mixture,
    quantile_interval,
    quantile_path,
    quantile_ranks,
    stitched_margin,
)

ps = st.sampled_from([0.01, 0.25, 0.5, 0.9, 0.99])


@given(st.integers(0, 300), st.integers(0, 300), ps)
def test_the_mixture_is_scipys_beta_binomial_over_the_binomial(below: int, above: int, p: float) -> None:
    """ln of the ratio of the two probabilities of the count."""
    held, count = 1 / min(p, 1 - p), below + above
    expected = betabinom.logpmf(below, count, held * p, held * (1 - p)) - binom.logpmf(below, count, p)
    assert log_mixture(below, count, p) == pytest.approx(expected, abs=1e-8)


@given(st.integers(0, 2000), ps, st.sampled_from([0.01, 0.05]))
def test_ranks_are_where_refutation_begins(count: int, p: float, alpha: float) -> None:
    """The counts that stand are those between the ranks, and no other."""
    low, high = quantile_ranks(count, p, alpha)
    stands = [log_mixture(s, count, p) < log(1 / alpha) for s in (low, high - 1)]
    assert stands == [True, True]
    assert low == 0 or log_mixture(low - 1, count, p) >= log(1 / alpha)
    assert high == count + 1 or log_mixture(high, count, p) >= log(1 / alpha)


def test_how_many_values_an_upper_bound_for_the_p99_takes() -> None:
    """At alpha = 5 %: 473 by the mixture, 3,045 by the stitched bound, 78,114 by the bound for all quantiles."""
    assert quantile_ranks(472, 0.99, 0.05)[1] == 473 == quantile_ranks(473, 0.99, 0.05)[1]
    assert 0.99 + stitched_margin(3044, 0.99, 0.05) >= 1.0 > 0.99 + stitched_margin(3045, 0.99, 0.05)
    assert dkw_margin(78_113, 0.05) >= 0.01 > dkw_margin(78_114, 0.05)


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=300), ps)
def test_a_path_on_edges_is_every_edge_tested_at_every_look(values: list[float], p: float) -> None:
    """An edge is a bound once its count was refuted at some look, below or above."""
    edges = [1.0, 2.5, 4.0, 6.0, 9.0]
    low, high = quantile_path(values, edges, p, 0.2)
    lowest, highest = -inf, inf
    for n in range(1, len(values) + 1):
        for edge in edges:
            below = sum(value <= edge for value in values[:n])
            if log_mixture(below, n, p) >= log(5):
                lowest, highest = (max(lowest, edge), highest) if below < n * p else (lowest, min(highest, edge))
        assert (low[n - 1], high[n - 1]) == (lowest, highest)


def test_on_fine_edges_the_bounds_are_the_order_statistics() -> None:
    """The last interval on a fine grid lies within that of all looks, and one cell around the exact one at the last."""
    values = np.random.default_rng(131).lognormal(2.0, 1.0, 5000)
    edges = np.exp(np.linspace(-2, 6, 2000))
    low, high = quantile_path(values, edges.tolist(), 0.9, 0.05)
    exact = quantile_interval(values, 0.9, 0.05)
    assert low[-1] >= exact[0] * (1 - 0.01)
    assert high[-1] <= exact[1] * (1 + 0.01)
    assert low[-1] < np.exp(2.0 + 1.2815515655446004) < high[-1]


@pytest.mark.parametrize("p", [0.5, 0.99])
@pytest.mark.parametrize("kind", ["lognormal", "counts"])
def test_the_quantile_is_held_at_every_look(
    runs: int, within: Callable[[int, int, float], None], p: float, kind: str
) -> None:
    """Looked at after each of 3,000 values, at most alpha of the runs ever leave the quantile out; also where values
    repeat, so that more than p lie at or below it."""
    rng, alpha, missed = np.random.default_rng(132), 0.05, 0
    for _ in range(runs):
        if kind == "lognormal":
            values, q = rng.lognormal(0.0, 1.0, 3000), np.exp(0.0 if p == 0.5 else 2.3263478740408408)
            low, high = quantile_path(values, [q - 1e-9, q], p, alpha)
            # The quantile is left out when what lies below it is refuted as too little, or just under it as too much.
            missed += bool((low >= q).any() or (high < q).any())
        else:
            values, q = rng.poisson(3.0, 3000).astype(float), 3.0 if p == 0.5 else 8.0
            low, high = quantile_path(values, [q - 1, q - 0.5, q, q + 0.5], p, alpha)
            missed += bool((low >= q).any() or (high < q).any())
    within(missed, runs, alpha)


def test_the_bound_for_all_quantiles_holds_at_every_look(within: Callable[[int, int, float], None]) -> None:
    """The empirical distribution of 500 uniform values, looked at after every tenth, strays further in at most
    alpha."""
    rng, missed = np.random.default_rng(133), 0
    for _ in range(200):
        values, strayed = rng.random(500), False
        for n in range(10, 501, 10):
            found = np.sort(values[:n])
            gap = max(float((np.arange(1, n + 1) / n - found).max()), float((found - np.arange(n) / n).max()))
            strayed |= gap > dkw_margin(n, 0.05)
        missed += strayed
    within(missed, 200, 0.05)


@pytest.mark.parametrize(
    ("edges", "p", "message"),
    [
        ((), 0.5, "do not rise"),
        ((1.0, 1.0), 0.5, "do not rise"),
        ((1.0,), 1.0, "between 0 and 1"),
        ((np.nan,), 0.5, "edge 0 is nan"),
    ],
)
def test_refuses_edges_and_quantiles_that_are_none(edges: tuple[float, ...], p: float, message: str) -> None:
    """Edges rise, p lies strictly between 0 and 1."""
    with pytest.raises(ValueError, match=message):
        QuantileWatch(edges, p, 0.05).update([0.5])


def test_few_values_bound_nothing() -> None:
    """Without enough values both ends are open; a negative count is refused."""
    assert quantile_interval([1.0, 2.0], 0.5, 0.05) == (-inf, inf) == quantile_interval([], 0.5, 0.05)
    watch = QuantileWatch((1.0, 2.0), 0.5, 0.05)
    assert (watch.lower, watch.upper) == (-inf, inf)
    with pytest.raises(ValueError, match="0 or more"):
        quantile_ranks(-1, 0.5, 0.05)
