"""The data plane's OpenAPI document: well-formed, whole, and true of the running gateway."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.adapters.predictors.onnx import OnnxPredictor
from fairlead.core.asking import Asking
from fairlead.core.bundle import PORTABLE, Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Policy, Rule, Task
from fairlead.core.decode import FallsBack, OutputReader, RowDecoder
from fairlead.core.route import Arm, ModelRoute
from fairlead.errors import ContractError
from fairlead.faces.gateway import openapi_schemas, outcomes, predict
from fairlead.faces.gateway.openapi import OUTCOME, document
from fairlead.flows.warm import Live, LiveModel, LiveVersion
from fairlead.testing.candidate import CONTRACT, formula_onnx

Gateway = Any  # the fixture's value: see conftest
Validator: Any = importlib.import_module("jsonschema").Draft202012Validator
SOURCE = Path(openapi_schemas.__file__).parent
STAY = "/v1/models/stay/predict"
quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def version(number: int, contract: Contract, predictor: Any = None) -> LiveVersion:
    """A version in memory."""
    manifest = Manifest(
        name="m",
        contract=contract,
        model_format="onnx",
        model_entry=PORTABLE,
        served=PORTABLE,
        files={},
        lineage=Lineage("d", "0" * 64, 1),
    )
    return LiveVersion(number, str(number), manifest, RowDecoder(contract), OutputReader(contract), predictor)


@cache
def stay_live() -> Live:
    """A real ONNX model, alone."""
    live = version(1, CONTRACT, OnnxPredictor(formula_onnx(), CONTRACT))
    route = ModelRoute((Arm("champion", 1, 1.0),), {1: "1"})
    return Live(5, {"stay": LiveModel("stay", route, {1: live})})


def stay(gateway: Gateway) -> None:
    """Serves it."""
    gateway.serving.live = stay_live()


@cache
def stay_document() -> dict[str, Any]:
    """Its document."""
    return document(stay_live(), "1")


def described(gateway: Gateway) -> dict[str, Any]:
    """The document, as a client gets it."""
    response = gateway.http.get("/openapi.json")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = response.json()
    return found


def operations(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation."""
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def followed(found: dict[str, Any], value: Any) -> Any:
    """What a reference leads to."""
    while "$ref" in value:
        place: Any = found
        for part in value["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        value = {**place, **{key: said for key, said in value.items() if key != "$ref"}}
    return value


def inside(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from inside(inner)


def schemas(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every schema of the document."""
    yield from found["components"]["schemas"].values()
    yield from (one["schema"] for one in inside(found) if isinstance(one.get("schema"), dict))


def complaints(found: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with a value."""
    whole = {**schema, "components": found["components"]}
    return [str(error) for error in Validator(whole).iter_errors(value)]


# -- the document --------------------------------------------------------------------------------------------------


def test_the_document_is_well_formed(gateway: Gateway) -> None:
    """OpenAPI 3.1: schemas of the 2020-12 draft, references that lead somewhere, one id for each operation."""
    found = described(gateway)
    assert set(found) == {"openapi", "info", "paths", "components"}
    assert (found["openapi"], set(found["info"])) == ("3.1.0", {"title", "version", "description"})
    for schema in schemas(found):
        Validator.check_schema(schema)
    references = [one["$ref"] for one in inside(found) if "$ref" in one]
    assert len(references) > 100
    assert all(followed(found, {"$ref": reference}) for reference in references)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for kind in found["components"].values() for name in kind)
    names = [operation["operationId"] for _, _, operation in operations(found)]
    assert len(set(names)) == len(names) > 30
    for path, method, operation in operations(found):
        assert re.fullmatch(r"(/[^/{}?#\s]+)+", path)
        assert method in {"get", "post"}
        assert set(operation) <= {"operationId", "summary", "tags", "responses", "requestBody"}
        assert all(followed(found, one)["description"] for one in operation["responses"].values())
        assert ("requestBody" in operation) <= (method == "post")


def test_every_operation_answers_as_it_says(gateway: Gateway) -> None:
    """Its example is valid and accepted; the answer has a status and a body of the document."""
    stay(gateway)
    found = described(gateway)
    for path, method, operation in operations(found):
        media = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if media is not None:
            assert complaints(found, media["schema"], media["example"]) == [], path
        response = gateway.http.request(method, path, json=media["example"] if media else None)
        expected = 200 if "200" in operation["responses"] else 501
        assert response.status_code == expected, (path, response.text)
        content = followed(found, operation["responses"][str(expected)])["content"]
        kind = response.headers["content-type"].partition(";")[0]
        body = response.json() if kind == "application/json" else response.text
        assert complaints(found, content[kind]["schema"], body) == [], path


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (STAY, b"{", 400),
        (STAY, b'{"features": {}}', 422),
        ("/v1/models/stay/predict/", b"{}", 404),
        ("/v2/models/stay/infer", b"{}", 400),
        ("/v1/outcomes", b"[]", 400),
        ("/models/stay/invocations", b"{}", 400),
        ("/models/stay/versions/7/invocations", b'{"instances": [1]}', 404),
        ("/invocations", b'{"dataframe_records": [{"age": "x"}]}', 400),
    ],
)
def test_every_refusal_has_its_protocols_shape(gateway: Gateway, path: str, body: bytes, status: int) -> None:
    """The statuses are listed, and the bodies are those of the document."""
    stay(gateway)
    found = described(gateway)
    response = gateway.http.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code == status
    shape = "ScoringProblem" if path.endswith("invocations") else "Problem"
    assert complaints(found, found["components"]["schemas"][shape], response.json()) == []
    if path in found["paths"]:
        said = found["paths"][path]["post"]["responses"][str(status)]
        assert said["$ref"].endswith(f"/{shape}{status}")


def patterns(module: str) -> Iterator[str]:
    """The path patterns of a module's match statements, as regular expressions."""
    for node in ast.walk(ast.parse((SOURCE / module).read_text())):
        if isinstance(node, ast.MatchSequence):
            yield "/".join(pattern(one) for one in node.patterns)


def pattern(node: ast.pattern) -> str:
    """A part of a path."""
    if isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant):
        return re.escape(str(node.value.value))
    return f"({'|'.join(map(pattern, node.patterns))})" if isinstance(node, ast.MatchOr) else "[^/]+"


def test_every_path_that_is_dispatched_is_described(gateway: Gateway) -> None:
    """Whatever path the gateway's code names is in the document."""
    stay(gateway)
    paths = set(described(gateway)["paths"])
    protocol = {f"/v2/{found}".rstrip("/") for found in patterns("inference_protocol.py")}
    scoring = {f"/{found}" for found in patterns("mlflow_scoring.py")}
    assert len(protocol) > 8
    assert len(scoring) == 3
    unknown = {one for one in protocol | scoring if not any(re.fullmatch(one, path) for path in paths)}
    assert unknown == set()
    constants = [
        node.value
        for module in ("app.py", "mlflow_scoring.py")
        for node in ast.walk(ast.parse((SOURCE / module).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    named = {value for value in constants if re.fullmatch(r"/[a-z0-9_./]+", value)}
    assert {"/health", "/metrics", "/openapi.json", "/v1/outcomes", "/ping", "/version", "/invocations"} <= named
    assert {one for one in named if not any(path.startswith(one) or path.endswith(one) for path in paths)} == set()


ELSEWHERE = (
    *(
        f"/v2/models/hotel/{what}"
        for what in ("config", "stats", "trace/setting", "generate", "generate_stream", "explain")
    ),
    *(f"/v2/models/hotel/versions/1/{what}" for what in ("config", "stats", "trace/setting", "load")),
    *(
        f"/v2/{what}"
        for what in ("models/stats", "health", "logging", "trace/setting", "repository", "repository/models")
    ),
    *(f"/v2/{kind}sharedmemory/{what}" for kind in ("system", "cuda") for what in ("status", "region/r/status")),
    *(f"/v1/{what}" for what in ("models", "models/hotel", "models/hotel:predict", "models/hotel/explain", "predict")),
    *("/", "/v1", "/v3", "/docs", "/redoc", "/swagger.json", "/ready", "/healthz", "/live", "/models", "/models/hotel"),
    *("/models/hotel/predict", "/predict", "/invocations/x", "/admin", "/.git/config", "/favicon.ico", "/robots.txt"),
)


def test_what_is_not_described_is_not_there(gateway: Gateway) -> None:
    """Paths that other servers have, of these protocols and beside them, are 404 by every method; those of the document
    are not, whatever the method."""
    paths = described(gateway)["paths"]
    assert not set(ELSEWHERE) & set(paths)
    for path in ELSEWHERE:
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = gateway.http.request(method, path, json={} if method == "POST" else None)
            assert answer.status_code == 404, (method, path, answer.text)
    for path, methods in paths.items():
        for method in ("get", "post", "put", "delete"):
            answer = gateway.http.request(method, path)
            assert (answer.status_code == 405) == (method not in methods), (method, path, answer.text)
            assert answer.status_code != 404


def test_the_short_path_is_described_where_it_answers(gateway: Gateway) -> None:
    """`/invocations` is there with one model, and nowhere else."""
    assert "/invocations" not in described(gateway)["paths"]
    stay(gateway)
    assert "/invocations" in described(gateway)["paths"]
    gateway.serving.live = Live(6, gateway.serving.live.models, waiting=("later",))
    assert "/invocations" not in described(gateway)["paths"]


def test_the_document_follows_what_is_served(gateway: Gateway) -> None:
    """A model's paths are there while it is served, also before the first route table, when none is."""
    models = gateway.serving.live.models
    assert "/v1/models/price/predict" in described(gateway)["paths"]
    gateway.serving.live = Live(9, {"hotel": models["hotel"]})
    assert "/v1/models/price/predict" not in described(gateway)["paths"]
    gateway.serving.live = None
    assert [path for path in described(gateway)["paths"] if "models/" in path] == []
    strange = {name: msgspec.structs.replace(models["price"], name=name) for name in ("a b/{c}", "a-b")}
    gateway.serving.live = Live(10, strange)
    assert gateway.http.post("/openapi.json").status_code == 405
    found = described(gateway)
    assert {"/v1/models/a%20b%2F%7Bc%7D/predict", "/v1/models/a-b/predict"} <= set(found["paths"])
    ids = [operation["operationId"] for _, _, operation in operations(found)]
    assert len(set(ids)) == len(ids)


def test_bodies_have_the_fields_that_are_read() -> None:
    """What is written by hand in the document is what the code reads."""
    price = Contract((Feature("nights", Kind.INTEGER),), Task.REGRESSION, "price")
    live = served(price)
    found = document(live, "1")
    single, batch = found["paths"]["/v1/models/m/predict"]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ]["anyOf"]
    assert {*single["properties"], *batch["properties"]} == set(predict.PredictBody.__struct_fields__)
    instance = batch["properties"]["instances"]["items"]["anyOf"][1]
    assert set(instance["properties"]) == set(Asking.__struct_fields__)
    assert set(OUTCOME["properties"]) == set(outcomes.Given.__struct_fields__)


def served(*contracts: Contract) -> Live:
    """A model whose versions have these contracts, each with a share of the traffic."""
    numbers = range(1, len(contracts) + 1)
    arms = tuple(Arm(f"arm{number}", number, 1.0 / len(contracts)) for number in numbers)
    versions = {number: version(number, contract) for number, contract in zip(numbers, contracts, strict=True)}
    return Live(1, {"m": LiveModel("m", ModelRoute(arms, dict.fromkeys(numbers, "d")), versions)})


def test_versions_that_answer_at_once_must_all_accept_a_row() -> None:
    """While two contracts are drawn, the schema is both; the same contract is described once."""
    one = Contract((Feature("a", Kind.NUMBER),), Task.REGRESSION, "y")
    other = Contract((Feature("a", Kind.NUMBER, minimum=0.0, out_of_range=Policy.REJECT),), Task.REGRESSION, "y")
    found = document(served(one, other, one), "1")
    assert {name for name in found["components"]["schemas"] if name.startswith("m.features")} == {
        "m.features.1",
        "m.features.2",
    }
    media = found["paths"]["/v1/models/m/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert complaints(found, media["schema"], {"features": {"a": 1}}) == []
    assert complaints(found, media["schema"], {"features": {"a": -1}}) != []
    pinned = found["paths"]["/models/m/versions/3/invocations"]["post"]["requestBody"]["content"]["application/json"]
    assert complaints(found, pinned["schema"], {"instances": [{"a": -1}]}) == []


# -- what is generated from it -------------------------------------------------------------------------------------


@st.composite
def features(draw: st.DrawFn) -> Feature:
    """Any feature."""
    kind = draw(st.sampled_from(list(Kind)))
    policy = st.sampled_from(list(Policy))
    fill: Any = {Kind.NUMBER: 1.5, Kind.INTEGER: 3, Kind.BOOLEAN: True, Kind.CATEGORY: "a"}[kind]
    low = high = None
    if kind in (Kind.NUMBER, Kind.INTEGER):
        low, high = draw(st.none() | st.floats(-9, 9)), draw(st.none() | st.floats(-9, 9))
        assume(low is None or high is None or low <= high)
    categories = draw(st.sampled_from([(), ("a",), ("a", "b", "")])) if kind is Kind.CATEGORY else ()
    missing, out_of_range, unseen = draw(policy), draw(policy), draw(policy)
    return Feature("f", kind, draw(st.booleans()), low, high, categories, missing, out_of_range, unseen, fill)


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-12, 12)
    | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1])
    | st.floats(-12, 12)
    | st.sampled_from(["", "a", "b", "c", "1"])
    | st.lists(st.integers(), max_size=1)
    | st.dictionaries(st.just("x"), st.integers(), max_size=1)
)


@settings(max_examples=400, deadline=None)
@given(features(), VALUES)
def test_a_schema_allows_what_the_contract_accepts(feature: Feature, value: Any) -> None:
    """Neither more nor less, whatever the feature and the value, and also when it is missing."""
    contract = Contract((feature,), Task.REGRESSION, "y")
    decoder, validator = RowDecoder(contract), Validator(openapi_schemas.row(contract))
    for row in ({"f": value}, {}, {"f": value, "g": 1}):
        try:
            decoder.decode(msgspec.json.encode(row))
        except ContractError as error:
            accepted = isinstance(error, FallsBack)  # the champion or the default answers
        else:
            accepted = True
        assert validator.is_valid(row) == accepted, (row, openapi_schemas.cell(feature))


@settings(max_examples=200, deadline=None)
@given(features())
def test_the_example_is_accepted(feature: Feature) -> None:
    """Also where ranges are narrow, unless no whole number is in one."""
    low, high = feature.minimum, feature.maximum
    narrow = feature.kind is Kind.INTEGER and low is not None and high is not None and low // 1 == high // 1 < low
    assume(not narrow)
    bare = msgspec.structs.replace(feature, fill=None)
    contract = Contract((bare,), Task.REGRESSION, "y")
    assert Validator(openapi_schemas.row(contract)).is_valid(openapi_schemas.example(contract))


def bodies(found: dict[str, Any], schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What a schema of the document allows."""
    schema = followed(found, schema)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([bodies(found, one) for one in schema["anyOf"]])
    if "type" not in schema:
        return st.none() | st.integers() | st.lists(st.text(max_size=3), max_size=3)
    if isinstance(schema["type"], list):
        return st.one_of([bodies(found, {**schema, "type": kind}) for kind in schema["type"]])
    made: st.SearchStrategy[Any] = BUILDERS[schema["type"]](found, schema)
    return made


def numbers(_: dict[str, Any], schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Whole and broken ones."""
    low, high = schema.get("minimum"), schema.get("maximum", schema.get("exclusiveMaximum"))
    is_open = "exclusiveMaximum" in schema
    return st.floats(low, high, exclude_max=is_open, allow_nan=False, allow_infinity=False)


def texts(_: dict[str, Any], schema: dict[str, Any]) -> st.SearchStrategy[str]:
    """Any text without half surrogates, or an instant."""
    if schema.get("format") == "date-time":
        return st.datetimes(datetime(1971, 1, 1), datetime(2024, 1, 1), timezones=st.just(UTC)).map(datetime.isoformat)  # noqa: DTZ001 - hypothesis adds the zone
    alphabet = st.characters(codec="utf-8")
    return st.text(alphabet, min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 20), 20))


def lists(found: dict[str, Any], schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Of a fixed form, or of one to three items."""
    if "prefixItems" in schema:
        return st.tuples(*(bodies(found, one) for one in schema["prefixItems"])).map(list)
    items = bodies(found, schema["items"]) if "items" in schema else st.integers()
    return st.lists(items, min_size=schema.get("minItems", 0), max_size=3)


def objects(found: dict[str, Any], schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What is required, and some of the rest."""
    made = {name: bodies(found, one) for name, one in schema["properties"].items()}
    required = schema.get("required", ())
    return st.fixed_dictionaries(
        {name: made[name] for name in required},
        optional={name: one for name, one in made.items() if name not in required},
    )


BUILDERS: dict[str, Any] = {
    "null": lambda _, __: st.none(),
    "boolean": lambda _, __: st.booleans(),
    "integer": lambda _, schema: st.integers(schema.get("minimum"), schema.get("maximum")),
    "number": numbers,
    "string": texts,
    "array": lists,
    "object": objects,
}


@pytest.mark.parametrize(
    "path", [STAY, "/models/stay/invocations", "/models/stay/versions/1/invocations", "/v1/outcomes"]
)
@quick
@given(data=st.data())
def test_what_the_document_allows_is_answered(gateway: Gateway, path: str, data: st.DataObject) -> None:
    """Bodies made from the schema get 200 from a real model, and an answer of the schema; but no outcome of the future
    is taken, which no schema can say."""
    stay(gateway)
    found = stay_document()
    operation = found["paths"][path]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    body = data.draw(bodies(found, schema))
    assert complaints(found, schema, body) == []
    response = gateway.http.post(path, json=body)
    if path == "/v1/outcomes" and response.status_code == 422:  # what is still to come changes by the second
        assert "in the future: send" in response.text
        return
    assert response.status_code == 200, response.text
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert complaints(found, answer, response.json()) == []


def test_rules_over_several_features_are_told() -> None:
    """No schema can express them, so they stand beside it as the contract has them; those that only warn do not."""
    rules = (Rule("nights < lead_time"), Rule("nights > 0", Policy.WARN))
    contract = Contract(
        (Feature("lead_time", Kind.NUMBER), Feature("nights", Kind.INTEGER)), Task.BINARY, "y", ("0", "1"), rules=rules
    )
    assert openapi_schemas.row(contract)["x-rules"] == ["nights < lead_time"]
    assert "x-rules" not in openapi_schemas.row(replace(contract, rules=()))
