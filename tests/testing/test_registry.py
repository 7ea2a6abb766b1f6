"""The registry in memory."""

from __future__ import annotations

from pathlib import Path

from fairlead.testing.registry import MemoryRegistry, check_registry


def test_keeps_the_port(tmp_path: Path) -> None:
    """It is a registry."""
    check_registry(MemoryRegistry(), tmp_path)
