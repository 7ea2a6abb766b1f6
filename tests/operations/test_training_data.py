"""Frozen training rows: whole, or not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import Raw

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.flows.labelled import Labelled
from fairlead.operations.training_data import freeze, kept, later

CONTRACT = Contract((Feature("x", Kind.NUMBER),), Task.BINARY, "y", ("0", "1"))
ROWS = [Labelled(float(n), f"r{n}", Raw(f'{{"x": {n}}}'.encode()), n % 2) for n in range(100)]


def test_what_was_frozen_is_read_again(tmp_path: Path) -> None:
    """With the newest quarter held out, and the rows after it told apart."""
    made = freeze(tmp_path, ROWS[:80], CONTRACT)
    assert kept(tmp_path) == made
    assert (made.frozen.rows, made.frozen.heldout, made.frozen.last_id) == (60, 20, "r79")
    assert [row.request_id for row in later(ROWS, made.frozen)] == [f"r{n}" for n in range(80, 100)]


@pytest.mark.parametrize("spoilt", ["train.parquet", "heldout.parquet", "dataset.json"])
@pytest.mark.parametrize("how", ["gone", "changed"])
def test_what_is_not_whole_is_not_there(tmp_path: Path, spoilt: str, how: str) -> None:
    """A process that ended in between, or a file that somebody changed: the rows are frozen anew."""
    freeze(tmp_path, ROWS, CONTRACT)
    if how == "gone":
        (tmp_path / spoilt).unlink()
    else:
        (tmp_path / spoilt).write_bytes(b"{")
    assert kept(tmp_path) is None
    assert kept(tmp_path / "nowhere") is None
