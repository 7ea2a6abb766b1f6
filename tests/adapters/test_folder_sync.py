"""Syncing a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.adapters.folder_sync import sync_folder


def test_a_folder_is_synced_and_a_missing_one_told(tmp_path: Path) -> None:
    """It works on a folder, and raises `OSError` where there is none."""
    sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "missing")
