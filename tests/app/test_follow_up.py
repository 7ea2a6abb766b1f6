"""What a rollback need not wait for: windows, notices, training runs, the registry."""

from __future__ import annotations

import json
import logging
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import Raw

from fairlead.app.compose import open_context
from fairlead.app.follow_up import FollowUp
from fairlead.config.retraining import Retraining
from fairlead.config.settings import Settings
from fairlead.core.event import (
    AliasMoved,
    AnyFact,
    RetrainDecided,
    RetrainFinished,
    RolloutDecided,
    StatusChanged,
    VersionRegistered,
    canonical,
)
from fairlead.core.report import fact_of
from fairlead.core.rollout import Call, Decision, Phase
from fairlead.errors import StateError
from fairlead.operations.context import Context
from fairlead.ports import Registry
from fairlead.testing.bundles import example
from fairlead.testing.registry import MemoryRegistry
from fairlead.testing.reports import harmful_report

Wait = Callable[..., None]
COMMAND = "python train.py --data {dataset} --out {output}"
ASKED = RetrainDecided("hotel", "retrain-7", True, "auroc fell", "w0")


def home(tmp_path: Path, command: str = COMMAND, registry: Registry | None = None) -> Context:
    """A home with one version, and a registry in memory that knows it."""
    known = registry or MemoryRegistry()
    opened = open_context(tmp_path / "home")
    settings = Settings(retraining=Retraining(command=command))
    opened.journal.append([VersionRegistered("hotel", 1, "b" * 64, "july")], actor="ana", at=time.time())
    return replace(opened, settings=settings, open_registry=lambda: known)


def known_registry(tmp_path: Path) -> MemoryRegistry:
    """A registry with one version of the model."""
    registry = MemoryRegistry()
    registry.register(example(tmp_path / "draft"), "b" * 64, tmp_path / "draft")
    return registry


@pytest.fixture
def start() -> Iterator[Callable[..., FollowUp]]:
    """Makes follow-ups, and closes them."""
    made: list[FollowUp] = []

    def make(context: Context, config: Path | None = None, environment: str = "") -> FollowUp:
        made.append(FollowUp(context, config, environment))
        return made[-1]

    yield make
    for follow_up in made:
        follow_up.close()
        for process in follow_up._training.processes.values():
            process.wait(60)


class Interpreter:
    """A program in the interpreter's place that writes down how it was started, and ends with a code."""

    def __init__(self, folder: Path, code: int) -> None:
        self.path = folder / "interpreter"
        self._folder = folder / "started"
        self._folder.mkdir()
        program = (
            f"#!{sys.executable}\nimport json, os, sys, pathlib\n"
            f"place = pathlib.Path({str(self._folder)!r}) / str(os.getpid())\n"
            "draft = place.with_suffix('.new')\n"
            "draft.write_text(json.dumps(sys.argv[1:]))\n"
            "draft.rename(place)\n"
            f"sys.exit({code})\n"
        )
        self.path.write_text(program)
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)

    @property
    def started(self) -> list[list[str]]:
        """The arguments of each start."""
        return [json.loads(path.read_text()) for path in self._folder.iterdir() if path.suffix != ".new"]


def ended(follow_up: FollowUp) -> bool:
    """One more round; whether no training run is left."""
    follow_up.tick()
    return not follow_up._training.processes


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Interpreter:
    """Training runs are started with it."""
    made = Interpreter(tmp_path, 0)
    monkeypatch.setattr(sys, "executable", str(made.path))
    return made


def test_a_run_that_never_finished_is_done_again(
    tmp_path: Path, start: Callable[..., FollowUp], interpreter: Interpreter, wait_for: Wait
) -> None:
    """After a restart, under the same key, with the settings of the controller itself; once."""
    context = home(tmp_path)
    context.journal.append([ASKED], actor="respond", at=time.time())
    follow_up = start(context, tmp_path / "f.yaml", "night")
    follow_up.tick()
    wait_for(lambda: interpreter.started)
    wait_for(lambda: ended(follow_up))
    follow_up.tick()
    (arguments,) = interpreter.started
    assert arguments[:2] == ["-m", "fairlead.app.main"]
    assert arguments[2:8] == [
        "--home",
        str(context.home),
        "--config",
        str(tmp_path / "f.yaml"),
        "--environment",
        "night",
    ]
    assert arguments[8:] == ["retrain", "run", "hotel", "--run", "retrain-7", "--reason", "auroc fell"]


@pytest.mark.parametrize("why", ["finished", "not triggered", "no command"])
def test_what_need_not_be_trained_is_not(
    tmp_path: Path, start: Callable[..., FollowUp], interpreter: Interpreter, why: str
) -> None:
    """A finished run, a decision against one, and settings without a command start nothing."""
    context = home(tmp_path, "" if why == "no command" else COMMAND)
    facts = [ASKED if why != "not triggered" else RetrainDecided("hotel", "retrain-7", False, "calm", "w0")]
    context.journal.append(facts, actor="respond", at=time.time())
    if why == "finished":
        done = RetrainFinished("hotel", "retrain-7", 2, True, "better", Raw(b"{}"))
        context.journal.append([done], actor="ana", at=time.time())
    follow_up = start(context)
    follow_up.tick()
    assert follow_up._training.processes == {}
    assert interpreter.started == []


@pytest.mark.parametrize(("code", "told"), [(0, False), (1, False), (2, True), (3, True)])
def test_a_run_that_could_not_be_made_is_told(
    tmp_path: Path,
    start: Callable[..., FollowUp],
    wait_for: Wait,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    code: int,
    told: bool,
) -> None:
    """0 and 1 are answers (better, or not); anything else is logged with the run's key."""
    monkeypatch.setattr(sys, "executable", str(Interpreter(tmp_path, code).path))
    context = home(tmp_path)
    context.journal.append([ASKED], actor="respond", at=time.time())
    with caplog.at_level(logging.ERROR, "fairlead.watch"):
        follow_up = start(context)
        follow_up.tick()
        wait_for(lambda: ended(follow_up))
    assert ("retrain-7" in caplog.text) is told


def test_a_window_left_unanswered_is_answered_after_a_restart(
    tmp_path: Path, start: Callable[..., FollowUp], interpreter: Interpreter
) -> None:
    """Alert, incident and decision follow a judged window that a stop left alone; a second restart adds nothing."""
    context = home(tmp_path)
    context.journal.append([fact_of(harmful_report())], actor="watch", at=time.time())
    start(context).tick()
    kinds = [entry.fact.__struct_config__.tag for entry in context.journal.read()]
    assert {"alert_raised", "incident_opened", "retrain_decided", "postmortem_written"} <= set(kinds)
    start(context).tick()
    assert [entry.fact.__struct_config__.tag for entry in context.journal.read()] == kinds


def test_a_rollout_that_is_held_with_a_broken_guardrail_is_told_once(
    tmp_path: Path, start: Callable[..., FollowUp]
) -> None:
    """Whatever is looked at meanwhile, and after a restart; over once it has ended."""
    context = home(tmp_path)

    def decide(before: Phase, after: Phase) -> None:
        decision = Decision("r1", 1.0, Call.REGRESS, before, after, 0, 0.2, (), None, "", "broken", "error_rate < 5%")
        fact = RolloutDecided("hotel", "r1", Raw(canonical(decision)))
        context.journal.append([fact], actor="controller", at=time.time())

    def alerts() -> list[str]:
        kinds = ["alert_raised", "alert_quieted"]
        return [entry.fact.alert for entry in context.journal.read(kinds=kinds) if hasattr(entry.fact, "alert")]

    first = start(context)
    decide(Phase.CANARY, Phase.HELD)
    for follow_up in (first, first, start(context)):
        follow_up.answer()
        decide(Phase.HELD, Phase.HELD)
    assert alerts() == ["regress-held:r1"]
    decide(Phase.HELD, Phase.PROMOTED)
    first.answer()
    assert alerts() == ["regress-held:r1"] * 2, "raised, and over"


def test_the_registry_follows_the_journal(tmp_path: Path, start: Callable[..., FollowUp], wait_for: Wait) -> None:
    """Aliases and statuses that the journal decided are moved there."""
    registry = known_registry(tmp_path)
    context = home(tmp_path, registry=registry)
    facts: list[AnyFact] = [AliasMoved("hotel", "champion", 1, None), StatusChanged("hotel", 1, "production")]
    context.journal.append(facts, actor="controller", at=time.time())
    start(context)
    wait_for(lambda: registry.versions("hotel")[0].aliases == ("champion",))
    wait_for(lambda: registry.versions("hotel")[0].status == "production")


@pytest.mark.parametrize("error", [StateError("the registry is away"), ConnectionError("the registry is away")])
def test_a_registry_that_was_away_is_tried_again(
    tmp_path: Path,
    start: Callable[..., FollowUp],
    wait_for: Wait,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """However its client put it: what was decided meanwhile reaches it when it is back."""
    monkeypatch.setattr("fairlead.app.follow_up._SYNC_SECONDS", 0.05)
    monkeypatch.setattr("fairlead.app.follow_up._AWAY_SECONDS", 0.05)
    registry, tries = known_registry(tmp_path), []

    def open_registry() -> Registry:
        tries.append(1)
        if len(tries) < 3:
            raise error
        return registry

    context = replace(home(tmp_path), open_registry=open_registry)
    context.journal.append([AliasMoved("hotel", "champion", 1, None)], actor="controller", at=time.time())
    start(context)
    wait_for(lambda: registry.versions("hotel")[0].aliases == ("champion",))
