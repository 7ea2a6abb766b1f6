"""A running `fairlead up` with a real model, callers who tell what became of their requests, and faults to inject."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.app.compose import open_context
from fairlead.config.grammar import guardrail
from fairlead.core.event import AnyFact, DeployAsked, VersionRegistered
from fairlead.core.incident import Incident
from fairlead.core.rollout import Plan, Step
from fairlead.operations.gates import gate
from fairlead.operations.incidents import list_incidents, show_incident
from fairlead.operations.models import Registration, register
from fairlead.operations.rollouts import deploy
from fairlead.testing.bad_models import write_version
from fairlead.testing.callers import Callers
from fairlead.testing.candidate import StayPredictor, draw, drawn_file, formula_file
from fairlead.testing.loopback import own_port

NAMES = ("age", "nights", "city")
CARD = dict.fromkeys(
    (
        "owner",
        "intended_use",
        "out_of_scope_use",
        "ethical_considerations",
        "caveats_and_recommendations",
        "maintenance_plan",
    ),
    "Made of a formula, for a test.",
)
SETTINGS = """
trust: [python]
models:
  stay:
    segments: [city]
    labels: {{delay: 3s}}
    contract: {{features: {{nights: {{missing: impute, fill: 3}}}}}}
monitoring: {{window: {window}s, lateness: 1s}}
gates: {{p99: 5s, against_champion: not_worse, production: {{require: [contents, better_than_champion]}}}}
rollout: {{strategy: blue-green}}
retraining:
  {command}
  rows: 800
  at_least_labels: 300
  strategy: blue-green
incidents: {incidents}
"""
RULES = ("error_rate <= 1.25 * champion",)


class Traffic:
    """Callers of the gateway, each of whose answers is followed by what became of it, until the block is left."""

    def __init__(self, port: int, rows: Sequence[dict[str, Any]], truth: Sequence[int], connections: int = 4) -> None:
        self._callers = Callers(port, connections, rows=rows, pause=0.05)
        self._truth = truth
        self._url = f"http://127.0.0.1:{port}/v1/outcomes"
        self._over = threading.Event()
        self._told = 0
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Traffic:
        self._callers.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._callers.__exit__()
        self._over.set()
        self._thread.join(30)
        assert not self._callers.broken

    def _tell(self) -> None:
        with httpx.Client(timeout=10.0) as client:
            while not self._over.wait(0.5):
                answers = list(self._callers.answers)
                fresh, self._told = answers[self._told :], len(answers)
                records = [self._outcome(one.request_id) for one in fresh if one.status == 200]
                if records:
                    assert client.post(self._url, json=records).status_code == 200

    def _outcome(self, request_id: str) -> dict[str, Any]:
        _, caller, count = request_id.split("-")
        place = (int(caller) + 17 * int(count)) % len(self._truth)
        return {"request_id": request_id, "outcome": int(self._truth[place])}


class World:
    """A home whose champion serves, and its `fairlead up`; `trains` by a command; windows are so many seconds long."""

    def __init__(self, home: Path, incidents: str = "{}", *, trains: bool = True, window: int = 6) -> None:
        home.mkdir(parents=True)
        self.home = home
        # What a retraining after the flip would find.
        self.challenger = formula_file(home / "challenger.onnx", sharper=-1.0)
        copy = f"python {home / 'train.py'} {{dataset}} {{output}}"
        (home / "train.py").write_text(
            f"import shutil, sys\nshutil.copyfile({str(self.challenger)!r}, sys.argv[2] + '/model.onnx')\n"
        )
        self.config = home / "settings.yaml"
        self.window = window
        command = f'command: "{copy}"' if trains else ""
        self.config.write_text(SETTINGS.format(command=command, incidents=incidents, window=window))
        self.context = open_context(home, self.config)
        self._register(formula_file(home / "champion.onnx"))
        gate(self.context, "stay@1")
        deploy(self.context, "stay@1", "blue-green", "the first")
        self._start()

    def _register(self, model: Path, *, turned: bool = False) -> None:
        asked = Registration(
            name="stay",
            model=str(model),
            reference=drawn_file(self.home / "reference.parquet", 3_000, 1, turned=turned),
            target="canceled",
            heldout=drawn_file(self.home / "heldout.parquet", 1_000, 2, turned=turned),
            segments=("city",),
            card=CARD,
        )
        register(self.context, asked)

    def _start(self) -> None:
        command = [*self.command, "up", "--port", "0", "--control-port", str(own_port()), "--workers", "1"]
        with (self.home / "up.err").open("ab") as errors:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2])
        try:
            self.wait(self._answers)
        except AssertionError:
            self.end()
            raise

    @property
    def command(self) -> list[str]:
        """What every command of this home begins with."""
        begin = [sys.executable, "-m", "fairlead.app.main"]
        return [*begin, "--home", str(self.home), "--config", str(self.config)]

    def run(self, *words: str, code: int = 0) -> str:
        """A verb, as a person types it; what it says."""
        done = subprocess.run([*self.command, *words], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == code, f"{words}: {done.returncode} {done.stdout} {done.stderr}"
        return done.stdout

    def _answers(self) -> bool:
        row = dict(zip(NAMES, draw(1, 5)[0][0], strict=True))
        with suppress(httpx.HTTPError):
            url = f"http://127.0.0.1:{self.port}/v1/models/stay/predict"
            return httpx.post(url, json={"features": row}, timeout=5.0).status_code == 200
        return False

    def wait(self, condition: Callable[[], Any], seconds: float = 120.0) -> Any:
        """Until a condition holds; its value."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "what was waited for did not happen"
            assert self.process.poll() is None, "fairlead up ended"
            time.sleep(0.1)
        return found

    def traffic(self, nulls: float = 0.0, *, flip: bool = False, shift: float = 0.0, connections: int = 4) -> Traffic:
        """Callers as the model was trained on them; with a share of nulls in `nights`, with the truth turned, or with
        the log odds of a yes shifted at every row."""
        drawn, truth = draw(4_000, seed=11)
        rng = np.random.default_rng(3)
        rows = [dict(zip(NAMES, row, strict=True)) for row in drawn]
        for row in rows:
            if rng.random() < nulls:
                row["nights"] = None
        if shift:
            chance = StayPredictor().predict(drawn)[:, 1]
            odds = np.log(chance / (1.0 - chance)) + shift
            truth = (rng.random(len(drawn)) < 1.0 / (1.0 + np.exp(-odds))).astype(np.int8)
        told = [1 - int(one) if flip else int(one) for one in truth]
        return Traffic(self.port, rows, told, connections)

    def next_window(self) -> float:
        """Waits until a window begins, so that a fault is not in half a window; its instant."""
        time.sleep(self.window - time.time() % self.window)
        return time.time()

    def deploy_turned(self) -> int:
        """A version that learned its labels the other way round, and was measured so; promoted past every gate, with no
        guardrail but errors, of which it makes none."""
        self._register(self.challenger, turned=True)
        version = self.context.registry.versions("stay")[-1]
        plan = Plan("direct", (Step(1.0),), tuple(guardrail(text) for text in RULES))
        asked = DeployAsked("stay", "stay-turned", version.version, version.bundle, plan, "by a hurried hand")
        self.context.journal.append([asked], actor="ana", at=time.time())
        return version.version

    def champions(self) -> list[int | None]:
        """The champions so far, in order."""
        return [fact.version for fact in self.facts("alias_moved") if fact.alias == "champion"]

    def windows(self) -> int:
        """How many judgements there are."""
        return len(self.facts("window_judged"))

    def facts(self, kind: str) -> list[Any]:
        """The journal's facts of a kind."""
        return [entry.fact for entry in self.context.journal.read(kinds=[kind])]

    def incident(self, alert: str = "", rollout: str = "", category: str = "") -> Incident | None:
        """The newest incident; of an alert, a rollout or a category, where one is named."""
        return next(
            (
                one
                for one in list_incidents(self.context)
                if alert in ("", *one.alerts) and rollout in ("", one.rollout) and category in ("", one.category)
            ),
            None,
        )

    def state(self, identity: str) -> str:
        """Where an incident stands."""
        return show_incident(self.context, identity).state

    def status(self) -> dict[str, Any]:
        """The status page's JSON."""
        found: dict[str, Any] = json.loads((self.home / "status" / "index.json").read_text())
        return found

    def deploy_crashing(self) -> str:
        """A version that raises on one input of a hundred, past every gate; the rollout's id."""
        draft = self.home / "draft-crashes"
        draft.mkdir()
        digest = BundleFolder(self.home / "bundles").put(draft, write_version(draft, "crashes", "9"))
        now = time.time()
        plan = Plan("canary", (Step(0.5, 0.0, 10**9), Step(1.0)), tuple(guardrail(text) for text in RULES))
        facts: list[AnyFact] = [
            VersionRegistered("stay", 9, digest, "drawn"),
            DeployAsked("stay", "stay-bad", 9, digest, plan, "by a hurried hand"),
        ]
        self.context.journal.append(facts, actor="ana", at=now)
        return "stay-bad"

    def end(self) -> None:
        """Stops it."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes worlds, and stops them."""
    with ExitStack() as stack:

        def make(incidents: str = "{}", **changes: Any) -> World:
            made = World(tmp_path / "home", incidents, **changes)
            stack.callback(made.end)
            return made

        yield make


def seconds(incident: Incident, since: float) -> str:
    """When what happened, in seconds since an instant."""
    marks = {
        "opened": incident.opened_at,
        "triaged": None if incident.triage is None else incident.triage.at,
        "acted": incident.actions[0].at if incident.actions else None,
        "mitigated": incident.mitigated_at,
        "resolved": incident.resolved_at,
    }
    return ", ".join(f"{name} {at - since:.1f} s" for name, at in marks.items() if at is not None)


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str, Incident, float], None]:
    """Prints how long each step took after the fault."""

    def say(what: str, incident: Incident, since: float) -> None:
        with capsys.disabled():
            print(f"\n{what:14s} {seconds(incident, since)}")

    return say
