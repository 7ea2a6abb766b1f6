"""What may go wrong around a controller, and does not hold up a rollout: slow people, full queues, a second one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from fairlead.app.compose import open_context
from fairlead.app.controller import LOCK, OCCUPIED, Controller
from fairlead.app.follow_up import FollowUp
from fairlead.core.bundle import PROFILE
from fairlead.core.event import AnyFact, DeployAsked, VersionRegistered
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import fact_of
from fairlead.core.rollout import Phase, Plan, Step
from fairlead.operations import rollouts
from fairlead.operations.context import Context
from fairlead.ports import Notice
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import profile
from fairlead.testing.bundles import ScriptedBundles, example
from fairlead.testing.log import make_prediction
from fairlead.testing.notifier import MemoryNotifier
from fairlead.testing.registry import MemoryRegistry
from fairlead.testing.reports import harmful_report

Wait = Callable[..., None]
PATIENCE_SECONDS = 60.0


def home(tmp_path: Path) -> Context:
    """A home whose first version is to be rolled out."""
    registry, bundles = MemoryRegistry(), ScriptedBundles(tmp_path / "bundles")
    context = replace(open_context(tmp_path / "home"), bundles=bundles, open_registry=lambda: registry)
    scores = msgspec.json.encode(profile((NumericColumn("__score__", np.linspace(0.0, 1.0, 1000)),)))
    manifest = example(tmp_path / "draft", **{PROFILE: scores.decode()})
    digest = bundles.put(tmp_path / "draft", manifest)
    registry.register(manifest, digest, tmp_path / "draft")
    asked = DeployAsked("hotel", "r1", 1, digest, Plan("direct", (Step(1.0),), ()))
    facts: list[AnyFact] = [VersionRegistered("hotel", 1, digest, "july"), asked]
    context.journal.append(facts, actor="ana", at=time.time())
    return context


@contextmanager
def running(context: Context) -> Iterator[Controller]:
    """A controller that is stopped in the end."""
    controller = Controller(context, None, "")
    controller.start()
    try:
        yield controller
    finally:
        controller.stop()


class Endless:
    """A log that has one more record whenever it is read."""

    def __init__(self) -> None:
        self.polls = 0

    def poll(self, limit: int = 10_000) -> tuple[list[Prediction], list[OutcomeRecord]]:
        """The next record."""
        self.polls += 1
        return [make_prediction(f"q{self.polls}")], []


def test_rollouts_do_not_wait_for_a_watch_that_hangs(
    tmp_path: Path, wait_for: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it hangs, and however much is logged meanwhile: the first thread has a reader of its own."""
    hanging, go_on, readers = threading.Event(), threading.Event(), []

    def hang(*_: object) -> None:
        hanging.set()
        go_on.wait(PATIENCE_SECONDS * 3)

    def open_log() -> Endless:
        readers.append(Endless())
        return readers[-1]

    monkeypatch.setattr("fairlead.app.controller._TICK_SECONDS", 0.0)
    monkeypatch.setattr(FollowUp, "observe", hang)
    with running(replace(home(tmp_path), open_log=open_log)):
        try:
            wait_for(hanging.is_set)
            before = readers[0].polls
            wait_for(lambda: readers[0].polls > before + 1_500)
        finally:
            go_on.set()


def test_rollouts_do_not_wait_for_a_channel_after_a_start(
    tmp_path: Path, wait_for: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window was left unanswered; while its notice hangs, what was asked for is rolled out."""
    sending, go_on = threading.Event(), threading.Event()

    class Slow(MemoryNotifier):
        """A channel that does not answer."""

        gone_on = False

        def send(self, notice: Notice) -> None:
            """Waits."""
            sending.set()
            self.gone_on = not go_on.wait(PATIENCE_SECONDS)
            super().send(notice)

    channel = Slow()
    context = replace(home(tmp_path), open_notifiers=lambda: {channel: ("critical", "high")})
    context.journal.append([fact_of(harmful_report())], actor="watch", at=time.time())
    with running(context):
        try:
            wait_for(lambda: next((view.phase for view in rollouts.rollouts(context)), None) is Phase.PROMOTED)
            wait_for(sending.is_set)
            assert not channel.gone_on
            assert channel.sent == []
        finally:
            go_on.set()
        wait_for(lambda: channel.sent)


# -- one controller a home -------------------------------------------------------------------------------------------


def command(home: Path) -> list[str]:
    """How a controller is started."""
    return [sys.executable, "-m", "fairlead.app.controller", "--home", str(home), "--port", "0"]


@contextmanager
def process(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A controller's process."""
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with subprocess.Popen(command(home), stdin=subprocess.PIPE, env=environment) as started:
        try:
            yield started
        finally:
            started.kill()


def ended(home: Path) -> subprocess.CompletedProcess[str]:
    """A controller that leaves by itself."""
    return subprocess.run(
        command(home), check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )


def is_held(home: Path) -> bool:
    """Whether a controller holds the home, by the kernel's own list: who tried the lock to find out would hold it for
    that moment, and a controller that begins then takes the home for occupied."""
    lock = home / LOCK
    holders = [line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" not in line]
    inodes = {each[5].rpartition(":")[2] for each in holders if each[1] == "FLOCK"}
    return lock.exists() and str(lock.stat().st_ino) in inodes


def test_a_second_controller_leaves_at_once(tmp_path: Path, wait_for: Wait) -> None:
    """With one line and an exit code of its own; when the first was killed, the next one takes its place."""
    place = tmp_path / "home"
    with process(place) as first:
        wait_for(lambda: is_held(place))
        second = ended(place)
        assert second.returncode == OCCUPIED == 3
        (line,) = second.stderr.splitlines()
        assert f"{place} has a controller already: stop the `fairlead up` that started it" in line
        assert first.poll() is None
        first.kill()
        first.wait()
    assert not is_held(place)
    with process(place) as third:
        wait_for(lambda: is_held(place))
        assert third.poll() is None


def test_a_home_that_cannot_be_used_is_told_in_a_line(tmp_path: Path) -> None:
    """No traceback, and not the code of a home that is occupied."""
    (tmp_path / "file").write_text("")
    failed = ended(tmp_path / "file" / "home")
    assert failed.returncode == 1
    (line,) = failed.stderr.splitlines()
    assert "cannot be used as the home folder" in line
