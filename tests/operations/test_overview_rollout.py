"""A rollout's series."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fairlead.operations.overview_rollout import MOST_POINTS, Series
from fairlead.operations.overview_values import EvidencePoint


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=3000))
def test_series_is_bounded_and_keeps_its_end(values: list[float]) -> None:
    """However long a rollout is, its series stays small, in order, and ends with the last reading."""
    series = Series()
    for at, value in enumerate(values):
        series.add(EvidencePoint(float(at), value))
    points = series.points()
    assert len(points) <= MOST_POINTS
    assert points[-1] == EvidencePoint(float(len(values) - 1), values[-1])
    assert all(a.at < b.at for a, b in pairwise(points))
