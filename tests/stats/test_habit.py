"""How far columns usually move between windows, and what is a surprise."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.habit import CELLS, FEWEST, MEMORY, Habit, Jumps, Sketch, sketch, unpacked
from fairlead.stats.profile import TableProfile, profile

NONE = np.zeros(3, np.bool_)


def table(rng: np.random.Generator, rows: int, level: float = 0.0, share: float = 0.5) -> TableProfile:
    """Two columns that stand still around a `level` and a `share`, and one that is constant."""
    columns: tuple[Column, ...] = (
        NumericColumn("price", rng.normal(level, 1.0, rows)),
        CategoricalColumn("season", (rng.random(rows) < share).astype(np.int32), ("low", "high")),
        NumericColumn("flag", np.zeros(rows)),
    )
    return profile(columns, REFERENCE.grids if rows < 4_000 else None)


REFERENCE = table(np.random.default_rng(0), 4_000)


def looked(rng: np.random.Generator, rows: int, shares: list[float], level: float = 0.0) -> tuple[Habit, Sketch]:
    """The habit after windows with these shares, and the last one's sketch."""
    habit, before = Habit(), sketch(REFERENCE, table(rng, rows, level, shares[0]))
    for share in shares[1:]:
        now = sketch(REFERENCE, table(rng, rows, level, share))
        habit = habit.follow(now, Jumps(before, now), calm=True, broken=NONE)
        before = now
    return habit, before


def test_what_moves_by_itself_is_no_surprise_and_the_same_jump_elsewhere_is() -> None:
    """`season` goes up and down by 30 % of the rows each window, `price` stands still: the same share of rows moves in
    both, and only the price surprises."""
    rng = np.random.default_rng(1)
    habit, before = looked(rng, 1_000, [0.3, 0.6] * 5)
    now = sketch(REFERENCE, table(rng, 1_000, level=0.8, share=0.3))
    price, season, flag = habit.surprise(Jumps(before, now)).tolist()
    assert price > 3.0
    assert season < 1.5
    assert flag == 0.0


def test_chance_hardly_ever_surprises() -> None:
    """Two thousand windows of one population after four and after eight windows of it, of 200 and of 1,000 rows: of
    jumps that chance makes, none in a thousand is twice as large as usual, and few are half as large again."""
    rng = np.random.default_rng(2)
    found: list[float] = []
    for rows in (200, 1_000):
        for known in (FEWEST, MEMORY):
            for _ in range(60):
                habit, before = looked(rng, rows, [0.5] * (known + 1))
                for _ in range(8):
                    now = sketch(REFERENCE, table(rng, rows))
                    found += habit.surprise(Jumps(before, now)).tolist()[:2]
    assert len(found) == 3_840
    assert np.mean(np.array(found) > 1.5) < 0.002
    assert not (np.array(found) > 2.0).any()


def test_a_fault_is_not_learnt_while_it_lasts() -> None:
    """Windows that are not calm wait: the jump stays as surprising as it was, and is usual once the stretch is over."""
    rng = np.random.default_rng(3)
    habit, before = looked(rng, 1_000, [0.5] * 6)
    faulty = sketch(REFERENCE, table(rng, 1_000, level=3.0))
    jumps = Jumps(before, faulty)
    first = habit.surprise(jumps)[0]
    habit = habit.follow(faulty, jumps, calm=False, broken=NONE)
    assert habit.surprise(jumps)[0] == first > 10.0
    habit = habit.follow(before, Jumps(before, before), calm=True, broken=NONE)
    assert habit.surprise(jumps)[0] < 1.0


def test_what_looked_broken_is_not_learnt() -> None:
    """The same column, but a symptom said what it was: the next such jump surprises as much."""
    rng = np.random.default_rng(4)
    habit, before = looked(rng, 1_000, [0.5] * 6)
    faulty = sketch(REFERENCE, table(rng, 1_000, level=3.0))
    jumps = Jumps(before, faulty)
    after = habit.follow(faulty, jumps, calm=True, broken=np.array([True, False, False]))
    assert after.surprise(jumps)[0] > 10.0


def test_a_column_that_is_often_constant_is_known_as_such() -> None:
    """Counted by stretches; a missing column counts as null throughout."""
    rng = np.random.default_rng(5)
    habit, _ = looked(rng, 100, [0.5] * 4)
    assert habit.times_constant() == [0, 0, 3]
    assert Habit().times_constant() == []
    gone = sketch(REFERENCE, TableProfile(10, table(rng, 10).columns[1:]))
    assert gone.shares[0].tolist() == [0.0] * CELLS + [1.0]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(0, 10), st.integers(0, 3), st.integers(0, 999))
def test_a_habit_is_kept_to_the_last_bit(columns: int, calm: int, not_calm: int, seed: int) -> None:
    """Packed and unpacked it is the same, in whatever stretch; of another width it is none."""
    rng = np.random.default_rng(seed)
    habit = Habit()
    for place in range(calm + not_calm):
        now = Sketch(rng.dirichlet(np.ones(CELLS + 1), columns), 100)
        jumps = Jumps(Sketch(rng.dirichlet(np.ones(CELLS + 1), columns), 100), now)
        habit = habit.follow(now, jumps, calm=place < calm, broken=np.zeros(columns, np.bool_))
    again = unpacked(habit.packed(), columns)
    assert again.packed() == habit.packed()
    assert (again.excursion is None) == (habit.excursion is None)
    assert not unpacked(habit.packed()[:-1], columns).jumps
    assert not unpacked(habit.packed(), columns + 1).jumps
    assert len(habit.packed()) <= 20 + 20 * columns
