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
        parts += _label(bar, place, left, width, base)
    parts.append(tag("text", percent(most), x=0, y=10, class_="tick"))
    return drawing(_WIDTH, _HEIGHT, _said(shape), parts, "histogram")


def _label(bar: Bar, place: int, left: float, width: float, base: float) -> list[Markup]:
    if bar.side != "value":
        words = bar.label.split(" ", maxsplit=1)
        return [
            tag("text", word, x=left + width / 2, y=base + 14 + 13 * line, text_anchor="middle", class_="tick strong")
            for line, word in enumerate(words)
        ]
    return [tag("text", bar.label, x=left + 1.5, y=base + 14, class_="tick")] if place % 4 == 1 else []


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
