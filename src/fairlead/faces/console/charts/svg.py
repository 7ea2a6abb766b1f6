"""The little SVG that the charts need."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from markupsafe import Markup, escape

Attribute = str | float | None


def tag(name: str, *children: str | Markup, **attributes: Attribute) -> Markup:
    """An element. Text and attribute values are escaped, `Markup` children are not; None leaves an attribute out, a
    trailing underscore is dropped and an inner one is a hyphen.

    >>> str(tag("text", "a < b", x=1.25, class_="tick", text_anchor="end"))
    '<text x="1.2" class="tick" text-anchor="end">a &lt; b</text>'
    """
    given = [f' {_name(key)}="{_value(value)}"' for key, value in attributes.items() if value is not None]
    said = "".join(given)
    if not children:
        return Markup(f"<{name}{said}/>")  # noqa: S704  every part is escaped
    inner = "".join(str(escape(child)) for child in children)
    return Markup(f"<{name}{said}>{inner}</{name}>")  # noqa: S704  every part is escaped


def drawing(
    width: float,
    height: float,
    label: str,
    parts: Iterable[Markup],
    class_: str = "",
    *,
    fixed: bool = False,
    stretched: bool = False,
) -> Markup:
    """A whole picture with its accessible name. It grows with its place, unless it is `fixed` to its size in pixels;
    a `stretched` one has no letters and fills its place in both directions."""
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {width:.6g} {height:.6g}",
        width=width if fixed else None,
        height=height if fixed else None,
        preserveAspectRatio="none" if stretched else None,
        role="img",
        aria_label=label,
        class_=f"chart {class_}{' fixed' if fixed else ''}",
    )


def path(points: Iterable[tuple[float, float]]) -> str:
    """The `d` of a line through points.

    >>> path([(0, 1), (2.54, 3)])
    'M0 1L2.5 3'
    """
    return "".join(f"{'L' if place else 'M'}{_short(x)} {_short(y)}" for place, (x, y) in enumerate(points))


@cache
def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return str(escape(value)) if isinstance(value, str) else _short(value)


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
