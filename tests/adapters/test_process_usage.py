"""What this process takes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from fairlead.adapters.fact_log import SegmentFacts
from fairlead.adapters.process_usage import segment_bytes, started_at
from fairlead.testing.facts import make_event

HOLDING = """
from fairlead.adapters.process_usage import memory
before = memory()
held = bytearray(b"1") * 40_000_000
after = memory()
print(after[0] - before[0] >= 30_000_000, after[1] - before[1] >= 30_000_000)
"""

OPENING = """
import os
from fairlead.adapters.process_usage import descriptors
before, most = descriptors()
os.open(os.devnull, os.O_RDONLY)
print(descriptors()[0] - before, most > before)
"""

WAITING = """
import os
import threading
import time
from fairlead.adapters.process_usage import threads
before, end = threads(), threading.Event()
waiting = [threading.Thread(target=end.wait) for _ in range(2)]
for one in waiting:
    one.start()
print(1 + threads() - len(os.listdir("/proc/self/task")), 1 + threads() - before)
end.set()
for one in waiting:
    one.join()
deadline = time.monotonic() + 30  # a thread is joined a moment before the system is done with it
while threads() > before and time.monotonic() < deadline:
    time.sleep(0.001)
print(1 + threads() - before)
"""


def test_memory_grows_with_what_is_held() -> None:
    """In bytes; in a process of its own, where nobody frees anything meanwhile."""
    found = subprocess.run([sys.executable, "-c", HOLDING], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "True"]


def test_descriptors_are_counted() -> None:
    """Open ones, and the most that may be; in a process of its own, where nobody else opens or closes one."""
    found = subprocess.run([sys.executable, "-c", OPENING], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["1", "True"]


def test_threads_are_counted() -> None:
    """Those of the operating system; in a process of its own, where nobody else starts or ends one meanwhile."""
    found = subprocess.run([sys.executable, "-c", WAITING], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["1", "3", "1"]


def test_a_process_began_in_the_past() -> None:
    """On the clock of the day."""
    assert 0.0 < time.time() - started_at() < 7 * 86_400.0


def test_a_workers_own_segments_are_measured(tmp_path: Path) -> None:
    """By kind; another worker's are its own."""
    for worker in (1, 2):
        facts = SegmentFacts(tmp_path, worker)
        facts.add_events([make_event("u")] * worker)
        facts.close()
    (path,) = (tmp_path / "events").glob("w001-*")
    found = segment_bytes(tmp_path, 1)
    assert found == {"events": path.stat().st_size}
    assert segment_bytes(tmp_path, 2)["events"] > found["events"]
    assert segment_bytes(tmp_path / "none", 1) == {}
