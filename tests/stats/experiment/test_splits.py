from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.experiment.splits import by_place, by_size, by_time_block, settled, stratified, time_blocks

places = st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=80)


@st.composite
def ramps(draw: st.DrawFn) -> tuple[list[float], list[float], list[float]]:
    """Final shares of one to four treatments, and two steps on the way, the second no smaller."""
    parts = draw(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=4))
    full = [part / (sum(parts) * draw(st.floats(1.0, 2.0))) for part in parts]
    late = draw(st.floats(0, 1))
    early = late * draw(st.floats(0, 1))
    return full, [share * early for share in full], [share * late for share in full]


@given(places, ramps())
def test_a_ramp_only_adds_units(at: list[float], ramp: tuple[list[float], list[float], list[float]]) -> None:
    """Whoever is in a treatment's small share is in its larger one, whatever the number of treatments."""
    full, early, late = ramp
    before, after = by_place(at, early, full), by_place(at, late, full)
    assert all(then in (0, now) for then, now in zip(before.tolist(), after.tolist(), strict=True))


@given(ramps())
def test_each_arm_gets_its_share(ramp: tuple[list[float], list[float], list[float]]) -> None:
    """On evenly spread places, to one place an edge."""
    full, _, late = ramp
    counts = np.bincount(by_place(np.arange(10_000) / 10_000, late, full), minlength=len(late) + 1)
    for share, count in zip(late, counts[1:].tolist(), strict=True):
        assert abs(count - 10_000 * share) <= 2


@pytest.mark.parametrize(
    ("at", "shares", "full", "said"),
    [
        ([1.0], [0.5], None, "outside"),
        ([-0.1], [0.5], None, "outside"),
        ([np.nan], [0.5], None, "outside"),
        ([0.5], [0.7, 0.7], None, "1 in all"),
        ([0.5], [-0.1], None, "0 or more"),
        ([0.5], [0.5], [0.4], "at most those"),
        ([0.5], [0.5], [0.5, 0.5], "at most those"),
    ],
)
def test_impossible_splits_are_refused(
    at: list[float], shares: list[float], full: list[float] | None, said: str
) -> None:
    """Places outside [0, 1) and shares that do not fit."""
    with pytest.raises(ValueError, match=said):
        by_place(at, shares, full)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=80), st.integers(2, 4), st.integers(0, 10**6))
def test_every_stratum_is_balanced(strata: list[str], arms: int, seed: int) -> None:
    """Arms differ by at most one unit within each stratum, and the same seed gives the same arms."""
    found = stratified(strata, arms, np.random.default_rng(seed))
    again = stratified(strata, arms, np.random.default_rng(seed))
    assert found.tolist() == again.tolist()
    for name in set(strata):
        counts = np.bincount(found[np.array(strata) == name], minlength=arms)
        assert counts.max() - counts.min() <= 1


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=40), st.integers(2, 4), st.integers(0, 10**6))
def test_clusters_are_balanced_in_number_and_size(sizes: list[float], arms: int, seed: int) -> None:
    """Numbers differ by at most one, total sizes by at most the largest cluster."""
    found = by_size(sizes, arms, np.random.default_rng(seed))
    counts = np.bincount(found, minlength=arms)
    totals = np.bincount(found, weights=sizes, minlength=arms)
    assert counts.max() - counts.min() <= 1
    assert totals.max() - totals.min() <= max(sizes) + 1e-6


@given(st.integers(0, 60), st.integers(2, 4), st.integers(0, 10**6))
def test_a_switchback_gives_each_arm_its_turn(blocks: int, arms: int, seed: int) -> None:
    """Within every round of successive blocks each arm comes once."""
    found = by_time_block(blocks, arms, np.random.default_rng(seed)).tolist()
    assert len(found) == blocks
    for start in range(0, blocks - arms + 1, arms):
        assert sorted(found[start : start + arms]) == list(range(arms))


def test_every_unit_is_as_likely_in_each_arm() -> None:
    """Over 1,500 seeds, the first unit of each design: within four standard errors of a half."""
    seeds = range(1_500)
    first = [
        [int(stratified(["a", "a", "b"], 2, np.random.default_rng(seed))[2]) for seed in seeds],
        [int(by_size([3.0, 2.0, 1.0], 2, np.random.default_rng(seed))[2]) for seed in seeds],
        [int(by_time_block(3, 2, np.random.default_rng(seed))[2]) for seed in seeds],
    ]
    for found in first:
        assert abs(np.mean(found) - 0.5) < 4 * 0.5 / np.sqrt(1_500)


def test_time_blocks_and_their_washout() -> None:
    """Instants belong to the block they begin in; the first minute of each is left out."""
    at = [0.0, 30.0, 599.0, 600.0, 700.0]
    assert time_blocks(at, 0.0, 600.0).tolist() == [0, 0, 0, 1, 1]
    assert settled(at, 0.0, 600.0, 60.0).tolist() == [False, False, True, False, True]


def test_impossible_designs_are_refused() -> None:
    """One arm, no length, an instant before the start."""
    calls: tuple[Callable[[], object], ...] = (
        lambda: stratified(["a"], 1, np.random.default_rng(0)),
        lambda: by_size([1.0], 1, np.random.default_rng(0)),
        lambda: by_time_block(3, 1, np.random.default_rng(0)),
        lambda: time_blocks([0.0], 0.0, 0.0),
        lambda: time_blocks([0.0], 5.0, 60.0),
    )
    for call in calls:
        with pytest.raises(ValueError, match=r"arms:|no instant"):
            call()
