"""The log in memory."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.errors import StateError
from fairlead.testing.log import MemoryLog, MemoryTable, check_log, check_table, make_prediction


def test_keeps_the_port() -> None:
    """It is a log and its reader."""
    log = MemoryLog()
    asyncio.run(check_log(lambda: log, lambda: log))
    assert log.synced == 1


def test_a_full_log_refuses() -> None:
    """As a full disk does."""
    log = MemoryLog()
    log.full = True
    with pytest.raises(StateError, match="full"):
        log.predictions([make_prediction("a")])


def test_the_table_keeps_its_port() -> None:
    """It is a table of the log."""
    table = MemoryTable()
    check_table(lambda: table)
