"""Slices are found where one was planted, rarely where none was, and measured as stated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.slices.scan import Scan, scan

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Table = list[Column]


def table(rng: np.random.Generator, n: int) -> Table:
    """Six columns: categories with missing ones, skewed numbers, counts."""
    city, kind = rng.integers(0, 4, n).astype(np.int32), rng.integers(0, 3, n).astype(np.int32)
    city[rng.random(n) < 0.05] = -1
    x = rng.normal(size=n)
    x[rng.random(n) < 0.1] = np.nan
    return [
        CategoricalColumn("city", city, ("a", "b", "c", "d")),
        CategoricalColumn("kind", kind, ("u", "v", "w")),
        NumericColumn("x", x),
        NumericColumn("y", rng.lognormal(size=n)),
        NumericColumn("w", rng.random(n)),
        NumericColumn("k", rng.poisson(2.0, n).astype(float)),
    ]


def codes(columns: Table, place: int) -> NDArray[np.int32]:
    """A categorical column's codes."""
    column = columns[place]
    assert isinstance(column, CategoricalColumn)
    return column.codes


def values(columns: Table, place: int) -> Floats:
    """A numeric column's values."""
    column = columns[place]
    assert isinstance(column, NumericColumn)
    return column.values


PLANTED: dict[str, tuple[Callable[[Table], Flags], set[str], float]] = {
    "one category": (lambda t: codes(t, 0) == 1, {"city"}, 0.5),
    "missing": (lambda t: np.isnan(values(t, 2)), {"x"}, 0.6),
    "an interval": (lambda t: (values(t, 4) > 0.6) & (values(t, 4) <= 0.8), {"w"}, 0.6),
    "two": (lambda t: (codes(t, 0) == 1) & (values(t, 2) > 0.5), {"city", "x"}, 1.0),
    "three": (lambda t: (codes(t, 0) == 1) & (values(t, 4) > 0.6) & (codes(t, 1) == 2), {"city", "w", "kind"}, 1.4),
}
NULL: dict[str, tuple[int, int, Callable[[np.random.Generator, int], Floats] | None]] = {
    "exponential": (2_000, 2_000, lambda rng, n: rng.exponential(size=n)),
    "lognormal, unbalanced": (4_000, 600, lambda rng, n: rng.lognormal(0, 1.5, n)),
    "0/1": (3_000, 1_500, lambda rng, n: (rng.random(n) < 0.05).astype(float)),
    "inputs": (2_000, 1_000, None),
}


def planted(rng: np.random.Generator, kind: str, n: int) -> tuple[Scan, float]:
    """A scan of losses that rose in one slice, and the overlap (Jaccard) of the first slice found with it."""
    make, _, size = PLANTED[kind]
    before, after = table(rng, n), table(rng, n)
    inside = make(after)
    found = scan(before, after, rng, losses=(rng.exponential(size=n), rng.exponential(size=n) + size * inside))
    if not found.slices:
        return found, 0.0
    named = {column.name: column for column in after}
    mine = np.ones(n, np.bool_)
    for condition in found.slices[0].conditions:
        mine &= condition.holds(named[condition.column])
    return found, float((mine & inside).sum() / (mine | inside).sum())


@pytest.mark.parametrize("kind", NULL)
@pytest.mark.parametrize("runs", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_nothing_is_rarely_found_in_nothing(kind: str, runs: int) -> None:
    """Any slice at all, without a change or with one that all rows share: at most alpha = 5 % of the scans."""
    n, m, draw = NULL[kind]
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(runs):
        losses = None if draw is None else (draw(rng, n), draw(rng, m) + 0.2 * (kind == "exponential"))
        wrong += bool(scan(table(rng, n), table(rng, m), rng, losses=losses).slices)
    assert float(binom.sf(wrong - 1, runs, 0.05)) >= 0.001, wrong


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("runs", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_a_planted_slice_is_named(kind: str, runs: int) -> None:
    """Of 10,000 rows on both sides: the very columns in at least 90 % of the scans, rows that overlap by 90 % or more
    on average."""
    rng = np.random.default_rng(1)
    exact, overlap = 0, 0.0
    for _ in range(runs):
        found, share = planted(rng, kind, 10_000)
        exact += bool(found.slices) and {one.column for one in found.slices[0].conditions} == PLANTED[kind][1]
        overlap += share
    assert float(binom.cdf(exact, runs, 0.9)) >= 0.001, exact
    assert overlap / runs >= 0.85


@pytest.mark.parametrize("runs", [60, pytest.param(400, marks=pytest.mark.slow)])
def test_intervals_hold_the_change_and_the_share_explained(runs: int) -> None:
    """A category's loss rises by 1 and nothing else's: 95 % intervals hold 1, and hold "all of the change"."""
    rng = np.random.default_rng(2)
    change = share = 0
    for _ in range(runs):
        before, after = table(rng, 4_000), table(rng, 4_000)
        inside = codes(after, 0) == 1
        losses = rng.exponential(size=4_000), rng.exponential(size=4_000) + 1.0 * inside
        one = scan(before, after, rng, losses=losses, max_conditions=1).slices[0]
        change += (one.low or 0.0) <= 1.0 <= (one.high or 0.0)
        share += one.explained_low is not None and one.explained_low <= 1.0 <= (one.explained_high or 0.0)
    for held in (change, share):
        assert float(binom.cdf(held, runs, 0.95)) >= 0.001, (change, share)


def test_a_slice_that_grew_explains_a_rise_too() -> None:
    """No loss changed, a costly category became three times as frequent: it carries the rise."""
    rng = np.random.default_rng(0)
    before, after = table(rng, 8_000), table(rng, 8_000)
    city = codes(after, 0)
    city[rng.random(8_000) < 0.3] = 3
    losses = [rng.exponential(size=8_000) + 2.0 * (codes(side, 0) == 3) for side in (before, after)]
    one = scan(before, after, rng, losses=(losses[0], losses[1])).slices[0]
    assert one.text == "city = d"
    assert (one.low or 0.0) <= 0.0 <= (one.high or 0.0)
    assert one.explained is not None
    assert one.explained > 0.9


def test_two_slices_are_two() -> None:
    """What the first leaves is searched again; both bear their share."""
    rng = np.random.default_rng(0)
    before, after = table(rng, 20_000), table(rng, 20_000)
    first, second = codes(after, 0) == 1, values(after, 4) > 0.8
    losses = rng.exponential(size=20_000), rng.exponential(size=20_000) + 1.0 * first + 0.7 * second
    found = scan(before, after, rng, losses=losses)
    assert [one.conditions[0].column for one in found.slices[:2]] == ["city", "w"]
    assert sum(one.explained or 0.0 for one in found.slices[:2]) > 0.8


def test_a_fall_is_explained_where_the_loss_fell() -> None:
    """The sign of the total change decides what is looked for."""
    rng = np.random.default_rng(0)
    before, after = table(rng, 8_000), table(rng, 8_000)
    losses = rng.exponential(size=8_000) + 1.0, rng.exponential(size=8_000) + 1.0 - 0.8 * (codes(after, 0) == 2)
    found = scan(before, after, rng, losses=losses)
    assert found.change < 0
    assert found.slices[0].text == "city = c"
    assert (found.slices[0].high or 0.0) < 0


def test_inputs_name_what_grew() -> None:
    """Without losses: the slice whose share of the rows grew, and most of the drift goes away with it."""
    rng = np.random.default_rng(0)
    before, after = table(rng, 10_000), table(rng, 10_000)
    x = values(after, 2)
    x[(codes(after, 0) == 1) & (rng.random(10_000) < 0.5)] = 6.0
    found = scan(before, after, rng)
    one = found.slices[0]
    assert {condition.column for condition in one.conditions} == {"city", "x"}
    assert (one.low or 0.0) > 0.05
    assert one.reference_mean is None
    assert (one.explained or 0.0) > 0.6


def test_a_slice_that_rose_while_the_mean_fell_is_named_as_opposing() -> None:
    """One city's loss rises by 0.3 while the others' falls by 0.14, so that the mean barely falls: where half of the
    rows settle the fall and the others did not, the city opposes it; nowhere is it lost."""
    opposed = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        before, after = table(rng, 6_000), table(rng, 6_000)
        moved = np.where(codes(after, 0) == 1, 0.3, -0.14)
        losses = rng.normal(size=6_000), rng.normal(size=6_000) + moved
        found = scan(before, after, rng, losses=losses, max_conditions=1)
        for one in found.opposing:
            assert (one.text, one.opposes, found.moved) == ("city = b", True, True)
            assert (one.explained or 0.0) < 0.0 < (one.low or 0.0)
            assert found.change < 0.0
        assert not any(one.opposes for one in found.slices)
        opposed += len(found.opposing)
    assert opposed >= 2


def test_inputs_that_came_to_go_together_are_named_as_opposing() -> None:
    """Two columns keep their shares and lose their independence, a third one moves: their common cells grew, and
    without that growth the columns' drift would be larger."""
    rng = np.random.default_rng(0)
    found = scan(*together(rng), rng)
    assert [one.conditions[0].column for one in found.slices] == ["z"]
    assert {one.text for one in found.opposing} == {"a = no and b = no", "a = yes and b = yes"}
    assert all((one.low or 0.0) > 0.05 and one.q_value <= 0.05 for one in found.opposing)
    assert [one.explained for one in found.opposing] == sorted(one.explained or 0.0 for one in found.opposing)
    assert found.rejected == 0


def together(rng: np.random.Generator, n: int = 6_000) -> tuple[Table, Table]:
    """Two independent 0/1 columns and a normal one; then the two agree in four rows of five and the third moves."""
    sides: list[Table] = []
    for tied in (False, True):
        a, b = rng.integers(0, 2, n), rng.integers(0, 2, n)
        b = np.where(tied & (rng.random(n) < 0.6), a, b)
        flags = [CategoricalColumn(k, v.astype(np.int32), ("no", "yes")) for k, v in (("a", a), ("b", b))]
        sides.append([*flags, NumericColumn("z", rng.normal(size=n) + 0.25 * tied)])
    return sides[0], sides[1]


def test_one_seed_gives_one_answer() -> None:
    """Randomness is an argument."""
    once, again = (planted(np.random.default_rng(5), "two", 2_000)[0] for _ in range(2))
    assert once == again


def test_too_little_is_said() -> None:
    """Few rows, or columns without a choice: no scan, and why."""
    rng = np.random.default_rng(0)
    assert "at least 200 rows on both sides, and one has 150" in scan(table(rng, 150), table(rng, 900), rng).short
    flat: list[Column] = [NumericColumn("x", np.ones(500))]
    assert "nothing to tell slices by" in scan(flat, flat, rng).short


X: list[Column] = [NumericColumn("x", np.arange(300.0))]


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda rng: scan(X, [NumericColumn("y", np.ones(3))], rng), "different columns"),
        (lambda rng: scan([], [], rng), "no column"),
        (lambda rng: scan(X, X, rng, max_conditions=4), "1 to 3 conditions"),
        (lambda rng: scan(X, X, rng, alpha=0.0), "between 0 and 1"),
        (lambda rng: scan(X, X, rng, losses=(np.ones(300), np.ones(2))), "300 and 2 losses"),
        (lambda rng: scan(X, X, rng, losses=(np.ones(300), np.full(300, np.nan))), "not a finite number"),
    ],
)
def test_impossible_arguments_are_refused(work: Callable[[np.random.Generator], object], said: str) -> None:
    """Each with what is wrong."""
    with pytest.raises(ValueError, match=said):
        work(np.random.default_rng(0))
