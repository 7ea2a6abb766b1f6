"""Who answers unseen, as a process beside the workers: whatever a candidate does there, callers are answered."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from fairlead.adapters.bundle_folder import BundleFolder, file_sha256
from fairlead.adapters.route_file import TABLE, RouteFile
from fairlead.adapters.segment_frame import PREDICTIONS
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.app import shadower, supervisor, worker_board
from fairlead.app.shadower import log_ends, parse
from fairlead.core.bundle import GOLDEN, Golden, Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.record import Prediction
from fairlead.core.rollout import Plan, ShadowPlan, Step
from fairlead.core.route import SHADOWER, Arm, ModelRoute, RouteTable
from fairlead.flows.tally import Counts, Shadowed
from fairlead.testing.postgres import PostgresServer

Home = Any  # the fixtures' values: see conftest
Plane = Any
LEAKED = 64 * 2**20

# A candidate that does what its row says: 1 ends the process, 2 hangs, 3 hangs and lets no other thread run, 4 keeps
# memory.
SCORER = f"""
import os, time
KEPT = []
def predict(given):
    for row in given:
        match int(row["lead_time"]):
            case 1: os.abort()
            case 2: time.sleep(600)
            case 3: sum(range(10 ** 12))
            case 4: KEPT.append(b"x" * {LEAKED})
    return [0.25] * len(given)
"""
CONTRACT = Contract((Feature("lead_time", Kind.NUMBER),), Task.BINARY, "is_canceled", ("0", "1"))
SOUND = SCORER.partition("def predict")[0] + "def predict(given):\n    return [0.75] * len(given)\n"


def put(home: Path, code: str, name: str = "hotel") -> str:
    """Registers a version that is a Python function; returns its digest."""
    draft = home / f"draft-{len(list(home.iterdir()))}"
    (draft / "model").mkdir(parents=True)
    (draft / "model" / "scorer.py").write_text(code)
    answer = 0.25 if code == SCORER else 0.75
    (draft / GOLDEN).write_bytes(msgspec.json.encode(Golden(({"lead_time": 9.0},), ((1.0 - answer, answer),))))
    entry = "model/scorer.py"
    files = {path: file_sha256(draft / path) for path in (entry, GOLDEN)}
    lineage = Lineage("made", "0" * 64, 1)
    manifest = Manifest(name, CONTRACT, "python", entry, entry, files, lineage, model_call="predict")
    return BundleFolder(home / "bundles").put(draft, manifest)


def shadowed(home: Path, candidate: str = SCORER, name: str = "hotel") -> ModelRoute:
    """A candidate in the shadow of a sound champion."""
    bundles = {1: put(home, SOUND, name), 2: put(home, candidate, name)}
    return ModelRoute((Arm("champion", 1, 1.0),), bundles, (2,), "r1")


def ask(plane: Plane, number: int, lead_time: float = 9.0, model: str = "hotel") -> int:
    """The version that answered a caller."""
    body = {"features": {"lead_time": lead_time}, "request_id": f"r{number}"}
    answer = httpx.post(f"{plane.url}/v1/models/{model}/predict", json=body, timeout=60.0)
    assert answer.status_code == 200
    return int(answer.json()["version"])


def unseen(home: Path) -> dict[str, Prediction]:
    """The shadows' answers in the log, by request."""
    reader = SegmentReader(home / "log")
    records: list[Prediction] = []
    while more := reader.poll()[0]:
        records += more
    return {record.request_id: record for record in records if record.shadow_of is not None}


def noted(home: Path) -> Counts | None:
    """What the shadower says of itself."""
    try:
        return msgspec.json.decode((home / "workers" / f"{SHADOWER}.json").read_bytes(), type=Counts)
    except OSError:
        return None


def first(home: Path) -> Shadowed | None:
    """How its first shadow is doing."""
    counts = noted(home)
    said = counts.shadowing if counts is not None else None
    return said.shadows[0] if said is not None and said.shadows else None


def status(home: Path) -> str:
    """The same in one word, nothing before it says anything."""
    shadow = first(home)
    return shadow.status if shadow is not None else ""


def resident(home: Path) -> int:
    """The bytes that it holds."""
    counts = noted(home)
    return counts.usage.resident_bytes if counts is not None and counts.usage is not None else 0


def health(plane: Plane) -> httpx.Response:
    """The worker's health."""
    return httpx.get(f"{plane.url}/health", timeout=60.0)


def metrics(plane: Plane) -> str:
    """The worker's metrics."""
    return httpx.get(f"{plane.url}/metrics", timeout=60.0).text


def is_warm(home: Path) -> bool:
    """Whether every shadow answers."""
    counts = noted(home)
    said = counts.shadowing if counts is not None else None
    return said is not None and bool(said.shadows) and all(one.status == "ok" for one in said.shadows)


def catches(pid: int, number: int) -> bool:
    """Whether a process has begun to mind a signal."""
    told = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(told["SigCgt"], 16) >> (number - 1) & 1)


def of_shadower(plane: Plane) -> list[str]:
    """What the supervisor told of it."""
    return [f"{state}: {detail}" for number, state, detail in plane.changes if number == SHADOWER]


@pytest.fixture
def start_alone(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a shadower without a supervisor."""
    with ExitStack() as stack:

        def run(*options: str, **more: Any) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "fairlead.app.shadower", "--home", str(tmp_path), "--trust", "python"]
            process = subprocess.Popen([*command, "--worker", str(SHADOWER), *options], **more)
            stack.callback(process.wait, 60)
            stack.callback(process.kill)
            return process

        yield run


def test_who_answers_unseen_is_no_worker(start_plane: Callable[..., Plane], home: Home) -> None:
    """Its answers are in the log under its own number, its counters in every worker's metrics, how it is doing in the
    health. It does not report to the route board, where the last worker is waited for."""
    generation = home.publish(shadowed(home.path))
    plane = start_plane(workers=2, trust=("python",))
    home.wait_applied(generation, 2)
    assert {ask(plane, number) for number in range(20)} == {1}
    home.wait(lambda: len(unseen(home.path)) == 20)
    records = unseen(home.path).values()
    assert {(record.arm, record.model_version, record.shadow_of, record.score) for record in records} == {
        ("shadow", 2, 1, 0.25)
    }
    assert list((home.path / "log" / PREDICTIONS).glob(f"w{SHADOWER}-*.seg"))
    assert {state.worker for state in home.board.workers()} == {0, 1}
    assert set(plane.supervisor.pids()) == {0, 1}
    counted = f'{{model_name="hotel",model_version="2",arm="shadow",code="200",worker="{SHADOWER}"}} 20'
    home.wait(lambda: counted in metrics(plane))
    page = metrics(plane)
    assert 'fairlead_shadow_up{model_name="hotel",model_version="2",status="ok",worker="' in page
    assert f'fairlead_shadow_dropped_total{{reason="behind",worker="{SHADOWER}"}} 0' in page
    assert f'fairlead_shadow_behind_seconds{{model_name="hotel",model_version="2",worker="{SHADOWER}"}} 0.0' in page
    home.wait(lambda: health(plane).json()["unseen"] == {"hotel@2": "ok"})


def test_a_candidate_that_ends_the_process_leaves_the_gateway_alone(
    start_plane: Callable[..., Plane], home: Home
) -> None:
    """Callers are answered by the workers that they had. The supervisor tells of it and starts another, which answers
    what comes then, and not again what ended the first."""
    home.publish(shadowed(home.path))
    plane = start_plane(trust=("python",))
    home.wait(lambda: is_warm(home.path))
    victim, workers = plane.supervisor.shadower, plane.supervisor.pids()
    assert ask(plane, 1, lead_time=1.0) == 1
    home.wait(lambda: plane.supervisor.check() or plane.supervisor.shadower not in (None, victim))
    assert "was ended by SIGABRT" in of_shadower(plane)[0]
    home.wait(lambda: is_warm(home.path))
    assert ask(plane, 2) == 1
    home.wait(lambda: unseen(home.path))
    plane.supervisor.check()
    assert set(unseen(home.path)) == {"r2"}
    assert len(of_shadower(plane)) == 1
    assert plane.supervisor.pids() == workers


def test_what_nobody_answers_is_told_of_and_is_no_success(start_plane: Callable[..., Plane], home: Home) -> None:
    """While there is no shadower the health and the metrics say that a shadow is silent; callers are answered."""
    home.publish(shadowed(home.path))
    plane = start_plane(trust=("python",))
    home.wait(lambda: is_warm(home.path))
    os.kill(plane.supervisor.shadower, signal.SIGKILL)
    home.wait(lambda: health(plane).json()["unseen"] == {"hotel@2": "silent"})
    assert health(plane).status_code == 200
    assert 'fairlead_shadow_up{model_name="hotel",model_version="2",status="silent",worker="0"} 0' in metrics(plane)
    assert ask(plane, 1) == 1
    home.wait(lambda: plane.supervisor.check() or health(plane).json()["unseen"] == {"hotel@2": "ok"})


def test_a_candidate_that_hangs_holds_up_neither_another_nor_the_end(
    start_plane: Callable[..., Plane], home: Home
) -> None:
    """Another model's shadow answers, and the process leaves when it is told to, at once."""
    routes = {name: shadowed(home.path, name=name) for name in ("hotel", "price")}
    home.board.publish(RouteTable(1, routes))
    plane = start_plane(trust=("python",))
    home.wait(lambda: is_warm(home.path))
    assert ask(plane, 1, lead_time=2.0) == 1
    home.wait(lambda: (shadow := first(home.path)) is not None and shadow.behind > 0.5)
    assert ask(plane, 2, model="price") == 1
    home.wait(lambda: set(unseen(home.path)) == {"r2"})
    victim = plane.supervisor.shadower
    os.kill(victim, signal.SIGTERM)
    home.wait(lambda: plane.supervisor.check() or plane.supervisor.shadower not in (None, victim))
    assert of_shadower(plane) == []


def test_one_that_lets_no_thread_run_is_replaced(
    start_plane: Callable[..., Plane], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its counters stand still, which the supervisor sees."""
    home.publish(shadowed(home.path))
    plane = start_plane(trust=("python",))
    home.wait(lambda: is_warm(home.path))
    assert ask(plane, 1, lead_time=3.0) == 1
    with monkeypatch.context() as hasty:  # the next one may take its time
        hasty.setattr(supervisor, "MUTE_SECONDS", 2.0)
        home.wait(lambda: plane.supervisor.check() or of_shadower(plane))
    assert "was ended by SIGKILL" in of_shadower(plane)[0]
    home.wait(lambda: plane.supervisor.check() or is_warm(home.path))
    assert ask(plane, 2) == 1
    home.wait(lambda: set(unseen(home.path)) == {"r2"})


def test_what_a_candidate_keeps_goes_with_the_rollout(home: Home, start_alone: Callable[..., Any]) -> None:
    """Memory that it has leaked is the shadower's, which leaves with 0 once no shadow has been there for a while."""
    generation = home.publish(shadowed(home.path))
    process = start_alone("--idle", "0.3")
    home.wait(lambda: is_warm(home.path))
    before = resident(home.path)
    route = RouteFile(home.path / "routes").current().models["hotel"]
    command = [sys.executable, "-m", "fairlead.app.worker", "--home", str(home.path), "--trust", "python"]
    read, write = os.pipe()
    with subprocess.Popen([*command, "--port", "0", "--parent", str(read)], pass_fds=[read]) as gateway:
        home.wait_applied(generation, 1)
        log = SegmentWriter(home.path, route)
        log.write(lead_time=4.0)
        home.wait(lambda: len(unseen(home.path)) == 1)
        home.wait(lambda: resident(home.path) > before + LEAKED // 2)
        home.publish(ModelRoute(route.arms, {1: route.bundles[1]}))
        assert process.wait(60) == 0
        os.close(write)
        assert gateway.wait(60) == 0
    os.close(read)


class SegmentWriter:
    """Writes what a worker would have served."""

    def __init__(self, home: Path, route: ModelRoute) -> None:
        from fairlead.adapters.segment_log import SegmentLog

        self._log, self._route = SegmentLog(home / "log", 7), route
        self._count = 0

    def write(self, lead_time: float = 9.0) -> None:
        """One answer."""
        self._count += 1
        record = Prediction(
            *(f"w{self._count}", "hotel", 1, "champion", "u", 1.0, time.time(), time.time()),
            *(msgspec.Raw(b'{"lead_time":%d}' % lead_time), 1, 0.75, 1.0),
            rollout=self._route.salt,
        )
        self._log.predictions([record])


def test_without_a_shadow_nothing_is_loaded(home: Home, start_alone: Callable[..., Any]) -> None:
    """Neither a model's library nor what follows the board or the log: at most 25 MiB, most of them Python's own."""
    home.publish(ModelRoute((Arm("champion", 1, 1.0),), {1: put(home.path, SOUND)}))
    process = start_alone()
    home.wait(lambda: "msgspec" in Path(f"/proc/{process.pid}/maps").read_text())
    time.sleep(0.5)
    assert process.poll() is None
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    assert not any(name in maps for name in ("numpy", "onnxruntime", "_asyncio", "_ssl", "uvloop"))
    told = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    assert int(told["VmRSS"].split()[0]) < 25 * 1024
    assert int(told["Threads"]) == 1
    assert noted(home.path) is None
    home.wait(lambda: catches(process.pid, signal.SIGTERM))
    process.terminate()
    assert process.wait(60) == 0


def test_it_never_takes_a_processor_that_is_wanted(start_alone: Callable[..., Any], home: Home) -> None:
    """Those threads that answer run when nobody else wants to; those that load give way."""
    home.publish(shadowed(home.path))
    process = start_alone()
    home.wait(lambda: os.sched_getscheduler(process.pid) == os.SCHED_IDLE)
    SegmentWriter(home.path, shadowed(home.path)).write()
    home.wait(lambda: unseen(home.path))
    threads = policies(process.pid)
    assert len(threads) > 2
    assert sum(policy == os.SCHED_IDLE for policy, _ in threads) >= 2
    assert min(nice for _, nice in threads) >= shadower.NICE


def policies(pid: int) -> list[tuple[int, int]]:
    """The scheduling policy and the niceness of each thread of a process."""
    found = []
    for each in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # one that loaded has ended meanwhile
            found.append((os.sched_getscheduler(int(each.name)), os.getpriority(os.PRIO_PROCESS, int(each.name))))
    return found


@pytest.mark.parametrize("loaded", [False, True])
def test_it_leaves_with_its_parent(home: Home, start_alone: Callable[..., Any], loaded: bool) -> None:
    """Bare, or with candidates in memory."""
    home.publish(shadowed(home.path) if loaded else ModelRoute((Arm("champion", 1, 1.0),), {1: put(home.path, SOUND)}))
    read, write = os.pipe()
    process = start_alone("--parent", str(read), pass_fds=[read])
    os.close(read)
    home.wait(lambda: is_warm(home.path) if loaded else "msgspec" in Path(f"/proc/{process.pid}/maps").read_text())
    os.close(write)
    assert process.wait(60) == 0


def test_it_leaves_with_a_parent_that_was_killed_while_a_candidate_hangs(home: Home, tmp_path: Path) -> None:
    """Also where that lets no other thread see it."""
    route = shadowed(home.path)
    home.publish(route)
    command = [sys.executable, "-m", "fairlead.app.shadower", "--home", str(tmp_path), "--trust", "python"]
    command += ["--worker", str(SHADOWER)]
    parent = f"import subprocess\nprint(subprocess.Popen({command!r}).pid, flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        home.wait(lambda: is_warm(home.path))
        SegmentWriter(home.path, route).write(lead_time=3.0)
        note = home.path / "workers" / f"{SHADOWER}.json"
        home.wait(lambda: time.time() - note.stat().st_mtime > 2.5)  # it says no more
        process.kill()
    home.wait(lambda: has_left(pid))


def has_left(pid: int) -> bool:
    """Whether a process has ended, buried or not."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


def test_it_starts_where_the_log_ends(home: Home, start_alone: Callable[..., Any]) -> None:
    """What was served before there was anything to answer it is not answered; what comes while a candidate is loaded
    is."""
    go_on = home.path / "go on"
    route = shadowed(
        home.path, SOUND.replace("KEPT = []", f"while not os.path.exists({str(go_on)!r}): time.sleep(0.01)")
    )
    writer = SegmentWriter(home.path, route)
    writer.write()
    home.wait(lambda: log_ends(home.path / "log"))
    home.publish(route)
    start_alone()
    home.wait(lambda: noted(home.path))
    writer.write()
    home.wait(lambda: status(home.path) == "loading")
    go_on.touch()
    home.wait(lambda: set(unseen(home.path)) == {"w2"})


def test_a_candidate_that_cannot_be_loaded_is_told_of(home: Home, start_alone: Callable[..., Any]) -> None:
    """By why, in what it notes; what comes for it is dropped under that name."""
    route = shadowed(home.path, SOUND.replace("0.75", "0.5"))
    home.publish(route)
    start_alone()
    home.wait(lambda: status(home.path) == "failed")
    shadow = first(home.path)
    assert shadow is not None
    assert "answers its golden rows" in shadow.error
    SegmentWriter(home.path, route).write()
    home.wait(lambda: (counts := noted(home.path)) is not None and counts.shadow_dropped["not_warm"] == 1)


def test_a_damaged_table_is_waited_out(home: Home, start_alone: Callable[..., Any]) -> None:
    """The workers tell of it; whoever answers unseen goes on looking."""
    (home.path / "routes").mkdir()
    (home.path / "routes" / TABLE).write_bytes(b"{")
    process = start_alone()
    time.sleep(0.5)
    assert process.poll() is None
    home.publish(shadowed(home.path))
    home.wait(lambda: is_warm(home.path))


def test_it_reads_a_workers_options_and_knows_the_names_that_it_does_not_import() -> None:
    """What a supervisor hands down is about workers: the rest is passed over. What is written twice is the same."""
    options = parse(
        ["--home", "h", "--worker", "9900", "--parent", "4", "--trust", "pickle", "--limits={}", "--when-full=shed",
         "--aside={}", "--features={}", "--observing={}", "--database"]
    )  # fmt: skip
    assert (options.home, options.worker, options.parent, options.trust) == (Path("h"), 9900, 4, ["pickle"])
    assert (options.database, options.idle) == (True, 60.0)
    assert (shadower.ROUTES, shadower.TABLE, shadower.PREDICTIONS) == (worker_board.ROUTES, TABLE, PREDICTIONS)
    assert shadower.DATABASE == worker_board.VARIABLE


def earn_a_canary(system: Any) -> None:
    """A rollout leaves its shadow phase: the controller reads the pairs in the log, whoever wrote them, and decides."""
    rollout = system.deploy(2, Plan("shadow", (Step(0.3), Step(1.0)), (), ShadowPlan(0.0, 100)))

    def is_applied() -> bool:
        applied = [fact.rollout for fact in system.facts("route_applied")]
        return system.predict() == 200 and applied[-1:] == [rollout]

    system.wait(is_applied)
    assert len(system.children("shadower")) == 1

    def phases() -> list[str]:
        for _ in range(20):
            assert system.predict() == 200
        decided = [fact for fact in system.facts("rollout_decided") if fact.rollout == rollout]
        return [msgspec.json.decode(fact.decision)["after"] for fact in decided]

    system.wait(lambda: "canary" in phases())
    records = unseen(system.home).values()
    assert len(records) >= 100
    assert {(record.rollout, record.model_version, record.shadow_of) for record in records} == {(rollout, 2, 1)}
    counts = noted(system.home)
    assert counts is not None
    assert sum(counts.shadow_dropped.values()) == 0


def test_a_rollout_leaves_its_shadow_phase_by_what_was_answered_unseen(start: Callable[..., Any]) -> None:
    """`fairlead up` as it stands."""
    earn_a_canary(start(workers=1))


@pytest.mark.slow
def test_it_follows_the_routes_in_a_database(start: Callable[..., Any], postgres: PostgresServer) -> None:
    """A bare one looks at what the workers of its home have kept of them, and needs no connection for that."""
    earn_a_canary(start(settings=f"database: {postgres.create()}", workers=1))
