"""Business events and spans in segments."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fairlead.adapters.fact_log import SegmentFactReader, SegmentFacts
from fairlead.errors import StateError
from fairlead.testing.facts import check_facts, make_event, make_span


def test_it_keeps_what_every_log_of_facts_keeps(tmp_path: Path) -> None:
    """The public contract check passes."""
    asyncio.run(check_facts(lambda: SegmentFacts(tmp_path, 0), lambda: SegmentFactReader(tmp_path)))


def test_nothing_is_there_before_the_first_record(tmp_path: Path) -> None:
    """No file and no thread."""
    before = set(threading.enumerate())
    facts = SegmentFacts(tmp_path / "log", 0)
    asyncio.run(facts.durable())
    assert set(threading.enumerate()) <= before  # those of earlier tests may end
    facts.close()
    assert not (tmp_path / "log").exists()
    assert list(SegmentFactReader(tmp_path / "log").events()) == []


def test_all_workers_are_read_and_a_fact_that_two_were_told_is_one(tmp_path: Path) -> None:
    """A retry may come to another worker."""
    for worker in (0, 1):
        facts = SegmentFacts(tmp_path, worker)
        facts.add_events([make_event("both"), make_event(f"only-{worker}")])
        facts.add_spans([make_span(1), make_span(2 + worker)])
        facts.close()
    reader = SegmentFactReader(tmp_path)
    assert sorted(event.unit_id for event in reader.events()) == ["both", "only-0", "only-1"]
    assert sorted(int(span.span_id, 16) for span in reader.spans()) == [1, 2, 3]


KILLED = """
import os, signal, sys
from pathlib import Path
from fairlead.adapters.fact_log import SegmentFacts
from fairlead.testing.facts import make_event
facts = SegmentFacts(Path(sys.argv[1]), 0)
for number in range(20):
    facts.add_events([make_event(f"u{number}")])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    """A call that returned has handed its records to the kernel."""
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False, timeout=60)
    assert done.returncode == -9
    assert [event.unit_id for event in SegmentFactReader(tmp_path).events()] == [f"u{number}" for number in range(20)]


def test_what_is_damaged_is_passed_over_and_counted(tmp_path: Path) -> None:
    """The others are read on."""
    facts = SegmentFacts(tmp_path, 0)
    for unit in ("a", "b", "c"):
        facts.add_events([make_event(unit)])
    facts.close()
    (path,) = (tmp_path / "events").iterdir()
    data = bytearray(path.read_bytes())
    data[data.index(b'"unit_id":"b"') + 11] = ord("X")
    path.write_bytes(data)
    reader = SegmentFactReader(tmp_path)
    assert [event.unit_id for event in reader.events()] == ["a", "c"]
    assert reader.damaged == 1


def test_a_poll_follows_all_workers_and_passes_over_damage(tmp_path: Path) -> None:
    """A reader that was there before the first event gets each; what is damaged is noted, and the rest goes on."""
    reader = SegmentFactReader(tmp_path)
    assert reader.poll() == []
    logs = [SegmentFacts(tmp_path, worker) for worker in (0, 1)]
    for worker, log in enumerate(logs):
        log.add_events([make_event(f"{worker}-{number}") for number in range(3)])
    assert sorted(event.unit_id for event in reader.poll()) == ["0-0", "0-1", "0-2", "1-0", "1-1", "1-2"]
    logs[0].add_events([make_event("bad"), make_event("good")])
    (path,) = (path for path in (tmp_path / "events").iterdir() if b'"bad"' in path.read_bytes())
    data = bytearray(path.read_bytes())
    data[data.index(b'"bad"') + 1] = ord("X")
    path.write_bytes(data)
    assert [event.unit_id for event in reader.poll()] == ["good"]
    for log in logs:
        log.close()
    assert reader.poll() == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """As a state error, which a gateway answers with 503."""
    (tmp_path / "log").write_text("a file where the folder should be")
    facts = SegmentFacts(tmp_path / "log", 0)
    with pytest.raises(StateError):
        facts.add_events([make_event("u")])
    facts.close()
