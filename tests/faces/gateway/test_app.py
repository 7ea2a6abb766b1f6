"""The gateway over HTTP: what every request is answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from fairlead.core.route import Arm
from fairlead.core.split import Split

ROW: dict[str, Any] = {"lead_time": 30.5, "nights": 2, "segment": "Groups", "repeated": None}
pytestmark = [
    pytest.mark.usefixtures("both_ways"),
    pytest.mark.parametrize("both_ways", ["directly", "by the application"], indirect=True),
]
Gateway = Any  # the fixture's value: see conftest


def test_one_row_is_answered_and_logged(gateway: Gateway) -> None:
    """The answer names request, model, version and arm; the record holds the caller's own bytes."""
    body = b'{"features": {"nights": 2, "lead_time":30.50,"segment":"Groups","repeated":null}, "request_id": "r1"}'
    response = gateway.predict(body)
    assert response.status_code == 200
    assert response.json() == {
        "request_id": "r1",
        "model": "hotel",
        "version": response.json()["version"],
        "arm": response.json()["arm"],
        "prediction": 0,
        "probabilities": [0.9695, 0.0305],
    }
    (record,) = gateway.log.kept_predictions
    assert bytes(record.features) == b'{"nights": 2, "lead_time":30.50,"segment":"Groups","repeated":null}'
    assert (record.request_id, record.unit_id, record.status, record.score) == ("r1", "r1", 200, 0.0305)
    assert record.propensity == {"canary": 0.25, "champion": 0.75}[record.arm]
    assert record.timestamp == record.received_at
    assert record.latency_ms > 0


def test_identity_is_optional_and_kept(gateway: Gateway) -> None:
    """A unit may be a number, event time an RFC 3339 text; without a request id one is made."""
    gateway.predict({"features": ROW, "unit_id": 7, "timestamp": "2024-03-01T12:00:00+02:00"})
    gateway.predict({"features": ROW, "timestamp": 12.5}, headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"})
    first, second = gateway.log.kept_predictions
    assert (first.unit_id, first.timestamp) == ("7", 1709287200.0)
    assert len(first.request_id) == 32
    assert first.request_id != second.request_id
    assert (second.unit_id, second.timestamp, second.trace_id) == (second.request_id, 12.5, "ab" * 16)


def test_a_batch_is_answered_in_order(gateway: Gateway) -> None:
    """Instances are bare features, or features with an identity; each gets its own arm."""
    instances = [{**ROW, "lead_time": index} for index in range(40)]
    named = [{"features": row, "request_id": f"n{index}", "unit_id": "u"} for index, row in enumerate(instances)]
    response = gateway.predict({"instances": [*instances, *named], "request_id": "batch"})
    predictions = response.json()["predictions"]
    assert [round(one["probabilities"][1] * 1000) for one in predictions] == [*range(40), *range(40)]
    assert [one["request_id"] for one in predictions][:2] == ["batch:0", "batch:1"]
    assert [one["request_id"] for one in predictions][-1] == "n39"
    assert {one["arm"] for one in predictions[:40]} == {"canary", "champion"}
    assert len({one["arm"] for one in predictions[40:]}) == 1
    assert len(gateway.log.kept_predictions) == 80


def test_a_unit_keeps_its_arm(gateway: Gateway) -> None:
    """The same unit is answered by the same version, whatever the request."""
    arms = {gateway.predict({"features": ROW, "unit_id": "guest"}).json()["arm"] for _ in range(20)}
    assert len(arms) == 1


def asked_natively(gateway: Gateway, row: dict[str, Any]) -> str:
    """The arm of a row."""
    return str(gateway.predict({"features": row}).json()["arm"])


def asked_by_tensors(gateway: Gateway, row: dict[str, Any]) -> str:
    """The same through the Open Inference Protocol, twice in one request."""
    kinds = {"lead_time": "FP64", "nights": "INT64", "segment": "BYTES", "repeated": "BOOL"}
    inputs = [{"name": n, "shape": [2], "datatype": kinds[n], "data": [value] * 2} for n, value in row.items()]
    answer = gateway.http.post("/v2/models/hotel/infer", json={"inputs": inputs})
    return str(answer.json()["parameters"]["arm"])


def asked_by_mlflow(gateway: Gateway, row: dict[str, Any]) -> str:
    """The same through MLflow's protocol, which names no arm: the log does."""
    answer = gateway.http.post("/models/hotel/invocations", json={"dataframe_records": [row]})
    assert answer.status_code == 200
    return str(gateway.log.kept_predictions[-1].arm)


@pytest.mark.parametrize("ask", [asked_natively, asked_by_tensors, asked_by_mlflow])
def test_a_split_within_values_holds_on_every_protocol(
    gateway: Gateway, ask: Callable[[Gateway, dict[str, Any]], str]
) -> None:
    """All of one segment meet the canary, nobody of another does, and those are no evidence."""
    hotel = gateway.serving.live.models["hotel"]
    arms = (Arm("canary", 2, 1.0), Arm("champion", 1, 0.0))
    nearby = replace(hotel.route, arms=arms, split=Split(feature="segment", within=("Groups",)))
    gateway.serving.live = replace(gateway.serving.live, models={"hotel": replace(hotel, route=nearby)})
    for segment, arm, rollout in (("Groups", "canary", "salt"), ("Direct", "champion", "")):
        assert {ask(gateway, ROW | {"segment": segment}) for _ in range(5)} == {arm}
        assert gateway.log.kept_predictions[-1].rollout == rollout


def test_a_request_whose_rows_disagree_is_the_champions(gateway: Gateway) -> None:
    """One request of tensors has one route: rows of two segments are not dealt by one of them."""
    hotel = gateway.serving.live.models["hotel"]
    arms = (Arm("canary", 2, 1.0), Arm("champion", 1, 0.0))
    nearby = replace(hotel.route, arms=arms, split=Split(feature="segment", within=("Groups",)))
    gateway.serving.live = replace(gateway.serving.live, models={"hotel": replace(hotel, route=nearby)})
    data = {"lead_time": [1.0, 2.0], "nights": [1, 2], "segment": ["Groups", "Direct"], "repeated": [True, False]}
    kinds = {"lead_time": "FP64", "nights": "INT64", "segment": "BYTES", "repeated": "BOOL"}
    inputs = [{"name": n, "shape": [2], "datatype": kinds[n], "data": values} for n, values in data.items()]
    answer = gateway.http.post("/v2/models/hotel/infer", json={"inputs": inputs}).json()
    assert answer["parameters"]["arm"] == "champion"


def test_a_batch_has_an_end(gateway: Gateway) -> None:
    """A body of many empty rows would take far more memory than it is long: it is refused before they are read."""
    native = gateway.predict(b'{"instances": [' + b"0," * 100_000 + b"0]}")
    ones = {"name": "lead_time", "shape": [100_001], "datatype": "FP64", "data": [1] * 100_001}
    tensors = gateway.http.post("/v2/models/hotel/infer", json={"inputs": [ones]})
    assert (native.status_code, tensors.status_code) == (413, 413)
    assert native.json() == {"error": "instances: more than 100000 rows: send smaller batches", "path": "instances"}
    assert tensors.json()["error"] == "inputs: more than 100000 rows: send smaller batches"


def test_a_regression_answers_a_number(gateway: Gateway) -> None:
    """Without probabilities."""
    answer = gateway.predict({"features": {"nights": 3}}, model="price").json()
    assert (answer["prediction"], "probabilities" in answer) == (300.0, False)


def without(name: str) -> dict[str, Any]:
    """The row without a field."""
    return {key: value for key, value in ROW.items() if key != name}


@pytest.mark.parametrize(
    ("body", "status", "path", "said"),
    [
        ({"features": {**ROW, "lead_time": "x"}}, 422, "features.lead_time", 'expected a number, came "x"'),
        ({"features": {**ROW, "lead_time": True}}, 422, "features.lead_time", "expected a number, came true"),
        ({"features": {**ROW, "lead_time": None}}, 422, "features.lead_time", "expected a number, came null"),
        ({"features": {**ROW, "nights": 0}}, 422, "features.nights", "came 0"),
        ({"features": {**ROW, "nights": 1.5}}, 422, "features.nights", "expected an integer, came 1.5"),
        ({"features": without("lead_time")}, 422, "features.lead_time", "came nothing (the field is missing)"),
        ({"features": {**ROW, "leadtime": 1}}, 422, "features.leadtime", "no such feature"),
        ({"features": [1, 2]}, 422, "features", "expected an object by feature name"),
        ({"instances": [ROW, {**ROW, "nights": "2"}]}, 422, "instances[1].nights", "expected an integer"),
        ({"instances": [{"features": {**ROW, "nights": []}}]}, 422, "instances[0].features.nights", "came []"),
        ({"instances": [7]}, 422, "instances[0]", "expected an object"),
        ({"instances": []}, 400, "instances", "the batch is empty"),
        ({"instances": {}}, 400, "instances", "Expected array"),
        ({"features": ROW, "instances": [ROW]}, 400, None, "send one of them"),
        ({}, 400, None, "the field is missing"),
        (ROW, 400, None, 'features go under "features"'),
        ([ROW], 400, None, "Expected object, came array"),
        ({"features": ROW, "request_id": 7}, 400, "request_id", "Expected str | null, came int"),
        ({"features": ROW, "request_id": ""}, 400, "request_id", "length >= 1"),
        ({"features": ROW, "unit_id": 1.5}, 400, "unit_id", "came float"),
        ({"features": ROW, "timestamp": "yesterday"}, 400, "timestamp", "RFC 3339"),
        ({"features": ROW, "timestamp": "2024-03-01T12:00:00"}, 400, "timestamp", "with an offset"),
        ({"features": ROW, "timestamp": 1700000000000}, 400, "timestamp", "milliseconds"),
        ({"features": ROW, "timestamp": -1}, 400, "timestamp", "expected seconds since 1970"),
        ({"features": ROW, "timestamp": "0001-01-01T00:00:00+14:00"}, 400, "timestamp", "from 1970 on"),
        ({"features": ROW, "timestamp": 10**400}, 400, "timestamp", "64 bits do not hold"),
        ({"instances": [{"features": ROW, "unit": 1}]}, 400, "instances[0]", "unknown field unit"),
        ({"instances": [{"features": ROW, "timestamp": "x"}]}, 400, "instances[0].timestamp", "RFC 3339"),
        (b'{"features": {"lead_time": NaN}}', 400, "features.lead_time", "send null for a missing number"),
        (b'{"features": {"lead_time": -Infinity}}', 400, "features.lead_time", "NaN and Infinity are not JSON"),
        (b'{"features": {"lead_time": 1e999}}', 422, "features.lead_time", "expected a number"),
        (b'{"features": {"lead_time": 1', 400, None, "broken JSON at line 1 column 29"),
        (b'{"features": {}} trailing', 400, None, "broken JSON"),
        (b"", 400, None, "the body is empty"),
        (b"\xff\xfe", 400, None, "not UTF-8"),
        (b'{"features": {"segment": "\xff"}}', 422, "features", "not UTF-8"),
        (b'{"features": {"segment": "\\ud800"}}', 400, None, "surrogate"),
        (b'{"features": {"\\ud800": NaN}}', 400, "features.?", "NaN"),
        (b'{"features": ' + b"[" * 100_000, 400, None, "nested too deep"),
        (b'{"features": {"lead_time": ' + b"9" * 5000 + b"}}", 422, None, None),
    ],
)
def test_a_wrong_body_is_refused(gateway: Gateway, body: Any, status: int, path: str | None, said: str | None) -> None:
    """Never a traceback, never a 500: the field's path, what was expected and what came."""
    response = gateway.predict(body)
    assert response.status_code == status, response.text
    answer = response.json()
    if path is not None:
        assert answer.get("path") == path
    assert (said or "") in answer["error"]
    assert "Traceback" not in response.text
    assert gateway.log.kept_predictions == []


@pytest.mark.parametrize(
    ("method", "url", "status", "said"),
    [
        ("POST", "/v1/models/nobody/predict", 404, "no model 'nobody' is served here; served are: hotel, price"),
        ("POST", "/v1/models//predict", 404, "no model ''"),
        ("POST", "/v1/models/%00%ff/predict", 404, "no model"),
        ("POST", "/v1/models/hotel", 404, "no such path"),
        ("GET", "/", 404, "no such path: /"),
        ("GET", "/v1/models/hotel/predict", 405, "use POST"),
        ("PUT", "/v1/models/hotel/predict", 405, "use POST"),
        ("GET", "/v1/outcomes", 405, "use POST"),
        ("POST", "/health", 405, "use GET"),
        ("DELETE", "/metrics", 405, "use GET"),
    ],
)
def test_a_wrong_path_or_method_is_told(gateway: Gateway, method: str, url: str, status: int, said: str) -> None:
    """What exists is named; a 405 says which methods are taken."""
    response = gateway.http.request(method, url, json={"features": ROW} if method == "POST" else None)
    assert response.status_code == status
    assert said in response.json()["error"]
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "text/csv"}, 415),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-encoding": "gzip"}, 415),
        ({"content-type": "application/json; charset=UTF-8"}, 200),
        ({"content-type": "Application/JSON"}, 200),
    ],
)
def test_the_content_type_is_checked(gateway: Gateway, headers: dict[str, str], status: int) -> None:
    """Only JSON in UTF-8 is taken."""
    assert gateway.predict({"features": ROW}, headers=headers).status_code == status


@pytest.mark.parametrize("path", ["/v1/models/price/predict", "/v1/outcomes"])
def test_a_body_without_a_type_is_refused(gateway: Gateway, path: str) -> None:
    """415: a web page may send such a body anywhere without being asked for its reasons."""
    response = gateway.http.post(path, content=b'{"features":{"nights":1}}')
    assert response.status_code == 415
    assert "send content-type: application/json" in response.json()["error"]
    assert gateway.log.kept_predictions == []


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://evil.example", 403),
        ("http://127.0.0.1.evil.example:8080", 403),
        ("http://localhost@evil.example", 403),
        ("null", 403),
        ("http://[", 403),
        ("http://10.0.0.7:8080", 403),
        ("http://127.0.0.1:8080", 200),
        ("http://localhost:3000", 200),
        ("http://[::1]:8080", 200),
    ],
)
def test_a_page_from_elsewhere_is_refused(gateway: Gateway, origin: str, status: int) -> None:
    """403 on every path, and nothing is kept; programs send no Origin."""
    headers = {"origin": origin}
    assert gateway.predict({"features": {"nights": 1}}, model="price", headers=headers).status_code == status
    outcome = gateway.http.post("/v1/outcomes", json={"request_id": "a", "outcome": 1}, headers=headers)
    assert outcome.status_code == status
    assert gateway.http.get("/health", headers=headers).status_code == status
    assert len(gateway.log.kept_predictions) == len(gateway.log.kept_outcomes) == (status == 200)


def test_a_large_body_is_refused(start_gateway: Callable[..., Gateway]) -> None:
    """By its length, and by counting where no length is given; the connection lives on."""
    gateway = start_gateway(body_limit=2000)
    whole = b'{"features": {"nights": 1}' + b" " * 1973 + b"}"
    assert len(whole) == 2000
    assert gateway.predict(whole, model="price").status_code == 200
    assert gateway.predict(whole + b" ", model="price").status_code == 413
    chunks = (b" " * 700 for _ in range(9))
    response = gateway.http.post(
        "/v1/models/price/predict", content=chunks, headers={"content-type": "application/json"}
    )
    assert response.status_code == 413
    assert "2000 bytes" in response.json()["error"]
    assert gateway.predict({"features": {"nights": 1}}, model="price").status_code == 200


def test_ten_megabytes_are_refused_by_default(gateway: Gateway) -> None:
    """The default limit is 8 MiB."""
    assert gateway.predict(b" " * 10_000_000).status_code == 413


def test_before_the_first_table_nothing_is_ready(gateway: Gateway) -> None:
    """503, and a hint where to ask again."""
    gateway.serving.live = None
    response = gateway.predict({"features": ROW})
    assert (response.status_code, "/v2/health/ready" in response.json()["error"]) == (503, True)
    assert gateway.http.get("/health").status_code == 503
    assert gateway.http.get("/v2/health/ready").status_code == 503
    assert gateway.http.get("/v2/health/live").status_code == 200
    assert gateway.http.get("/v2/models/hotel/ready").json() == {"name": "hotel", "ready": False}


@pytest.mark.parametrize("lead_time", [950, 850])
def test_a_model_that_fails_is_a_500_without_internals_and_is_logged(gateway: Gateway, lead_time: int) -> None:
    """An exception and a NaN are the model's failures: evidence in the log, one plain line for the caller."""
    response = gateway.predict({"features": {**ROW, "lead_time": lead_time}, "request_id": "bad"})
    assert response.status_code == 500
    assert "secret" not in response.text
    (record,) = gateway.log.kept_predictions
    assert (record.status, record.prediction, record.score, record.request_id) == (500, None, None, "bad")
    assert ("secret internals" if lead_time == 950 else "must be finite") in str(record.error)


def test_a_failure_in_a_batch_is_logged_for_the_row_that_failed(gateway: Gateway) -> None:
    """The caller gets one 500 that names the row; every row is logged, and only that one as failed."""
    rows = [{**ROW, "lead_time": 950 if index == 7 else 1} for index in range(30)]
    response = gateway.predict({"instances": rows})
    assert response.status_code == 500
    assert "1 of 30 rows (counted from 0: 7)" in response.json()["error"]
    assert [record.status for record in gateway.log.kept_predictions] == [200] * 7 + [500] + [200] * 22


def test_a_model_that_is_not_loaded_is_not_ready(gateway: Gateway) -> None:
    """503 for it; the others are answered."""
    gateway.serving.live = msgspec.structs.replace(
        gateway.serving.live, errors={"churn": "version 2: damaged"}, waiting=("slow",)
    )
    for name in ("churn", "slow"):
        assert gateway.predict({"features": ROW}, model=name).status_code == 503
        assert gateway.http.get(f"/v2/models/{name}/ready").status_code == 503
    assert gateway.predict({"features": ROW}).status_code == 200


def test_a_record_tells_its_rollout(gateway: Gateway) -> None:
    """While the route has a salt; a request that names its version draws nothing."""
    tensors = [{"name": "nights", "shape": [1], "datatype": "INT64", "data": [2]}]
    gateway.predict({"features": ROW})
    gateway.predict({"features": {"nights": 1}}, model="price")
    assert gateway.http.post("/v2/models/price/versions/1/infer", json={"inputs": tensors}).status_code == 200
    assert [record.rollout for record in gateway.log.kept_predictions] == ["salt", "", ""]


def test_strange_values_follow_the_contract_and_are_counted(gateway: Gateway) -> None:
    """`warn` answers, `impute` answers with the fill; /metrics has both."""
    assert gateway.predict({"features": {**ROW, "lead_time": 750, "segment": "Space"}}).status_code == 200
    text = gateway.http.get("/metrics").text
    assert 'feature="lead_time",reason="out_of_range"' in text
    assert 'feature="segment",reason="unseen"' in text


def test_a_log_that_cannot_be_written_refuses_the_answer(gateway: Gateway) -> None:
    """An answer that is not logged is not given: 503, counted; afterwards all is well again."""
    gateway.log.full = True
    assert gateway.predict({"features": ROW}).status_code == 503
    assert gateway.http.post("/v1/outcomes", json={"request_id": "a", "outcome": 1}).status_code == 503
    gateway.log.full = False
    assert gateway.predict({"features": ROW}).status_code == 200
    assert 'fairlead_log_failures_total{worker="0"} 2' in gateway.http.get("/metrics").text


def test_sync_waits_for_the_disk(start_gateway: Callable[..., Gateway]) -> None:
    """Under `sync` every answer and every outcome is on the disk first."""
    gateway = start_gateway(sync=True)
    gateway.predict({"features": ROW})
    gateway.http.post("/v1/outcomes", json=[{"request_id": "a", "outcome": 1}])
    assert gateway.log.synced == 2


def test_outcomes_are_kept_before_their_prediction(gateway: Gateway) -> None:
    """A list or a single one; `observed_at` is when it became known, or now."""
    many = [{"request_id": "a", "outcome": 1, "observed_at": 12}, {"request_id": "b", "outcome": "no"}]
    assert gateway.http.post("/v1/outcomes", json=many).json() == {"accepted": 2}
    assert gateway.http.post("/v1/outcomes", json={"request_id": "c", "outcome": 0.5}).json() == {"accepted": 1}
    first, second, third = gateway.log.kept_outcomes
    assert (first.request_id, first.outcome, first.observed_at) == ("a", 1, 12.0)
    assert (second.outcome, second.observed_at) == ("no", second.received_at)
    assert third.outcome == 0.5


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "the list of outcomes is empty"),
        (b'[{"request_id": "a"}]', "required field outcome"),
        (b'[{"request_id": "a", "outcome": true}]', "came bool"),
        (b'[{"request_id": "a", "outcome": null}]', "came null"),
        (b'[{"request_id": "a", "outcome": NaN}]', "[0].outcome: NaN"),
        (b'[{"request_id": "a", "outcome": 1, "label": 1}]', "unknown field label"),
        (b'[{"request_id": "a", "outcome": 1, "observed_at": "x"}]', "[0].observed_at"),
        (b'"x"', "Expected array, came str"),
        (b"[", "broken JSON"),
    ],
)
def test_wrong_outcomes_are_refused(gateway: Gateway, body: bytes, said: str) -> None:
    """400 with the place; none of the list is kept."""
    response = gateway.http.post("/v1/outcomes", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert said in response.json()["error"]
    assert gateway.log.kept_outcomes == []


def test_outcomes_from_the_future_are_refused(gateway: Gateway) -> None:
    """422 more than a day ahead; a clock that is a little ahead is no harm."""
    now = time.time()
    many = [{"request_id": "a", "outcome": 1}, {"request_id": "b", "outcome": 1, "observed_at": now + 2 * 86_400}]
    response = gateway.http.post("/v1/outcomes", json=many)
    assert response.status_code == 422
    assert response.json()["path"] == "[1].observed_at"
    assert "2 days in the future" in response.json()["error"]
    assert gateway.log.kept_outcomes == []
    one = {"request_id": "b", "outcome": 1, "observed_at": now + 3_600}
    assert gateway.http.post("/v1/outcomes", json=one).status_code == 200


def test_health_names_what_each_model_serves(gateway: Gateway) -> None:
    """Generation, champion, arms with their shares."""
    health = gateway.http.get("/health").json()
    assert (health["status"], health["generation"]) == ("ok", 3)
    hotel = health["models"]["hotel"]
    assert (hotel["version"], hotel["warm"]) == (1, [1, 2, 3])
    assert hotel["arms"][0] == {"name": "canary", "version": 2, "share": 0.25}
    assert gateway.http.head("/health").content == b""


def test_every_answer_is_counted_by_its_code(gateway: Gateway) -> None:
    """200, 400, 404, 422 and 500 each have their series; an unknown model does not make a label."""
    gateway.predict({"features": ROW})
    gateway.predict({"features": {}})
    gateway.predict({"features": {**ROW, "lead_time": 950}})
    gateway.predict(b"{")
    gateway.predict({"features": ROW}, model="made-up")
    text = gateway.http.get("/metrics").text
    for code in (200, 400, 404, 422, 500):
        assert f'code="{code}",worker="0"}} 1' in text
    assert "made-up" not in text
    assert 'fairlead_inference_duration_seconds_bucket{model_name="hotel"' in text
