"""The whole system with its journal and routes on PostgreSQL."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.app.test_up import Traffic

from fairlead.app.compose import open_context
from fairlead.app.worker_board import VARIABLE, worker_board
from fairlead.core.bundle import ModelCard
from fairlead.core.event import OperatorAsked, StatusChanged
from fairlead.core.rollout import Phase
from fairlead.errors import SettingsError, StateError
from fairlead.faces.cli.app import build, run
from fairlead.operations import rollouts
from fairlead.testing.postgres import PASSWORD, PostgresServer

System = Any  # the fixtures' values: see conftest
Start = Callable[..., System]


def served(system: System) -> int:
    """The version that answers now."""
    body = {"features": system.row()}
    return int(system.http.post("/v1/models/stay/predict", json=body).json()["version"])


def phase(system: System, rollout: str) -> Phase | None:
    """Where a rollout stands."""
    return next((view.phase for view in rollouts.rollouts(system.context) if view.id == rollout), None)


def ask(system: System, verb: rollouts.Verb) -> None:
    """An operator's wish."""
    rollouts.operate(system.context, "stay", verb, "a test")


@pytest.mark.slow
def test_a_killed_database_costs_no_prediction(new_postgres: Callable[[], PostgresServer], start: Start) -> None:
    """Under load the server is killed. Every request is answered; an append is refused in one line that names the
    database; workers that start now serve the last table. Back again, appends, rollouts and routes go on, and the
    journal is intact."""
    server = new_postgres()
    system = start(settings=f"database: {server.create()}", workers=1)
    system.wait(lambda: phase(system, "r1") is Phase.PROMOTED)
    fact = StatusChanged("stay", 1, "production", "a test")
    with Traffic(system) as traffic:
        traffic.more()
        server.kill()
        traffic.more(300)
        with pytest.raises(StateError, match="cannot be used") as refused:
            system.context.journal.append([fact], actor="ana", at=1.0)
        assert PASSWORD not in refused.value.line
    assert traffic.failed == []
    old = system.children("worker")
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    system.wait(lambda: set(system.children("worker")) - set(old))
    system.wait(system.ready)
    with Traffic(system) as traffic:
        traffic.more()
        assert served(system) == 1
        server.start()
        system.wait(lambda: is_written(system, fact))
        system.deploy(2)
        system.wait(lambda: phase(system, "r2") is Phase.CANARY)
        ask(system, "promote")
        system.wait(lambda: served(system) == 2)
        traffic.more()
    assert traffic.failed == []
    system.wait(lambda: any(fact.rollout == "r2" for fact in system.facts("route_applied")))
    assert system.context.journal.verify() == sum(1 for _ in system.context.journal.read())
    assert rollouts.replay(system.context, "r2").matches
    told = system.log.read_text()
    assert "is served from memory" in told
    assert PASSWORD not in told


def is_written(system: System, fact: StatusChanged) -> bool:
    """Whether a fact could be appended."""
    try:
        return bool(system.context.journal.append([fact], actor="ana", at=1.0))
    except StateError:
        return False


@pytest.fixture
def second(tmp_path: Path, unused_port: int) -> Iterator[Callable[[System], Any]]:
    """Starts `up` on another home, as another machine would, with the bundles of the first."""
    processes: list[subprocess.Popen[str]] = []

    def begin(system: System) -> httpx.Client:
        shutil.copytree(system.home / "bundles", tmp_path / "bundles")
        command = [sys.executable, "-m", "fairlead.app.main", "--home", str(tmp_path), "--config", str(system.config)]
        command += ["up", "--port", "0", "--control-port", str(unused_port), "--workers", "1"]
        with (tmp_path / "up.err").open("ab") as log:
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True))
        assert processes[-1].stdout is not None
        said = processes[-1].stdout.readline()
        return httpx.Client(base_url=f"http://127.0.0.1:{int(said.rpartition(':')[2])}", timeout=10.0)

    yield begin
    for process in processes:
        process.terminate()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.slow
def test_of_two_machines_one_leads_and_both_follow(
    postgres: PostgresServer, start: Start, second: Callable[[System], httpx.Client], tmp_path: Path, unused_port: int
) -> None:
    """Both serve the table and show the journal. When the leading controller dies the other leads: a rollout that is
    asked for then is driven, and both machines swap. Each worker is told by its own machine."""
    system = start(settings=f"database: {postgres.create()}", workers=1)
    system.wait(lambda: phase(system, "r1") is Phase.PROMOTED)
    with second(system) as other:
        system.wait(lambda: ready(other, system.row()))
        assert len(system.context.board.workers()) == 2
        console = f"http://127.0.0.1:{unused_port}/api/v1/overview"
        system.wait(lambda: shows(console, "stay"))
        (leading,) = system.children("controller")
        os.kill(leading, signal.SIGKILL)
        system.wait(lambda: "this controller leads" in (tmp_path / "up.err").read_text())
        system.deploy(2)
        system.wait(lambda: phase(system, "r2") is Phase.CANARY)
        ask(system, "promote")
        for http in (system.http, other):
            system.wait(
                lambda http=http: (
                    http.post("/v1/models/stay/predict", json={"features": system.row()}).json()["version"] == 2
                )
            )
        system.wait(lambda: "stands by" in system.log.read_text())
        applied = system.facts("route_applied")
        assert applied[-1].workers == 2
    assert system.context.journal.verify() > 10
    assert rollouts.replay(system.context, "r2").matches


def ready(http: httpx.Client, row: dict[str, Any]) -> bool:
    """Whether a gateway answers."""
    try:
        return http.post("/v1/models/stay/predict", json={"features": row}).status_code == 200
    except httpx.HTTPError:
        return False


def shows(console: str, model: str) -> bool:
    """Whether a console knows a model."""
    try:
        return model in httpx.get(console, timeout=5.0).text
    except httpx.HTTPError:
        return False


class Commands:
    """The command line over one home and settings file, in this process."""

    def __init__(self, home: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._options = ["--home", str(home), "--config", str(config)]
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What a command says on stdout; it must leave with `code`."""
        got = run(build(open_context, "0.0.0"), [*self._options, *arguments])
        told = self._capsys.readouterr()
        assert got == code, told
        assert PASSWORD not in told.out + told.err
        return told.out + (told.err if code else "")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A folder with a small model and the data that it was trained on."""
    import pandas as pd
    import skops.io
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(4)
    data = pd.DataFrame({"age": rng.normal(40.0, 9.0, 3000), "visits": rng.poisson(4.0, 3000).astype(float)})
    data["left"] = (rng.random(3000) < 1 / (1 + np.exp(-(data.age - 40.0) / 5.0 + data.visits - 4.0))).astype(int)
    data.to_csv(tmp_path / "data.csv", index=False)
    model = LogisticRegression().fit(data[["age", "visits"]], data.left)
    (tmp_path / "model.skops").write_bytes(skops.io.dumps(model))
    (tmp_path / "card.json").write_text(json.dumps(dict.fromkeys(ModelCard.__struct_fields__, "as the test says")))
    return tmp_path


@pytest.mark.slow
def test_every_verb_of_a_release_works(
    postgres: PostgresServer, trained: Path, capsys: pytest.CaptureFixture[str], unused_port: int
) -> None:
    """register, gate, up, deploy, promote, rollback, rollout, why, replay and `journal verify`, on PostgreSQL: nothing
    of the journal or the routes is in the home folder but the last table."""
    home, config = trained / "home", trained / "fairlead.yaml"
    config.write_text(
        f"database: {postgres.create()}\n"
        "gates: {against_champion: not_worse, margin: 0.2, p99: 10s, peak_memory: 8GB}\n"
        "rollout: {steps: [{traffic: 30%, hold: 0s, at_least: 1000000}, {traffic: 100%}]}\n"
    )
    fairlead = Commands(home, config, capsys)
    register = ["register", "churn", "--model", str(trained / "model.skops"), "--card", str(trained / "card.json")]
    register += ["--reference", str(trained / "data.csv"), "--target", "left"]
    fairlead(*register)
    fairlead("gate", "churn@1")
    with running(home, config, unused_port) as http:
        fairlead("deploy", "churn@1")
        until(lambda: stands(home, config) == "promoted")
        fairlead(*register)
        fairlead("gate", "churn@2")
        fairlead("deploy", "churn@2")
        until(lambda: stands(home, config) == "canary")
        fairlead("promote", "churn", "--reason", "looks good")
        until(lambda: answered(http) == 2)
        fairlead("rollback", "churn", "--reason", "changed my mind")
        until(lambda: answered(http) == 1)
        until(lambda: stands(home, config) == "rolled_back")  # a rollback's route does not wait for the journal
    assert "changed my mind" in fairlead("why", "churn")
    latest = json.loads(fairlead("rollout", "churn", "--json"))["id"]
    assert json.loads(fairlead("replay", latest, "--json"))["matches"] is True
    assert int(re.findall(r"\d+", fairlead("journal", "verify"))[0]) > 15
    assert "churn" in fairlead("status")
    assert not (home / "journal.db").exists()
    assert [path.parent.parent.name for path in (home / "routes").rglob("*.json")] == ["routes"]


@contextmanager
def running(home: Path, config: Path, control_port: int) -> Iterator[httpx.Client]:
    """Runs `up` for a while; a client of its gateway."""
    command = [sys.executable, "-m", "fairlead.app.main", "--home", str(home), "--config", str(config), "up"]
    command += ["--port", "0", "--control-port", str(control_port), "--workers", "1"]
    with (home / "up.err").open("ab") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10.0) as http:
            yield http
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def stands(home: Path, config: Path) -> str:
    """The phase of the latest rollout; empty before the first."""
    views = rollouts.rollouts(open_context(home, config), "churn")
    return views[-1].phase.value if views else ""


def answered(http: httpx.Client) -> int:
    """The version that answers a request."""
    body = {"features": {"age": 41.0, "visits": 3.0}}
    return int(http.post("/v1/models/churn/predict", json=body).json()["version"])


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.05)


def test_a_database_that_is_away_is_one_line(
    postgres: PostgresServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command says what it could not reach, and the fix; exit 2."""
    config = tmp_path / "fairlead.yaml"
    config.write_text(f"database: {postgres.url('churn', port=1)}")
    (tmp_path / "home").mkdir()
    told = Commands(tmp_path / "home", config, capsys)("status", code=2)
    assert "postgresql://fairlead@127.0.0.1:1/churn cannot be used" in told
    assert len(told.strip().splitlines()) == 1


def test_a_worker_that_is_told_of_no_database_says_so(tmp_path: Path) -> None:
    """The option without the variable is refused."""
    with pytest.raises(SettingsError, match=VARIABLE):
        worker_board(tmp_path, {}, database=True)


def test_an_operator_is_heard_on_every_machine(postgres: PostgresServer, tmp_path: Path) -> None:
    """What one home's command writes another home's command reads."""
    config = tmp_path / "fairlead.yaml"
    config.write_text(f"database: {postgres.create()}")
    one, other = (open_context(tmp_path / name, config) for name in ("one", "other"))
    one.journal.append([OperatorAsked("stay", "pause", "a fire drill")], actor="ana", at=5.0)
    assert [(entry.actor, entry.fact) for entry in other.journal.read()] == [
        ("ana", OperatorAsked("stay", "pause", "a fire drill"))
    ]


def test_the_page_names_tests_that_exist() -> None:
    """Each promise of docs/postgresql.md names the test that proves it."""
    root = Path(__file__).parents[2]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (root / "docs" / "postgresql.md").read_text())
    assert len(named) > 5
    assert [f"{path}::{test}" for path, test in named if f"def {test}(" not in (root / path).read_text()] == []
