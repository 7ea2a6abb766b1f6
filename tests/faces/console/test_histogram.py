"""The histogram's labels: within the drawing, and none over another."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from fairlead.faces.console.charts.histogram import histogram
from fairlead.operations.feature_shape import Bar, FeatureShape

LABEL = re.compile(r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)" class="tick strong">([^<]*)</text>')
PLAIN = re.compile(r'<text x="([\d.]+)" y="([\d.]+)" class="tick">([^<]*)</text>')
WIDTH, LETTER = 508.0, 7.0
NUMBERS = st.floats(-1e6, 1e6).map(lambda value: f"{value:.3g}")


def spans(drawn: str) -> list[tuple[float, float, float]]:
    """Each label's line, left and right, at the widest that its letters are. The scale's own label is left out."""
    found = [(float(y), float(x), word, anchor) for x, y, anchor, word in LABEL.findall(drawn)]
    found += [(float(y), float(x), word, "start") for x, y, word in PLAIN.findall(drawn) if float(y) > 100.0]
    out = []
    for line, x, word, anchor in found:
        long = LETTER * len(word)
        left = x - {"start": 0.0, "middle": long / 2.0, "end": long}[anchor]
        out.append((line, left, left + long))
    return out


@given(
    st.lists(NUMBERS, min_size=1, max_size=24), NUMBERS, NUMBERS, st.tuples(st.booleans(), st.booleans(), st.booleans())
)
def test_labels_are_whole_and_apart(edges: list[str], low: str, high: str, ends: tuple[bool, bool, bool]) -> None:
    """However many bars there are, whatever numbers bound them, and whatever lies beyond them or is missing."""
    below, above, missing = ends
    bars = [Bar(edge, 0.1, 0.2) for edge in edges]
    if below:
        bars.insert(0, Bar(f"below {low}", 0.1, 0.2, "below"))
    if above:
        bars.append(Bar(f"above {high}", 0.1, 0.2, "above"))
    if missing:
        bars.append(Bar("missing", 0.0, 0.1, "missing"))
    found = spans(str(histogram(FeatureShape("x", tuple(bars), 500, 100))))
    assert len(found) >= 2 * below + 2 * above + missing
    assert all(left >= -0.01 and right <= WIDTH + 0.01 for _, left, right in found)
    for line, left, right in found:
        others = [one for one in found if one != (line, left, right) and one[0] == line]
        assert all(right <= one[1] + 0.01 or one[2] <= left + 0.01 for one in others)


def test_what_lies_below_is_named_whole() -> None:
    """The first bar's words are as far from the edge as half of them is long."""
    bars = (Bar("below 8", 0.0, 0.1, "below"), *(Bar(str(8 + place), 0.04, 0.04) for place in range(24)))
    drawn = str(histogram(FeatureShape("x", bars, 500, 100)))
    assert 'x="17.5" y="176" text-anchor="middle" class="tick strong">below</text>' in drawn
