"""Data drift or concept drift: the table of the module, cell by cell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.quadrant import Band, Quadrant, oriented, place

GOOD, MIDDLE, BAD = Band(0.82, 0.80, 0.84), Band(0.75, 0.72, 0.78), Band(0.66, 0.63, 0.69)


@pytest.mark.parametrize(
    ("moved", "estimated", "realised", "expected"),
    [
        (3, GOOD, GOOD, Quadrant.BENIGN),
        (0, GOOD, GOOD, Quadrant.BENIGN),
        (3, MIDDLE, MIDDLE, Quadrant.COVARIATE),
        (0, MIDDLE, MIDDLE, Quadrant.CONCEPT),
        (3, MIDDLE, BAD, Quadrant.CONCEPT),
        (0, GOOD, BAD, Quadrant.CONCEPT),
        (3, Band(0.80, 0.70, 0.84), Band(0.76, 0.73, 0.79), Quadrant.UNKNOWN),
        (3, GOOD, None, Quadrant.BENIGN),
        (3, BAD, None, Quadrant.COVARIATE),
        (3, None, BAD, Quadrant.UNKNOWN),
        (0, None, BAD, Quadrant.CONCEPT),
        (3, None, GOOD, Quadrant.BENIGN),
        (3, None, None, Quadrant.UNKNOWN),
    ],
)
def test_the_table(moved: int, estimated: Band | None, realised: Band | None, expected: Quadrant) -> None:
    """Each combination of what moved and what it cost has its quadrant, and a reason that says what the inputs did."""
    found = place(moved=moved, reference=GOOD, estimated=estimated, realised=realised)
    assert found.quadrant is expected
    assert ("3 inputs moved" if moved else "the inputs are still") in found.reason


def test_without_a_reference_nothing_is_known() -> None:
    """A version without labelled held-out rows has no quadrant."""
    assert place(moved=1, reference=None, estimated=None, realised=GOOD).quadrant is Quadrant.UNKNOWN


@given(st.floats(-1, 1), st.floats(0, 0.2), st.floats(-1, 1), st.floats(0, 0.2))
def test_below_is_strict_and_orientation_mirrors_it(one: float, wide: float, other: float, wider: float) -> None:
    """Touching intervals are not below each other; for errors, above becomes below."""
    a, b = Band(one, one - wide, one + wide), Band(other, other - wider, other + wider)
    assert not (a.below(b) and b.below(a))
    mirrored = [oriented(x.value, x.low, x.high, higher_is_better=False) for x in (a, b)]
    assert mirrored[0].below(mirrored[1]) == b.below(a)
    assert oriented(a.value, a.low, a.high, higher_is_better=True) == a
