"""MLflow's scoring protocol: what a client of its server sends, and what it gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from fairlead.core.route import Arm, ModelRoute, is_unseen
from fairlead.faces.gateway.wire import MOST_ROWS
from fairlead.flows.warm import Live, LiveModel

Gateway = Any  # the fixture's value: see conftest
NAMES = ["lead_time", "nights", "segment", "repeated"]
ROWS: list[dict[str, Any]] = [
    {"lead_time": 100, "nights": 1, "segment": "Direct", "repeated": True},
    {"lead_time": 600.0, "nights": 2, "segment": "Groups", "repeated": None},
]
CELLS = [list(row.values()) for row in ROWS]
COLUMNS = {name: [row[name] for row in ROWS] for name in NAMES}
HOTEL = "/models/hotel/invocations"


def score(gateway: Gateway, body: Any, path: str = HOTEL, kind: str = "application/json") -> httpx.Response:
    """A request; bytes and text go as they are."""
    content = body if isinstance(body, bytes | str) else json.dumps(body)  # NaN goes out as MLflow's client writes it
    response: httpx.Response = gateway.http.post(path, content=content, headers={"content-type": kind})
    return response


def logged(gateway: Gateway) -> list[dict[str, Any]]:
    """The features in the log."""
    return [msgspec.json.decode(record.features) for record in gateway.log.kept_predictions]


def alone(gateway: Gateway, name: str) -> None:
    """Leaves one model."""
    live = gateway.serving.live
    gateway.serving.live = Live(live.generation, {name: live.models[name]})


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": NAMES, "data": CELLS}},
        {"dataframe_split": {"index": [7, 9], "columns": NAMES, "data": CELLS}},
        {"dataframe_split": {"columns": NAMES[::-1], "data": [cells[::-1] for cells in CELLS]}},
        {"dataframe_split": {"data": CELLS}},
        {"dataframe_split": {"columns": [0, 1, 2, 3], "data": CELLS}},
        {"dataframe_records": ROWS},
        {"instances": ROWS},
        {"instances": CELLS},
        {"instances": [ROWS[0], CELLS[1]]},
        {"instances": COLUMNS},
        {"inputs": ROWS},
        {"inputs": CELLS},
        {"inputs": COLUMNS},
        {"inputs": {name: [[value] for value in values] for name, values in COLUMNS.items()}},
        {"inputs": COLUMNS, "params": {}},
        {"inputs": COLUMNS, "params": None},
    ],
)
def test_every_form_of_json_is_answered(gateway: Gateway, body: dict[str, Any]) -> None:
    """The same rows in each form get the same labels, and the log has them by name."""
    response = score(gateway, body)
    assert (response.status_code, response.json()) == (200, {"predictions": [0, 1]}), response.text
    assert logged(gateway) == ROWS


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("lead_time,nights,segment,repeated\n100,1,Direct,True\n600.0,2,Groups,\n", ROWS),
        ("repeated,segment,nights,lead_time\r\ntrue,Direct,1,100\r\nNA,Groups,2,6e2\r\n", ROWS),
        ('\ufefflead_time,nights,segment,repeated\n\n 100, 1,"Direct",TRUE\n+600.,2.0,"Groups",nan', ROWS),
        (
            'lead_time,nights,segment,repeated\n1,1,"a, ""b""\u2028\nc",FALSE\n',
            [{"lead_time": 1, "nights": 1, "segment": 'a, "b"\u2028\nc', "repeated": False}],
        ),
    ],
)
def test_csv_is_read_as_the_contract_says(gateway: Gateway, text: str, rows: list[dict[str, Any]]) -> None:
    """Quotes, empty lines, both line ends and pandas' marks for what is missing; a header in any order."""
    response = score(gateway, text.encode(), kind="text/csv")
    assert response.status_code == 200, response.text
    assert response.json() == {"predictions": [0, 1][: len(rows)]}
    assert logged(gateway) == rows


@pytest.mark.parametrize("kind", ["text/csv; charset=utf-8", "TEXT/CSV;charset=UTF-8", 'text/csv; charset="utf-8"'])
def test_csv_may_name_its_charset(gateway: Gateway, kind: str) -> None:
    """UTF-8 in any spelling."""
    assert score(gateway, "nights\n2\n", "/models/price/invocations", kind).json() == {"predictions": [200.0]}


@pytest.mark.parametrize(
    "body",
    [{"instances": [3]}, {"inputs": [3]}, {"inputs": [[3]]}, {"inputs": {"nights": 3}}, {"inputs": {"nights": [3]}}],
)
def test_a_model_of_one_feature_takes_bare_values(gateway: Gateway, body: dict[str, Any]) -> None:
    """A list of numbers is a list of rows; an object of numbers is one row."""
    assert score(gateway, body, "/models/price/invocations").json() == {"predictions": [300.0]}


def test_what_a_data_frame_calls_nan_is_missing(gateway: Gateway) -> None:
    """MLflow's client writes NaN, which is no JSON; it is logged as null. What forbids null refuses it."""
    row = {**ROWS[0], "repeated": float("nan")}
    assert score(gateway, {"dataframe_records": [row]}).json() == {"predictions": [0]}
    assert logged(gateway) == [{**row, "repeated": None}]
    refused = score(gateway, {"dataframe_split": {"columns": NAMES, "data": [[float("nan"), *CELLS[0][1:]]]}})
    assert (refused.status_code, refused.json()["path"]) == (400, "dataframe_split.data[0].lead_time")
    assert "came null" in refused.json()["message"]


def test_probabilities_are_asked_by_mlflows_name(gateway: Gateway) -> None:
    """`pyfunc_predict_fn` is what MLflow calls the function at logging; a regression has none."""
    params = {"pyfunc_predict_fn": "predict_proba"}
    assert score(gateway, {"inputs": CELLS, "params": params}).json() == {"predictions": [[0.9, 0.1], [0.4, 0.6]]}
    refused = score(gateway, {"inputs": [1], "params": params}, "/models/price/invocations")
    assert (refused.status_code, refused.json()["path"]) == (400, "params.pyfunc_predict_fn")
    assert len(gateway.log.kept_predictions) == 2


def test_identity_is_logged_and_routes(gateway: Gateway) -> None:
    """A value for all rows, or one for each; a unit keeps its arm; native predict deals it the same."""
    params = {"request_id": "q", "unit_id": "guest-7", "timestamp": "2024-03-01T12:00:00+02:00"}
    score(gateway, {"instances": CELLS, "params": params})
    each = {"request_id": ["a", "b"], "unit_id": [7, "guest-7"], "timestamp": [5, 6.5]}
    response = score(gateway, {"instances": CELLS, "params": each})
    assert "x-request-id" not in response.headers
    records = gateway.log.kept_predictions
    assert [(one.request_id, one.unit_id, one.timestamp) for one in records] == [
        ("q:0", "guest-7", 1709287200.0),
        ("q:1", "guest-7", 1709287200.0),
        ("a", "7", 5.0),
        ("b", "guest-7", 6.5),
    ]
    native = gateway.predict({"features": ROWS[0], "unit_id": "guest-7"}).json()
    assert {records[index].arm for index in (0, 1, 3)} == {native["arm"]}
    assert {one.rollout for one in records} == {"salt"}


def test_rows_without_a_unit_draw_their_own_arms(gateway: Gateway) -> None:
    """As in a native batch; the made-up request id is in a header, so that outcomes can be joined."""
    response = score(gateway, {"instances": [CELLS[0]] * 60})
    records = gateway.log.kept_predictions
    assert {one.arm for one in records} == {"canary", "champion"}
    base = response.headers["x-request-id"]
    assert [one.request_id for one in records] == [f"{base}:{index}" for index in range(60)]
    single = score(gateway, {"instances": [CELLS[0]]})
    assert gateway.log.kept_predictions[-1].request_id == single.headers["x-request-id"]


def test_a_version_may_be_pinned(gateway: Gateway) -> None:
    """By its path; its arm is `pinned`, so it is no evidence in a rollout."""
    assert score(gateway, {"inputs": CELLS}, "/models/hotel/versions/3/invocations").status_code == 200
    assert {(one.model_version, one.arm, one.rollout) for one in gateway.log.kept_predictions} == {(3, "pinned", "")}
    for version, said in (("9", "warm are: 1, 2, 3"), ("two", "whole numbers"), ("", "whole numbers")):
        refused = score(gateway, {"inputs": CELLS}, f"/models/hotel/versions/{version}/invocations")
        assert (refused.status_code, refused.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
        assert said in refused.json()["message"]


def test_the_short_path_means_the_only_model(gateway: Gateway) -> None:
    """With several it is refused, also while one of them is being loaded; with none it is not found."""
    refused = score(gateway, {"inputs": CELLS}, "/invocations")
    assert (refused.status_code, refused.json()) == (
        400,
        {
            "error_code": "BAD_REQUEST",
            "message": "2 models are served here (hotel, price): name one in the path, /models/hotel/invocations",
        },
    )
    alone(gateway, "hotel")
    assert score(gateway, {"inputs": CELLS}, "/invocations").json() == {"predictions": [0, 1]}
    gateway.serving.live = Live(4, gateway.serving.live.models, waiting=("later",))
    assert "hotel, later" in score(gateway, {"inputs": CELLS}, "/invocations").json()["message"]
    gateway.serving.live = Live(4, {}, {"broken": "no such bundle"})
    loading = score(gateway, {"inputs": CELLS}, "/invocations")
    assert (loading.status_code, loading.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    gateway.serving.live = Live(4, {})
    assert score(gateway, {"inputs": CELLS}, "/invocations").status_code == 404


def test_ping_and_version(gateway: Gateway) -> None:
    """Ping is 200 once something can be answered, version is text; both take GET and HEAD only."""
    assert (gateway.http.get("/ping").status_code, gateway.http.get("/ping").text) == (200, "\n")
    assert gateway.http.get("/version").text == gateway.http.get("/v2").json()["version"]
    assert gateway.http.head("/ping").status_code == 200
    refused = gateway.http.post("/ping")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert refused.json() == {"error_code": "BAD_REQUEST", "message": "POST is not taken here: use GET"}
    assert gateway.http.get(HOTEL).status_code == 405
    gateway.serving.live = None
    assert gateway.http.get("/ping").status_code == 503
    assert score(gateway, {"inputs": CELLS}, "/invocations").status_code == 503


def test_contracts_of_two_versions_are_each_obeyed(gateway: Gateway) -> None:
    """Rows without names stand in the order of the contract of the version that each has drawn."""
    live = gateway.serving.live
    hotel, price = live.models["hotel"].versions[1], live.models["price"].versions[1]
    route = ModelRoute((Arm("canary", 2, 0.5), Arm("champion", 1, 0.5)), {1: "1", 2: "2"}, (), "salt")
    gateway.serving.live = Live(9, {"hotel": LiveModel("hotel", route, {1: hotel, 2: price})})
    units = {gateway.predict({"features": ROWS[0], "unit_id": str(unit)}).status_code: str(unit) for unit in range(20)}
    for row, unit in ((CELLS[0], units[200]), ([3], units[422])):
        assert score(gateway, {"instances": [row], "params": {"unit_id": unit}}).status_code == 200
    refused = score(gateway, {"instances": [CELLS[0]], "params": {"unit_id": units[422]}})
    assert "expected 1 values (nights), came 4" in refused.json()["message"]


def changed(**cells: Any) -> list[dict[str, Any]]:
    """Two rows, the second with other cells."""
    return [ROWS[0], {**ROWS[1], **cells}]


def without(name: str) -> list[dict[str, Any]]:
    """Two rows, the second without a cell."""
    return [ROWS[0], {key: value for key, value in ROWS[1].items() if key != name}]


@pytest.mark.parametrize(
    ("body", "path", "said"),
    [
        ({"dataframe_records": changed(lead_time="x")}, "dataframe_records[1].lead_time", 'a number, came "x"'),
        ({"dataframe_records": changed(nights=1.5)}, "dataframe_records[1].nights", "an integer, came 1.5"),
        ({"dataframe_records": changed(nights=0)}, "dataframe_records[1].nights", "came 0"),
        ({"dataframe_records": changed(nights=None)}, "dataframe_records[1].nights", "came null"),
        ({"dataframe_records": changed(leadtime=1)}, "dataframe_records[1].leadtime", "no such feature"),
        ({"dataframe_records": without("nights")}, "dataframe_records[1].nights", "the field is missing"),
        ({"dataframe_records": [ROWS[0], 7]}, "dataframe_records[1]", "expected an object by feature name, came 7"),
        ({"dataframe_records": ROWS[0]}, "dataframe_records", "Expected array"),
        ({"dataframe_records": []}, "dataframe_records", "the batch is empty"),
        ({"dataframe_split": {"columns": NAMES, "data": []}}, "dataframe_split.data", "the batch is empty"),
        ({"dataframe_split": {"columns": NAMES}}, "dataframe_split", "missing required field data"),
        ({"dataframe_split": {"columns": NAMES, "data": CELLS, "dtypes": []}}, "dataframe_split", "unknown field"),
        ({"dataframe_split": {"columns": NAMES, "data": [*CELLS, [1]]}}, "dataframe_split.data[2]", "4 values (lead"),
        (
            {"dataframe_split": {"columns": NAMES[:3], "data": [[1, 2, "Direct"]]}},
            "dataframe_split.data[0].repeated",
            "the field is missing",
        ),
        (
            {"dataframe_split": {"columns": [*NAMES[:3], "nights"], "data": CELLS}},
            "dataframe_split.columns",
            '"nights" is given twice',
        ),
        ({"dataframe_split": {"columns": [["a", "b"]], "data": CELLS}}, "dataframe_split.columns[0]", "came array"),
        ({"dataframe_split": {"columns": NAMES, "data": [7]}}, "dataframe_split.data[0]", "Expected array"),
        (
            {"dataframe_split": {"columns": NAMES, "data": [[float("inf"), 1, "Direct", True]]}},
            "dataframe_split.data[0][0]",
            "NaN and Infinity are not JSON",
        ),
        ({"dataframe_split": [1]}, "dataframe_split", "Expected object"),
        (
            {"instances": [CELLS[0][:3]]},
            "instances[0]",
            "expected 4 values (lead_time, nights, segment, repeated), came 3",
        ),
        ({"instances": [*CELLS, [*CELLS[0], 1]]}, "instances[2]", "came 5"),
        ({"instances": [[["x"], 1, "Direct", True]]}, "instances[0].lead_time", 'came ["x"]'),
        ({"instances": [1, 2, 3, 4]}, "instances[0]", "expected a list of 4 values or an object, came 1"),
        ({"instances": []}, "instances", "the batch is empty"),
        ({"instances": "x"}, "instances", "expected a list of rows or an object of columns"),
        ({"instances": None}, "instances", "came null"),
        ({"inputs": {}}, "inputs", "there is no column"),
        ({"inputs": {name: [] for name in NAMES}}, "inputs", "the batch is empty"),
        ({"inputs": {**COLUMNS, "nights": [1]}}, "inputs", "the columns differ in length: lead_time 2, nights 1"),
        ({"inputs": {**COLUMNS, "nights": 1}}, "inputs.nights", "expected a list, as the other columns are, came 1"),
        ({"inputs": {**COLUMNS, "nights": [1, [2, 3]]}}, "inputs[1].nights", "came [2, 3]"),
        ({"inputs": {**COLUMNS, "nights": [1, "2"]}}, "inputs[1].nights", 'an integer, came "2"'),
        ({"inputs": 7}, "inputs", "came 7"),
        ({"inputs": CELLS, "instances": CELLS}, None, "came instances and inputs"),
        ({"params": {}}, None, "exactly one of dataframe_split, dataframe_records, instances, inputs: came none"),
        ({"data": CELLS}, None, "unknown field data (send an object with exactly one of"),
        ({"inputs": CELLS, "signature_name": "x"}, None, "unknown field signature_name"),
        ([ROWS[0]], None, "Expected object, came array (send an object"),
        ({"inputs": CELLS, "params": {"temperature": 1}}, "params", "unknown field temperature"),
        ({"inputs": CELLS, "params": []}, "params", "Expected object | null, came array"),
        ({"inputs": CELLS, "params": {"unit_id": True}}, "params.unit_id", "came bool"),
        ({"inputs": CELLS, "params": {"unit_id": ["a"]}}, "params.unit_id", "1 values for 2 rows"),
        ({"inputs": CELLS, "params": {"request_id": ""}}, "params.request_id", "length >= 1"),
        ({"inputs": CELLS, "params": {"request_id": ["a", "b", "c"]}}, "params.request_id", "3 values for 2 rows"),
        ({"inputs": CELLS, "params": {"timestamp": [1, "x"]}}, "params.timestamp[1]", "RFC 3339"),
        ({"inputs": CELLS, "params": {"timestamp": 1700000000000}}, "params.timestamp", "milliseconds"),
        ({"inputs": CELLS, "params": {"pyfunc_predict_fn": "score"}}, "params.pyfunc_predict_fn", "Invalid enum"),
        (b"", None, "the body is empty"),
        (b"{", None, "broken JSON at line 1 column 2"),
        (b'{"inputs": [[1, NaN}', None, "broken JSON"),
        (b'{"inputs": [[1, NaN, "\\ud800", true]]}', None, "surrogate"),
        (b'{"inputs": NaN, "instances": ' + b"[" * 100_000, None, "nested too deep"),
        (b'{"inputs": [[1, 1, "\xff", true]]}', "inputs[0]", "not UTF-8"),
        (b'{"inputs": [[1e999, 1, "Direct", true]]}', "inputs[0].lead_time", "came Infinity"),
        (b'{"inputs": ' + b"[" * 100_000, None, "nested too deep"),
    ],
)
def test_a_wrong_body_is_told(gateway: Gateway, body: Any, path: str | None, said: str) -> None:
    """400 in MLflow's shape, with the field's path; nothing is logged, and nothing is a traceback."""
    response = score(gateway, body)
    assert response.status_code == 400, response.text
    answer = response.json()
    assert answer["error_code"] == "BAD_REQUEST"
    assert answer.get("path") == path, answer
    assert said in answer["message"], answer
    assert "Traceback" not in response.text
    assert gateway.log.kept_predictions == []


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        (b"", "csv", "the body is empty"),
        (b"\n\n", "csv", "the body is empty"),
        (b"lead_time,nights,segment,repeated\n", "csv", "the batch is empty"),
        (b",lead_time,nights,segment,repeated\n0,1,1,Direct,\n", "csv.header", "to_csv(index=False)"),
        (b"nights,nights,segment,repeated\n1,1,Direct,\n", "csv.header", '"nights" is given twice'),
        (b"lead_time,nights,segment,repeated\n1,1,Direct,\n1,1\n", "csv[1]", "expected 4 values"),
        (b"lead_time,nights,segment\n1,1,Direct\n", "csv[0].repeated", "the field is missing"),
        (b"lead_time,nights,segment,repeated,x\n1,1,Direct,,2\n", "csv[0].x", "no such feature"),
        (b"lead_time,nights,segment,repeated\nold,1,Direct,\n", "csv[0].lead_time", 'expected a number, came "old"'),
        (b"lead_time,nights,segment,repeated\ninf,1,Direct,\n", "csv[0].lead_time", 'came "inf"'),
        (b"lead_time,nights,segment,repeated\n1e999,1,Direct,\n", "csv[0].lead_time", 'came "1e999"'),
        (b"lead_time,nights,segment,repeated\n1_0,1,Direct,\n", "csv[0].lead_time", 'came "1_0"'),
        (b"lead_time,nights,segment,repeated\n1,,Direct,\n", "csv[0].nights", "came null"),
        (b"lead_time,nights,segment,repeated\n1,1.5,Direct,\n", "csv[0].nights", "an integer, came 1.5"),
        (b"lead_time,nights,segment,repeated\n1,99999999999999999999,Direct,\n", "csv[0].nights", "an integer"),
        (b"lead_time,nights,segment,repeated\n1,1,Direct,yes\n", "csv[0].repeated", 'true or false, came "yes"'),
        (b'lead_time,nights,segment,repeated\n1,1,"Direct,\n', "csv", "broken CSV"),
        (b"lead_time,nights,segment,repeated\n1,1," + b"x" * 200_000 + b",\n", "csv", "broken CSV: field larger"),
        (b"lead_time,nights,segment,repeated\n1,1,\xff,\n", None, "not UTF-8 (byte 38)"),
    ],
)
def test_wrong_csv_is_told(gateway: Gateway, text: bytes, path: str | None, said: str) -> None:
    """400, with the row counted from 0 below the header."""
    response = score(gateway, text, kind="text/csv")
    assert response.status_code == 400, response.text
    answer = response.json()
    assert (answer["error_code"], answer.get("path")) == ("BAD_REQUEST", path), answer
    assert said in answer["message"], answer
    assert gateway.log.kept_predictions == []


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "application/vnd.apache.parquet",
        "text/csv; charset=latin-1",
        "application/json; charset=utf-16",
        "application/json; format=pandas-split",
        "",
    ],
)
def test_another_content_type_is_refused(gateway: Gateway, kind: str) -> None:
    """415, and what is taken is named."""
    response = score(gateway, {"inputs": CELLS}, kind=kind)
    assert response.status_code == 415, response.text
    assert "application/json or text/csv" in response.json()["message"]
    request = gateway.http.build_request("POST", HOTEL, content=b"{}")
    assert gateway.http.send(request).status_code == 415
    zipped = gateway.http.post(HOTEL, content=b"x", headers={"content-type": "text/csv", "content-encoding": "gzip"})
    assert zipped.status_code == 415


def test_a_large_body_is_refused_and_an_unknown_path_is_told(gateway: Gateway) -> None:
    """413 whatever the type; a model that is not there is 404, and what is served is named."""
    for kind in ("text/csv", "application/json"):
        assert score(gateway, b"x" * 10_000_000, kind=kind).status_code == 413
    refused = score(gateway, {"inputs": CELLS}, "/models/nobody/invocations")
    assert refused.status_code == 404
    assert refused.json() == {
        "error_code": "RESOURCE_DOES_NOT_EXIST",
        "message": "no model 'nobody' is served here; served are: hotel, price",
    }
    assert score(gateway, {"inputs": CELLS}, "/models/hotel/versions/invocations").status_code == 404
    assert score(gateway, {"inputs": CELLS}, "/models/hotel/x/1/invocations").status_code == 404


def test_a_request_has_a_bounded_number_of_rows(gateway: Gateway) -> None:
    """Small rows by the million would take far more memory than the body is long."""
    path, most = "/models/price/invocations", MOST_ROWS
    for rows in (most, most + 1):
        answer = score(gateway, b"nights" + b"\n1" * rows, path, "text/csv")
        assert answer.status_code == (200 if rows == most else 413)
    refused = score(gateway, b'{"inputs": [' + b"1," * most + b"1]}", path)
    assert (refused.status_code, refused.json()) == (
        413,
        {
            "error_code": "BAD_REQUEST",
            "message": "inputs: more than 100000 rows: send smaller batches",
            "path": "inputs",
        },
    )
    assert len(gateway.log.kept_predictions) == most


def test_many_columns_are_looked_at_once(gateway: Gateway) -> None:
    """A header of a megabyte with one name twice, at its end, is refused at once and not name against name."""
    names = ",".join(f"c{index}" for index in range(150_000)) + ",c149999"
    refused = score(gateway, f"{names}\n".encode(), kind="text/csv")
    assert (refused.status_code, "c149999" in refused.json()["message"]) == (400, True)


def test_a_model_that_fails_is_no_fault_of_the_caller(gateway: Gateway) -> None:
    """500, one line; each row's truth is in the log and in the counts."""
    response = score(gateway, {"dataframe_records": changed(lead_time=901)})
    assert (response.status_code, response.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in response.text
    assert sorted(one.status for one in gateway.log.kept_predictions) == [200, 500]


def test_refusals_are_counted(gateway: Gateway) -> None:
    """Once each, under the model where it is known, with the status that was answered."""
    score(gateway, b"{")
    score(gateway, {"dataframe_records": without("nights")})
    score(gateway, {"inputs": CELLS}, "/models/nobody/invocations")
    text = gateway.http.get("/metrics").text
    counted = [line for line in text.splitlines() if line.startswith("fairlead_inference_requests_total{")]
    assert len(counted) == 3, counted
    assert sum('model_name="hotel"' in line and 'code="400"' in line for line in counted) == 2
    assert sum('model_name=""' in line and 'code="404"' in line for line in counted) == 1


def test_a_large_batch_is_answered_in_order(gateway: Gateway) -> None:
    """Beyond what is read at once, by every form and by CSV."""
    leads = [index % 700 for index in range(6000)]
    rows = [[lead, 1, "Direct", None] for lead in leads]
    text = "lead_time,nights,segment,repeated\n" + "".join(f"{lead},1,Direct,\n" for lead in leads)
    labels = [int(lead >= 500) for lead in leads]
    assert score(gateway, {"inputs": rows}).json() == {"predictions": labels}
    assert score(gateway, text.encode(), kind="text/csv").json() == {"predictions": labels}
    assert len(gateway.log.kept_predictions) == 12_000


def test_shadows_see_the_rows(start_gateway: Callable[..., Any]) -> None:
    """What an MLflow client asked is in the log as shadows answer it, as it is for every other client."""
    gateway = start_gateway(sync=True)
    live = gateway.serving.live
    route = ModelRoute((Arm("champion", 1, 1.0),), {1: "1", 3: "3"}, (3,), "salt")
    gateway.serving.live = Live(4, {"hotel": LiveModel("hotel", route, live.models["hotel"].versions)})
    assert score(gateway, {"inputs": CELLS}, "/invocations").status_code == 200
    records = gateway.log.kept_predictions
    assert [is_unseen(route, one.unit_id, one.rollout) for one in records] == [True, True]
