"""Commands of a pipeline: argument lists without a shell, each a process group of its own, its output in a file."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from fairlead.adapters.held_signals import held_signals
from fairlead.errors import StateError
from fairlead.ports.pipeline import Ended

_LOOK_SECONDS = 0.1
_DEATH_SECONDS = 1.0  # for the killed to be gone
_GRACE_SECONDS = 5.0  # from being asked to leave to being made to


class ShellSteps:
    """Runs commands in `folder`; `python` as the first word means the interpreter that runs fairlead.

    Neither what a command is given nor what it prints is in anything that this returns or raises: it may be secret.
    """

    def __init__(self, folder: Path, grace: float = _GRACE_SECONDS) -> None:
        self._folder = folder
        self._grace = grace

    def run(
        self, command: str, values: Mapping[str, str], log: Path, timeout: float, halted: Callable[[], bool]
    ) -> Ended:
        """See `ports.pipeline.Commands`. Raises `StateError` for a log that cannot be written."""
        words = [_filled(word, values) for word in shlex.split(command)]
        words[0] = sys.executable if words[0] == "python" else words[0]
        environment = {**os.environ, **{f"FAIRLEAD_{name.upper()}": value for name, value in values.items()}}
        with _opened(log) as output, ExitStack() as starting:
            starting.enter_context(held_signals())
            try:
                process = subprocess.Popen(
                    words,
                    cwd=self._folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                return Ended(False, f"it cannot be started ({error.strerror}): is it installed?", log)
            try:
                starting.close()  # a wish to stop that came meanwhile is raised here
                return self._waited(process, log, timeout, halted)
            finally:
                with held_signals():  # nor does a second one keep anything alive
                    self._end(process)

    def _waited(self, process: subprocess.Popen[bytes], log: Path, timeout: float, halted: Callable[[], bool]) -> Ended:
        deadline = time.monotonic() + timeout
        while True:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(_LOOK_SECONDS)
                return Ended(code == 0, _how(code), log)
            if time.monotonic() >= deadline:
                return Ended(False, f"it took longer than {timeout:g} s and was ended", log)
            if halted():
                return Ended(None, "it was stopped", log)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Ends what the command has left running, and the command if it still does: asked first, then made to."""
        for how, seconds in ((signal.SIGTERM, self._grace), (signal.SIGKILL, _DEATH_SECONDS)):
            try:
                os.killpg(process.pid, how)
            except ProcessLookupError:
                break
            if _gone(process, seconds):
                break
        process.wait()


def _gone(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether nobody of the command's group is left within so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        process.poll()  # who is not buried still counts
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def _how(code: int) -> str:
    if code == 0:
        return "it ended with 0"
    return f"it ended with exit code {code}" if code > 0 else f"it was ended by signal {-code}"


def _filled(word: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{([a-z_]+)\}", lambda found: values.get(found.group(1), found.group()), word)


def _opened(log: Path) -> IO[bytes]:
    """The log, for its owner's eyes: what a command prints may be secret."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
    except OSError as error:
        raise StateError(f"{log} cannot be written ({error.strerror}): free the place and run again") from None
