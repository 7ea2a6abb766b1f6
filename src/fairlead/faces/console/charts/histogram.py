"""Two distributions side by side: the reference as outlined bars behind, the window in front."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from fairlead.faces.console.charts.scale import linear
from fairlead.faces.console.charts.svg import drawing, tag
from fairlead.faces.console.words import percent
from fairlead.operations.feature_shape import Bar, FeatureShape

_WIDTH, _HEIGHT, _TOP, _BOTTOM = 508.0, 200.0, 16.0, 38.0
_ROW, _NAMES = 23.0, 150.0
_LETTER = 7.0  # at most, of a label


def histogram(shape: FeatureShape) -> Markup:
    """Upright bars for numbers, lying ones for categories, whose names need room."""
    if not shape.bars:
        return Markup("")
    if any(bar.side in ("new", "other") for bar in shape.bars) or _named(shape.bars):
        return _lying(shape)
    return _upright(shape)


def _named(bars: Sequence[Bar]) -> bool:
    return any(bar.side == "value" and not _number(bar.label) for bar in bars)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _title(bar: Bar) -> Markup:
    return tag("title", f"{bar.label}: reference {percent(bar.reference)}, this window {percent(bar.current)}")


def _upright(shape: FeatureShape) -> Markup:
    bars = shape.bars
    most = max(max(bar.reference, bar.current) for bar in bars) or 1.0
    y = linear((0.0, most), (_HEIGHT - _BOTTOM, _TOP))
    width = _WIDTH / len(bars)
    base = _HEIGHT - _BOTTOM
    parts = [tag("line", x1=0, x2=_WIDTH, y1=base, y2=base, class_="axis")]
    for place, bar in enumerate(bars):
        left, inner = place * width, width - 3
        tone = "value" if bar.side == "value" else "beyond"
        one = {"x": left + 1.5, "y": y(bar.reference), "width": inner, "height": base - y(bar.reference)}
        two = {
            "x": left + 1.5 + inner * 0.2, "y": y(bar.current), "width": inner * 0.6, "height": base - y(bar.current),
        }  # fmt: skip
        parts.append(tag("g", _title(bar), tag("rect", class_="was", **one), tag("rect", class_=f"is {tone}", **two)))
    parts += _ticks(bars, width, base)
    parts.append(tag("text", percent(most), x=0, y=10, class_="tick"))
    return drawing(_WIDTH, _HEIGHT, _said(shape), parts, "histogram")


def _ends(bars: Sequence[Bar], width: float) -> dict[int, tuple[list[str], float, float]]:
    """The words below each bar of what lies beyond the reference, with their left and right: below the bar's middle,
    moved as far as it takes to stay within the drawing and off the next ones."""
    found: dict[int, tuple[list[str], float, float]] = {}
    room = _WIDTH
    for place in reversed(range(len(bars))):
        if bars[place].side == "value":
            continue
        words = bars[place].label.split(" ", maxsplit=1)
        long = _LETTER * max(map(len, words))
        left = max(0.0, min((place + 0.5) * width - long / 2.0, room - long))
        found[place] = words, left, left + long
        room = left - _LETTER
    return found


def _ticks(bars: Sequence[Bar], width: float, base: float) -> list[Markup]:
    """The labels below the bars: of all that lies beyond the reference, and of every fourth other that has room."""
    ends, parts = _ends(bars, width), list[Markup]()
    for words, left, right in ends.values():
        middle = (left + right) / 2.0
        parts += [
            tag("text", word, x=middle, y=base + 14 + 13 * line, text_anchor="middle", class_="tick strong")
            for line, word in enumerate(words)
        ]
    for place, bar in enumerate(bars):
        left = place * width + 1.5
        right = left + _LETTER * len(bar.label)
        free = right <= _WIDTH and all(right < start or left > end for _, start, end in ends.values())
        if place not in ends and place % 4 == 1 and free:
            parts.append(tag("text", bar.label, x=left, y=base + 14, class_="tick"))
    return parts


def _lying(shape: FeatureShape) -> Markup:
    bars = shape.bars
    most = max(max(bar.reference, bar.current) for bar in bars) or 1.0
    x = linear((0.0, most), (0.0, _WIDTH - _NAMES - 60))
    height = _ROW * len(bars) + 4
    parts = []
    for place, bar in enumerate(bars):
        top = place * _ROW
        name = bar.label if len(bar.label) <= 20 else f"{bar.label[:19]}…"
        new = bar.side == "new"
        tone = "beyond" if bar.side in ("new", "missing") else "value"
        parts.append(
            tag(
                "g",
                _title(bar),
                tag(
                    "text",
                    f"{name}{' (new)' if new else ''}",
                    x=_NAMES - 8,
                    y=top + 15,
                    text_anchor="end",
                    class_="row-name",
                ),
                tag("rect", x=_NAMES, y=top + 2, width=max(x(bar.reference), 0.5), height=_ROW - 4, class_="was"),
                tag(
                    "rect", x=_NAMES, y=top + 6.5, width=max(x(bar.current), 0.5), height=_ROW - 13, class_=f"is {tone}"
                ),
                tag(
                    "text",
                    percent(round(bar.current, 4)),
                    x=_NAMES + x(max(bar.reference, bar.current)) + 6,
                    y=top + 15,
                    class_="tick",
                ),
            )
        )
    return drawing(_WIDTH, height, _said(shape), parts, "histogram")


def _said(shape: FeatureShape) -> str:
    return f"{shape.name}: {shape.rows:,} rows of this window against {shape.reference_rows:,} of the reference"
