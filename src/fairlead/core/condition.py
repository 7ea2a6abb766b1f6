"""A comparison over named metrics, as the settings state it: `error_rate > 5%`, `daily_cost > budget * 1.5`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Operator = Literal["<", "<=", ">", ">="]


class Condition(Struct, frozen=True):
    """`metric operator factor * of + offset`, where `of` is another metric (champion: the same of the champion), or
    empty: then the right side is `factor` itself.

    `unit` is the unit that was written (%, ms, s, or none): values are shares, milliseconds or plain numbers. `text` is
    the condition as the user wrote it.
    """

    text: str
    metric: str
    operator: Operator
    factor: float
    of: str = ""
    offset: float = 0.0
    unit: str = ""
