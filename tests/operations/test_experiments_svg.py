from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.operations.experiments_svg import WIDTH, Mark, forest, sequence, ticks
from fairlead.stats.experiment.compare import Look


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
def test_ticks_span_the_range_in_few_round_steps(low: float, width: float) -> None:
    """From below to above, evenly, two to eight of them."""
    found = ticks(low, low + width)
    assert found[0] <= low + 1e-6 * width
    assert found[-1] >= low + width - 1e-6 * width
    assert 2 <= len(found) <= 8


def test_nothing_is_drawn_of_nothing() -> None:
    """No mark, or a single look."""
    assert forest([]) == ""
    assert sequence([Look(200, 0.1, 0.0, 0.2)], 1.0, "") == ""


def test_ends_beyond_the_axis_are_arrows() -> None:
    """An unbounded interval is drawn to the edge and told as unknown."""
    drawn = forest([Mark("a", 5.0, -2.0, 12.0, "holds"), Mark("b", 1.0, -float("inf"), float("inf"), "none")])
    assert drawn.count("<path") == 2
    assert "unknown to unknown" in drawn
    assert "inf" not in drawn.replace("unknown", "")


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 3), st.floats(0, 1e3)), min_size=1, max_size=8))
def test_everything_is_drawn_inside_the_picture(rows: list[tuple[float, float, float]]) -> None:
    """No coordinate leaves the width, however wide an interval is."""
    drawn = forest([Mark("x", value, value - below, value + above, "none") for value, below, above in rows])
    places = [float(x) for x in re.findall(r'(?:x1|x2|cx)="([-\d.]+)"', drawn)]
    assert min(places) >= 0
    assert max(places) <= WIDTH


def test_a_sequence_has_a_band_a_line_and_its_zero() -> None:
    """Whether or not 0 is inside; no picture of a constant fails."""
    looks = [Look(200 * k, 0.02, 0.02 - 0.5 / k, 0.02 + 0.5 / k) for k in range(1, 50)]
    drawn = sequence(looks, 100.0, " points")
    assert 'class="cur-fill"' in drawn
    assert 'class="zero"' in drawn
    assert "9,800 units" in drawn
    flat = [Look(n, 0.0, 0.0, 0.0) for n in (1, 2, 3)]
    assert sequence(flat, 1.0, "") != ""


def test_long_names_are_cut() -> None:
    """So that they do not run into the plot; the full name is in the picture's description."""
    drawn = forest([Mark("n" * 80, 1.0, 0.0, 2.0, "none")])
    (label,) = re.findall(r'class="name"[^>]*>([^<]*)<', drawn)
    assert len(label) == pytest.approx(44)
    assert "n" * 80 in drawn
