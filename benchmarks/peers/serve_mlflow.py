"""MLflow's model server, `mlflow models serve`. `python -m benchmarks.peers.serve_mlflow MODEL FOLDER` saves for it.

The kind choices: the environment at hand (`--env-manager local`), one worker; `inputs`, a plain matrix, which makes no
data frame; no signature to check; uvicorn without its access log, with uvloop and httptools, which it takes where they
are installed; no telemetry. scikit-learn's flavour answers probabilities (`pyfunc_predict_fn`), ONNX's runs with one
thread. Nothing is logged.
"""

from __future__ import annotations

import pickle
import sys
from importlib import import_module
from pathlib import Path


def save(model: Path, folder: Path) -> None:
    """Writes an MLflow model."""
    if model.suffix == ".onnx":
        loaded = import_module("onnx").load(str(model))
        options = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
        import_module("mlflow.onnx").save_model(
            loaded, folder, onnx_session_options=options, onnx_execution_providers=["CPUExecutionProvider"]
        )
        return
    import_module("mlflow.sklearn").save_model(
        pickle.loads(model.read_bytes()),
        folder,
        serialization_format="cloudpickle",
        pyfunc_predict_fn="predict_proba",
        pip_requirements=[],
    )


if __name__ == "__main__":
    save(Path(sys.argv[1]), Path(sys.argv[2]))
