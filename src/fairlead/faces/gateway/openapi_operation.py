"""The parts of an OpenAPI operation: bodies, answers, and the refusals in the shape of each protocol."""

from __future__ import annotations

from typing import Any

from fairlead.faces.gateway.openapi_schemas import Schema

Operation = dict[str, Any]

JSON = "application/json"
TEXT = "text/plain"
CSV = "text/csv"
BINARY = "application/octet-stream"
NATIVE, SCORING = "Problem", "ScoringProblem"  # the bodies of errors
ANYWHERE = (403, 408, 431)  # what is refused on every path, see `wire.check_caller` and `protocol.LimitedProtocol`
TO_BODIES = (400, 413, 415)
TO_ROWS = (404, 500, 503)
_WORDS = {
    400: "The request cannot be read, or a row breaks the contract of the model",
    403: "The call comes from a web page of elsewhere, or asks for what only an operator may",
    404: "No such model, or no such version of it, is served here",
    408: "The request is not whole in time",
    413: "The body is too large",
    415: "The content type or the encoding of the body is not supported",
    422: "A row breaks the contract of the model, or an outcome is said to be of the future",
    431: "The head of the request is too long",
    500: "The model failed; the failure is in the log",
    501: "Models are loaded by publishing a route",
    503: "Nothing can be answered yet or in time, or too many large bodies come: see retry-after, if it is given",
}


def ref(name: str, kind: str = "schemas") -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def said(description: str, schema: Schema | None = None, media: str = JSON) -> dict[str, Any]:
    """An answer."""
    return {"description": description, "content": {media: {"schema": schema or {"type": "string"}}}}


def taken(schema: Schema, example: Any, *, required: bool = True) -> dict[str, Any]:
    """A body of JSON."""
    return {"required": required, "content": {JSON: {"schema": schema, "example": example}}}


def with_bytes(content: dict[str, Any]) -> dict[str, Any]:
    """A body or an answer of tensors, whose data may follow the JSON as bytes."""
    told = "JSON of as many bytes as the header inference-header-content-length says, and the tensors' bytes"
    content["content"][BINARY] = {"schema": {"description": told}}
    return content


def operation(
    summary: str,
    answer: dict[str, Any],
    problems: tuple[int, ...] = (),
    *,
    shape: str = NATIVE,
    body: dict[str, Any] | None = None,
    tag: str = "server",
) -> Operation:
    """What a method of a path does. `problems`: the statuses that are answered beside those of every path."""
    statuses = {status: ref(f"{shape}{status}", "responses") for status in problems}
    everywhere = {status: ref(f"{NATIVE}{status}", "responses") for status in ANYWHERE}
    both = everywhere | statuses
    made: Operation = {
        "summary": summary,
        "tags": [tag],
        "responses": {"200": answer, **{str(status): both[status] for status in sorted(both)}},
    }
    return made if body is None else {**made, "requestBody": body}


def refused(summary: str, status: int, *, tag: str) -> Operation:
    """A method that is always refused."""
    made = operation(summary, {}, (status,), tag=tag)
    del made["responses"]["200"]
    return made


def probe(summary: str, schema: Schema, *, tag: str = "server") -> Operation:
    """A question whose 503 has the same body."""
    made = operation(summary, said("Yes", schema), tag=tag)
    made["responses"]["503"] = said("Not yet", schema)
    return made


def refusals() -> dict[str, Any]:
    """The answers that operations refer to."""
    return {
        f"{shape}{status}": said(words, ref(shape)) for shape in (NATIVE, SCORING) for status, words in _WORDS.items()
    }
