"""Signals that wait until what is started is known."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from fairlead.adapters.held_signals import NUMBERS, held_signals


@pytest.fixture(autouse=True)
def raising() -> Iterator[None]:
    """Either signal is a wish to stop, until the end of the test."""

    def stop(number: int, _: object) -> None:
        raise InterruptedError(number)

    before = {number: signal.signal(number, stop) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_what_comes_meanwhile_is_raised_at_the_end(number: signal.Signals) -> None:
    """Not before: all of the block is done."""
    done: list[str] = []

    def start() -> None:
        with held_signals():
            signal.raise_signal(number)
            done.append("started")

    with pytest.raises(InterruptedError) as caught:
        start()
    assert (caught.value.args[0], done) == (number, ["started"])


def test_nothing_is_changed_where_nothing_comes() -> None:
    """Each signal has its handler again."""
    before = [signal.getsignal(number) for number in NUMBERS]
    with held_signals():
        assert [signal.getsignal(number) for number in NUMBERS] != before
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_what_is_ignored_stays_ignored() -> None:
    """So that what is started ignores it too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held_signals():
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_threads_start_what_they_like() -> None:
    """No handler runs in them."""
    done: list[str] = []

    def start() -> None:
        with held_signals():
            done.append("started")

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert done == ["started"]
