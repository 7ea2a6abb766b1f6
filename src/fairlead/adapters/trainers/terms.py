"""What a training service is told of a run, and where its model is found afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from fairlead.adapters.command_trainer import model_in

_NAMED = re.compile(r"\{(\w+)\}")


class Terms(Struct, frozen=True):
    """`parameters` are what the job is started with: any text in them may hold {dataset}, {output} and {run}.

    `runs` is where the service sees the home's folder of runs; empty: at the same path. `model` is the address at which
    it leaves the model, such as models:/hotel@{run}; empty: one model in the folder {output}, which both must see.
    """

    parameters: dict[str, Any] = {}
    runs: str = ""
    model: str = ""

    def values(self, run: str, dataset: Path, output: Path) -> dict[str, str]:
        """What the placeholders of a run stand for."""
        return {"dataset": self._there(dataset, run), "output": self._there(output, run), "run": run}

    def filled(self, values: dict[str, str]) -> Any:
        """The parameters of a run."""
        return fill(self.parameters, values)

    def collect(self, run: str, output: Path) -> str:
        """The model's address, or its path. Raises `StateError` where the folder does not hold one model."""
        return self.model.replace("{run}", run) if self.model else str(model_in(output, "the training job"))

    def _there(self, path: Path, run: str) -> str:
        path = path.absolute()
        if not self.runs:
            return str(path)
        return str(Path(self.runs) / run / path.name)


def fill(value: Any, values: dict[str, str], quoted: Callable[[str], str] = str) -> Any:
    """A value with its placeholders filled, in all texts of it, however deep."""
    if isinstance(value, str):
        return _NAMED.sub(lambda found: quoted(values.get(found.group(1), found.group(0))), value)
    if isinstance(value, dict):
        return {name: fill(each, values, quoted) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [fill(each, values, quoted) for each in value]
    return value
