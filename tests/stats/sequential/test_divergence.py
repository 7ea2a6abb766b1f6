from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlead.stats.sequential.divergence import (
    ScoreWatch,
    divergence_log_e,
    divergence_log_e_path,
    divergence_path,
    psi_from_counts,
    rate_limit,
)

Floats = NDArray[np.float64]
BOUND = 0.25
EVEN = np.full(10, 0.1)
SKEWED = np.array([0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01])


def psi(p: Floats, q: Floats) -> float:
    return float(np.sum((p - q) * np.log(p / q)))


def at_bound(q: Floats, towards: Floats, bound: float = BOUND) -> Floats:
    """The mixture of q and another distribution whose PSI against q is exactly the bound."""
    low, high = 0.0, 1.0 - 1e-9
    for _ in range(100):
        weight = (low + high) / 2
        low, high = (low, weight) if psi((1 - weight) * q + weight * towards, q) > bound else (weight, high)
    return (1 - low) * q + low * towards


def spread_over(q: Floats, cells: slice) -> Floats:
    """All mass on some cells, in q's proportions: the direction in which merging cells loses nothing."""
    held = np.zeros_like(q)
    held[cells] = q[cells]
    scaled: Floats = held / held.sum()
    return scaled


DIRECTIONS = {
    "up": lambda q: spread_over(q, slice(7, None)),
    "down": lambda q: spread_over(q, slice(0, 2)),
    "one cell": lambda q: spread_over(q, slice(4, 5)),
    "rarest cell": lambda q: spread_over(q, slice(9, None)),
    "every other cell": lambda q: spread_over(q, slice(0, None, 2)),
}


@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=12), st.data())
def test_no_set_of_cells_exceeds_its_limit_within_the_bound(raw: list[float], data: st.DataObject) -> None:
    """The data-processing inequality, on which the guarantee rests: p_S <= u(q_S, J(p, q)) for every set S."""
    q = np.array(raw) / np.sum(raw)
    other = np.array(data.draw(st.lists(st.floats(0.01, 1.0), min_size=len(q), max_size=len(q))))
    p = other / other.sum()
    members = np.array(data.draw(st.lists(st.booleans(), min_size=len(q), max_size=len(q))))
    if 0 < members.sum() < len(q) and psi(p, q) > 1e-6:
        assert p[members].sum() <= rate_limit(float(q[members].sum()), psi(p, q)) + 1e-6


@given(st.floats(1e-4, 0.999), st.floats(0.001, 3.0))
def test_the_limit_solves_the_two_cell_index(share: float, bound: float) -> None:
    """u(q, b) lies above q, and its two-cell PSI is b."""
    limit = rate_limit(share, bound)
    assert share < limit < 1.0
    if limit < 1.0 - 1e-6:
        assert (limit - share) * (log(limit / (1 - limit)) - log(share / (1 - share))) == pytest.approx(bound, rel=1e-4)


def test_a_path_is_the_same_as_looking_one_at_a_time() -> None:
    """Many looks at once give what single looks give."""
    counts = np.cumsum(np.random.default_rng(1).multinomial(5, SKEWED, size=20), axis=0)
    path = divergence_log_e_path(counts.astype(float), tuple(SKEWED), BOUND)
    alone = [divergence_log_e([int(c) for c in row], tuple(SKEWED), BOUND) for row in counts]
    assert path == pytest.approx(alone)


def test_no_score_is_no_evidence() -> None:
    """E is 1 before the first score."""
    assert divergence_log_e([0] * 10, tuple(EVEN), BOUND) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("counts", "expected", "bound", "message"),
    [
        ([1, 2, 3], [0.5, 0.5], 0.25, "3 counts for 2 expected cells"),
        ([1], [1.0], 0.25, "at least two cells"),
        ([1, 2], [0.5, 0.5], 0.0, "bound above 0"),
    ],
)
def test_refuses_what_cannot_be_tested(counts: list[int], expected: list[float], bound: float, message: str) -> None:
    """Cells that do not match, too few cells and a bound of zero are errors that say so."""
    with pytest.raises(ValueError, match=message):
        divergence_log_e(counts, expected, bound)


def test_a_cell_that_was_empty_in_the_reference_gives_finite_evidence() -> None:
    """One score where none was expected is weak evidence, not proof."""
    once = divergence_log_e([30, 30, 1], [0.5, 0.5, 0.0], BOUND)
    assert once < log(300)
    assert divergence_log_e([30, 30, 30], [0.5, 0.5, 0.0], BOUND) > log(300)


def false_alarms(p: Floats, q: Floats, runs: int, alpha: float, scores: int = 500) -> int:
    rng, alarms = np.random.default_rng(31), 0
    for _ in range(runs):
        cells = rng.choice(len(p), size=scores, p=p)
        alarms += bool(divergence_path(cells, tuple(q), BOUND).max() >= log(1 / alpha))
    return alarms


@pytest.mark.parametrize("q", [EVEN, SKEWED], ids=["even cells", "skewed cells"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_false_alarms_stay_within_alpha_on_the_boundary(
    runs: int, within: Callable[[int, int, float], None], direction: str, q: Floats
) -> None:
    """With PSI exactly at the bound, in any direction, looked at after every score, at most alpha of the runs alarm."""
    p = at_bound(q, DIRECTIONS[direction](q))
    assert psi(p, q) == pytest.approx(BOUND, rel=1e-6)
    within(false_alarms(p, q, runs, 0.05), runs, 0.05)


def test_scores_that_stay_where_they_were_never_alarm() -> None:
    """A/A: of 200 runs at alpha 5 % none alarms, as the null leaves a whole PSI of 0.25 of room."""
    assert false_alarms(SKEWED, SKEWED, 200, 0.05) == 0


@pytest.mark.parametrize(
    ("p", "most"),
    [
        (spread_over(EVEN, slice(9, None)), 20),
        (spread_over(EVEN, slice(4, 5)), 20),
        (spread_over(EVEN, slice(6, None)), 60),
        (spread_over(EVEN, slice(0, 1)) * 0.5 + EVEN * 0.5, 90),
    ],
    ids=["collapsed high", "collapsed inside", "upper cells only", "half collapsed"],
)
def test_scores_that_collapse_are_found_within_tens_of_requests(p: Floats, most: int) -> None:
    """Power: the median run crosses ln(3 / 0.01) within the stated number of scores."""
    rng, found = np.random.default_rng(32), []
    for _ in range(100):
        crossed = np.flatnonzero(divergence_path(rng.choice(10, size=400, p=p), tuple(EVEN), BOUND) >= log(300))
        found.append(crossed[0] + 1 if crossed.size else np.inf)
    assert np.median(found) <= most


@given(st.lists(st.integers(0, 200), min_size=2, max_size=12))
def test_the_point_estimate_is_never_negative(counts: list[int]) -> None:
    """PSI from counts is 0 or more, and unknown without counts."""
    value = psi_from_counts(counts, [1.0] * len(counts))
    assert value is None if sum(counts) == 0 else value is not None and value >= 0.0


def test_the_point_estimate_is_close_to_unbiased() -> None:
    """The correction takes the bias off: at 300 scores the mean estimate is within 0.02 of the true 0.25."""
    rng, p = np.random.default_rng(33), at_bound(EVEN, DIRECTIONS["up"](EVEN))
    estimates = [psi_from_counts([int(c) for c in rng.multinomial(300, p)], tuple(EVEN)) for _ in range(500)]
    assert np.mean([value for value in estimates if value is not None]) == pytest.approx(BOUND, abs=0.02)


def test_scores_one_by_one_are_their_counts() -> None:
    """`divergence_path` after each score is the log E of the counts so far: calm, collapsing, and calm again."""
    rng = np.random.default_rng(34)
    scores = np.concatenate([rng.choice(10, 700, p=SKEWED), np.full(300, 9), rng.choice(10, 700, p=SKEWED)])
    counts = np.cumsum(np.eye(10)[scores], axis=0)
    expected = divergence_log_e_path(counts, tuple(SKEWED), BOUND)
    assert divergence_path(scores, tuple(SKEWED), BOUND) == pytest.approx(expected, abs=1e-8)
    state = ScoreWatch(tuple(SKEWED), BOUND)
    for part in np.array_split(scores, 7):
        state = state.update(part)
    assert state.evidence.log_e_max == pytest.approx(expected.max())
    assert state.counts == tuple(int(n) for n in counts[-1])
