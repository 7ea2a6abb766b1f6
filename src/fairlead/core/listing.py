"""How a message lists many names: the first of them, and a sign that there are more."""

from __future__ import annotations

from collections.abc import Sequence


def first_of(names: Sequence[str], most: int = 10) -> str:
    """The first `most` names, and an ellipsis where there are more.

    >>> first_of(["age", "city", "plan"], 2)
    'age, city, …'
    """
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
