"""What speaks against a challenger that passed its gate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.worth import FEWEST, Side, Weighed, Worth, against, sentence, worth_of
from fairlead.stats.paired import loss_difference
from fairlead.stats.performance import Measure

HELDOUT = Side(400, "AUROC", 0.7, 0.8, Measure(0.1, 0.05, 0.15))


def weighed(gain: Measure | None = None, rows: int = FEWEST, worth: Worth | None = None) -> Weighed:
    """A challenger that is better on the held-out rows."""
    latest = None if gain is None else Side(rows, "AUROC", 0.7, 0.7 + gain.value, gain)
    return Weighed(1, 2, HELDOUT, latest, worth=worth)


def test_worse_on_the_latest_rows_is_told_with_its_figures() -> None:
    """Beyond chance, on enough rows: by how much it is worse."""
    (said,) = against(weighed(Measure(-0.04, -0.06, -0.02)))
    assert said == (
        "on the 200 rows whose labels came since, its AUROC is worse than version 1's by 0.0400 (0.0200 to 0.0600)"
    )


@pytest.mark.parametrize(
    "seen",
    [
        weighed(),
        weighed(Measure(-0.04, -0.09, 0.01)),
        weighed(Measure(-0.04, -0.06, -0.02), rows=FEWEST - 1),
        weighed(Measure(0.04, 0.02, 0.06)),
    ],
)
def test_chance_and_few_rows_speak_against_nothing(seen: Weighed) -> None:
    """An interval with 0 in it, too few rows, or none."""
    assert against(seen) == ()
    assert sentence(seen)


def test_few_rows_are_said_to_decide_nothing() -> None:
    """Beside their figures."""
    assert "too few to decide" in sentence(weighed(Measure(-0.04, -0.06, -0.02), rows=FEWEST - 1))
    assert sentence(weighed()) == "no label came since its data were frozen"


@given(st.floats(-5, 5), st.floats(0, 3), st.floats(0, 1e6), st.floats(0, 1e5))
def test_worth_is_what_is_saved_less_the_cost(value: float, half: float, predictions: float, cost: float) -> None:
    """It pays only where its lower end is above 0; otherwise it speaks against, whatever the rest says."""
    worth = worth_of(Measure(value, value - half, value + half), predictions, 30.0, cost)
    assert worth.low <= worth.value <= worth.high
    assert worth.value == pytest.approx(value * predictions - cost)
    assert worth.pays == (not against(weighed(worth=worth)))
    if cost and value <= 0:
        assert not worth.pays


def test_a_worthless_challenger_seldom_pays() -> None:
    """Two versions that cost the same are taken for a gain in at most 2.5 % of comparisons, and one that saves half a
    standard deviation nearly always pays."""
    rng = np.random.default_rng(7)
    wins = {0.0: 0, 0.5: 0}
    for _ in range(1_000):
        for saved in wins:
            costs = rng.exponential(1.0, (2, 300))
            found = loss_difference(costs[0] - saved, costs[1])
            wins[saved] += worth_of(found, 1_000.0, 30.0, 0.0).pays
    assert wins[0.0] <= 40  # 25 expected; 40 is three standard errors above
    assert wins[0.5] >= 990
