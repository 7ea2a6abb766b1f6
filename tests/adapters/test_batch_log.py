"""A part's segments: each record once, whatever an earlier attempt has left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.adapters.batch_log import BatchLog, logged
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.core.record import Prediction
from fairlead.errors import StateError

RECORDS = [
    Prediction(f"r{place}", "m", 1, "batch", f"u{place}", 1.0, 5.0, 6.0, Raw(b'{"x":1}'), 1, 0.5, 0.1)
    for place in range(20)
]


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 40)), max_size=4), st.integers(1, 7))
def test_attempts_that_were_cut_off_add_up(
    tmp_path_factory: pytest.TempPathFactory, attempts: list[tuple[int, int]], chunk: int
) -> None:
    """However far each attempt came, and wherever its last bytes were torn."""
    folder = tmp_path_factory.mktemp("log")
    for reached, torn in [*attempts, (20, 0)]:
        log = BatchLog(folder, 7)
        for start in range(0, reached, chunk):
            log.predictions(RECORDS[start : min(start + chunk, reached)])
        log.close()
        segments = sorted((folder / "predictions").glob("*.seg")) if (folder / "predictions").exists() else []
        if torn and segments:
            os.truncate(segments[-1], max(8, segments[-1].stat().st_size - torn))
    reader = SegmentReader(folder)
    found = [record.request_id for record in reader.poll()[0]]
    assert sorted(found) == sorted(record.request_id for record in RECORDS)
    assert (reader.repeats, logged(folder, 7), logged(folder, 8)) == (0, 20, 0)


def test_a_long_part_has_several_segments(tmp_path: Path) -> None:
    """Each is left before it grows too long; the count is over all."""
    log = BatchLog(tmp_path, 7, segment_bytes=1_000)
    for record in RECORDS:
        log.predictions([record])
    log.close()
    assert len(list((tmp_path / "predictions").iterdir())) > 2
    assert logged(tmp_path, 7) == 20


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """One line, with the folder."""
    (tmp_path / "predictions").write_text("a file")
    log = BatchLog(tmp_path, 7)
    with pytest.raises(StateError, match="predictions cannot be written"):
        log.predictions(RECORDS)
    log.close()
