"""A trouble that lasts is one line."""

from __future__ import annotations

import logging

import pytest

from fairlead.flows.telling import Telling


def test_what_lasts_is_told_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    """Ten rounds of one trouble, then another about the same thing, then two good rounds, then the first again."""
    telling = Telling(logging.getLogger("fairlead.test"))
    telling.right("the disk")
    for _ in range(10):
        telling.wrong("the disk", "it is full")
    telling.wrong("the disk", "it is gone")
    telling.wrong("the board", "it is full")
    telling.right("the disk")
    telling.right("the disk")
    telling.wrong("the disk", "it is full")
    assert caplog.messages == [
        "the disk: it is full",
        "the disk: it is gone",
        "the board: it is full",
        "the disk: it is well again",
        "the disk: it is full",
    ]


def test_a_fault_is_shown_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Once, as its line is."""
    telling = Telling(logging.getLogger("fairlead.test"))
    for _ in range(2):
        try:
            int("odd")
        except ValueError as fault:
            telling.wrong("the round", "an unexpected failure", fault)
    assert caplog.text.count("Traceback") == 1
