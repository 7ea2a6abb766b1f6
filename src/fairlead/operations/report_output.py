"""How a report leaves the library: as JSON, as a pandas frame, as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    import pandas as pd


def as_json(value: Any) -> str:
    """Plain values, or a struct of them, as one JSON document; nan and infinity become null.

    >>> as_json({"rows": 3, "p_value": float("nan")})
    '{"rows":3,"p_value":null}'
    """
    return msgspec.json.encode(value).decode()


def frame_of(rows: Sequence[Any], purpose: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A pandas frame of `rows` (one mapping or tuple each), its columns named and ordered by `columns` where given.

    `purpose` is what asked for it, as in `DriftReport.to_frame()`. Raises `MissingExtra` without pandas.

    >>> frame_of([{"x": 1}, {"x": 2}], "a doctest").x.tolist()
    [1, 2]
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra("pandas", "sklearn", purpose) from error
    return pd.DataFrame(rows, columns=None if columns is None else list(columns))


def written(path: str | Path, text: str) -> Path:
    """Writes `text` to `path` as UTF-8, and says where it lies. Raises `UsageError` where it cannot be written."""
    target = Path(path)
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    return target
