"""The model as the servers that fairlead is compared with call it. It runs in their environments: numpy, and the
library of the model."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scorer = Callable[[NDArray[np.float32]], float]


def session(path: Path) -> Any:
    """An ONNX Runtime session with one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


def load(path: Path) -> Scorer:
    """The model (.pkl: scikit-learn, .onnx: ONNX Runtime) as a function from a (1, 15) matrix to the probability of
    the second class."""
    if path.suffix == ".onnx":
        opened = session(path)
        name, output = opened.get_inputs()[0].name, opened.get_outputs()[-1].name
        return lambda rows: float(opened.run([output], {name: rows})[0][0][1])
    model = pickle.loads(path.read_bytes())
    return lambda rows: float(model.predict_proba(rows)[0][1])
