"""The charts of a performance report, where their data are at an edge."""

from __future__ import annotations

from math import inf, nan
from xml.etree import ElementTree as ET

import pytest

from fairlead.operations.performance_svg import delays, dots, matrix, over_time, reliability
from fairlead.operations.performance_values import CurvePoint, WindowRow
from fairlead.stats.performance import UNDEFINED, Bin, Measure
from fairlead.stats.performance.segments import Standing


def window(name: str, value: Measure | None, *, ripe: bool = True, early: int = 10) -> WindowRow:
    """A window of ten labels."""
    share = Measure(1.0 if ripe else 0.4, 0.3, 1.0)
    metrics = {} if value is None else {"auroc": value}
    return WindowRow(name, 0.0, 1.0, 10, 10, share, ripe, metrics, early, value or UNDEFINED)


def classes(text: str) -> list[str]:
    """Every element's class, from well-formed XML."""
    return [element.get("class", "") for element in ET.fromstring(text).iter()]


def test_a_gap_in_time_breaks_the_line() -> None:
    """Two runs of windows are two bands and two lines; a lone window still has a band."""
    one = Measure(0.7, 0.6, 0.8)
    text = over_time([window("a", one), window("b", None), window("c", one), window("d", one)], "auroc", one, "AUROC")
    found = classes(text)
    assert (found.count("cur-line"), found.count("cur-fill"), found.count("dot")) == (2, 2, 3)


def test_what_had_not_come_is_drawn_apart() -> None:
    """Unripe windows are hollow, and what their end knew is grey."""
    one = Measure(0.7, 0.6, 0.8)
    text = over_time([window("a", one, early=4), window("b", one, ripe=False)], "auroc", one, "AUROC")
    assert (classes(text).count("then"), classes(text).count("dot hollow")) == (1, 1)
    assert over_time([window("a", None)], "auroc", one, "AUROC") == ""


@pytest.mark.parametrize(
    "one", [Measure(0.5, 0.5, 0.5), Measure(0.0, 0.0, 0.0), Measure(3.0, -inf, inf), Measure(3.0, nan, nan)]
)
def test_values_without_a_spread_are_drawn(one: Measure) -> None:
    """Points, unbounded and missing intervals: no number in the picture is nan or infinite."""
    for text in (dots([("a", 5, one, Standing.HOLDS)], one, "MAE"), over_time([window("a", one)], "auroc", one, "MAE")):
        assert "nan" not in text.partition("<title>")[0]
        assert "inf" not in text.partition("<title>")[0]
        assert classes(text)


def test_slices_are_toned_by_their_standing() -> None:
    """Worse is red, undecided hollow, and a slice without a value has only its name."""
    one = Measure(0.7, 0.6, 0.8)
    rows = [
        ("a", 9, one, Standing.BREACHED),
        ("b", 9, one, Standing.UNDECIDED),
        ("c", 9, UNDEFINED, Standing.UNMEASURED),
    ]
    found = classes(dots(rows, one, "AUROC"))
    assert (found.count("bad"), found.count("open"), found.count("dot")) == (1, 1, 2)
    assert dots([("c", 0, UNDEFINED, Standing.UNMEASURED)], one, "AUROC") == ""


def test_matrix_curve_and_delays_are_well_formed() -> None:
    """With names that are markup, large counts and a single point."""
    assert classes(matrix([[1_500_000, 0], [123_456, 7]], ["<a>", "b" * 40])).count("cell miss") == 2
    assert len(classes(matrix([[1] * 12] * 12, [str(k) for k in range(12)]))) > 144
    assert classes(reliability([Bin(0.9, 1.0, 3, 0.95, Measure(1.0, 0.4, 1.0))])).count("dot") == 1
    point = CurvePoint(0.0, Measure(1.0, 0.0, 1.0))
    assert classes(delays([point], None, 0.9, (1.0, "seconds"))).count("cur-line") == 1
    assert classes(delays([point], 0.0, 0.9, (1.0, "seconds"))).count("mean") == 1
