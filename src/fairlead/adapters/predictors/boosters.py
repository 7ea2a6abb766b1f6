"""The boosting libraries' own models: read from their files, and taken out of their scikit-learn wrappers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

from fairlead.adapters.predictors.catboost import CatboostModel
from fairlead.adapters.predictors.lightgbm import LightgbmModel
from fairlead.adapters.predictors.native_library import check_installed
from fairlead.adapters.predictors.xgboost import XgboostModel
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.errors import BundleError
from fairlead.ports.model_reader import ModelFacts
from fairlead.ports.predictor import Predictor

TRIAL_SECONDS = 120.0
_TRIAL_ROWS = 256


class Booster(Protocol):
    """A model in a library's own format."""

    facts: ModelFacts

    def predictor(self, contract: Contract) -> Predictor:
        """Answers rows. Raises `BundleError` where the model does not fit the contract."""
        ...


def load_booster(form: str, data: bytes) -> Booster:
    """The model in a file's bytes. Raises `BundleError`, or `MissingExtra`.

    The libraries' own readers may end the process on a damaged file: `try_out` tells before.
    """
    if form == "xgboost":
        return XgboostModel(data)
    return LightgbmModel(data) if form == "lightgbm" else CatboostModel(data)


def try_out(path: Path, form: str) -> None:
    """Loads a file and answers with it in another process. Raises `BundleError` when that ends or hangs."""
    check_installed(form, f"reading the model {path.name}")
    command = [sys.executable, "-I", "-m", "fairlead.adapters.predictors.boosters", form, str(path.absolute())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        why = f"loading it took more than {TRIAL_SECONDS:g} s"
    else:
        if done.returncode == 0:
            return
        why = f"loading it ended the process (signal {-done.returncode})" if done.returncode < 0 else _last(done.stdout)
    raise BundleError(f"{path.name} is no whole {form} model: {why or 'it cannot be loaded'}")


def _last(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _trial(form: str, path: Path) -> None:
    """Answers rows of every size, so that the branches of damaged trees are walked here."""
    model = load_booster(form, path.read_bytes())
    width = model.facts.width or 1
    outputs = len(model.facts.classes) or model.facts.outputs or 1
    task = Task.REGRESSION if outputs == 1 else Task.BINARY if outputs == 2 else Task.MULTICLASS
    texts = set(getattr(model, "texts", ()))
    features = [Feature(f"f{at}", Kind.CATEGORY if at in texts else Kind.NUMBER) for at in range(width)]
    contract = Contract(tuple(features), task, "target", tuple(map(str, range(outputs))) if outputs > 1 else ())
    drawn = np.random.default_rng(0)
    sizes = drawn.normal(size=(_TRIAL_ROWS, width)) * 10.0 ** drawn.integers(-2, 6, (_TRIAL_ROWS, width))
    rows = [tuple(str(cell) if at in texts else cell for at, cell in enumerate(row)) for row in sizes.tolist()]
    model.predictor(contract).predict([*rows, (None,) * width])


def inside(model: Any) -> tuple[str, bytes] | None:
    """The format and the bytes of the booster in a scikit-learn wrapper, or in a pipeline of nothing else."""
    steps = [step for _, step in getattr(model, "steps", ()) if step is not None and step != "passthrough"]
    if steps:
        return inside(steps[0]) if len(steps) == 1 else None
    package = type(model).__module__.partition(".")[0]
    if package == "xgboost" and hasattr(model, "get_booster"):
        return "xgboost", bytes(model.get_booster().save_raw("ubj"))
    if package == "lightgbm" and hasattr(model, "booster_"):
        return "lightgbm", model.booster_.model_to_string().encode()
    if package == "catboost" and hasattr(model, "save_model"):
        with TemporaryDirectory(prefix="fairlead-catboost-") as folder:
            model.save_model(f"{folder}/model.cbm")
            return "catboost", Path(folder, "model.cbm").read_bytes()
    return None


def main(form: str, path: str) -> int:
    """The process of `try_out`: 0 where the model answers; else 1, and the reason on its last line."""
    try:
        _trial(form, Path(path))
    except Exception as error:  # noqa: BLE001  # whatever it is, the other process tells it
        print(" ".join(str(error).split()) or type(error).__name__)  # the other process reads it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
