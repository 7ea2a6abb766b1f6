from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fairlead.errors import MissingExtra, UsageError
from fairlead.operations.report_output import as_json, frame_of, written


def test_what_is_not_finite_has_no_json() -> None:
    """nan and infinity are null in a report's JSON, which any reader accepts."""
    assert as_json({"value": float("nan"), "limit": float("inf")}) == '{"value":null,"limit":null}'


def test_a_frame_without_rows_keeps_its_columns() -> None:
    """A frame of no rows has the columns that were named, in their order; one of rows takes only those."""
    assert list(frame_of([], "a test", ("b", "a")).columns) == ["b", "a"]
    assert frame_of([{"a": 1, "b": 2, "c": 3}], "a test", ["b", "a"]).to_numpy().tolist() == [[2, 1]]


def test_a_frame_needs_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pandas the error names what asked for it and the extra that brings it."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"DriftReport\.to_frame\(\) needs pandas.*fairlead\[sklearn\]"):
        frame_of([{"a": 1}], "DriftReport.to_frame()")


def test_a_file_is_written_as_utf_8(tmp_path: Path) -> None:
    """Text is written as UTF-8 whatever the machine's locale, and its place is answered as a path."""
    target = written(str(tmp_path / "a.html"), "ø · ×")
    assert target == tmp_path / "a.html"
    assert target.read_bytes() == "ø · ×".encode()


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A folder that is missing, and a path that is a folder, are told with the path and the system's reason."""
    with pytest.raises(UsageError, match=r"none.a\.html cannot be written: No such file or directory"):
        written(tmp_path / "none" / "a.html", "text")
    with pytest.raises(UsageError, match="cannot be written: Is a directory"):
        written(tmp_path, "text")
