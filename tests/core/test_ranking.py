"""The most harmful comes first, in the loss or in money; benign shifts sink, whatever their size."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from fairlead.core.ranking import PER, Cost, estimated, guessed, ranked_by_harm
from fairlead.core.report import FeatureShift
from fairlead.stats.attribution import Attribution, attribute, cell_losses
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import profile_column


def shift(name: str, effect: float = 1.0, level: str = "critical", importance: float | None = None) -> FeatureShift:
    """A shift of some size."""
    return FeatureShift(name, level, effect=effect, importance=importance)


def change(value: float, half: float = 0.001) -> Attribution:
    """A change with a narrow interval."""
    return Attribution(value, value - half, value + half, 500.0, 0.0)


def test_harm_comes_before_size() -> None:
    """A small shift that costs, then large ones that do not, by their size; an improvement is no harm."""
    listed = [
        estimated(shift("large", 9.0), Cost(change(0.0), change(0.0)), 100),
        estimated(shift("better", 5.0), Cost(change(-0.2), change(-0.2)), 100),
        estimated(shift("small", 0.5), Cost(change(0.02), change(0.02)), 100),
        estimated(shift("still", 0.1, level="none"), Cost(change(0.5), change(0.5)), 100),
    ]
    assert [one.name for one in ranked_by_harm(listed)] == ["small", "large", "better", "still"]
    assert [one.harm for one in ranked_by_harm(listed)] == [0.02, 0.0, 0.0, 0.0]


def test_money_decides_where_it_is_known() -> None:
    """Few costly errors come before many cheap ones; money is per 1,000 predictions and for the window."""
    many = estimated(shift("many"), Cost(change(0.10), change(0.10), change(0.5)), 2_000)
    few = estimated(shift("few"), Cost(change(0.02), change(0.02), change(4.0)), 2_000)
    assert [one.name for one in ranked_by_harm([many, few])] == ["few", "many"]
    assert few.money == 4.0 * PER
    assert few.money_window == 4.0 * 2_000
    assert few.money_low == pytest.approx(3.999 * PER)


def test_without_held_out_losses_importance_stands_in() -> None:
    """Importance x shift, times the mean loss where other features have one; nothing for what did not move."""
    assert guessed(shift("x", importance=0.2), 3.0, None).harm == pytest.approx(0.6)
    assert guessed(shift("x", importance=0.2), 3.0, 0.1).harm == pytest.approx(0.06)
    assert guessed(shift("x", importance=0.2, level="none"), 3.0, None).harm == 0.0
    assert guessed(shift("x"), 3.0, None).harm is None


@given(st.permutations(range(6)), st.lists(st.floats(-1, 1), min_size=6, max_size=6))
def test_the_order_given_does_not_matter(order: list[int], values: list[float]) -> None:
    """A ranking is of the shifts, not of their order."""
    listed = [estimated(shift(f"f{i}", abs(v)), Cost(change(v), change(v)), 10) for i, v in enumerate(values)]
    assert ranked_by_harm(listed[i] for i in order) == ranked_by_harm(listed)


def test_old_reports_are_read() -> None:
    """A shift that was journalled before these fields existed decodes, and one without them is written as before."""
    old = b'{"name":"adr","level":"critical","method":"psi","effect":0.4,"importance":0.1,"harm":0.16}'
    found = msgspec.json.decode(old, type=FeatureShift)
    assert (found.harm, found.loss_change, found.money) == (0.16, None, None)
    assert msgspec.json.encode(found) == old


@pytest.mark.parametrize("runs", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_the_harmful_feature_is_first_among_larger_shifts(runs: int) -> None:
    """Ten features move, nine of them by a deviation and a half to no effect; one moves by half a deviation to where
    the model errs: it is first in at least 95 % of the runs."""
    rng = np.random.default_rng(0)
    first = 0
    for _ in range(runs):
        x = rng.normal(size=(3_000, 10))
        losses = (rng.random(3_000) < np.where(x[:, 3] > 0.5, 0.35, 0.05)).astype(float)
        shifts = []
        for place in range(10):
            before = NumericColumn(f"f{place}", x[:, place])
            grid = profile_column(before).grid
            held = cell_losses(before, grid, losses)
            moved = rng.normal(0.5 if place == 3 else 1.5, 1.0, 2_000)
            assert held is not None
            found = attribute(held, profile_column(NumericColumn(f"f{place}", moved), grid))
            assert found is not None
            shifts.append(estimated(shift(f"f{place}", 1.0 if place == 3 else 4.0), Cost(found, found), 2_000))
        first += ranked_by_harm(shifts)[0].name == "f3"
    assert float(binom.cdf(first, runs, 0.95)) >= 0.001, first
