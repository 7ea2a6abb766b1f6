"""The controller's third thread: the log is moved into its table while everything else goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fairlead.app.compose import open_context
from fairlead.app.controller import Controller
from fairlead.config.load import parse_settings
from fairlead.operations import prediction_log
from fairlead.operations.context import Context
from fairlead.testing.log import make_prediction


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A home whose log is moved every second."""
    return replace(open_context(tmp_path), settings=parse_settings("log: {compact_every: 1s}"))


@pytest.fixture
def controller(context: Context) -> Iterator[Controller]:
    """A controller at work."""
    controller = Controller(context, None, "")
    controller.start()
    yield controller
    controller.stop()


def wait_for_rows(context: Context, rows: int) -> None:
    """Until the table has so many predictions."""
    deadline = time.monotonic() + 60
    while prediction_log.status(context).rows.get("predictions", 0) < rows:
        assert time.monotonic() < deadline, prediction_log.status(context)
        time.sleep(0.1)


def test_the_log_is_moved_round_after_round(context: Context, controller: Controller) -> None:
    """Without being asked; a round that fails is followed by one that does not, once its cause is gone."""
    log = context.open_writer()
    log.predictions([make_prediction("a")])
    wait_for_rows(context, 1)
    table = context.home / "log" / "table"
    aside = table.with_name("aside")
    table.rename(aside)
    table.write_text("in the way")
    log.predictions([make_prediction("b")])
    deadline = time.monotonic() + 60
    while not ((last := prediction_log.status(context).last) and last.error):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    table.unlink()
    aside.rename(table)
    wait_for_rows(context, 2)
    log.close()
    assert sorted(record.request_id for record in context.open_log().poll()[0]) == ["a", "b"]
