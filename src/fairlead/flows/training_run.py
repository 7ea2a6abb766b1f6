"""One training run elsewhere: submitted once, looked at until it is over, found again after a restart.

The service is asked by the run's key, so asking twice is asking once; its own id is journalled before anything is
waited for. A service that is away is asked again until the run's time is up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from fairlead.core.event import Entry
from fairlead.core.facts_act import RunSubmitted
from fairlead.errors import StateError
from fairlead.ports import Clock, Journal
from fairlead.ports.trainer import RemoteTrainer, RunState, TrainerAway

T = TypeVar("T")
_LOG = logging.getLogger("fairlead.retrain")


class RunFiles(Struct, frozen=True):
    """A run of a model, with its data and the folder for what is trained."""

    model: str
    run: str
    dataset: Path
    output: Path


class Patience(Struct, frozen=True):
    """How often a run is looked at, and for how long at most, from when it is first waited for. Seconds."""

    poll_seconds: float = 10.0
    timeout_seconds: float = 3600.0


class TrainingRun:
    """A run at a service. `wait` lets seconds pass."""

    def __init__(
        self,
        trainer: RemoteTrainer,
        journal: Journal,
        clock: Clock,
        wait: Callable[[float], None],
        patience: Patience = Patience(),  # noqa: B008 - a frozen value
    ) -> None:
        self._trainer = trainer
        self._journal = journal
        self._clock = clock
        self._wait = wait
        self._patience = patience

    def trained(self, files: RunFiles, actor: str) -> str:
        """The model of a run: a path, or an address. Raises `StateError` where the run fails, or takes too long."""
        until = self._clock.monotonic() + self._patience.timeout_seconds
        known = submitted(self._journal.read(model=files.model, kinds=["run_submitted"]), files.run)
        if known is None or known.trainer != self._trainer.name:
            files.output.mkdir(parents=True, exist_ok=True)
            external = self._patiently(lambda: self._submit(files), until)
            fact = RunSubmitted(files.model, files.run, self._trainer.name, external, self._trainer.address)
            self._journal.append([fact], actor=actor, at=self._clock.now())
        else:
            external = known.external
        state = self._ended(external, until)
        if state.failed:
            raise StateError(f"the run {external} at {self._trainer.name} failed: {state.said}")
        return self._trainer.collect(files.run, files.output)

    def _submit(self, files: RunFiles) -> str:
        return self._trainer.submit(files.run, files.dataset, files.output)

    def _ended(self, external: str, until: float) -> RunState:
        state = self._patiently(lambda: self._trainer.state(external), until)
        while not state.done:
            self._pause(until, f"the run {external} at {self._trainer.name} is not over ({state.said})")
            state = self._patiently(lambda: self._trainer.state(external), until)
        return state

    def _patiently(self, ask: Callable[[], T], until: float) -> T:
        """What the service answers, however long it is away."""
        told = ""
        while True:
            try:
                return ask()
            except TrainerAway as error:
                if error.line != told:
                    _LOG.warning("%s; it is asked again", error.line)
                told = error.line
                self._pause(until, error.line)

    def _pause(self, until: float, why: str) -> None:
        if self._clock.monotonic() + self._patience.poll_seconds > until:
            raise StateError(
                f"{why}, {self._patience.timeout_seconds:g} s after it was asked for: raise retraining.timeout, or "
                "look at it there"
            )
        self._wait(self._patience.poll_seconds)


def submitted(entries: Iterable[Entry], run: str) -> RunSubmitted | None:
    """The last submission of a run; None where there is none."""
    found: RunSubmitted | None = None
    for entry in entries:
        if isinstance(entry.fact, RunSubmitted) and entry.fact.run == run:
            found = entry.fact
    return found
