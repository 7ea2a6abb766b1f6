"""Builds the compiled counting loop into the wheel where there is a C compiler; else the wheel is plain Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("src/fairlead/adapters/compiled")
# Contraction of a * b + c would round otherwise than the array code does.
FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-shared", "-ffp-contract=off", "-Wall", "-Wextra")


class CompiledLoop(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles `count.c` beside itself, for a wheel and for an editable installation alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling calls it so
        """Compiles; a failure is told, and leaves a slower fairlead, not a broken one."""
        folder = Path(self.root) / FOLDER
        library = folder / "count.native"
        library.unlink(missing_ok=True)
        compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), None)
        if compiler is None or os.name != "posix":
            sys.stderr.write("fairlead: no C compiler, so counting will be done by array code\n")
            return
        command = [*compiler.split(), *FLAGS, "-o", str(library), str(folder / "count.c"), "-lm"]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        if built.returncode:
            sys.stderr.write(f"fairlead: {compiler} cannot build the counting loop:\n{built.stderr}")
            return
        build_data["artifacts"].append(str(FOLDER / library.name))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
