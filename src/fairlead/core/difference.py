"""Where two canonical byte strings differ: the first field, by its path."""

from __future__ import annotations

from typing import Any

import msgspec


def first_difference(journalled: bytes, again: bytes) -> str:
    """The first field in which what was written and what comes out of deciding again differ; `again` is canonical.

    >>> first_difference(b'{"call":"safe","step":1}', b'{"call":"safe","step":2}')
    'step was 1 and comes out as 2'
    """
    try:
        old = msgspec.json.decode(journalled)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "it is not readable"
    found = _first_field(old, msgspec.json.decode(again), "")
    return found or "its bytes are not in canonical order"


def _first_field(old: Any, new: Any, path: str) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = [(f"{path}.{key}", old.get(key), new.get(key)) for key in {**new, **old}]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(f"{path}[{i}]", *pair) for i, pair in enumerate(zip(old, new, strict=True))]
    else:
        same = type(old) is type(new) and old == new
        return "" if same else f"{path.lstrip('.') or 'it'} was {_short(old)} and comes out as {_short(new)}"
    return next((found for name, a, b in pairs if (found := _first_field(a, b, name))), "")


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."
