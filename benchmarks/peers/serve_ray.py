"""Ray Serve: `python -m benchmarks.peers.serve_ray MODEL PORT FOLDER` starts a local Ray and one replica.

The kind choices: a plain `async def __call__`, no FastAPI in between; the documented RAY_SERVE_THROUGHPUT_OPTIMIZED,
which runs the model in the replica's own event loop and buffers its log, with requests through the proxy, as Serve has
it by default (see `serving_systems`); no access log, no dashboard, no usage report, no authentication. Nothing is
logged.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.scorer import load

OBJECT_STORE_BYTES = 100 * 2**20


class Bench:
    """What a replica is."""

    def __init__(self, model: str) -> None:
        self._score = load(Path(model))

    async def __call__(self, request: Any) -> dict[str, Any]:
        """One row."""
        features = (await request.json())["features"]
        probability = self._score(np.array(features, dtype=np.float32).reshape(1, -1))
        return {"prediction": int(probability >= 0.5), "probability": probability}


def main() -> None:
    """Serves until it is told to stop."""
    ray, serve = import_module("ray"), import_module("ray.serve")
    quiet = import_module("ray.serve.schema").LoggingConfig(enable_access_log=False, log_level="WARNING")
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=OBJECT_STORE_BYTES,
        _node_ip_address="127.0.0.1",
        _temp_dir=sys.argv[3],
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[2])}, logging_config=quiet)
    deployment = serve.deployment(Bench, num_replicas=1, max_ongoing_requests=100, ray_actor_options={"num_cpus": 0.1})
    serve.run(deployment.bind(sys.argv[1]), name="bench", logging_config=quiet)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    signal.pause()


if __name__ == "__main__":
    main()
