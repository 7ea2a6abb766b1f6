"""What is said of a name that there is not: the nearest one, or all of them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """The fix in words.

    >>> nearest("pagr", ("console", "pager"))
    'did you mean pager?'
    >>> nearest("x", ("pager",))
    'there is pager'
    """
    names = list(dict.fromkeys(known))
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"there is {', '.join(names)}"
