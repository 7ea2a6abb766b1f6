"""The index's e-process that bets on all cells at once."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairlead.stats.sequential.divergence import divergence_log_e, divergence_log_e_path
from fairlead.stats.sequential.divergence_tilts import tilted_log_e, tilted_log_e_path

EVEN = [0.1] * 10
BOUND = 0.25
LIMIT = log(100)


def index(live: np.ndarray, expected: np.ndarray) -> float:
    return float(((live - expected) * np.log(live / expected)).sum())


def towards(expected: np.ndarray, way: np.ndarray, bound: float) -> np.ndarray:
    """The tilt of the expected shares along a way, as far as the index allows."""
    low, high = 0.0, 100.0
    for _ in range(80):
        middle = (low + high) / 2.0
        low, high = (low, middle) if index(tilt(expected, middle * way), expected) > bound else (middle, high)
    return tilt(expected, low * way)


def tilt(expected: np.ndarray, way: np.ndarray) -> np.ndarray:
    logs = np.log(expected) + way
    found = np.maximum(np.exp(logs - logs.max()), 1e-30)
    return np.asarray(found / found.sum())


def moved(by: float, wide: float = 1.0) -> np.ndarray:
    """Shares of ten even cells after normal scores moved by so many deviations."""
    rng = np.random.default_rng(3)
    edges = np.quantile(rng.normal(size=200_000), np.arange(1, 10) / 10)
    found = np.bincount(np.searchsorted(edges, by + wide * rng.normal(size=200_000)), minlength=10)
    return np.asarray(found / found.sum())


@given(
    st.lists(st.floats(0.02, 1.0), min_size=2, max_size=6),
    st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=6),
    st.floats(0.02, 2.0),
)
def test_one_score_expects_nothing_within_the_bound(raw: list[float], way: list[float], bound: float) -> None:
    """Whatever the expected shares, and wherever on the bound's boundary the live ones lie: E expects at most 1."""
    expected = np.array(raw) / sum(raw)
    direction = np.array(way[: len(raw)])
    assume(np.ptp(direction) > 0.05)
    live = towards(expected, direction, bound)
    one = np.eye(len(raw), dtype=int)
    total = sum(share * exp(tilted_log_e(cell.tolist(), raw, bound)) for share, cell in zip(live, one, strict=True))
    assert total <= 1.0 + 1e-9


def false_alarms(live: np.ndarray, runs: int) -> int:
    """Runs of 3,000 scores in which the evidence reaches ln 100 at any of 60 looks."""
    rng = np.random.default_rng(19)
    found = 0
    for _ in range(runs):
        counts = np.cumsum(rng.multinomial(50, live, size=60), axis=0).astype(float)
        found += bool((tilted_log_e_path(counts, EVEN, BOUND) >= LIMIT).any())
    return found


@pytest.mark.parametrize("way", ["up", "down", "wide"])
def test_on_the_boundary_it_alarms_no_oftener_than_alpha(way: str) -> None:
    """200 runs at an index of exactly the bound, on the ways that the bets know: at 1 % two are expected at most."""
    assert false_alarms(boundary(way), 200) <= 7


@pytest.mark.slow
@pytest.mark.parametrize("way", ["up", "down", "wide"])
def test_on_the_boundary_it_alarms_no_oftener_than_alpha_in_many_runs(way: str) -> None:
    """4,000 runs: 40 are expected at most, 60 would be three deviations more."""
    assert false_alarms(boundary(way), 4_000) <= 60


def boundary(way: str) -> np.ndarray:
    steps = np.arange(10) - 4.5
    ways = {"up": steps, "down": -steps, "wide": steps**2}
    return towards(np.array(EVEN), ways[way], BOUND)


def needed(live: np.ndarray, most: int = 4_000) -> float:
    """The median of the scores that it takes, of 40 runs; more than `most` counts as infinite."""
    rng = np.random.default_rng(23)
    found = []
    for _ in range(40):
        counts = np.cumsum(np.eye(10)[rng.choice(10, most, p=live)], axis=0)[9::10]
        over = tilted_log_e_path(counts, EVEN, BOUND) >= log(300)
        found.append(10.0 * (int(np.argmax(over)) + 1) if over.any() else np.inf)
    return float(np.median(found))


def test_a_shift_just_above_the_bound_is_found_within_a_thousand_scores() -> None:
    """+0.7 deviations, an index of 0.46 where 0.25 is allowed: what sets of cells alone do not see in four thousand."""
    live = moved(0.7)
    assert 0.44 < index(live, np.array(EVEN)) < 0.48
    assert needed(live) < 1_000
    counts = np.cumsum(np.eye(10)[np.random.default_rng(1).choice(10, 4_000, p=live)], axis=0)[9::10]
    assert divergence_log_e_path(counts, EVEN, BOUND).max() < log(300)


def test_a_large_shift_is_found_as_soon_as_before() -> None:
    """One deviation takes fewer scores than by sets of cells; a collapse costs at most ln 2 more."""
    collapsed = [0] * 9 + [20]
    assert tilted_log_e(collapsed, EVEN, BOUND) >= divergence_log_e(collapsed, EVEN, BOUND) - log(2.0)
    assert needed(moved(1.0)) < 200


def test_where_no_tilt_reaches_the_bound_sets_of_cells_decide() -> None:
    """A bound beyond any tilt leaves the evidence that there was."""
    assert tilted_log_e([5, 5], [1.0, 1.0], 1e6) == divergence_log_e([5, 5], [1.0, 1.0], 1e6)


@pytest.mark.parametrize(
    ("counts", "expected", "bound"), [([1], [1.0], 0.2), ([1, 2], [0.5, 0.5], 0.0), ([1], [0.5] * 2, 0.2)]
)
def test_refuses_what_cannot_be_tested(counts: list[int], expected: list[float], bound: float) -> None:
    """Fewer than two cells, no bound, counts on other cells."""
    with pytest.raises(ValueError, match="cells"):
        tilted_log_e(counts, expected, bound)
