"""Worker processes for those who mean them no good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.hostile.house import CONTRACTS, House, furnish


@pytest.fixture
def start_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Starts workers over a furnished home. At the end each must leave in peace, having said nothing."""
    started: list[House] = []

    def start(*options: Any, models: tuple[str, ...] = tuple(CONTRACTS), **named: Any) -> House:
        home = tmp_path / str(len(started))
        furnish(home, models)
        started.append(House(home, *options, **named))
        return started[-1]

    yield start
    codes = [house.stop() for house in started]
    assert (codes, [house.said() for house in started]) == ([0] * len(started), [""] * len(started))
