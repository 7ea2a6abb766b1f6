"""A fresh interpreter that knows nothing of this one: isolated (-I), with a bare environment, in an empty folder.

python -I -m fairlead.adapters.clean_process    reads {"root": …, "digest": …, "trust": […]}, writes what it found
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.core.agreement import agreement
from fairlead.core.bundle import GOLDEN, Golden
from fairlead.errors import FairleadError, StateError
from fairlead.ports.stage import CleanRun

_MODULE = "fairlead.adapters.clean_process"


class Request(Struct, frozen=True):
    """What the parent asks for."""

    root: str  # the folder of bundles
    digest: str
    trust: tuple[str, ...] = ()  # the model formats that may run code when they are loaded


class CleanInterpreter:
    """Starts an interpreter for each bundle. Nothing of this environment is handed on."""

    def __init__(self, root: Path, trust: Sequence[str] = (), timeout_seconds: float = 60.0) -> None:
        """`root` is the folder of bundles; `trust` names the model formats that may run code when they are loaded."""
        self._root = root
        self._trust = tuple(trust)
        self._timeout = timeout_seconds

    def reproduce(self, digest: str) -> CleanRun:
        """Answers the golden rows there. Raises `StateError` when no process could be started."""
        request = msgspec.json.encode(Request(str(self._root.absolute()), digest, self._trust))
        with TemporaryDirectory(prefix="fairlead-clean-") as folder:
            environment = {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"}
            command = [sys.executable, "-I", "-m", _MODULE]
            try:
                done = subprocess.run(
                    command,
                    input=request,
                    capture_output=True,
                    env=environment,
                    cwd=folder,
                    timeout=self._timeout,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return CleanRun(f"A fresh interpreter did not answer the golden rows within {self._timeout:g} s.")
            except OSError as error:
                raise StateError(f"no fresh interpreter could be started from {sys.executable} ({error})") from error
        return _read(done)


def _read(done: subprocess.CompletedProcess[bytes]) -> CleanRun:
    last = done.stdout.strip().rpartition(b"\n")[2]  # a library may have written before
    try:
        return msgspec.json.decode(last, type=CleanRun)
    except msgspec.MsgspecError:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        said = lines[-1][:300] if lines else "it said nothing"
        return CleanRun(f"A fresh interpreter ended with {done.returncode} instead of an answer: {said}")


def reproduce(request: Request) -> CleanRun:
    """Loads what is served and compares its answers to the golden rows with those recorded."""
    began = perf_counter()
    try:
        store = BundleFolder(Path(request.root), request.trust)
        names = store.manifest(request.digest).contract.names
        golden = msgspec.json.decode((store.path(request.digest) / GOLDEN).read_bytes(), type=Golden)
        rows = [tuple(row.get(name) for name in names) for row in golden.rows]
        answers = store.load(request.digest).predict(rows)
        found = agreement(np.asarray(golden.outputs), answers, 0.0)
    except FairleadError as error:
        return CleanRun(f"It does not load in a fresh interpreter: {error.line}")
    except Exception as error:  # noqa: BLE001 - whatever loading raises is the finding
        return CleanRun(f"It does not answer in a fresh interpreter: {type(error).__name__}: {error}")
    if not isfinite(found.largest_difference):
        return CleanRun(f"Its answers in a fresh interpreter are no numbers to compare: {found.detail or 'not finite'}")
    return CleanRun("", found.rows, found.largest_difference, perf_counter() - began, platform.python_version())


def main() -> None:
    """The child: one request in, one line out."""
    run = reproduce(msgspec.json.decode(sys.stdin.buffer.read(), type=Request))
    sys.stdout.buffer.write(b"\n" + msgspec.json.encode(run) + b"\n")


if __name__ == "__main__":
    main()
