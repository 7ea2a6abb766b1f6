"""Training by a command of the user's own: `python train.py --data {dataset} --out {output}`."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from fairlead.adapters.held_signals import held_signals
from fairlead.core.listing import counted
from fairlead.errors import SettingsError, StateError

PLACEHOLDERS = ("dataset", "output")
MODELS = ("*.skops", "*.onnx")
TAIL_BYTES = 2_000


class CommandTrainer:
    """Runs the command without a shell, in `folder`, for at most `timeout_seconds`, then takes its one model.

    `{dataset}` and `{output}` stand for the Parquet file and the empty folder; `python` as the first word means the
    interpreter that runs fairlead. Raises `SettingsError` for a command that cannot be run as it is written.
    """

    def __init__(self, command: str, folder: Path, timeout_seconds: float = 3600.0) -> None:
        self._words = _words(command)
        self._folder = folder
        self._timeout = timeout_seconds

    def train(self, dataset: Path, output: Path) -> Path:
        """Trains, and returns the model's path under `output`. Raises `StateError` with the end of the output."""
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(f"{output} cannot be made ({error.strerror}): free the place and train again") from None
        if any(output.iterdir()):
            raise StateError(f"{output} is not empty: give each training run a new folder")
        values = {"dataset": str(dataset.absolute()), "output": str(output.absolute())}
        self._run([_filled(word, values) for word in self._words])
        return model_in(output)

    def _run(self, words: list[str]) -> None:
        with ExitStack() as starting:
            starting.enter_context(held_signals())
            with self._started(words) as process:
                try:
                    starting.close()  # a wish to stop that came meanwhile is raised here
                    said, _ = process.communicate(timeout=self._timeout)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    said, _ = process.communicate()
                    raise StateError(
                        f"training took longer than {self._timeout:g} s and was ended: {_tail(said)}"
                    ) from None
                except BaseException:
                    os.killpg(process.pid, signal.SIGKILL)
                    raise
        if process.returncode != 0:
            raise StateError(f"the training command ended with {process.returncode}: {_tail(said)}")

    def _started(self, words: list[str]) -> subprocess.Popen[bytes]:
        try:
            # Its own process group: a timeout must also end what the command has started.
            return subprocess.Popen(
                words, cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            raise StateError(f"the training command {words[0]!r} cannot be started: {error.strerror}") from None


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SettingsError(f"the training command cannot be read ({error}): {command!r}") from None
    if not words:
        raise SettingsError("the training command is empty: write python train.py --data {dataset} --out {output}")
    named = {name for word in words for name in re.findall(r"\{(\w*)\}", word)}
    missing = [name for name in PLACEHOLDERS if name not in named]
    if missing:
        raise SettingsError(f"the training command lacks {{{missing[0]}}}: {command!r}")
    unknown = sorted(named - set(PLACEHOLDERS))
    if unknown:
        raise SettingsError(f"{{{unknown[0]}}} in the training command is unknown: use {{dataset}} and {{output}}")
    return [sys.executable if words[0] == "python" else words[0], *words[1:]]


def _filled(word: str, values: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: values[found.group(1)], word)


def model_in(output: Path, who: str = "the training command") -> Path:
    """The one model in a folder of a training run. Raises `StateError` where there is none, or several."""
    found = sorted(path for pattern in MODELS for path in output.rglob(pattern))
    folder = output / "model"
    # A folder is the model only where it is not just where the file was put.
    if not found and folder.is_dir() and any(folder.iterdir()):
        return folder
    if len(found) == 1:
        return found[0]
    names = ", ".join(str(path.relative_to(output)) for path in found[:5])
    what = f"left {counted(len(found), 'model')} ({names})" if found else "left no model"
    raise StateError(f"{who} {what} in {output}: write one *.skops, *.onnx, or a folder model/")


def _tail(said: bytes) -> str:
    text = " | ".join(said[-TAIL_BYTES:].decode(errors="replace").split("\n")).strip(" |")
    return text or "it printed nothing"
