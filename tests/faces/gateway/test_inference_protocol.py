"""The Open Inference Protocol, version 2."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

Gateway = Any  # the fixture's value: see conftest

LEAD = {"name": "lead_time", "shape": [2], "datatype": "FP32", "data": [100, 600.0]}
NIGHTS = {"name": "nights", "shape": [2, 1], "datatype": "INT32", "data": [[1], [2]]}
SEGMENT = {"name": "segment", "shape": [2], "datatype": "BYTES", "data": ["Direct", "Groups"]}
REPEATED = {"name": "repeated", "shape": [2], "datatype": "BOOL", "data": [True, None]}
INPUTS = [LEAD, NIGHTS, SEGMENT, REPEATED]


def infer(gateway: Gateway, path: str = "/v2/models/hotel/infer", **body: Any) -> Any:
    """A request."""
    return gateway.http.post(path, json={"inputs": INPUTS, **body})


def test_tensors_are_answered_by_tensors(gateway: Gateway) -> None:
    """One tensor a feature, flat or nested; the id is echoed; classifiers give probabilities too."""
    answer = infer(gateway, id="q1").json()
    assert (answer["model_name"], answer["id"], answer["model_version"] in {"1", "2"}) == ("hotel", "q1", True)
    assert answer["outputs"] == [
        {"name": "predict", "shape": [2], "datatype": "INT64", "data": [0, 1]},
        {"name": "probabilities", "shape": [2, 2], "datatype": "FP64", "data": [0.9, 0.1, 0.4, 0.6]},
    ]
    records = gateway.log.kept_predictions
    assert [record.request_id for record in records] == ["q1:0", "q1:1"]
    assert {record.unit_id for record in records} == {"q1"}
    assert bytes(records[0].features) == b'{"lead_time":100,"nights":1,"segment":"Direct","repeated":true}'


def test_one_row_keeps_the_id_and_parameters_name_the_unit(gateway: Gateway) -> None:
    """`parameters` carry unit and event time."""
    inputs = [{**tensor, "shape": [1], "data": tensor["data"][:1]} for tensor in INPUTS]
    parameters = {"unit_id": 7, "timestamp": 12}
    assert infer(gateway, inputs=inputs, id="q", parameters=parameters).status_code == 200
    (record,) = gateway.log.kept_predictions
    assert (record.request_id, record.unit_id, record.timestamp) == ("q", "7", 12.0)


def test_a_version_may_be_asked_by_number(gateway: Gateway) -> None:
    """Such a request is pinned: no draw, so its record is no evidence for a rollout."""
    answer = infer(gateway, "/v2/models/hotel/versions/3/infer").json()
    assert (answer["model_version"], answer["parameters"]) == ("3", {"arm": "pinned"})
    assert {record.arm for record in gateway.log.kept_predictions} == {"pinned"}


def test_outputs_may_be_chosen(gateway: Gateway) -> None:
    """Only those are sent; an unknown one is refused before the model runs."""
    assert [one["name"] for one in infer(gateway, outputs=[{"name": "predict"}]).json()["outputs"]] == ["predict"]
    response = infer(gateway, outputs=[{"name": "shap"}])
    assert (response.status_code, "no such output" in response.json()["error"]) == (400, True)
    assert len(gateway.log.kept_predictions) == 2


def test_a_regression_has_one_output(gateway: Gateway) -> None:
    """FP64 values."""
    inputs = [{"name": "nights", "shape": [1], "datatype": "INT64", "data": [2]}]
    answer = infer(gateway, "/v2/models/price/infer", inputs=inputs).json()
    assert answer["outputs"] == [{"name": "predict", "shape": [1], "datatype": "FP64", "data": [200.0]}]


def deep(levels: int) -> list[Any]:
    """Arrays in arrays."""
    return [deep(levels - 1)] if levels > 1 else []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inputs": []}, "no tensor"),
        ({"inputs": [LEAD, LEAD]}, "given twice"),
        ({"inputs": [LEAD, {**NIGHTS, "shape": [3, 1]}]}, "shape [3, 1] holds 3 values, data holds 2"),
        ({"inputs": [LEAD, {**NIGHTS, "shape": [-1]}]}, "expected shape [n] or [n, 1], came [-1]"),
        ({"inputs": [LEAD, {**NIGHTS, "data": [[1], 2]}]}, "inputs.nights.data[1]: expected an array of 1"),
        ({"inputs": [LEAD, {**NIGHTS, "data": [[1, 2]]}]}, "inputs.nights.data[0]: expected an array of 1"),
        ({"inputs": [LEAD, {**NIGHTS, "data": [[[1]], [[2]]]}]}, "inputs.nights[0]: expected INT32 values"),
        ({"inputs": [LEAD, {**NIGHTS, "data": None}]}, "inputs.nights.data: expected an array, came nothing"),
        ({"inputs": [LEAD, {**NIGHTS, "data": [1, 2.5]}]}, "inputs.nights[1]: expected INT32 values"),
        (
            {"inputs": [{**LEAD, "datatype": "FP16", "data": [1, 65505]}]},
            "inputs.lead_time[1]: expected FP16 values from",
        ),
        ({"inputs": [{**LEAD, "data": [1, 4e38]}]}, "inputs.lead_time[1]: expected FP32 values from"),
        ({"inputs": [LEAD, {**NIGHTS, "datatype": "INT8", "data": [None, 300]}]}, "from -128 to 127, came 300"),
        ({"inputs": [{**SEGMENT, "parameters": {"content_type": "xml"}}]}, 'segment.parameters.content_type: "xml" is'),
        (
            {"inputs": [{**SEGMENT, "parameters": {"content_type": "base64"}}]},
            "inputs.segment[0]: expected text in base64",
        ),
        (
            {"inputs": [{**SEGMENT, "parameters": {"content_type": "pd_json"}}]},
            "inputs.segment[0]: expected JSON in a text",
        ),
        (
            {"inputs": [{**LEAD, "parameters": {"binary_data_size": 8}}]},
            "needs the header inference-header-content-length",
        ),
        ({"inputs": [{**LEAD, "parameters": {"shared_memory_region": "r"}}]}, "shared memory is not supported"),
        ({"inputs": [{**LEAD, "shape": [1, 4], "data": [1, 2, 3, 4]}]}, "and segment is a category"),
        ({"inputs": [{**LEAD, "data": [1, deep(900)]}]}, "data[0]: expected an array of 1, as in the shape, came 1"),
        ({"inputs": [{**LEAD, "data": [deep(2), deep(900)]}]}, "inputs.lead_time[0]: expected FP32 values"),
        ({"inputs": [{**LEAD, "data": [deep(900)] * 2}]}, "came an array of 1"),
        ({"inputs": [{**LEAD, "data": [{}, {"a": deep(900)}]}]}, "inputs.lead_time[0]: expected FP32 values"),
        ({"parameters": {"content_type": "xml"}}, "parameters.content_type"),
        ({"parameters": {"content_type": deep(900)}}, "parameters.content_type: an array of 1 is not known"),
        ({"parameters": {"binary_data_output": 1}}, "parameters.binary_data_output: expected true or false"),
        ({"outputs": [{"name": "predict"}, {"name": "predict"}]}, "an output is named twice"),
        (
            {"outputs": [{"name": "predict", "parameters": {"binary_data": "yes"}}]},
            "binary_data: expected true or false",
        ),
        ({"outputs": [{"name": "predict", "parameters": {"classification": 1}}]}, "only the output probabilities"),
        ({"outputs": [{"name": "probabilities", "parameters": {"classification": -1}}]}, "expected how many classes"),
        ({"outputs": [{"name": "predict", "parameters": {"content_type": "base64"}}]}, "outputs are not encoded"),
        ({"outputs": [{"name": "predict", "parameters": {"shared_memory_region": "r"}}]}, "shared memory"),
        ({"inputs": [LEAD, {**NIGHTS, "shape": [1], "data": [1]}]}, "differ in length"),
        ({"inputs": [{**LEAD, "shape": [2, 2]}]}, "expected shape [n] or [n, 1]"),
        ({"inputs": [{**LEAD, "shape": []}]}, "expected shape"),
        ({"inputs": [{**LEAD, "shape": [0], "data": []}]}, "the batch is empty"),
        ({"inputs": [{**LEAD, "datatype": "FLOAT"}]}, "datatype FLOAT is not known"),
        ({"inputs": [{**LEAD, "data": ["a", "b"]}]}, "expected FP32 values"),
        (
            {"inputs": [{**NIGHTS, "datatype": "UINT8", "data": [-1, 2]}]},
            "inputs.nights[0]: expected UINT8 values from 0 to 255, came -1",
        ),
        ({"inputs": [{**REPEATED, "data": [1, 0]}]}, "expected BOOL values"),
        ({"inputs": [{**NIGHTS, "data": [True, False]}]}, "expected INT32 values"),
        ({"inputs": [LEAD, NIGHTS, SEGMENT]}, "inputs[0].repeated: expected true or false, came nothing"),
        ({"inputs": [*INPUTS, {**LEAD, "name": "other"}]}, "inputs[0].other: the model knows no such feature"),
        ({"inputs": [LEAD, {**NIGHTS, "data": [0, 0]}, SEGMENT, REPEATED]}, "inputs[0].nights"),
        ({"inputs": "x"}, "inputs: Expected array"),
        ({"inputs": [{"name": "lead_time"}]}, "required field"),
        ({"id": 7}, "id: Expected"),
        ({"parameters": {"unit_id": [1]}}, "parameters.unit_id"),
        ({"parameters": {"unit_id": ""}}, "parameters.unit_id"),
        ({"parameters": {"unit_id": "x" * 257}}, "parameters.unit_id"),
        ({"parameters": {"unit_id": 2**63}}, "parameters.unit_id"),
        ({"parameters": {"timestamp": True}}, "parameters.timestamp"),
        ({"parameters": {"timestamp": 10**400}}, "parameters.timestamp"),
        ({"parameters": {"timestamp": -1.0}}, "parameters.timestamp"),
    ],
)
def test_wrong_tensors_are_refused(gateway: Gateway, change: dict[str, Any], said: str) -> None:
    """The protocol answers 400 with one line."""
    response = infer(gateway, **change)
    assert response.status_code == 400, response.text
    assert said in response.json()["error"]
    assert gateway.log.kept_predictions == []


def test_a_failing_model_is_a_500(gateway: Gateway) -> None:
    """Without internals."""
    response = infer(gateway, inputs=[{**LEAD, "data": [950, 1]}, NIGHTS, SEGMENT, REPEATED])
    assert (response.status_code, "secret" in response.text) == (500, False)


def test_metadata_describes_server_and_model(gateway: Gateway) -> None:
    """Names, datatypes, classes; the champion's contract unless a version is named."""
    assert gateway.http.get("/v2").json()["name"] == "fairlead"
    model = gateway.http.get("/v2/models/hotel").json()
    assert model["versions"] == ["1", "2", "3"]
    assert [one["datatype"] for one in model["inputs"]] == ["FP64", "INT64", "BYTES", "BOOL"]
    assert model["outputs"][1] == {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]}
    assert model["parameters"]["classes"] == ["0", "1"]
    assert gateway.http.get("/v2/models/hotel/versions/2").json()["name"] == "hotel"
    index = gateway.http.post("/v2/repository/index").json()
    assert {"name": "price", "version": "1", "state": "READY", "reason": ""} in index


def test_readiness(gateway: Gateway) -> None:
    """Of the server, a model, a version."""
    for path in ("/v2/health/ready", "/v2/models/hotel/ready", "/v2/models/hotel/versions/2/ready"):
        assert gateway.http.get(path).json()["ready"] is True
    assert gateway.http.get("/v2/health/live").json() == {"live": True}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/nobody", 404),
        ("GET", "/v2/models/nobody/ready", 404),
        ("GET", "/v2/models/hotel/versions/9", 404),
        ("GET", "/v2/models/hotel/versions/x/ready", 404),
        ("POST", "/v2/models/nobody/infer", 404),
        ("POST", "/v2/models/hotel/versions/9/infer", 404),
        ("POST", "/v2/models/hotel/versions/²/infer", 404),
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/models/hotel/infer", 405),
        ("POST", "/v2/health/live", 405),
        ("POST", "/v2", 405),
    ],
)
def test_what_is_not_there_is_told(gateway: Gateway, method: str, path: str, status: int) -> None:
    """Unknown model and version are 404, a wrong method 405."""
    body = {"inputs": INPUTS} if method == "POST" else None
    response = gateway.http.request(method, path, json=body)
    assert response.status_code == status
    assert response.json()["error"]


def test_what_the_protocol_leaves_open_is_taken(gateway: Gateway) -> None:
    """Nulls for what is optional, an empty id, members and parameters that are not known, whole floats for integers."""
    strange = {"name": "nights", "shape": [2], "datatype": "INT8", "data": [3.0, 4], "parameters": None, "hint": 1}
    body: dict[str, Any] = {"id": "", "parameters": None, "outputs": None, "model_name": "hotel"}
    answer = infer(gateway, inputs=[LEAD, strange, SEGMENT, REPEATED], **body)
    assert (answer.status_code, len(answer.json()["id"])) == (200, 32)
    assert b'"nights":3,' in bytes(gateway.log.kept_predictions[0].features)
    parameters = {"priority": 1, "sequence_id": 0, "content_type": "pd", "headers": {}, "binary_data_output": False}
    assert infer(gateway, parameters=parameters).status_code == 200


def test_outputs_keep_the_order_in_which_they_are_asked(gateway: Gateway) -> None:
    """And a classifier names its likeliest classes, no more than it has."""
    wanted = [{"name": "probabilities", "parameters": {"classification": 9}}, {"name": "predict"}]
    outputs = infer(gateway, outputs=wanted).json()["outputs"]
    named = ["0.900000:0:0", "0.100000:1:1", "0.600000:1:1", "0.400000:0:0"]
    assert outputs[0] == {"name": "probabilities", "shape": [2, 2], "datatype": "BYTES", "data": named}
    assert outputs[1]["name"] == "predict"


def test_the_index_tells_what_can_be_asked(gateway: Gateway) -> None:
    """All models, or the ready ones; an empty body asks for all."""
    live = gateway.serving.live
    gateway.serving.live = replace(live, errors={"broken": "secret path", "price": "old"}, waiting=("late", "hotel"))

    def index(body: bytes) -> Any:
        return gateway.http.post("/v2/repository/index", content=body)

    ready = index(b'{"ready": true}').json()
    assert {(one["name"], one["state"]) for one in ready} == {("hotel", "READY"), ("price", "READY")}
    everything = index(b"").json()
    assert everything == index(b'{"ready": false}').json() == index(b"{}").json()
    rest = {one["name"]: one["state"] for one in everything[len(ready) :]}
    assert rest == {"broken": "UNAVAILABLE", "late": "LOADING"}
    assert "secret" not in str(everything)
    assert (index(b'{"ready": 1}').status_code, index(b"{").status_code) == (400, 400)
    gateway.serving.live = None
    assert index(b"").json() == []
    assert gateway.http.get("/v2/models").json() == {"models": []}


def test_the_models_are_listed(gateway: Gateway) -> None:
    """By name."""
    assert gateway.http.get("/v2/models").json() == {"models": ["hotel", "price"]}


@pytest.mark.parametrize("what", ["load", "unload"])
def test_models_are_not_loaded_by_callers(gateway: Gateway, what: str) -> None:
    """501: what is served follows the route table. Any other method is 405, as on every path."""
    answer = gateway.http.post(f"/v2/repository/models/hotel/{what}", json={})
    assert (answer.status_code, "route table" in answer.json()["error"]) == (501, True)
    other = gateway.http.get(f"/v2/repository/models/hotel/{what}")
    assert (other.status_code, other.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "path",
    ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/hotel", "/v2/models/hotel/ready", "/v2/models"],
)
def test_head_tells_what_get_would(gateway: Gateway, path: str) -> None:
    """The same head, no body."""
    head, whole = gateway.http.head(path), gateway.http.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"] == str(len(whole.content))
