"""The field's practice, as tutorials and templates have it: FastAPI, a pydantic list of floats, one log line a request.

`python -m benchmarks.peers.serve_fastapi MODEL LOG PORT` serves MODEL (.pkl: scikit-learn, .onnx: ONNX Runtime) and
logs to LOG. The choices are the kind ones: uvloop and httptools, no access log, an `async def` that is spared the
thread pool, one thread for the numeric libraries.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

from benchmarks.peers.scorer import Scorer, load

FEATURES = 15


class Question(BaseModel):
    """The request."""

    features: Annotated[list[float], Field(min_length=FEATURES, max_length=FEATURES)]
    request_id: str | None = None


class Reply(BaseModel):
    """The response."""

    prediction: int
    probability: float


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
