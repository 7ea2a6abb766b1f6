"""Asks Feast, in a process and perhaps an environment of its own, what only Feast can say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from msgspec import Struct

from fairlead.adapters.features.feast_plan import FeastPlan, check_plan
from fairlead.errors import MissingExtra, StateError, UsageError

_PROGRAM = Path(__file__).with_name("feast_process.py")
_SECONDS = 3600.0


class FeastAsked(Struct, frozen=True):
    """What is asked for: a feature service, or features as VIEW:FEATURE, of a repository; `python` has Feast, empty for
    this interpreter."""

    repo: str
    service: str = ""
    features: tuple[str, ...] = ()
    full_names: bool = False
    python: str = ""


class Joined(Struct, frozen=True):
    """A table of entities with features: its rows, and in how many of them each feature is known."""

    rows: int
    known: dict[str, int]


def plan_of(asked: FeastAsked) -> FeastPlan:
    """What a gateway must know to look the features up. Raises `UsageError`, `MissingExtra`, `StateError`."""
    return check_plan(msgspec.convert(_ask(asked, {"do": "plan"}), FeastPlan))


def join(asked: FeastAsked, entities: Path, time: str, out: Path) -> Joined:
    """Joins features to the entities of a Parquet file, as each was known at the row's `time`, and writes them as
    Parquet. Raises `UsageError`, `MissingExtra`, `StateError`."""
    more = {"do": "frame", "entities": str(entities.absolute()), "time": time, "out": str(out.absolute())}
    return msgspec.convert(_ask(asked, more), Joined)


def _ask(asked: FeastAsked, more: dict[str, Any]) -> Any:
    if not (Path(asked.repo) / "feature_store.yaml").is_file():
        raise UsageError(f"{asked.repo} is no Feast repository: it has no feature_store.yaml")
    if bool(asked.service) is bool(asked.features):
        raise UsageError("name either a feature service or features, as VIEW:FEATURE")
    with TemporaryDirectory(prefix="fairlead-feast-") as folder:
        request, answer = Path(folder) / "request.json", Path(folder) / "answer.json"
        said = {**msgspec.to_builtins(asked), "repo": str(Path(asked.repo).absolute()), **more}
        request.write_text(json.dumps(said))
        done = _run([asked.python or sys.executable, str(_PROGRAM), str(request), str(answer)])
        if not answer.is_file():
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
            raise StateError(f"the process that asks Feast ended with {done.returncode}: {last}")
        made = json.loads(answer.read_text())
    if "missing" in made:
        what = "reading a feature store's registry and history"
        raise MissingExtra(made["missing"], "feast", f"{what} (with features.python, or here)")
    if "error" in made:
        raise UsageError(f"{asked.repo}: {made['error']}")
    return made


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    # Feast would tell its makers of each use.
    environment = {**os.environ, "FEAST_USAGE": "False", "FEAST_TELEMETRY": "False"}
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=_SECONDS)
    except OSError as error:
        raise UsageError(
            f"the interpreter {command[0]} cannot be started ({error.strerror}): see features.python"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise StateError(f"Feast did not answer within {_SECONDS:g} s") from error
