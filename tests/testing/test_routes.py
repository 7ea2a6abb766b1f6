"""The route board in memory."""

from __future__ import annotations

import pytest

from fairlead.errors import StateError
from fairlead.testing.routes import MemoryBoard, check_board


def test_keeps_the_port() -> None:
    """It is a board."""
    board = MemoryBoard()
    check_board(lambda: board)


def test_a_broken_board_refuses() -> None:
    """As a lost disk does."""
    board = MemoryBoard()
    board.broken = True
    with pytest.raises(StateError, match="broken"):
        board.current()
