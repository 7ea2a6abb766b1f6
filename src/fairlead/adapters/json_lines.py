"""Python's log records as JSON lines: what went wrong, where, in which process.

An exception is told by its type and the lines that it went through. Its text is told too, except by the loggers that
speak while a request is handled: there it may hold what the caller sent.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import PurePath

import msgspec
from msgspec import Struct

FRAMES = 12  # the innermost lines of a traceback
LONGEST = 2000  # characters of a message


class Event(Struct, omit_defaults=True):
    """One line. `stack` is innermost last; `error` is the exception's type, with its text where that is told."""

    time: datetime
    level: str
    event: str
    process: str
    message: str
    error: str = ""
    stack: tuple[str, ...] = ()


class JsonLines(logging.Handler):
    """Hands each record to `put` as one line of JSON."""

    def __init__(self, put: Callable[[bytes], None], process: str, private: tuple[str, ...] = ()) -> None:
        """`process`: who speaks, such as worker-0; `private`: loggers whose exceptions are told without their text."""
        super().__init__()
        self._put = put
        self._process = process
        self._private = private
        self._encode = msgspec.json.Encoder().encode

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record; one that cannot be written is Python's to report."""
        try:
            self._put(self._encode(self._event(record)))
        except Exception:  # noqa: BLE001 - as every handler of the standard library: a log line breaks nothing
            self.handleError(record)

    def _event(self, record: logging.LogRecord) -> Event:
        fault = record.exc_info[1] if record.exc_info else None
        return Event(
            datetime.fromtimestamp(record.created, UTC),
            record.levelname,
            record.name,
            self._process,
            _sound(record.getMessage()),
            "" if fault is None else self._told(fault, record.name),
            () if fault is None else _stack(fault),
        )

    def _told(self, fault: BaseException, logger: str) -> str:
        kind = type(fault).__name__
        return kind if logger in self._private else _sound(f"{kind}: {fault}")


def _sound(text: str) -> str:
    """One line that has a JSON: halves of surrogate pairs become question marks."""
    return " ".join(text[:LONGEST].encode(errors="replace").decode().split())


def _stack(fault: BaseException) -> tuple[str, ...]:
    frames = traceback.extract_tb(fault.__traceback__)[-FRAMES:]
    return tuple(f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
