"""MLflow's own scoring client, unmodified, against a real worker."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from fairlead.adapters.segment_reader import SegmentReader
from fairlead.core.route import Arm, ModelRoute

# In a process of its own: importing mlflow.pyfunc warns, and here warnings are errors.
CLIENT = """
import json, sys
import numpy as np
import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

client = ScoringServerClient("127.0.0.1", int(sys.argv[1]))
client.wait_server_ready(timeout=30)
frame = pd.DataFrame({"lead_time": [30.0, 600.0], "adr": [80.5, np.nan], "segment": ["Direct", "Groups"]})
seen = {
    "version": client.get_version(),
    "frame": client.invoke(frame).get_predictions()[0].tolist(),
    "indexed": client.invoke(frame.set_index(pd.Index(["a", "b"]))).get_predictions("ndarray").tolist(),
    "rows": client.invoke([[30.0, 80.5, "Direct"], [600.0, 80.5, "Groups"]]).get_predictions("ndarray").tolist(),
    "array": client.invoke(np.array([[30.0, 80.5, "Direct"]], object)).get_predictions("ndarray").tolist(),
    "records": client.invoke([{"lead_time": 30, "adr": 1, "segment": "Direct"}])["predictions"],
    "text": client.invoke('{"instances": [[30, 1, "Direct"]]}')["predictions"],
    "probable": client.invoke(
        frame, params={"pyfunc_predict_fn": "predict_proba", "request_id": ["r1", "r2"], "unit_id": "guest-7"}
    ).get_predictions().shape,
}
try:
    client.invoke(frame.drop(columns="segment"))
except Exception as error:
    seen["refused"] = str(error)
print(json.dumps(seen))
"""


def test_an_unmodified_mlflow_client_is_served(start_plane: Callable[..., Any], home: Any) -> None:
    """It waits, asks for the version, sends frames, arrays, lists, text and parameters, and understands a refusal."""
    digest = home.put(0.0)
    plane = start_plane()
    home.publish_and_wait(ModelRoute((Arm("champion", 1, 1.0),), {1: digest}), workers=1)
    command = [sys.executable, "-c", CLIENT, str(plane.supervisor.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen.pop("version")
    refused = seen.pop("refused")
    assert refused.startswith("Invocation failed (error code 400, response: ")
    assert "dataframe_split.data[0].segment: expected a string, came nothing" in refused
    assert seen == {
        "frame": [1, 1],
        "indexed": [1, 1],
        "rows": [1, 1],
        "array": [1],
        "records": [1],
        "text": [1],
        "probable": [2, 2],
    }
    records = SegmentReader(home.path / "log").poll()[0]
    assert len(records) == 11
    assert [(one.request_id, one.unit_id) for one in records[-2:]] == [("r1", "guest-7"), ("r2", "guest-7")]
