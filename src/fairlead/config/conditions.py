"""Comparisons of a metric, as the settings state them: text to a `Condition`.

error_rate > 5%                      a number; with % a share, with s or ms a time in milliseconds
daily_cost > budget * 1.5            another figure, and a multiple of it
error_rate <= 1.25 * champion        the champion's own value of the same metric
conversion >= champion - 1%          and a step from it
>500ms                               the metric is known from the place
"""

from __future__ import annotations

import re
from typing import cast

from fairlead.core.condition import Condition, Operator
from fairlead.errors import SettingsError

_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)"
_UNIT = r"(?:%|ms|s)"
_SIDES = re.compile(r"(?P<metric>[^<>=*]*?)\s*(?P<operator><=|>=|<|>)\s*(?P<right>[^<>=]+)")
_FIXED = re.compile(rf"(?P<sign>-?)\s*(?P<number>{_NUMBER})\s*(?P<unit>{_UNIT}?)")
_RELATIVE = re.compile(
    rf"(?:(?P<before>{_NUMBER})\s*(?P<part>%?)\s*\*\s*)?(?P<of>[a-z_][a-z0-9_]*)(?:\s*\*\s*(?P<after>{_NUMBER}))?"
    rf"(?:\s*(?P<step>[+-])\s*(?P<size>{_NUMBER})\s*(?P<unit>{_UNIT}?))?",
    re.IGNORECASE,
)
_SCALE = {"%": 0.01, "s": 1000.0}
_WRITE = "write METRIC > NUMBER, such as error_rate > 5%, or METRIC >= champion - 1%"


def condition(text: str, metric: str = "") -> Condition:
    """A comparison; `metric` is the one that its place names, where the text may leave it out.

    Raises `SettingsError` for what is none.

    >>> found = condition("error_rate > 5%")
    >>> found.metric, found.operator, found.factor, found.of, found.unit
    ('error_rate', '>', 0.05, '', '%')
    >>> condition("conversion >= champion - 1%").offset, condition("daily_cost > budget * 1.5").factor
    (-0.01, 1.5)
    >>> condition(">500ms", "p50_latency").factor, condition("p99_latency > 2s").factor
    (500.0, 2000.0)
    """
    words = " ".join(text.split())
    sides = _SIDES.fullmatch(words)
    if sides is None:
        raise SettingsError(f"{words!r} is no condition: {_WRITE}")
    named = sides["metric"] or metric
    if not named:
        raise SettingsError(f"{words!r} names no metric: {_WRITE}")
    if metric and named != metric:
        raise SettingsError(f"{words!r} is about {named}, where {metric} is meant: leave the name out")
    operator = cast("Operator", sides["operator"])
    fixed = _FIXED.fullmatch(sides["right"])
    if fixed is not None:
        value = _value(fixed["number"], fixed["unit"]) * (-1.0 if fixed["sign"] else 1.0)
        return Condition(words, named, operator, value, unit=fixed["unit"])
    relative = _RELATIVE.fullmatch(sides["right"])
    if relative is None:
        raise SettingsError(f"{words!r} is no condition, because of {sides['right']!r}: {_WRITE}")
    return _relative(words, named, operator, relative)


def _relative(words: str, metric: str, operator: Operator, right: re.Match[str]) -> Condition:
    if right["before"] and right["after"]:
        raise SettingsError(f"{words!r} has two factors: write one")
    factor = _value(right["before"] or right["after"] or "1", right["part"] or "")
    unit = right["unit"] or ""
    offset = _value(right["size"], unit) * (-1.0 if right["step"] == "-" else 1.0) if right["size"] else 0.0
    return Condition(words, metric, operator, factor, right["of"].lower(), offset, unit)


def _value(number: str, unit: str) -> float:
    # Decimal texts such as 5% must give 0.05 and not 0.05000000000000001.
    return float(f"{float(number) * _SCALE.get(unit, 1.0):.15g}")
