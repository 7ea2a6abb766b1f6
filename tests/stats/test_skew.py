"""How often served and trained values differ: bounds that keep their word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.intervals import upper_bound
from fairlead.stats.skew import Place, disagreements, pairs_needed

ROUNDS = 2_000


def test_features_within_the_limit_are_rarely_called_beyond_it() -> None:
    """With all shares exactly at the limit, which is the worst case: at most alpha of the comparisons name any."""
    rng = np.random.default_rng(7)
    alpha, limit, features = 0.05, 0.02, 6
    alarms = 0
    for counts in rng.binomial(800, limit, (ROUNDS, features)).tolist():
        found = disagreements({f"f{at}": (count, 800) for at, count in enumerate(counts)}, limit=limit, alpha=alpha)
        alarms += any(one.place is Place.BEYOND for one in found)
    assert alarms / ROUNDS <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / ROUNDS)
    assert alarms > 0  # the bound is not so wide that it never speaks


def test_a_feature_beyond_the_limit_rarely_passes() -> None:
    """However many calm features stand beside it."""
    rng = np.random.default_rng(8)
    alpha, limit = 0.05, 0.02
    passed = 0
    for count in rng.binomial(800, limit * 1.0001, ROUNDS).tolist():
        found = disagreements({"calm": (0, 800), "bad": (count, 800)}, limit=limit, alpha=alpha)
        passed += all(one.place is Place.WITHIN for one in found)
    assert passed / ROUNDS <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / ROUNDS)
    assert passed > 0


@given(unequal=st.integers(0, 300), more=st.integers(0, 300), limit=st.floats(0, 0.5))
def test_more_unequal_pairs_are_never_better(unequal: int, more: int, limit: float) -> None:
    """Of the same number of pairs."""
    order = {Place.WITHIN: 0, Place.OPEN: 1, Place.BEYOND: 2}
    places = [disagreements({"f": (count, 600)}, limit=limit)[0].place for count in (unequal, unequal + more)]
    assert order[places[0]] <= order[places[1]]


def test_the_worst_comes_first_and_no_pairs_say_nothing() -> None:
    """A feature without pairs is open, whatever the limit."""
    found = disagreements({"a": (0, 0), "b": (1, 10), "c": (900, 1000)})
    assert [(one.name, one.place) for one in found] == [
        ("c", Place.BEYOND),
        ("b", Place.OPEN),
        ("a", Place.OPEN),
    ]
    assert (found[2].low, found[2].high, found[2].share) == (0.0, 1.0, 0.0)


def test_without_tolerance_one_unequal_pair_is_beyond() -> None:
    """And no number of equal ones proves that there is none."""
    assert disagreements({"f": (1, 10_000)}, limit=0.0)[0].place is Place.BEYOND
    assert disagreements({"f": (0, 10_000)}, limit=0.0)[0].place is Place.OPEN
    assert pairs_needed(0.0) == 0


@given(limit=st.floats(0.0005, 0.9), alpha=st.floats(0.001, 0.4))
def test_the_pairs_needed_are_the_fewest(limit: float, alpha: float) -> None:
    """One fewer does not do."""
    needed = pairs_needed(limit, alpha)
    assert upper_bound(0, needed, alpha) <= limit
    assert needed == 1 or upper_bound(0, needed - 1, alpha) > limit


@pytest.mark.parametrize(("limit", "alpha"), [(-0.1, 0.01), (1.0, 0.01), (0.01, 0.0), (0.01, 0.5)])
def test_impossible_limits_are_refused(limit: float, alpha: float) -> None:
    """With what they are."""
    with pytest.raises(ValueError, match=r"limit|alpha"):
        disagreements({"f": (0, 1)}, limit=limit, alpha=alpha)
