"""MLServer: `mlserver start FOLDER`, with the settings that `serving_systems` writes.

A scikit-learn model is served by MLServer's own runtime (mlserver-sklearn), an ONNX model by this custom runtime, as
the documentation shows one. The kind choices: no pool of inference processes (`parallel_workers` 0: a second process
costs a hop for each request), `debug` off and with it the access log, no metrics server, no compression, no tracing;
uvloop, which it brings. The request is the Open Inference Protocol's, one tensor of (1, 15). Nothing is logged.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.peers.scorer import session

mlserver, codecs, types = (import_module(name) for name in ("mlserver", "mlserver.codecs", "mlserver.types"))


class OnnxModel(mlserver.MLModel):  # type: ignore[misc, name-defined]
    """A custom runtime."""

    async def load(self) -> bool:
        """Opens the session."""
        self._session = session(Path(self.settings.parameters.uri))
        self._input, self._output = self._session.get_inputs()[0].name, self._session.get_outputs()[-1].name
        return True

    async def predict(self, payload: Any) -> Any:
        """One row, or more."""
        rows = codecs.NumpyCodec.decode_input(payload.inputs[0]).astype("float32", copy=False)
        probabilities = self._session.run([self._output], {self._input: rows})[0]
        outputs = [codecs.NumpyCodec.encode_output("predict_proba", probabilities)]
        return types.InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
