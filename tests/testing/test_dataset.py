"""The dataset in memory."""

from __future__ import annotations

from pathlib import Path

from fairlead.testing.dataset import EXAMPLE, MemoryDataset, check_dataset


def test_keeps_the_port(tmp_path: Path) -> None:
    """It is a dataset."""
    check_dataset(MemoryDataset(EXAMPLE), tmp_path)
