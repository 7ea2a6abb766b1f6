"""Faults that keep values plausible, told from profiles."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.stats import faults
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.profile import ColumnProfile, profile_column
from fairlead.stats.silent import silent_of

RNG = np.random.default_rng(0)
SHARES = (0.5, 0.25, 0.15, 0.1)


def prices(rng: np.random.Generator, rows: int, level: float = 1.0) -> NumericColumn:
    return NumericColumn("price", level * rng.gamma(4.0, 25.0, rows))


def nights(rng: np.random.Generator, rows: int, level: float = 1.0) -> NumericColumn:
    return NumericColumn("nights", rng.poisson(3.0 * level, rows).astype(float))


def words(rng: np.random.Generator, rows: int, shares: tuple[float, ...] = SHARES) -> CategoricalColumn:
    return CategoricalColumn("word", rng.choice(len(shares), rows, p=shares).astype(np.int32), tuple("abcd"))


KNOWN = {one.name: profile_column(one) for one in (prices(RNG, 5_000), nights(RNG, 5_000), words(RNG, 5_000))}


def seen(column: Column) -> ColumnProfile:
    """A profile on the reference's grid."""
    return profile_column(column, KNOWN[column.name].grid)


def symptom(before: Column, now: Column, *, unusual: bool = True, size: float = 0.5) -> str:
    """The symptom between two windows."""
    return silent_of(KNOWN[now.name], seen(before), seen(now), size=size, unusual=unusual)


@pytest.mark.parametrize("unusual", [True, False])
def test_a_value_that_takes_from_all_others_is_a_default(unusual: bool) -> None:
    """Half of the rows by the commonest value, in numbers and in words; also where nothing is known of habits, except
    that few others would have kept their proportions by chance."""
    rng = np.random.default_rng(1)
    for draw in (prices, nights):
        now = faults.defaulted(draw(rng, 1_000), 0.5, rng)
        assert symptom(draw(rng, 1_000), now, unusual=unusual) == "default"
    few = faults.defaulted(words(rng, 1_000), 0.5, rng)
    assert symptom(words(rng, 1_000), few, unusual=unusual) == "default"
    two = faults.defaulted(words(rng, 1_000, (0.6, 0.3, 0.1, 0.0)), 0.5, rng)
    assert symptom(words(rng, 1_000, (0.6, 0.3, 0.1, 0.0)), two, unusual=unusual) == ("default" if unusual else "")


def test_a_value_that_takes_from_one_other_is_no_default() -> None:
    """`a` grew at the cost of `b` alone: customers changed, no look-up failed."""
    rng = np.random.default_rng(2)
    assert symptom(words(rng, 2_000), words(rng, 2_000, (0.7, 0.05, 0.15, 0.1))) == ""


def test_shares_that_change_their_names_are_renamed() -> None:
    """Every category became the next in frequency; a shift of the shares themselves is none."""
    rng = np.random.default_rng(3)
    assert symptom(words(rng, 1_000), faults.remapped(words(rng, 1_000))) == "renamed"
    assert symptom(words(rng, 1_000), faults.remapped(words(rng, 1_000)), unusual=False) != "renamed"
    assert symptom(words(rng, 1_000), words(rng, 1_000, (0.35, 0.25, 0.3, 0.1))) == ""


def test_fractions_among_whole_numbers_are_seen_whatever_moved() -> None:
    """Logarithms of counts hardly move the distribution of a column of noughts and ones."""
    rng = np.random.default_rng(4)
    assert symptom(nights(rng, 500), faults.logged(nights(rng, 500)), unusual=False, size=0.0) == "fractions"
    ones = NumericColumn("nights", (rng.random(500) < 0.2).astype(float))
    assert symptom(nights(rng, 500), faults.logged(ones), unusual=False, size=0.0) == "fractions"
    logs = faults.logged(nights(rng, 500))
    assert symptom(logs, faults.logged(nights(rng, 500)), unusual=False, size=0.0) == ""


def test_a_logarithm_of_prices_is_another_scale() -> None:
    """Twenty times as narrow, where few prices lay; prices that doubled are none."""
    rng = np.random.default_rng(5)
    assert symptom(prices(rng, 500), faults.logged(prices(rng, 500))) == "scale"
    assert symptom(prices(rng, 500), prices(rng, 500, 2.0)) == ""


def test_few_rows_show_nothing() -> None:
    """Fewer than thirty."""
    rng = np.random.default_rng(6)
    assert symptom(prices(rng, 20), faults.defaulted(prices(rng, 20), 0.9, rng)) == ""


def shares_of(rng: np.random.Generator) -> tuple[float, ...]:
    """A season's: each share up or down by a tenth to a half."""
    some = np.array(SHARES) * np.exp(rng.normal(0.0, 0.3, 4))
    return tuple((some / some.sum()).tolist())


@pytest.mark.parametrize("rows", [100, 1_000])
def test_calm_and_seasonal_windows_rarely_show_a_symptom(rows: int) -> None:
    """Of 900 pairs of windows, calm or with a season's levels and shares: where the column moved as it usually does, at
    most one in 450 looks broken; where each is taken to be unusual, which itself is rare, at most 3 %."""
    rng = np.random.default_rng(rows)
    usual, unusual = [], []
    for _ in range(150):
        for season in (0.0, 0.25):
            level = float(np.exp(season * rng.normal()))
            shares = shares_of(rng) if season else SHARES
            pairs = (
                (prices(rng, rows), prices(rng, rows, level)),
                (nights(rng, rows), nights(rng, rows, level)),
                (words(rng, rows), words(rng, rows, shares)),
            )
            usual += [symptom(one, two, unusual=False) for one, two in pairs]
            unusual += [symptom(one, two) for one, two in pairs]
    assert len(usual) == 900
    assert sum(map(bool, usual)) <= 2, sorted(set(usual))
    assert sum(map(bool, unusual)) <= 27, sorted(set(unusual))
