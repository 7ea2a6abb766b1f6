"""Log records as JSON lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from fairlead.adapters.json_lines import LONGEST, JsonLines


@pytest.fixture
def lines() -> list[bytes]:
    """What was put."""
    return []


@pytest.fixture
def logger(lines: list[bytes]) -> Iterator[logging.Logger]:
    """A logger whose records become lines; `made.private` is a private one."""
    handler = JsonLines(lines.append, "worker-3", ("made.private",))
    made = logging.getLogger("made")
    made.addHandler(handler)
    made.setLevel(logging.INFO)
    made.propagate = False
    yield made
    made.removeHandler(handler)


def only(lines: list[bytes]) -> dict[str, Any]:
    """The single line."""
    (line,) = lines
    assert b"\n" not in line
    read: dict[str, Any] = json.loads(line)
    return read


def test_a_record_is_one_line(logger: logging.Logger, lines: list[bytes]) -> None:
    """Instant in UTC, level, logger, process and the message with its arguments."""
    said = ("%d answers were\nnot logged: %s", (3, "\ud800 disk"))
    handler = next(one for one in logger.handlers if isinstance(one, JsonLines))
    # By hand: a test runner that keeps what was logged, and sends it elsewhere, can send no such text.
    handler.handle(logger.makeRecord("made", logging.WARNING, __file__, 1, *said, None))
    read = only(lines)
    assert read.pop("time").endswith("Z")
    assert read == {
        "level": "WARNING",
        "event": "made",
        "process": "worker-3",
        "message": "3 answers were not logged: ? disk",
    }


def test_levels_below_the_loggers_are_not_told(logger: logging.Logger, lines: list[bytes]) -> None:
    """As the settings say."""
    logger.debug("nothing")
    assert lines == []


def test_an_exception_is_told_by_type_text_and_way(logger: logging.Logger, lines: list[bytes]) -> None:
    """The lines that it went through, without the code's text."""
    try:
        int("the  row")
    except ValueError:
        logger.exception("failed")
    read = only(lines)
    assert (read["level"], read["error"]) == ("ERROR", "ValueError: invalid literal for int() with base 10: 'the row'")
    assert read["stack"][-1].startswith("test_json_lines.py:")
    assert read["stack"][-1].endswith(" test_an_exception_is_told_by_type_text_and_way")


def test_what_may_hold_a_callers_values_is_not_told(logger: logging.Logger, lines: list[bytes]) -> None:
    """A private logger's exceptions are told by type only."""
    try:
        int("age 4242")
    except ValueError:
        logger.getChild("private").exception("failed")
    assert only(lines)["error"] == "ValueError"
    assert b"4242" not in lines[0]


def test_a_message_is_bounded(logger: logging.Logger, lines: list[bytes]) -> None:
    """However long what went wrong is."""
    logger.error("x" * 10 * LONGEST)
    assert len(only(lines)["message"]) == LONGEST
