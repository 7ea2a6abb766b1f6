"""Columns counted abreast come out as each by itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairlead.stats.abreast import Abreast
from fairlead.stats.columns import NumericColumn
from fairlead.stats.grid import NumericGrid
from fairlead.stats.profile import NumericProfile, profile_column
from fairlead.stats.tally import Scratch

RNG = np.random.default_rng(7)
REFERENCES = {
    "fine": RNG.normal(size=3_000),
    "wide": RNG.lognormal(3.0, 2.0, 3_000),
    "tiny": RNG.normal(size=3_000) * 1e-9,
}
GRIDS = tuple(profile_column(NumericColumn(name, values)).grid for name, values in REFERENCES.items())
ABREAST = Abreast([grid for grid in GRIDS if isinstance(grid, NumericGrid)])
STRANGE = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1e12, 5e-324, 1e9]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 40).flatmap(
        lambda rows: arrays(
            np.float64,
            (3, rows),
            elements=st.one_of(st.floats(-4, 4), st.floats(), st.sampled_from(STRANGE)),
        )
    )
)
def test_each_column_is_counted_as_by_itself(values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    """Nulls, infinities and values a million ranges away among them: the same counts, sums, squares and ends, and the
    same figures of them."""
    scratch = Scratch()
    for grid, row, one in zip(ABREAST.grids, values, ABREAST.profiles(values, scratch), strict=True):
        alone = profile_column(NumericColumn(grid.name, row.copy()), grid)
        assert isinstance(alone, NumericProfile)
        assert one == alone
        assert (one.present, one.mean, one.m2) == (alone.present, alone.mean, alone.m2)


def test_the_usual_sheet_is_counted_at_once() -> None:
    """Of 200 rows near the reference, with a null here and there, no column is counted by itself."""
    values = np.stack([rows[:200] for rows in REFERENCES.values()])
    values[1, ::7] = np.nan
    known = [profile_column(NumericColumn(grid.name, row), grid) for grid, row in zip(GRIDS, values, strict=True)]
    ABREAST._alone = None  # type: ignore[method-assign, assignment]
    try:
        assert ABREAST.profiles(values, Scratch()) == known
    finally:
        del ABREAST._alone
