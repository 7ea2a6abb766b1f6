"""What a full disk does to the answers."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_policy import UnloggedWhenFull
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.core.record import OutcomeRecord
from fairlead.errors import StateError
from fairlead.testing.log import MemoryLog, check_log, make_prediction


def test_keeps_the_port(tmp_path: Path) -> None:
    """As long as the disk takes what it is given, it is the log beneath it."""
    lost: list[int] = []
    writer = lambda: UnloggedWhenFull(SegmentLog(tmp_path, 0), lost.append)  # noqa: E731
    asyncio.run(check_log(writer, lambda: SegmentReader(tmp_path)))
    assert lost == []


def test_a_full_disk_costs_the_log_and_not_the_answers() -> None:
    """Predictions are let go and counted, outcomes refused; once there is room they are written again."""
    log, lost = MemoryLog(), list[int]()
    serving = UnloggedWhenFull(log, lost.append)
    log.full = True
    serving.predictions([make_prediction("a"), make_prediction("b")])
    with pytest.raises(StateError):
        serving.outcomes([OutcomeRecord("a", 1, 1.0, 2.0)])
    log.full = False
    serving.predictions([make_prediction("c")])
    assert lost == [2]
    assert [record.request_id for record in log.kept_predictions] == ["c"]


def test_a_disk_that_does_not_sync_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under `durability: sync` the wait ends, and the failure is counted."""
    lost: list[int] = []
    serving = UnloggedWhenFull(SegmentLog(tmp_path, 0, sync_seconds=60.0), lost.append)
    serving.predictions([make_prediction("a")])

    def refuse(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    asyncio.run(serving.durable())
    monkeypatch.undo()
    serving.close()
    assert lost == [0]
