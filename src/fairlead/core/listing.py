"""How a message lists many names, the first of them, and a sign that there are more; and how it counts."""

from __future__ import annotations

from collections.abc import Sequence


def first_of(names: Sequence[str], most: int = 10) -> str:
    """The first `most` names, and an ellipsis where there are more.

    >>> first_of(["age", "city", "plan"], 2)
    'age, city, …'
    """
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def counted(number: int, one: str, many: str = "") -> str:
    """A count with its noun; `many` where the plural is not the noun and an s.

    >>> counted(1, "worker"), counted(2_000, "worker"), counted(0, "entry", "entries")
    ('1 worker', '2,000 workers', '0 entries')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
