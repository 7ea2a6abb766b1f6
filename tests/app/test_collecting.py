"""When a process passes over what it holds for good."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from fairlead.app.collecting import Collecting


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_a_few_models_change_nothing() -> None:
    """Under 25, and under a quarter more than last time, the search stays as it is."""
    collecting = Collecting()
    assert [collecting.settle(held) for held in (1, 24, 25, 26, 49, 50, 200, 249, 250)] == [
        False,
        False,
        True,
        False,
        False,
        True,
        True,
        False,
        True,
    ]


def test_what_is_held_is_passed_over() -> None:
    """Objects that were there are searched no more; they are freed all the same once nobody holds them."""
    held = [[] for _ in range(1_000)]  # type: ignore[var-annotated]
    assert Collecting().settle(1_000)
    frozen = gc.get_freeze_count()
    assert frozen > 1_000
    held.clear()
    assert gc.get_freeze_count() <= frozen - 1_000
