"""What goes wrong with data, done to columns: arrays in, arrays out. Nothing here is random but by the generator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.exact import Floats


def nulls(column: Column, share: float, rng: np.random.Generator) -> Column:
    """A share of the rows loses its value.

    >>> rng = np.random.default_rng(0)
    >>> int(np.isnan(nulls(NumericColumn("x", np.ones(1_000)), 0.5, rng).values).sum())
    473
    """
    lost = rng.random(column.rows) < share
    if isinstance(column, NumericColumn):
        return NumericColumn(column.name, np.where(lost, np.nan, column.values))
    return CategoricalColumn(column.name, np.where(lost, np.int32(-1), column.codes), column.categories)


def scaled(column: NumericColumn, factor: float) -> NumericColumn:
    """Another unit."""
    return NumericColumn(column.name, column.values * factor)


def renamed(column: CategoricalColumn) -> CategoricalColumn:
    """Every category by another name, as when a source begins to write codes: nothing of it was seen before."""
    return CategoricalColumn(column.name, column.codes, tuple(f"~{name}" for name in column.categories))


def remapped(column: CategoricalColumn) -> CategoricalColumn:
    """Every category becomes the one that comes next in frequency, the last the first: all of them are known.

    >>> remapped(CategoricalColumn("x", np.array([0, 0, 1], np.int32), ("a", "b"))).codes.tolist()
    [1, 1, 0]
    """
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.categories))
    order = np.argsort(-counts, kind="stable")[: int(np.count_nonzero(counts))]
    after = np.arange(len(column.categories) + 1, dtype=np.int32)
    after[order] = np.roll(order, -1)
    after[-1] = -1
    return CategoricalColumn(column.name, after[column.codes], column.categories)


def frozen(column: Column) -> Column:
    """One value, the first that is there, in every row: a feature that is no longer refreshed."""
    if isinstance(column, NumericColumn):
        there = column.values[~np.isnan(column.values)]
        return NumericColumn(column.name, np.full(column.rows, there[0] if there.size else np.nan))
    codes = column.codes[column.codes >= 0]
    return CategoricalColumn(
        column.name, np.full(column.rows, codes[0] if codes.size else -1, np.int32), column.categories
    )


def defaulted(column: Column, share: float, rng: np.random.Generator) -> Column:
    """A share of the rows gets the commonest value, as when a look-up begins to fail silently."""
    chosen = rng.random(column.rows) < share
    if isinstance(column, NumericColumn):
        there = column.values[~np.isnan(column.values)]
        usual = float(np.median(there)) if there.size else np.nan
        return NumericColumn(column.name, np.where(chosen, usual, column.values))
    codes = column.codes[column.codes >= 0]
    usual_code = np.int32(np.bincount(codes).argmax()) if codes.size else np.int32(-1)
    return CategoricalColumn(column.name, np.where(chosen, usual_code, column.codes), column.categories)


def logged(column: NumericColumn) -> NumericColumn:
    """sign(x) ln(1 + |x|): a source that silently takes the logarithm. It keeps every order."""
    return NumericColumn(column.name, np.sign(column.values) * np.log1p(np.abs(column.values)))


def flipped(truth: Floats, share: float, classes: int, rng: np.random.Generator) -> Floats:
    """A share of the labels says the next class. Missing labels stay missing."""
    wrong = (rng.random(truth.size) < share) & ~np.isnan(truth)
    return np.where(wrong, (truth + 1) % classes, truth)


def commoner(truth: Floats, factor: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """Places of as many rows, drawn so that those of the last class are `factor` times as common: what follows from
    the class stays as it was.

    >>> truth = np.array([0.0] * 998 + [1.0] * 2)
    >>> float(truth[commoner(truth, 2.0, np.random.default_rng(0))].sum())
    4.0
    """
    positive = truth == np.nanmax(truth) if not np.isnan(truth).all() else np.zeros(truth.size, np.bool_)
    ones, others = np.flatnonzero(positive), np.flatnonzero(~positive)
    wanted = min(round(ones.size * factor), truth.size)
    if not ones.size or not others.size:
        return np.arange(truth.size)
    extra = ones[np.arange(wanted) % ones.size]
    kept = rng.permutation(others)[: truth.size - wanted]
    return np.sort(np.concatenate((extra, kept)))
