"""Signals that wait: what is started is never lost to the one who has to end it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_signals() -> Iterator[None]:
    """Holds back what the handlers of SIGINT and SIGTERM do until the block is left: a wish to stop that comes while a
    process is started would else be raised before anybody knows of that process. Signals that are ignored, or that end
    this process without a word, stay as they are. Does nothing outside the main thread, where no handler runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in NUMBERS}
    held = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in held:
        signal.signal(number, lambda told, _: came.append(told))
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for told in came:
            signal.raise_signal(told)
