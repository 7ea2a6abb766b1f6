"""Data drift or concept drift: the table of the module, cell by cell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from fairlead.core.quadrant import Band, Quadrant, oriented, place
from fairlead.stats import performance as metrics
from fairlead.stats.estimate import estimate, heldout
from fairlead.stats.performance import Floats, Measure

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


# -- how often a window gets its right name ------------------------------------------------------------------------

WORLDS = {  # mean and spread of the input, what the truth makes of it, and the right name
    "still, nothing changed": (0.0, 2.0, 1.0, Quadrant.BENIGN),
    "moved, no harder": (0.3, 2.2, 1.0, Quadrant.BENIGN),
    "moved to where it is hard": (0.0, 0.7, 1.0, Quadrant.COVARIATE),
    "still, another concept": (0.0, 2.0, 0.3, Quadrant.CONCEPT),
    "moved to where it is hard, another concept": (0.0, 0.9, -0.3, Quadrant.CONCEPT),
}


def rows(n: int, world: tuple[float, float, float], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Truth and score; the last of the three says how much of the relation is left."""
    x = rng.normal(world[0], world[1], n)
    return (rng.random(n) < 1 / (1 + np.exp(-1.5 * world[2] * x))).astype(np.float64), 1 / (1 + np.exp(-x))


def band(found: Measure) -> Band:
    """A measure as the table takes it."""
    return oriented(found.value, found.low, found.high, higher_is_better=True)


def names(runs: int, which: str, *, labelled: bool = True) -> list[Quadrant]:
    """What the windows of one world are called; whether inputs moved is given."""
    rng = np.random.default_rng(len(which))
    *world, _ = WORLDS[which]
    found = []
    for _ in range(runs):
        y, s = rows(3000, (0.0, 2.0, 1.0), rng)
        known, reference = heldout(y, s), metrics.accuracy(y, s >= 0.5)
        y, s = rows(1500, (world[0], world[1], world[2]), rng)
        expected = estimate(s, known, 0.5, rng).accuracy
        realised = band(metrics.accuracy(y, s >= 0.5)) if labelled else None
        bands = {"reference": band(reference), "estimated": band(expected), "realised": realised}
        found.append(place(moved=0 if which.startswith("still") else 1, **bands).quadrant)
    return found


def check_names(runs: int) -> None:
    """Right names in 90 % of the windows; a concept drift that is none, or a harm that is none, in at most 2.5 %."""
    for which, (*_, expected) in WORLDS.items():
        found = names(runs, which)
        assert binom.cdf(found.count(expected), runs, 0.9) > 1e-3, (which, found.count(expected))
        if expected is not Quadrant.CONCEPT:
            wrong = found.count(Quadrant.CONCEPT)
            assert binom.sf(wrong - 1, runs, 0.025) > 1e-3, (which, wrong)
        if expected is Quadrant.BENIGN:
            assert binom.sf(runs - found.count(Quadrant.BENIGN) - 1, runs, 0.025) > 1e-3, which


def test_windows_get_their_name() -> None:
    """Every quadrant is named rightly, and a concept drift that is none is rare; 25 windows each."""
    check_names(25)


@pytest.mark.slow
def test_windows_get_their_name_at_length() -> None:
    """The same over 400 windows each."""
    check_names(400)


def test_before_labels_the_estimate_names_the_harm_that_it_can_see() -> None:
    """Without labels a covariate shift is foretold; a changed concept is not seen, and benign stays benign."""
    assert names(20, "moved to where it is hard", labelled=False).count(Quadrant.COVARIATE) >= 18
    assert names(20, "still, another concept", labelled=False).count(Quadrant.BENIGN) >= 18
    assert names(20, "moved, no harder", labelled=False).count(Quadrant.BENIGN) >= 18
