from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as plain_entropy

from fairlead.stats.experiment.rates import Counts
from fairlead.stats.policy.diversity import approval_shifts, entropy, entropy_by_slot, exploration

Check = Callable[[int, int, float], None]
counts = st.lists(st.integers(0, 500), min_size=1, max_size=30).filter(lambda held: sum(held) > 0)


@given(counts)
def test_entropy_is_the_plug_in_plus_miller_and_madow(held: list[int]) -> None:
    """scipy's entropy plus (k - 1) / (2 n) nats, at most log2 of the decisions; within its interval."""
    found = entropy(held)
    k = sum(count > 0 for count in held)
    corrected = plain_entropy(held, base=2) + (k - 1) / (2 * sum(held)) / np.log(2)
    assert found.bits == pytest.approx(min(corrected, np.log2(len(held))), abs=1e-9)
    assert 0.0 <= found.low <= found.bits <= found.high <= np.log2(len(held)) + 1e-12


def test_a_policy_with_one_answer_has_none() -> None:
    """No entropy, like one decision."""
    found = entropy([100, 0, 0])
    assert (found.bits, found.effective) == (0.0, 1.0)


@pytest.mark.parametrize("held", [[], [0, 0], [-1, 5]])
def test_impossible_counts_are_refused(held: list[int]) -> None:
    """No decisions, and fewer than none."""
    with pytest.raises(ValueError, match="counts"):
        entropy(held)


@pytest.mark.parametrize("runs", [400, pytest.param(5_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "shares", [[0.25] * 4, [0.7, 0.2, 0.1], [0.05] * 20, [0.5, 0.3, 0.1, 0.05, 0.05]], ids=["even", "3", "20", "skewed"]
)
def test_the_interval_holds_the_true_entropy(shares: list[float], runs: int, at_least: Check) -> None:
    """At 200 decisions in 94 % or more, also where decisions are even; the mean error is below a tenth of the plug-in's
    with twenty decisions."""
    rng, truth = np.random.default_rng(11), float(plain_entropy(shares, base=2))
    found = [entropy(row) for row in rng.multinomial(200, shares, runs).tolist()]
    at_least(sum(one.low <= truth <= one.high for one in found), runs, 0.94)
    if len(shares) == 20:
        assert abs(np.mean([one.bits for one in found]) - truth) < 0.1 * 19 / 400 / np.log(2) + 0.01


def test_slots_share_their_list_of_decisions() -> None:
    """A slot that never took a decision still counts it as possible."""
    slots = np.repeat([1, 2], 100)
    decisions = np.array(["a", "b"] * 50 + ["a"] * 100)
    found = entropy_by_slot(slots, decisions)
    assert found[1].bits == pytest.approx(1.0)
    assert found[2].bits == 0.0


def test_exploration_is_a_share_with_its_interval() -> None:
    """Wilson's; without decisions nothing is known."""
    share, low, high = exploration(50, 1_000)
    assert low < share < high
    assert exploration(0, 0) == (0.0, 0.0, 1.0)


def test_a_slice_that_lost_its_approvals_comes_first() -> None:
    """Most evident first; a reference without approvals has no ratio; unequal lists are refused."""
    now, reference = [Counts(50, 100), Counts(20, 100), Counts(1, 100)], [Counts(500, 1000)] * 2 + [Counts(0, 50)]
    found = approval_shifts(["a", "b", "c"], now, reference)
    assert found[0].name == "b"
    assert next(one for one in found if one.name == "c").ratio is None
    with pytest.raises(ValueError, match="zip"):
        approval_shifts(["a"], now, reference)


@pytest.mark.parametrize("runs", [200, pytest.param(2_000, marks=pytest.mark.slow)])
def test_unchanged_slices_are_rarely_named(runs: int, at_most: Check) -> None:
    """Eight slices without a change: any of them below q = 5 % in at most 5.5 % of the tables."""
    rng, named = np.random.default_rng(12), 0
    for now, reference in zip(rng.binomial(300, 0.3, (runs, 8)), rng.binomial(900, 0.3, (runs, 8)), strict=True):
        sides = [Counts(int(k), 300) for k in now], [Counts(int(k), 900) for k in reference]
        named += approval_shifts([str(place) for place in range(8)], *sides)[0].q_value < 0.05
    at_most(named, runs, 0.055)
