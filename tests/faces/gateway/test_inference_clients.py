"""Public clients of the Open Inference Protocol, unmodified, against a gateway that listens.

`tritonclient` runs here. MLServer's codecs and KServe's client are too heavy for that: `inference_clients.json` holds
what they sent (bodies in Latin-1: one character a byte), recorded from the versions that it names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from msgspec.structs import replace
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.decode import OutputReader, RowDecoder
from fairlead.flows.warm import LiveModel

Gateway = Any  # the fixture's value: see conftest
RECORDED = json.loads((Path(__file__).parent / "inference_clients.json").read_text())
PAIR = Contract((Feature("lead_time", Kind.NUMBER), Feature("nights", Kind.INTEGER)), Task.REGRESSION, "price")
COLUMNS: dict[str, NDArray[Any]] = {
    "lead_time": np.array([100.0, 600.0], np.float32),
    "nights": np.array([[1], [2]], np.int64),
    "segment": np.array(["Direct", "Groups"], np.object_),
    "repeated": np.array([True, False]),
}
TYPES = {"float16": "FP16", "float32": "FP32", "float64": "FP64", "int64": "INT64", "object": "BYTES", "bool": "BOOL"}


class Weighed:
    """A model of two numbers."""

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """(n, 1): the first and ten times the second."""
        return np.array([[row[0] + 10.0 * row[1]] for row in rows], np.float64).reshape(len(rows), 1)


@pytest.fixture
def served(gateway: Gateway) -> Gateway:
    """A gateway that serves `pair` as well, whose features are all numbers."""
    live = gateway.serving.live
    price = live.models["price"]
    version = replace(
        price.versions[1],
        manifest=replace(price.versions[1].manifest, contract=PAIR),
        rows=RowDecoder(PAIR),
        outputs=OutputReader(PAIR),
        predictor=Weighed(),
    )
    gateway.serving.live = replace(live, models={**live.models, "pair": LiveModel("pair", price.route, {1: version})})
    return gateway


@pytest.fixture
def client(served: Gateway) -> Iterator[triton.InferenceServerClient]:
    """Triton's client, with its own defaults."""
    made = triton.InferenceServerClient(f"127.0.0.1:{served.port}")
    yield made
    made.close()


def tensor(name: str, values: NDArray[Any], binary: bool = True) -> triton.InferInput:
    """An input as the client makes it."""
    made = triton.InferInput(name, list(values.shape), TYPES[str(values.dtype)])
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def test_triton_reads_the_metadata(client: triton.InferenceServerClient) -> None:
    """Server, models, versions and the index are found; what is not there is told as an exception."""
    assert (client.is_server_live(), client.is_server_ready()) == (True, True)
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert client.is_model_ready("hotel")
    assert client.is_model_ready("hotel", "2")
    assert not client.is_model_ready("hotel", "9")
    assert not client.is_model_ready("nobody")
    metadata = client.get_model_metadata("hotel", "2")
    assert [one["name"] for one in metadata["inputs"]] == list(COLUMNS)
    assert {one["name"] for one in client.get_model_repository_index()} == {"hotel", "price", "pair"}
    with pytest.raises(InferenceServerException, match="no model 'nobody'"):
        client.get_model_metadata("nobody")
    with pytest.raises(InferenceServerException, match="route table"):
        client.load_model("hotel")
    with pytest.raises(InferenceServerException, match="route table"):
        client.unload_model("hotel")


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_triton_infers(
    served: Gateway, client: triton.InferenceServerClient, binary: bool, compression: str | None
) -> None:
    """numpy goes in and numpy comes out, as bytes or as JSON, compressed or not; the rows are in the log."""
    inputs = [tensor(name, values, binary) for name, values in COLUMNS.items()]
    answer = client.infer("hotel", inputs, request_id="t", request_compression_algorithm=compression)
    assert answer.get_response()["id"] == "t"
    assert answer.as_numpy("predict").tolist() == [0, 1]
    assert answer.as_numpy("predict").dtype == np.int64
    np.testing.assert_array_equal(answer.as_numpy("probabilities"), [[0.9, 0.1], [0.4, 0.6]])
    records = served.log.kept_predictions
    assert [record.request_id for record in records] == ["t:0", "t:1"]
    assert json.loads(bytes(records[1].features)) == {
        "lead_time": 600.0, "nights": 2, "segment": "Groups", "repeated": False
    }  # fmt: skip


@pytest.mark.parametrize("binary", [True, False])
def test_triton_chooses_outputs(client: triton.InferenceServerClient, binary: bool) -> None:
    """In its order, each as bytes or as JSON; the likeliest classes are named."""
    inputs = [tensor(name, values) for name, values in COLUMNS.items()]
    outputs = [
        triton.InferRequestedOutput("probabilities", binary_data=binary, class_count=1),
        triton.InferRequestedOutput("predict", binary_data=not binary),
    ]
    answer = client.infer("hotel", inputs, "3", outputs, parameters={"unit_id": "guest-7"})
    assert [one["name"] for one in answer.get_response()["outputs"]] == ["probabilities", "predict"]
    likeliest = [one.decode() if binary else one for [one] in answer.as_numpy("probabilities").tolist()]
    assert likeliest == ["0.900000:0:0", "0.600000:1:1"]
    assert answer.as_numpy("predict").tolist() == [0, 1]
    assert answer.get_response()["parameters"] == {"arm": "pinned"}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_triton_sends_a_matrix(served: Gateway, client: triton.InferenceServerClient, dtype: type) -> None:
    """One tensor of any name holds all features of a model of numbers."""
    matrix: NDArray[Any] = np.array([[1.5, 2], [3.0, 4]], dtype)
    for binary in (True, False):
        answer = client.infer("pair", [tensor("input-0", matrix, binary)])
        assert answer.as_numpy("predict").tolist() == [21.5, 43.0]
    assert json.loads(bytes(served.log.kept_predictions[0].features)) == {"lead_time": 1.5, "nights": 2.0}


def test_triton_is_told_what_is_wrong(client: triton.InferenceServerClient) -> None:
    """An exception with the path, also for a number that is missing where the contract wants one."""
    with pytest.raises(InferenceServerException, match="nights: expected an integer, came nothing"):
        client.infer("pair", [tensor("lead_time", np.array([1.0]))])
    with pytest.raises(InferenceServerException, match="lead_time: expected a number, came null"):
        client.infer("pair", [tensor("x", np.array([[np.nan, 1.0]]))])
    with pytest.raises(InferenceServerException, match=r"inputs.x\[0\]: expected a finite number"):
        client.infer("pair", [tensor("x", np.array([[np.inf, 1.0]]))])
    shared = triton.InferInput("x", [1, 2], "FP64")
    shared.set_shared_memory("region", 16)
    with pytest.raises(InferenceServerException, match="shared memory"):
        client.infer("pair", [shared])


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda one: f"{one['client']} {one['what']}")
def test_recorded_clients_are_answered(served: Gateway, recorded: dict[str, Any]) -> None:
    """What MLServer's codecs and KServe's client send is understood; a NaN of theirs is a missing value."""
    body = recorded["body"].encode("latin-1")
    given = json.loads(body[: int(recorded["headers"].get("inference-header-content-length", len(body)))])
    model = "pair" if len(given["inputs"]) == 1 else "hotel"
    headers = {"user-agent": recorded["client"], **recorded["headers"]}
    answer = served.http.post(f"/v2/models/{model}/infer", content=body, headers=headers)
    if any(None in one.get("data", ()) for one in given["inputs"]):
        assert (answer.status_code, "expected a number, came null" in answer.json()["error"]) == (400, True)
        return
    assert answer.status_code == 200, answer.text
    length = answer.headers.get("inference-header-content-length")
    asked_binary = (given.get("parameters") or {}).get("binary_data_output", False)
    assert (length is not None) == asked_binary
    said = json.loads(answer.content[: int(length)]) if length else answer.json()
    assert said["id"] == (given.get("id") or said["id"])
    if not asked_binary:
        assert said["outputs"][0]["data"] == ([110.0, 620.0] if model == "pair" else [0, 1])
    else:
        assert np.frombuffer(answer.content[int(length) :], "<i8", 2).tolist() == [0, 1]
