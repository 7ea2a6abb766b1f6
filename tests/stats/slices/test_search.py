"""The search finds the best slice, exactly where it can be checked by brute force."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.slices.conditions import Coded, coded
from fairlead.stats.slices.search import Rows, best_slice, histogram, scores, worth


def rows(seed: int, columns: int = 3, n: int = 2_000, planted: float = 1.0) -> Rows:
    """A small table whose first two columns hold a planted rise."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, (columns - 1, n)).astype(np.int32)
    numbers = rng.normal(size=n)
    current = np.arange(n) >= n // 2
    y = rng.normal(size=n) + planted * (current & (codes[0] == 1) & (numbers > 0.6))
    parts = [coded(NumericColumn("x", numbers[~current]), NumericColumn("x", numbers[current]))]
    for place, one in enumerate(codes):
        name = f"c{place}"
        sides = [CategoricalColumn(name, one[side], ("a", "b", "c")) for side in (~current, current)]
        parts.append(coded(*sides))
    for side in (current, ~current):
        y[side] -= y[side].mean()
    known = tuple(part for part in parts if part is not None)
    return Rows(known, y, current, (n / 2, n / 2), 30)


def brute(table: Rows, most: int) -> float:
    """The best score of all conjunctions, one by one."""
    best = -np.inf
    for size in range(1, most + 1):
        for columns in combinations(range(len(table.columns)), size):
            for conditions in product(*(range(len(table.columns[column].conditions)) for column in columns)):
                key = tuple(zip(columns, conditions, strict=True))
                inside = table.mask(key)
                y, now = table.y[inside], table.current[inside]
                if not 30 <= inside.sum() <= table.y.size - 30:
                    continue
                t = y[now].sum() / table.totals[1] - y[~now].sum() / table.totals[0]
                z = t / np.sqrt(np.var(table.y * inside) * table.unit)
                best = max(best, worth(table, key, z))
    return float(best)


@pytest.mark.parametrize("seed", [0, 1])
def test_pairs_are_searched_exhaustively(seed: int) -> None:
    """The winner's score is that of brute force."""
    table = rows(seed)
    found, looked = best_slice(table, 1.0, 2)
    assert found is not None
    assert found.score == pytest.approx(brute(table, 2))
    assert looked > 300


def test_a_fall_is_a_rise_of_the_opposite() -> None:
    """The sign turns the search around."""
    table = rows(0, planted=-3.0)
    found, _ = best_slice(table, -1.0, 2)
    assert found is not None
    assert {table.columns[column].name for column, _ in found.key} == {"x", "c0"}


def test_nothing_is_found_in_nothing() -> None:
    """Where no slice is worth its conditions, none is given."""
    assert best_slice(rows(0, planted=0.0), 1.0, 3)[0] is None


def test_scores_are_standard_normal_under_relabelling() -> None:
    """z has mean 0 and deviation 1 when the labels are shuffled."""
    table = rows(0, planted=0.0, n=1_000)
    rng = np.random.default_rng(0)
    column = table.columns[0]
    found = []
    for _ in range(400):
        mixed = Rows(table.columns, table.y, rng.permutation(table.current), table.totals, 30)
        sums = histogram(mixed, column.codes, column.cells) @ column.members.T
        found.append(scores(sums, mixed)[:9])
    assert np.abs(np.mean(found, axis=0)).max() < 0.2
    assert np.abs(np.std(found, axis=0) - 1.0).max() < 0.15


def test_many_columns_are_searched_by_their_leads() -> None:
    """Beyond 24 columns, a pair needs one of the twelve best columns: the planted one is among them."""
    table = rows(3, columns=30, n=4_000)
    found, looked = best_slice(table, 1.0, 2)
    assert found is not None
    assert {table.columns[column].name for column, _ in found.key} == {"x", "c0"}
    assert isinstance(table.columns[0], Coded)
    assert looked < 20_000
