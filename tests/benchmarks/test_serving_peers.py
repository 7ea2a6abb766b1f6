"""The comparison of servers measures what it says."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from benchmarks.latency_curve import Curve, draw
from benchmarks.open_loop import CONNECTIONS, offer
from benchmarks.peers.process_tree import cpu_of_all, end, launch, lives, memory_of_all, tree
from benchmarks.peers.serving_systems import Plan
from benchmarks.serving import Server, load, post
from benchmarks.serving_fleet import Fleet

from fairlead.testing.loopback import own_port

# Answers one connection after another; stands still once, for 0.3 s, from the 100th request on.
SERVER = """
import select, socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
answer = {
    "length": b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\n{}",
    "chunks": b"HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n2\\r\\n{}\\r\\n0\\r\\n\\r\\n",
    "refusal": b"HTTP/1.1 503 Service Unavailable\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n",
}[sys.argv[2]]
open_, count = [listener], 0
while True:
    for one in select.select(open_, [], [])[0]:
        if one is listener:
            open_.append(listener.accept()[0])
            continue
        asked = one.recv(65536)
        if not asked:
            open_.remove(one)
            continue
        count += 1
        if count == 100:
            time.sleep(0.3)
        one.sendall(answer)
        if sys.argv[2] == "refusal" or b"Connection: close" in asked:
            open_.remove(one)
            one.close()
"""
REQUEST = post("/", b"{}")


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(0, stack)


def plan(kind: str) -> Plan:
    port = own_port()
    return Plan([sys.executable, "-c", SERVER, str(port), kind], port, REQUEST)


def test_whoever_was_due_while_a_server_stood_still_has_waited(fleet: Fleet, tmp_path: Path) -> None:
    """A stall of 0.3 s at 1,000 requests a second is a wait for some 300 of them, though 64 connections carry them."""
    fleet.add("stalls", plan("length"), tmp_path, 1)
    with fleet.awake("stalls") as server:
        taken = offer(server, 1000.0, 1.0)
    # The last of 1,000 to wait longer than 100 ms is beyond the 200th: a client that waited for its answers would
    # have seen no more than its connections late.
    assert CONNECTIONS < 100
    assert taken.p99_ms > 200.0
    assert taken.p999_ms >= taken.p99_ms


@pytest.mark.parametrize("kind", ["length", "chunks"])
def test_an_answer_is_whole_by_its_length_or_its_last_chunk(fleet: Fleet, tmp_path: Path, kind: str) -> None:
    """Answers of both kinds are counted, and each is a 200."""
    fleet.add("peer", plan(kind), tmp_path, 1)
    with fleet.awake("peer") as server:
        taken = load(server.port, server.request, 0.2, 4)
    assert taken.statuses
    assert set(taken.statuses) == {b"200"}


def test_a_server_that_does_not_answer_with_200_ends_the_comparison(fleet: Fleet, tmp_path: Path) -> None:
    """Its name is told, what it answered, and what it wrote before it went."""
    leaves = Plan([sys.executable, "-c", "import sys; sys.exit('no model here')"], own_port(), REQUEST)
    with pytest.raises(SystemExit, match=r"(?s)broken did not answer with 200.*no model here"):
        fleet.add("broken", leaves, tmp_path, 1)


def test_a_failed_request_ends_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refuses while it is measured, and hangs up, has no figures."""
    monkeypatch.setattr("benchmarks.open_loop.GRACE_SECONDS", 0.2)
    refuses = plan("refusal")
    process = launch(refuses.command, 0, {}, tmp_path)
    try:
        while not load_once(refuses.port):
            assert process.poll() is None
        with pytest.raises(SystemExit, match="refuses: of 10 requests, offered at 100 a second, 10 failed"):
            offer(Server("refuses", process, refuses.port, REQUEST), 100.0, 0.1)
    finally:
        end(process)


def load_once(port: int) -> bool:
    """Whether somebody listens."""
    try:
        load(port, REQUEST, 0.0, 1)
    except OSError:
        return False
    return True


def test_a_server_is_all_its_processes(tmp_path: Path) -> None:
    """Its children are found, counted, and gone with it."""
    code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    process = launch([sys.executable, "-c", code + "print('up', flush=True); time.sleep(60)"], 0, {}, tmp_path)
    while "up" not in (tmp_path / "said").read_text():
        assert process.poll() is None
    pids = tree(process.pid)
    held = memory_of_all(process.pid)
    assert len(pids) == held.processes == 2
    assert 0.0 < held.pss <= held.rss
    assert cpu_of_all(process.pid) >= 0.0
    end(process)
    deadline = time.monotonic() + 60.0
    while (left := [pid for pid in pids if lives(pid)]) and time.monotonic() < deadline:
        time.sleep(0.01)  # what was killed goes when the system gets to it
    assert not left


def test_the_comparison_has_a_network_of_its_own() -> None:
    """There is the loopback interface and no other, where the system allows it; else it is said."""
    code = "from benchmarks.peers import loopback\ntry:\n    loopback.enter()\n    print(loopback.interfaces())\n"
    code += "except OSError as error:\n    print(error.strerror)"
    root = Path(__file__).parents[2]
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root).stdout
    assert said.strip() in ("['lo']", "no network namespace of one's own is to be had here")


def test_a_curve_shows_each_server() -> None:
    """The drawing is well-formed, names all, and has a mark for each median and each 99th percentile."""
    curves = [
        Curve("this & that", [(100.0, 0.5, 2.0), (200.0, 0.6, 3.0)]),
        Curve("other", [(10.0, 5.0, 40.0)]),
    ]
    drawn = ET.fromstring(draw(curves, "Latency"))
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"this & that", "other", "Latency"} <= set(texts)
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}circle"))) == 2 * 3
