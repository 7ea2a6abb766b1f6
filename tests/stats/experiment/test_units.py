from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.experiment.means import welch
from fairlead.stats.experiment.moments import estimate
from fairlead.stats.experiment.units import added, torn, units_of

Check = Callable[[int, int, float], None]
keys = st.lists(st.integers(0, 8), min_size=1, max_size=60)


@given(keys)
def test_units_come_in_the_order_of_their_first_row(held: list[int]) -> None:
    """Each unit's number is the number of units before its first row."""
    found = units_of(held)
    order = list(dict.fromkeys(held))
    assert [order[unit] for unit in found.of_row.tolist()] == held
    assert [held[row] for row in found.first_row.tolist()] == order
    assert found.size == len(order)


@given(keys, st.data())
def test_values_are_added_up_as_in_plain_python(held: list[int], data: st.DataObject) -> None:
    """Mean, sum and max of the known values; none known is unknown."""
    values = data.draw(
        st.lists(st.one_of(st.floats(-100, 100), st.just(float("nan"))), min_size=len(held), max_size=len(held))
    )
    units = units_of(held)
    for how, plain in (("mean", np.mean), ("sum", np.sum), ("max", np.max)):
        found = added(values, units, how)
        for unit, key in enumerate(dict.fromkeys(held)):
            own = [v for k, v in zip(held, values, strict=True) if k == key and v == v]  # noqa: PLR0124 - NaN
            if own:
                assert found[unit] == pytest.approx(plain(own), abs=1e-9)
            else:
                assert np.isnan(found[unit])


def test_another_way_to_add_up_is_refused() -> None:
    """Only mean, sum and max."""
    with pytest.raises(ValueError, match="median"):
        added([1.0], units_of([1]), "median")


@given(keys, st.data())
def test_a_unit_in_two_arms_is_torn(held: list[int], data: st.DataObject) -> None:
    """Exactly the units whose rows differ in arm."""
    arms = data.draw(st.lists(st.integers(0, 1), min_size=len(held), max_size=len(held)))
    found = torn(arms, units_of(held))
    for unit, key in enumerate(dict.fromkeys(held)):
        assert found[unit] == (len({arm for k, arm in zip(held, arms, strict=True) if k == key}) > 1)


@pytest.mark.parametrize("runs", [300, pytest.param(3_000, marks=pytest.mark.slow)])
def test_rows_of_a_user_must_be_added_up(runs: int, at_most: Check) -> None:
    """Users with 1 to 20 rows and their own level: by users 5 % false findings or fewer (5.25 %), by rows over 20 %."""
    rng, by_unit, by_row = np.random.default_rng(41), 0, 0
    for _ in range(runs):
        rows = rng.integers(1, 21, 300)
        who = np.repeat(np.arange(300), rows)
        values = rng.normal(size=300)[who] + rng.normal(size=who.size)
        treated = rng.random(300) < 0.5
        units = added(values, units_of(who))
        by_unit += welch(estimate(units[treated]), estimate(units[~treated]))[1] < 0.05
        by_row += welch(estimate(values[treated[who]]), estimate(values[~treated[who]]))[1] < 0.05
    at_most(by_unit, runs, 0.0525)
    assert by_row > 0.2 * runs
