"""The OpenAPI document, made from the endpoints and the types of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fairlead.faces.api.endpoints import Endpoint, Parameter
from fairlead.faces.api.problems import MEDIA_TYPE, Problem

_ALWAYS = {403: "The Host or the Origin is not this machine's", 503: "The home folder cannot be read"}
_WORDS = {
    400: "The request cannot be read",
    404: "No such thing",
    409: "A rule forbids it",
    413: "The body is too large",
    415: "The body is not JSON",
}


def document(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """OpenAPI 3.1."""
    types = [Problem, *(each.gives for each in endpoints), *(each.body for each in endpoints if each.body)]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    # A list, not a map: `list[ModelView]` and its like are types that cannot all be told apart by name.
    known = list(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints:
        paths.setdefault(f"/api/v1{each.path}", {})[each.method.lower()] = _operation(each, known)
    return {
        "openapi": "3.1.0",
        "info": {"title": "fairlead control API", "version": version},
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(each: Endpoint, known: list[tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    answers = {str(each.status): _content(each.text, "application/json", _schema(each.gives, known))}
    said = {**_ALWAYS, **{status: _WORDS[status] for status in each.problems}}
    for status in sorted(said):
        answers[str(status)] = _content(said[status], MEDIA_TYPE, _schema(Problem, known))
    operation: dict[str, Any] = {"operationId": each.name, "summary": each.text, "responses": answers}
    if each.parameters:
        operation["parameters"] = [_parameter(parameter) for parameter in each.parameters]
    if each.body:
        body = _content("", "application/json", _schema(each.body, known))["content"]
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _schema(wanted: Any, known: list[tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    return next(schema for each, schema in known if each == wanted)


def _content(text: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {media_type: {"schema": schema}}}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer" if parameter.type is int else "string"}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.text,
        "schema": schema,
    }
