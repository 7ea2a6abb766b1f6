"""The field's practice, as tutorials and templates have it: FastAPI, a pydantic list of floats, one log line a request.

`python serving_peer.py MODEL LOG PORT` serves MODEL (.pkl: scikit-learn, .onnx: ONNX Runtime) and logs to LOG. The
choices are the kind ones: uvloop and httptools, no access log, an `async def` that is spared the thread pool, one
thread for the numeric libraries.
"""

from __future__ import annotations

import json
import logging
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import uvicorn
from fastapi import FastAPI
from numpy.typing import NDArray
from pydantic import BaseModel, Field

FEATURES = 15
Scorer = Callable[[NDArray[np.float32]], float]


class Question(BaseModel):
    """The request."""

    features: Annotated[list[float], Field(min_length=FEATURES, max_length=FEATURES)]
    request_id: str | None = None


class Reply(BaseModel):
    """The response."""

    prediction: int
    probability: float


def load(path: Path) -> Scorer:
    """The model as a function from a (1, 15) matrix to the probability of the second class."""
    if path.suffix == ".onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        name, output = session.get_inputs()[0].name, session.get_outputs()[-1].name
        return lambda rows: float(session.run([output], {name: rows})[0][0][1])
    model = pickle.loads(path.read_bytes())
    return lambda rows: float(model.predict_proba(rows)[0][1])


def build(score: Scorer, log: Path) -> FastAPI:
    """The application."""
    logging.basicConfig(filename=log, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logger = logging.getLogger("predictions")
    app = FastAPI()

    @app.post("/predict")
    async def predict(question: Question) -> Reply:
        rows = np.array(question.features, dtype=np.float32).reshape(1, -1)
        probability = score(rows)
        answer = Reply(prediction=int(probability >= 0.5), probability=probability)
        logger.info(json.dumps({"features": question.features, "probability": probability}))
        return answer

    return app


if __name__ == "__main__":
    app = build(load(Path(sys.argv[1])), Path(sys.argv[2]))
    uvicorn.run(app, port=int(sys.argv[3]), access_log=False, log_level="warning", loop="uvloop", http="httptools")
