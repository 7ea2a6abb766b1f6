"""A worker process under hostile bodies and broken HTTP: what it answers, keeps, and remains."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from benchmarks.hostile.fuzz import Found, differences, fire, fuzz, logged
from benchmarks.hostile.house import House, Short
from benchmarks.hostile.requests import PROTOCOLS

GROWTH = 32 * 2**20  # bytes of resident memory, beyond what the first fifth has left
SHOT_KINDS = 11


def check_bodies(house: House, seed: int, count: int) -> Found:
    """Sends hostile bodies and checks all that must hold."""
    found = fuzz(house, seed, count)
    assert (found.bodies, found.complaints) == (count, [])
    assert house.are_right()
    assert differences(found, house.home) == []
    assert max(found.resident) - found.resident[0] < GROWTH
    assert len(found.by_protocol) == len(PROTOCOLS)
    assert {200, 400, 404, 405, 413, 415, 422} <= set(found.statuses)
    return found


def check_shots(house: House, seed: int, count: int) -> None:
    """Sends broken HTTP and checks all that must hold."""
    heard = fire(house, seed, count)
    assert (heard.shots, heard.complaints) == (count, [])
    assert house.are_right()
    assert heard.acknowledged - logged(house.home)[0] == {}
    assert max(heard.resident) - heard.resident[0] < GROWTH
    assert len(heard.kinds) == SHOT_KINDS
    assert {200, 400, 404, 408, 431} <= set(heard.statuses)


def test_hostile_bodies_are_answered_and_change_nothing(start_house: Callable[..., House]) -> None:
    """Four thousand changed requests in every protocol: each gets one answer, of a stated status and its protocol's
    shape; the log has exactly what was acknowledged; the models answer as before; memory does not grow."""
    check_bodies(start_house(Short(60.0, 75)), 7, 4000)


def test_broken_http_is_answered_or_closed(start_house: Callable[..., House]) -> None:
    """A thousand connections that lie about lengths, chunks and heads, leave early, come in pieces or all at once: what
    is right among it is answered in order, no other status than is stated is given, and nothing hangs."""
    check_shots(start_house(Short(1.0, 1)), 7, 1000)


@pytest.mark.slow
def test_a_hundred_thousand_hostile_bodies(start_house: Callable[..., House]) -> None:
    """As above, for another seed."""
    found = check_bodies(start_house(Short(60.0, 75)), 1, 100_000)
    assert found.predictions.total() > 10_000


@pytest.mark.slow
def test_ten_thousand_connections_of_broken_http(start_house: Callable[..., House]) -> None:
    """As above, for another seed."""
    check_shots(start_house(Short(1.0, 1)), 1, 10_000)
