"""The JSON Schema of the settings file, for editors: generated from the settings themselves."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from fairlead.config.alerting import PageBudget
from fairlead.config.database import DatabaseUrl
from fairlead.config.fields import Bare, Bound, Comparison, Delay, Duration, Secret, Share, Size, Span, ZoneName
from fairlead.config.settings import Settings

TITLE = "fairlead.yaml"
_UNITS = "ms|s|m|min|h|d|w"
_VARIABLE = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"


def _or_variable(pattern: str) -> str:
    """A pattern that a variable of the environment may stand for, too."""
    return rf"^(\s*{pattern}\s*|.*{_VARIABLE}.*)$"


def _quantity(units: str, what: str) -> dict[str, Any]:
    pattern = _or_variable(rf"(\d+(\.\d+)?|\.\d+)\s*({units})?")
    return {"type": ["string", "number"], "pattern": pattern, "minimum": 0, "description": what}


def _span(more: str, what: str) -> dict[str, Any]:
    """A duration that says its unit, or nothing at all."""
    pattern = _or_variable(rf"({more}(\d+(\.\d+)?|\.\d+)\s*({_UNITS})|0+(\.0+)?)")
    return {"type": ["string", "number"], "pattern": pattern, "minimum": 0, "maximum": 0, "description": what}


_KINDS: dict[type, dict[str, Any]] = {
    Duration: _quantity(_UNITS, "a duration such as 250ms, 30s or 5m; a number is seconds"),
    Span: _span("", "a duration with its unit, such as 30m, 4h or 7d"),
    Delay: _span("auto|", "a duration with its unit, such as 14d, or auto"),
    Share: {**_quantity("%", "a share such as 5% or 0.05"), "maximum": 1},
    Size: _quantity("[kKmMgG]?[bB]|[kKmMgG]i[bB]", "a size such as 512MB or 2GiB; a number is bytes"),
    ZoneName: {"type": "string", "description": "a time zone of the IANA list, such as Europe/Lisbon"},
    Comparison: {
        "type": "string",
        "pattern": _or_variable(r"[A-Za-z_][A-Za-z0-9_]*\s*(<=|>=|<|>)\s*[^<>=]+"),
        "description": 'a condition such as "error_rate > 5%" or "auroc < champion - 5%"',
    },
    Bare: {
        "type": "string",
        "pattern": _or_variable(r"(<=|>=|<|>)\s*[^<>=]+"),
        "description": 'a comparison without its metric, such as ">500ms"',
    },
    Secret: {"type": "string", "description": "a secret, such as ${NAME} of the environment"},
    DatabaseUrl: {"type": "string", "description": "postgresql://user@host:5432/name, or nothing"},
}
_PLAIN: dict[type[inspect.Type], dict[str, Any]] = {
    inspect.StrType: {"type": "string"},
    inspect.IntType: {"type": "integer"},
    inspect.FloatType: {"type": "number"},
    inspect.BoolType: {"type": "boolean"},
    inspect.NoneType: {"type": "null"},
    inspect.AnyType: {},
}
_GUARDRAIL = {
    "type": "string",
    "pattern": _or_variable(r"[A-Za-z_][A-Za-z0-9_]*\s*(<=|>=|<|>)\s*[^<>=]+"),
    "description": 'a guardrail such as "error_rate <= 1.25 * champion"',
}


# What may be written as a text in place of its keys.
_SHORT: dict[type, dict[str, Any]] = {
    PageBudget: {
        "type": "string",
        "pattern": _or_variable(r"\d+\s*/\s*[^/]+"),
        "description": "pages in a period, such as 1/30d",
    }
}


def schema() -> dict[str, Any]:
    """The whole schema (JSON Schema 2020-12)."""
    parts: dict[str, Any] = {}
    whole = _of(inspect.type_info(Settings), parts)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": TITLE,
        **whole,
        "$defs": dict(sorted(parts.items())),
    }


def text() -> str:
    """The schema as the file that is shipped."""
    return msgspec.json.format(msgspec.json.encode(schema(), order="deterministic"), indent=1).decode() + "\n"


def _of(info: inspect.Type, parts: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; structs are put into `parts`, once each."""
    found: dict[str, Any]
    match info:
        case inspect.StructType():
            found = _struct(info, parts)
        case inspect.CustomType(cls=kind):
            found = _KINDS[kind]
        case inspect.LiteralType(values=values):
            found = {"enum": list(values)}
        case inspect.EnumType(cls=kind):
            found = {"enum": [one.value for one in kind]}
        case inspect.UnionType(types=types):
            found = {"anyOf": [_of(one, parts) for one in types]}
        case inspect.DictType(value_type=value):
            found = {"type": "object", "additionalProperties": _of(value, parts)}
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            found = {"type": "array", "items": _of(item, parts)}
        case _:
            found = _PLAIN[type(info)]
    return found


def _struct(info: inspect.StructType, parts: dict[str, Any]) -> dict[str, Any]:
    if info.cls is Bound:  # a text in the file, and a value once it has been read
        return _GUARDRAIL
    name = info.cls.__name__
    short = _SHORT.get(info.cls)
    if name not in parts:
        parts[name] = {}  # known from here on, should it hold itself
        parts[name] = {
            "type": "object",
            "description": " ".join((info.cls.__doc__ or "").split()),
            "properties": {field.encode_name: _of(field.type, parts) for field in info.fields},
            "required": sorted(field.encode_name for field in info.fields if field.required),
            "additionalProperties": False,
        }
    whole = {"$ref": f"#/$defs/{name}"}
    return whole if short is None else {"anyOf": [short, whole]}
