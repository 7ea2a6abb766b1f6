"""When two values are one, and what a comparison means."""

from __future__ import annotations

from math import nan

import pytest

from fairlead.core.skew import judge_skew, same
from fairlead.core.verdict import Outcome, Verdict
from fairlead.stats.skew import disagreements


@pytest.mark.parametrize(
    ("served", "trained", "alike"),
    [
        (3, 3.0, True),
        (3, 4, False),
        (0.1, 0.10000001, True),
        (0.1, 0.1001, False),
        (0.0, 1e-14, True),
        (None, None, True),
        (None, nan, True),
        (None, 0, False),
        (0, None, False),
        (True, 1, True),
        (True, 0, False),
        ("a", "a", True),
        ("a", "A", False),
        ("3", 3, True),
        ("3", 3.0, True),
        ("true", True, True),
        ([1], "x", False),
        (2**60, 2.0**60, True),
    ],
)
def test_values_that_mean_the_same_are_the_same(served: object, trained: object, alike: bool) -> None:
    """Whichever way JSON, Arrow or a library wrote them."""
    assert same(served, trained) is alike


def verdict(counts: dict[str, tuple[int, int]], joined: int = 1000, served: int = 2000) -> Verdict:
    """Of some counts."""
    return judge_skew(disagreements(counts), joined, served, limit=0.01, alpha=0.01, key="request_id")


def test_each_outcome_is_said_with_its_reason() -> None:
    """Too few pairs are told as such, with how many would do."""
    assert verdict({"a": (0, 1000)}).outcome is Outcome.HOLDS
    bad = verdict({"a": (500, 1000), "b": (0, 1000)})
    assert (bad.outcome, bad.reason) == (
        Outcome.BREACHED,
        "1 of 2 features differ in more than 1.00% of the requests: a (50.00% unequal)",
    )
    few = verdict({"a": (0, 100)}, 100)
    assert few.outcome is Outcome.UNDECIDED
    assert few.reason == "not enough data yet for 1 of 1 feature: a (0 of 100); 459 equal pairs of each would show it"
    assert verdict({}, 0).outcome is Outcome.UNMEASURED
    assert "has none of the 2,000 logged requests" in verdict({}, 0).reason
    assert "shares no feature" in verdict({}, 5).reason
    assert verdict({}, 0, 0).reason == "no request is in the log: nothing was served yet"
