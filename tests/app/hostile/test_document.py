"""The data plane's OpenAPI document against the running worker, as schemathesis reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from benchmarks.hostile.house import BINARY, KINDS, SLOW, VALUE, House, Short
from schemathesis.engine import events, from_schema

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
)
STATED = ("2xx", "4xx", "501", "503")  # which of them an operation may answer is `status_code_conformance`'s to say

LEFT = f"/versions/|^/models/({VALUE}|{SLOW})/|^/v2/models/({BINARY}|{KINDS})/|^/v2/repository/models/({VALUE}|{KINDS})"


def beyond_schemas(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Keeps a failure, but for right data that is refused for what no schema can say: the contents of CSV, of tensors
    and of their bytes, that an outcome is of the future, and that features break a rule of the contract together."""
    del context
    if failure.title != "Schema-valid request rejected":
        return True
    if case.media_type != "application/json" or case.path.endswith("/infer"):
        return False
    return "in the future: send" not in response.text and "expected distance <=" not in response.text


def asked(house: House, seed: int, examples: int, without: str = "^$") -> tuple[Counter[str], list[str]]:
    """How many requests of each operation were made, and what was wrong, each with the command that shows it again."""
    configuration = {
        "seed": seed,
        "continue-on-failure": True,
        "generation": {"max-examples": examples, "database": "none"},
        "phases": {"stateful": {"enabled": False}},
        "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
    }
    configuration["checks"]["not_a_server_error"]["expected-statuses"] = list(STATED)  # type: ignore[index]
    schema = schemathesis.openapi.from_url(
        f"http://127.0.0.1:{house.port}/openapi.json", config=schemathesis.Config.from_dict(configuration)
    )
    schema.hook("filter_failure")(beyond_schemas)
    chosen = schema.exclude(path_regex=without)
    made: Counter[str] = Counter()
    wrong: list[str] = []
    for event in from_schema(chosen).execute():
        if isinstance(event, events.ScenarioFinished):
            made[event.recorder.label] += len(event.recorder.cases)
            wrong += failures(event.recorder)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            wrong.append(repr(event))
    return made, wrong


def failures(recorder: Any) -> list[str]:
    """What the checks complain of."""
    found = [check.failure_info for checks in recorder.checks.values() for check in checks if check.failure_info]
    return [f"{recorder.label}: {one.failure.title}: {one.failure.message}\n{one.code_sample}" for one in found]


def check(house: House, seed: int, examples: int, without: str = "^$") -> int:
    """Every operation is asked, nothing is wrong, and the models answer as before. Returns the count of requests."""
    made, wrong = asked(house, seed, examples, without)
    assert wrong == []
    operations = {name for name in made if " /" in name}
    assert len(operations) >= 25
    assert min(made[name] for name in operations) >= 1
    assert house.are_right()
    return made.total()


def test_the_gateway_does_what_its_document_says(start_house: Callable[..., House]) -> None:
    """Data that the schemas allow is answered with 200 in the stated shape, data that they do not is refused, no other
    status than is stated is given, and no other method than is stated is taken. The paths that name a version, and half
    of the models in each protocol but the native one, are left to the longer test."""
    house = start_house(Short(60.0, 75), models=(BINARY, VALUE, KINDS, SLOW))
    assert check(house, 3, 2, without=LEFT) > 1500


@pytest.mark.slow
def test_the_gateway_does_so_for_many_more_requests(start_house: Callable[..., House]) -> None:
    """As above, on every path, longer."""
    house = start_house(Short(60.0, 75), models=(BINARY, VALUE, KINDS, SLOW))
    assert check(house, 1, 400) > 20_000
