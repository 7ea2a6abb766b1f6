"""BentoML: `bentoml serve benchmarks.peers.serve_bentoml:Bench`, with the model's path in BENCH_MODEL.

The kind choices: production mode, one worker; an `async def`, which is spared the thread pool; a list of floats, not a
data frame; no access log; uvloop and httptools, which BentoML takes where they are installed; no usage tracking. Its
metrics stay on, as they are by default. Nothing is logged.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.scorer import load

bentoml: Any = import_module("bentoml")


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Bench:
    """The service."""

    def __init__(self) -> None:
        self._score = load(Path(os.environ["BENCH_MODEL"]))

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, features: list[float]) -> dict[str, Any]:
        """One row."""
        probability = self._score(np.array(features, dtype=np.float32).reshape(1, -1))
        return {"prediction": int(probability >= 0.5), "probability": probability}
