from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlead.stats.sequential.scores import ArmScores, arm_scores_path

Floats = NDArray[np.float64]
REFERENCE = np.array([0.3, 0.25, 0.2, 0.15, 0.07, 0.03])


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.floats(0.01, 0.99)), min_size=1, max_size=60))
def test_is_its_formula(rows: list[tuple[int, bool, float]]) -> None:
    """Score by score: the arms' posterior shares, the split at that time."""
    prior = np.array([0.8, 0.6, 0.4, 0.2])
    counts, log_e, expected = np.stack([prior, prior]), 0.0, []
    for cell, arm, rho in rows:
        q0, q1 = counts[:, cell] / counts.sum(axis=1)
        log_e += log((q1 if arm else q0) / (rho * q1 + (1 - rho) * q0))
        counts[int(arm), cell] += 1
        expected.append(log_e)
    cells, arms, shares = zip(*rows, strict=True)
    assert arm_scores_path(cells, arms, shares, [0.4, 0.3, 0.2, 0.1]) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0.05, 0.95)), min_size=1, max_size=6))
def test_expectation_is_one_given_the_cells_for_every_split(rows: list[tuple[int, float]]) -> None:
    """Over all ways to put the units on arms, weighted by the split at each, E is exactly 1 on average: whatever the
    cells are, in whatever order, under any shares. This is the null, and all that it asks for."""
    cells, shares = [cell for cell, _ in rows], [share for _, share in rows]
    total = 0.0
    for arms in product((0, 1), repeat=len(rows)):
        chance = np.prod([rho if arm else 1 - rho for arm, rho in zip(arms, shares, strict=True)])
        total += float(chance) * exp(float(arm_scores_path(cells, arms, shares, [0.5, 0.3, 0.2])[-1]))
    assert total == pytest.approx(1.0)


def false_alarms(rng: np.random.Generator, runs: int, moving: bool, alpha: float) -> int:
    """Runs of 1,500 scores in a ramp that alarm, with equal arms whose common distribution may move."""
    shares, alarms = np.repeat((0.01, 0.05, 0.25, 0.5), 375), 0
    for _ in range(runs):
        cells = rng.choice(6, 1500, p=REFERENCE)
        if moving:
            cells[500:900] = rng.choice(6, 400, p=REFERENCE[::-1])
        path = arm_scores_path(cells, rng.random(1500) < shares, shares, REFERENCE.tolist())
        alarms += bool(path.max() >= log(1 / alpha))
    return alarms


@pytest.mark.parametrize("moving", [False, True], ids=["steady", "both arms move"])
def test_false_alarms_stay_within_alpha_while_the_split_changes(
    runs: int, within: Callable[[int, int, float], None], moving: bool
) -> None:
    """Looked at after every score, in a ramp from 1 to 50 %, also while both arms' scores move far from the
    reference."""
    within(false_alarms(np.random.default_rng(151), runs, moving, 0.05), runs, 0.05)


def test_a_canary_that_scores_differently_is_found() -> None:
    """Power at a 5 % share, alpha = 1 %: a fifth of the canary's scores moved to the top cell is found in a median of
    at most 12,000 scores, 600 of them the canary's; half of them in 3,000."""
    rng, medians = np.random.default_rng(152), []
    for part in (0.2, 0.5):
        moved, found = (1 - part) * REFERENCE, []
        moved[-1] += part
        for _ in range(40):
            arms = rng.random(20_000) < 0.05
            cells = np.where(arms, rng.choice(6, 20_000, p=moved), rng.choice(6, 20_000, p=REFERENCE))
            over = arm_scores_path(cells, arms, 0.05, REFERENCE.tolist()) >= log(100)
            found.append(float(over.argmax() + 1) if over.any() else np.inf)
        medians.append(float(np.median(found)))
    assert medians[0] <= 12_000
    assert medians[1] <= 3000


def test_many_cells_sort_alike() -> None:
    """Cells beyond a byte, and beyond two, are ranked as few are."""
    rng = np.random.default_rng(153)
    cells, arms = rng.integers(0, 5, 400), rng.integers(0, 2, 400)
    few = arm_scores_path(cells, arms, 0.5, [1.0] * 5 + [1e-9] * 295)
    many = arm_scores_path(cells, arms, 0.5, [1.0] * 5 + [1e-9] * 69_995)
    assert few.shape == many.shape == (400,)
    slow, state = [], ArmScores((*[1.0] * 5, *[1e-9] * 295))
    for cell, arm in zip(cells, arms, strict=True):
        state = state.update([cell], [arm], 0.5)
        slow.append(state.evidence.log_e)
    assert few == pytest.approx(slow, abs=1e-9)


@pytest.mark.parametrize("reference", [(1.0,), (0.0, 0.0), (1.0, -1.0), (1.0, float("nan"))])
def test_refuses_a_reference_that_is_none(reference: tuple[float, ...]) -> None:
    """Two cells or more, none negative, not all empty."""
    with pytest.raises(ValueError, match="expected shares"):
        arm_scores_path([0], [0], 0.5, reference)


def test_a_cell_that_the_reference_never_had_is_evidence_not_proof() -> None:
    """One score there is little; twenty of the canary's alone are enough."""
    start = ArmScores((0.5, 0.5, 0.0))
    once = start.update([2], [1], 0.5)
    assert not once.evidence.reached(0.05)
    assert start.update([0, 2] * 20, [0, 1] * 20, 0.5).evidence.reached(0.001)
