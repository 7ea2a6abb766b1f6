"""The training data, as something that cannot change."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from fairlead.adapters.reference import open_reference
from fairlead.errors import TableError


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """A Delta table with two versions: 3 rows, then 5."""
    place = tmp_path / "orders"
    write_deltalake(str(place), pa.table({"x": [1, 2, 3]}))
    write_deltalake(str(place), pa.table({"x": [4, 5]}), mode="append")
    return place


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    """Its name is its own, and says nothing of a version."""
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "a.parquet")
    found = open_reference(tmp_path / "a.parquet")
    assert (found.name, found.pinned, found.data.rows) == ("a.parquet", False, 2)
    assert found.digest == sha256((tmp_path / "a.parquet").read_bytes()).hexdigest()


def test_a_version_of_a_table_never_changes(orders: Path) -> None:
    """Later writes leave rows, name and digest of an earlier version; the newest is named by its number."""
    first, newest = open_reference(Path(f"{orders}?version=0")), open_reference(orders)
    assert (first.name, first.data.rows, first.pinned) == ("orders?version=0", 3, True)
    assert (newest.name, newest.data.rows) == ("orders?version=1", 5)
    assert first.digest != newest.digest
    write_deltalake(str(orders), pa.table({"x": [9]}), mode="overwrite")
    again, moved = open_reference(Path(f"{orders}?version=1")), open_reference(orders)
    assert (again.digest, again.data.rows) == (newest.digest, 5)
    assert (moved.name, moved.data.rows) == ("orders?version=2", 1)
    assert len({first.digest, newest.digest, moved.digest}) == 3


def test_a_byte_that_was_edited_is_another_digest(orders: Path) -> None:
    """The log alone would not tell."""
    before = open_reference(orders)
    (first, *_) = sorted(orders.glob("*.parquet"))
    held = first.read_bytes()
    assert b"delta-rs version" in held  # who wrote it, as it says itself
    first.write_bytes(held.replace(b"delta-rs version", b"delta-rz version"))
    after = open_reference(orders)
    assert (after.name, after.data.rows) == (before.name, before.data.rows)
    assert after.digest != before.digest


@pytest.mark.parametrize(
    ("suffix", "said"),
    [
        ("?version=9", "version 9 of the Delta table"),
        ("?version=x", "a version is a whole number"),
        ("?version=-1", "a version is a whole number"),
        ("s?version=0", "is no Delta table: \\?version=0 is only for one"),
    ],
)
def test_what_is_no_version_is_refused(orders: Path, suffix: str, said: str) -> None:
    """With what was asked."""
    with pytest.raises(TableError, match=said):
        open_reference(Path(f"{orders}{suffix}"))


def test_a_missing_file_of_the_table_is_named(orders: Path) -> None:
    """Its rows are gone: nothing is registered from what is left."""
    (first, *_) = sorted(orders.glob("*.parquet"))
    first.unlink()
    with pytest.raises(TableError, match="cannot be read"):
        open_reference(orders)
