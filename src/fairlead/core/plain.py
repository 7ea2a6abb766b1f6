"""Values as they are kept in JSON and taken up again, exactly: also numbers that are not finite, which JSON lacks.

What is judged is what was kept: a judge is asked with the values that came back, so asking it again gives the same.
"""

from __future__ import annotations

from math import inf, isfinite, nan
from typing import Any

import msgspec

_WORD = "$float"
_NUMBERS = {"nan": nan, "inf": inf, "-inf": -inf}


def kept(value: object) -> Any:
    """A value as JSON keeps it: built-in types only, whatever number stood in it.

    >>> kept((1, float("inf")))
    [1, {'$float': 'inf'}]
    """
    return _spelt(msgspec.to_builtins(value, str_keys=True, enc_hook=_item))


def taken(value: Any, kind: Any) -> Any:
    """A kept value as what it was. Raises `msgspec.ValidationError`.

    >>> taken([1, {"$float": "inf"}], tuple[int, float])
    (1, inf)
    """
    return msgspec.convert(_read(value), kind, str_keys=True)


def _spelt(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _spelt(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_spelt(one) for one in value]
    return {_WORD: repr(value)} if isinstance(value, float) and not isfinite(value) else value


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        word = value.get(_WORD)
        if len(value) == 1 and isinstance(word, str) and word in _NUMBERS:
            return _NUMBERS[word]
        return {key: _read(one) for key, one in value.items()}
    return [_read(one) for one in value] if isinstance(value, list) else value


def _item(value: Any) -> Any:
    """A number, or an array, of numpy's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise NotImplementedError(f"{type(value).__name__} cannot be kept as evidence")
