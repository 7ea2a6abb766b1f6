"""Gateway workers as processes, on real bundles, over real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from fairlead.adapters.note_folder import COUNTERS, NoteFolder
from fairlead.adapters.route_file import RouteFile
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.app.compose import open_context
from fairlead.app.worker import http_server, parse
from fairlead.core.condition import Measured
from fairlead.core.record import Prediction
from fairlead.core.route import Arm, ModelRoute
from fairlead.flows.refusals import Refusals
from fairlead.flows.tally import Counts
from fairlead.operations.models import Registration, register
from fairlead.testing.registry import MemoryRegistry

Plane = Any  # the fixtures' values: see conftest
ROW = {"lead_time": 30.0, "adr": 80.5, "segment": "Direct"}
PATH = "/v1/models/hotel/predict"
JSON = {"content-type": "application/json"}


def champion(version: int, **bundles: str) -> ModelRoute:
    """One version answers, all named are warm."""
    return ModelRoute((Arm("champion", version, 1.0),), {int(name[1:]): digest for name, digest in bundles.items()})


def ask(plane: Plane, number: int = 0, **changes: Any) -> httpx.Response:
    """A request."""
    body = {"features": {**ROW, **changes}, "request_id": f"r{number}"}
    return httpx.post(plane.url + PATH, json=body, timeout=60.0)


def records(home: Path) -> list[Prediction]:
    """The whole log."""
    reader, found = SegmentReader(home / "log"), []
    while batch := reader.poll()[0]:
        found += batch
    assert reader.damage == []
    return found


class Crowd:
    """Clients that ask without pause, and try again with the same request id when a connection breaks."""

    def __init__(self, plane: Plane, clients: int) -> None:
        self.plane = plane
        self.answered: list[str] = []
        self.statuses: list[int] = []
        self.retries = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Waits until every client has its last answer."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _ask(self, client: int) -> None:
        count = 0
        with httpx.Client(base_url=self.plane.url, timeout=60.0) as http:
            while not self._stop.is_set():
                count += 1
                self._until_answered(http, f"c{client}-{count}")

    def _until_answered(self, http: httpx.Client, request_id: str) -> None:
        while True:
            try:
                response = http.post(PATH, json={"features": ROW, "request_id": request_id})
            except httpx.TransportError:
                self.retries += 1
                if self._stop.wait(0.02):
                    return
                continue
            self.statuses.append(response.status_code)
            self.answered.append(request_id)
            return


@pytest.fixture
def crowd() -> Iterator[Callable[..., Crowd]]:
    """Makes crowds, and sends them home."""
    made: list[Crowd] = []

    def gather(plane: Plane, clients: int = 4) -> Crowd:
        made.append(Crowd(plane, clients))
        return made[-1]

    yield gather
    for one in made:
        one.stop()


def test_a_worker_serves_what_the_board_names(start_plane: Callable[..., Plane], home: Any) -> None:
    """A bundle in the home, a table on the board: an answer, a record, a report, metrics of all workers."""
    digest = home.put(0.0)
    plane = start_plane(workers=2)
    assert ask(plane).status_code == 404
    home.publish_and_wait(champion(1, v1=digest), workers=2)
    answer = ask(plane, 1).json()
    assert (answer["request_id"], answer["version"], answer["arm"], answer["prediction"]) == ("r1", 1, "champion", 1)
    outcome = httpx.post(plane.url + "/v1/outcomes", json=[{"request_id": "r1", "outcome": 1}], timeout=60.0)
    assert outcome.json() == {"accepted": 1}
    (record,) = records(home.path)
    assert (record.request_id, record.probabilities) == ("r1", tuple(answer["probabilities"]))
    states = RouteFile(home.path / "routes").workers()
    assert [(state.worker, state.versions, state.error) for state in states] == [
        (0, {"hotel": [1]}, ""),
        (1, {"hotel": [1]}, ""),
    ]
    home.wait(
        lambda: 'worker="1"' in (text := httpx.get(plane.url + "/metrics", timeout=60.0).text) and 'worker="0"' in text
    )
    _refusals_are_counted(plane, home)


def _refusals_are_counted(plane: Plane, home: Any) -> None:
    """By the contract's field and the reason, with no value, and no name that a caller made up; whoever reads the
    workers' counters has the share of all requests."""
    refusals = Refusals(300.0)
    refusals.take([Counts(9, 9, 1, [], [], [], {}, 0, 0, [])], time.time() - 1.0)
    for number in range(6):
        assert ask(plane, 10 + number, lead_time=None).status_code == 422
    assert ask(plane, 20, s3cret=7).status_code == 422
    assert ask(plane, 21, segment="s3cret", lead_time="s3cret").status_code == 422
    assert httpx.post(plane.url + PATH, content=b"{", headers=JSON, timeout=60.0).status_code == 400

    def share() -> Measured:
        counts = [msgspec.json.decode(note, type=Counts) for note in NoteFolder(home.path / COUNTERS).read().values()]
        refusals.take(counts, time.time())
        return refusals.share("hotel", time.time())

    home.wait(lambda: share().rows == 10)
    assert share().value == 0.9
    assert share().note == "9 of 10 requests were refused, lead_time: null or missing in 6 of 10"
    text = httpx.get(plane.url + "/metrics", timeout=60.0).text
    lines = [line for line in text.splitlines() if line.startswith("fairlead_contract_refusals_total")]
    causes = {re.sub(r'model_name="hotel",model_version="1",|,worker="."', "", one).split("{")[1][:-3] for one in lines}
    assert causes == {
        'feature="lead_time",reason="missing"', 'feature="lead_time",reason="wrong_type"', 'feature="",reason="extra"',
    }  # fmt: skip
    assert "s3cret" not in text


def test_a_swap_under_load_fails_nobody(
    start_plane: Callable[..., Plane], home: Any, crowd: Callable[..., Crowd]
) -> None:
    """Twenty route changes while clients ask without pause: every answer is 200, from one of the named versions."""
    first, second = home.put(0.0), home.put(-2.0)
    home.publish(champion(1, v1=first))
    plane = start_plane(workers=2)
    home.wait_applied(1, 2)
    clients = crowd(plane)
    for turn in range(20):
        home.publish_and_wait(champion(1 + turn % 2, v1=first, v2=second), workers=2)
    clients.stop()
    assert set(clients.statuses) == {200}
    assert clients.retries == 0
    served = {record.model_version for record in records(home.path)}
    assert served == {1, 2}


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_that_was_answered(
    start_plane: Callable[..., Plane], home: Any, crowd: Callable[..., Crowd]
) -> None:
    """SIGKILL under load, three times: every answered request is in the log, once, and the worker is back."""
    home.publish(champion(1, v1=home.put(0.0)))
    plane = start_plane(workers=2)
    home.wait_applied(1, 2)
    clients = crowd(plane)
    for turn in range(3):
        answered = len(clients.answered)
        home.wait(lambda answered=answered: len(clients.answered) > answered + 50)
        victim = plane.supervisor.pids()[turn % 2]
        os.kill(victim, signal.SIGKILL)
        home.wait(lambda victim=victim: plane.supervisor.check() or victim not in plane.supervisor.pids().values())
        home.wait(lambda: plane.supervisor.check() or len(plane.supervisor.pids()) == 2)
        alive = set(plane.supervisor.pids().values())
        home.wait(lambda alive=alive: alive <= {state.pid for state in RouteFile(home.path / "routes").workers()})
    clients.stop()
    assert set(clients.statuses) == {200}
    logged = [record.request_id for record in records(home.path)]
    assert len(logged) == len(set(logged))
    assert set(clients.answered) <= set(logged)


def test_a_failing_canary_is_seen_in_the_log(start_plane: Callable[..., Plane], home: Any) -> None:
    """A model that answers NaN gives 500, and a record with the failure for its arm."""
    good, bad = home.put(0.0), home.put(0.0, breaks_above=100.0)
    arms = (Arm("canary", 2, 0.5), Arm("champion", 1, 0.5))
    home.publish(ModelRoute(arms, {1: good, 2: bad}, (), "salt"))
    plane = start_plane()
    home.wait_applied(1, 1)
    statuses = {number: ask(plane, number, lead_time=200.0).status_code for number in range(30)}
    assert set(statuses.values()) == {200, 500}
    for record in records(home.path):
        assert record.status == statuses[int(record.request_id[1:])]
        assert (record.status == 500) == (record.arm == "canary")


def test_a_shadow_answers_unseen(start_plane: Callable[..., Plane], home: Any) -> None:
    """The caller gets the champion's answer; the candidate's is in the log beside it."""
    route = ModelRoute((Arm("champion", 1, 1.0),), {1: home.put(0.0), 2: home.put(-2.0)}, (2,))
    home.publish(route)
    plane = start_plane()
    home.wait_applied(1, 1)
    for number in range(10):
        assert ask(plane, number).json()["version"] == 1
    home.wait(lambda: len(records(home.path)) == 20)
    shadows = [record for record in records(home.path) if record.arm == "shadow"]
    assert {record.request_id for record in shadows} == {f"r{number}" for number in range(10)}
    assert {(record.model_version, record.shadow_of) for record in shadows} == {(2, 1)}


def test_a_bundle_that_was_tampered_with_is_never_served(start_plane: Callable[..., Plane], home: Any) -> None:
    """The old table is served on, and the report says which file it was."""
    good, bad = home.put(0.0), home.put(-2.0)
    home.publish(champion(1, v1=good))
    plane = start_plane()
    home.wait_applied(1, 1)
    model = home.path / "bundles" / bad / "portable" / "model.onnx"
    model.chmod(0o644)
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    home.publish(champion(2, v1=good, v2=bad))
    home.wait(lambda: RouteFile(home.path / "routes").workers()[0].error)
    assert "model.onnx" in RouteFile(home.path / "routes").workers()[0].error
    assert ask(plane).json()["version"] == 1


def test_serving_goes_on_without_the_board(start_plane: Callable[..., Plane], home: Any) -> None:
    """The table is damaged, then the folder is gone: predictions go on, and the next table is taken."""
    digest = home.put(0.0)
    home.publish(champion(1, v1=digest))
    plane = start_plane()
    home.wait_applied(1, 1)
    table = home.path / "routes" / "table.json"
    whole = table.read_bytes()
    table.write_bytes(b"{")
    home.wait(lambda: "damaged" in RouteFile(home.path / "routes").workers()[0].error)
    assert ask(plane).status_code == 200
    table.unlink()
    assert ask(plane).status_code == 200
    table.write_bytes(whole)
    home.publish_and_wait(champion(1, v1=digest), workers=1)
    assert ask(plane).status_code == 200


def test_sync_answers_after_the_disk(start_plane: Callable[..., Plane], home: Any) -> None:
    """The same answers, each on the disk first; a terminated worker drains and leaves with 0."""
    home.publish(champion(1, v1=home.put(0.0)))
    plane = start_plane(durability="sync")
    home.wait_applied(1, 1)
    for number in range(20):
        assert ask(plane, number).status_code == 200
    assert len(records(home.path)) == 20
    plane.supervisor.stop()
    assert "left with 0" in plane.changes[-1][2]


@pytest.mark.parametrize(("when_full", "status"), [("shed", 503), ("serve-unlogged", 200)])
def test_a_disk_that_takes_no_more_sheds_or_serves_unlogged(
    start_plane: Callable[..., Plane], home: Any, when_full: str, status: int
) -> None:
    """As the settings say; either way it is counted, and the log is written again once it can be."""
    home.publish(champion(1, v1=home.put(0.0)))
    (home.path / "log").mkdir()
    blocked = home.path / "log" / "predictions"
    blocked.write_text("in the way")
    plane = start_plane(when_full=when_full)
    home.wait_applied(1, 1)
    assert ask(plane, 0).status_code == status
    assert 'fairlead_log_failures_total{worker="0"} 1' in httpx.get(f"{plane.url}/metrics", timeout=60).text
    blocked.unlink()
    assert ask(plane, 1).status_code == 200
    assert len(records(home.path)) == 1


class Slow:
    """A caller who sends all but the last bytes of a request, and the rest when it is told to."""

    def __init__(self, url: str, request_id: str) -> None:
        body = json.dumps({"features": ROW, "request_id": request_id}).encode()
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._socket = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=60)
        self._rest = body[-5:]
        self._socket.sendall(head.encode() + body[:-5])

    def finish(self) -> bytes:
        """Sends the rest; the answer."""
        self._socket.sendall(self._rest)
        said = b""
        while not said.endswith(b"}"):
            more = self._socket.recv(65536)
            assert more, said
            said += more
        return said

    def ended(self) -> bool:
        """Waits for the server's next word: whether it is the end of the connection. Hangs up."""
        with self._socket:
            return self._socket.recv(1) == b""


def test_a_terminated_worker_answers_what_is_under_way(start_plane: Callable[..., Plane], home: Any) -> None:
    """An idle connection is closed; a request that has begun is answered, logged, and told that this was the last."""
    home.publish(champion(1, v1=home.put(0.0)))
    plane = start_plane()
    idle, slow = Slow(plane.url, "idle"), Slow(plane.url, "slow")
    assert idle.finish().startswith(b"HTTP/1.1 200")
    (pid,) = plane.supervisor.pids().values()
    os.kill(pid, signal.SIGTERM)
    assert idle.ended()  # the drain has begun
    said = slow.finish()
    assert (said.startswith(b"HTTP/1.1 200"), b"connection: close" in said, slow.ended()) == (True, True, True)
    home.wait(lambda: plane.supervisor.check() or len(plane.changes) > 1)
    assert "left with 0" in plane.changes[1][2]
    assert [record.request_id for record in records(home.path)] == ["idle", "slow"]


def test_a_drain_ends(wait_for: Callable[..., None]) -> None:
    """What takes longer is cut with a 500, and the server returns."""

    async def stuck(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    server = http_server(stuck, drain_seconds=1)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    with socket.create_connection(listener.getsockname(), timeout=20) as line:
        line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        wait_for(lambda: server.server_state.tasks)
        server.should_exit = True
        assert line.recv(65536).startswith(b"HTTP/1.1 500")
    thread.join(60)
    assert not thread.is_alive()


def test_a_worker_takes_no_connection_before_it_serves(start_plane: Callable[..., Plane], home: Any) -> None:
    """The socket is open from the start; who connects early waits for the first table and is then answered."""
    plane = start_plane(wait=False)
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(ask(plane).status_code))
    thread.start()
    home.publish(champion(1, v1=home.put(0.0)))
    thread.join(60)
    assert answers == [200]


def test_a_trusted_pickle_is_served_and_only_then(start_plane: Callable[..., Plane], home: Any) -> None:
    """A model that has no translation is served as it was pickled, by a worker that was told to trust pickles; any
    other says which file it will not open, and serves nothing."""
    import pandas as pd
    from sklearn.semi_supervised import LabelSpreading

    rng = np.random.default_rng(5)
    rows = pd.DataFrame({"lead_time": rng.uniform(0.0, 300.0, 200), "adr": rng.uniform(40.0, 200.0, 200)})
    target = (rows.lead_time > 150.0).astype(int)
    home.path.joinpath("model.pkl").write_bytes(pickle.dumps(LabelSpreading(gamma=0.01).fit(rows, target)))
    rows.assign(is_canceled=target).to_parquet(home.path / "rows.parquet", index=False)
    asked = Registration(
        "hotel", str(home.path / "model.pkl"), home.path / "rows.parquet", "is_canceled", trust=("pickle",)
    )
    registry = MemoryRegistry()
    context = replace(open_context(home.path), open_registry=lambda: registry)
    version = register(context, asked)
    assert context.bundles.manifest(version.bundle).served == "model/model.pkl"
    home.publish(champion(1, v1=version.bundle))

    plane = start_plane(trust=("pickle",))
    answer = httpx.post(plane.url + PATH, json={"features": {"lead_time": 290.0, "adr": 80.5}}, timeout=60.0)
    assert (answer.status_code, answer.json()["prediction"]) == (200, 1)
    plane.supervisor.stop()

    wary = start_plane(wait=False)
    home.wait(lambda: any("model.pkl" in state.error for state in RouteFile(home.path / "routes").workers()))
    (state,) = RouteFile(home.path / "routes").workers()
    assert "--trust pickle" in state.error
    assert httpx.post(wary.url + PATH, json={"features": {}}, timeout=20.0).status_code == 503


def test_a_worker_on_its_own_port_and_a_port_that_is_taken(home: Any) -> None:
    """Without a supervisor it binds by itself; a taken port is one line and exit 1."""
    home.path.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "fairlead.app.worker", "--home", str(home.path), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_imports_no_data_frame_and_no_registry() -> None:
    """Its footprint stays small."""
    heavy = ("mlflow", "pandas", "sklearn", "pyarrow", "sqlite3", "scipy", "polars", "starlette", "onnxruntime")
    code = f"import sys, fairlead.app.worker; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option is exit 2 with one line on what it may be."""
    options = parse(["--home", "h", "--worker", "3", "--fd", "7", "--durability", "sync"])
    assert (options.home, options.worker, options.fd, options.durability) == (Path("h"), 3, 7, "sync")
    assert options.trust == []
    assert parse(["--home", "h", "--trust", "pickle", "--trust", "joblib"]).trust == ["pickle", "joblib"]
    for wrong in (["--durability", "never"], ["--trust", "never"]):
        with pytest.raises(SystemExit) as caught:
            parse(["--home", "h", *wrong])
        assert caught.value.code == 2
        assert "invalid choice: 'never'" in capsys.readouterr().err
