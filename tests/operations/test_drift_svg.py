from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from fairlead.operations.drift_svg import BARS, FLOOR, WIDTH, chart
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.profile import profile_column


def drawn(one: Column, two: Column) -> ET.Element:
    """The chart, parsed: it must be well-formed."""
    reference = profile_column(one)
    return ET.fromstring(chart(reference, profile_column(two, reference.grid)))


def numbers(values: object) -> NumericColumn:
    return NumericColumn("x", np.asarray(values, dtype=np.float64))


def test_many_values_are_two_histograms_inside_the_frame() -> None:
    """A step curve for each side, never outside the picture, even where the current data left the grid."""
    rng = np.random.default_rng(0)
    for current in (rng.normal(size=900), rng.normal(50, 1, 900), np.append(rng.normal(size=900), [np.inf, -np.inf])):
        svg = drawn(numbers(rng.normal(size=900)), numbers(current))
        paths = [path.get("d") or "" for path in svg.iter("path")]
        assert len(paths) == 3
        points = [
            tuple(map(float, point.split(","))) for path in paths for point in re.findall(r"[\d.-]+,[\d.-]+", path)
        ]
        assert all(-0.1 <= x <= WIDTH + 0.1 and 0 <= y <= FLOOR + 0.1 for x, y in points)


def test_few_values_are_bars_with_their_shares() -> None:
    """Each value has a pair of bars and a tip with both shares."""
    svg = drawn(numbers([0, 0, 1, 1]), numbers([0, 1, 1, 1]))
    tips = [tip.text for tip in svg.iter("title")]
    assert tips == ["0: 50.0% reference, 25.0% current", "1: 50.0% reference, 75.0% current"]


def test_many_categories_end_in_one_bar_for_the_rest() -> None:
    """At most fourteen bars; what does not fit is added up, unseen categories and all."""
    names = tuple(f"<{i}>" for i in range(40))
    codes = np.arange(400, dtype=np.int32) % 30
    svg = drawn(CategoricalColumn("x", codes, names), CategoricalColumn("x", codes + 10, names))
    tips = [tip.text or "" for tip in svg.iter("title")]
    assert len(tips) == BARS
    assert tips[-1].startswith("27 others: ")


def test_an_open_vocabulary_and_a_constant_can_be_drawn() -> None:
    """One bar is a picture too."""
    names = tuple(f"u{i}" for i in range(10_001))
    column = CategoricalColumn("x", np.arange(10_001, dtype=np.int32), names)
    assert [tip.text for tip in drawn(column, column).iter("title")] == ["not listed: 100.0% reference, 100.0% current"]
    assert len(list(drawn(numbers([5.0] * 9), numbers([5.0] * 3)).iter("g"))) == 1


def test_two_kinds_cannot_be_drawn() -> None:
    """Numbers against categories is a mistake of the caller."""
    words = profile_column(CategoricalColumn("x", np.zeros(3, dtype=np.int32), ("a",)))
    with pytest.raises(TypeError, match="cannot be drawn"):
        chart(profile_column(numbers([1.0])), words)
