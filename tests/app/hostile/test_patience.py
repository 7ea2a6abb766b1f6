"""A worker process under callers who take their time or bring too much: they are ended, and cost no one an answer.

The limits are those of `LimitedProtocol` and `--body-limit`, some shorter than in earnest. Memory is the process's.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from benchmarks.hostile import patience
from benchmarks.hostile.house import BINARY, VALUE, WIRE, House, Short, until
from benchmarks.hostile.patience import Caller, Deaf, Ended, crowd

MIB = 2**20
CROWD = 500
SHORT = Short(2.0, 75, 8 * MIB)
ROOM = 64 * MIB  # `LimitedProtocol.room_bytes`
HELD = 2**18  # of one connection, besides a body: what one read of the socket brings, and its objects


@pytest.fixture
def house(start_house: Callable[..., House]) -> House:
    """A worker whose requests must be whole within two seconds."""
    return start_house(SHORT, models=(BINARY, VALUE, WIRE))


def hears(ended: Ended, *statuses: int) -> None:
    """All of the crowd got one of these answers, or were closed; the good one was answered all along."""
    assert set(ended.statuses) <= {0, *statuses}
    assert (ended.answered > 0, ended.failed) == (True, 0)


@pytest.mark.parametrize(
    ("caller", "status"),
    [
        (patience.a_byte_a_second, 408),
        (patience.a_head_without_end, 431),
        (patience.a_body_that_never_ends, 408),
        (patience.nothing, 0),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_five_hundred_who_never_come_to_an_end_are_ended(house: House, caller: Caller, status: int) -> None:
    """By the time that a request may take, or the length that a head may have. Meanwhile others are answered, and each
    of the five hundred holds less than a quarter of a megabyte."""
    before = house.resident()
    ended = crowd(house, caller, CROWD)
    hears(ended, status)
    assert ended.statuses.total() == CROWD
    assert ended.resident - before < CROWD * HELD
    assert house.are_right()


@pytest.mark.parametrize(
    ("caller", "statuses"),
    [
        (patience.chunks_without_end, (413, 503)),
        (patience.ten_megabytes(), (413, 503)),
        (patience.ten_megabytes(8 * MIB - 1), (400, 503)),
    ],
    ids=["chunks", "ten megabytes", "as large as may be"],
)
def test_sixty_four_large_bodies_at_a_time_are_bounded(house: House, caller: Caller, statuses: tuple[int, ...]) -> None:
    """Those for which there is no room are told to come again; what the others hold is four times the room at most."""
    before = house.resident()
    ended = crowd(house, caller, 64)
    hears(ended, *statuses)
    assert ended.statuses.total() == 64
    assert ended.resident - before < 4 * ROOM
    assert house.are_right()


def test_large_bodies_one_after_the_other_find_room(house: House) -> None:
    """Whatever was taken is given back, also by those who were refused or hung up: after a hundred, one is read."""
    crowd(house, patience.ten_megabytes(7 * MIB), 64)
    for _ in range(3):
        ended = crowd(house, patience.ten_megabytes(7 * MIB), 1)
        assert ended.statuses == {400: 1}  # it is read whole, and found to be no JSON


def test_callers_who_never_read_are_bounded(house: House) -> None:
    """Two hundred send requests for the document without end and read no answer: no more than a hundred requests a
    connection are kept, the rest is not even taken, and others are answered. Once they go, what they held is free for
    others."""
    before, deaf = house.resident(), Deaf(house.port, 200)
    most = before
    for _ in range(20):
        deaf.ask(500)
        time.sleep(0.05)  # no wait for anything: it lets them be many
        most = max(most, house.resident())
    assert house.are_right()
    deaf.close()
    until(house.are_right)
    assert most - before < 200 * 2 * MIB
    again = Deaf(house.port, 200)
    again.ask(500)
    assert house.are_right()
    assert house.resident() - before < 200 * 2 * MIB
    again.close()
