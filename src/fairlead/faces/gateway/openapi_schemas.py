"""JSON Schema of what the data plane takes and gives, from a model's contract.

A schema says exactly what is accepted: a range or a list of categories stands in it as a rule only where the contract
rejects what is outside; otherwise it is told in words and as `x-reference`. Every object may be checked, generated and
sent: what the schema allows is answered, unless the model itself fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from typing import Any

from fairlead.core.asking import LATEST
from fairlead.core.contract import Contract, Feature, Kind, Policy, Task
from fairlead.core.decode import INT64, labels

Schema = dict[str, Any]

TYPES = {Kind.NUMBER: "number", Kind.INTEGER: "integer", Kind.BOOLEAN: "boolean", Kind.CATEGORY: "string"}
FORMATS = {Kind.NUMBER: "double", Kind.INTEGER: "int64"}
ID: Schema = {"type": "string", "minLength": 1, "maxLength": 256}
UNIT: Schema = {"anyOf": [ID, {"type": "integer", "description": "Written without a point"}]}
INSTANT: Schema = {
    "anyOf": [
        {"type": "number", "minimum": 0, "exclusiveMaximum": LATEST, "description": "Seconds since 1970, UTC"},
        {"type": "string", "format": "date-time", "pattern": "^(19[7-9]|[2-9])", "description": "From 1970 on"},
    ]
}
_POLICIES = {
    Policy.REJECT: "is refused",
    Policy.IMPUTE: "is replaced by the reference's",
    Policy.WARN: "is let through",
    Policy.FALLBACK: "is answered by the champion or the default",
}


def an_object(properties: Schema, required: Sequence[str] = (), **more: Any) -> Schema:
    """An object without other properties."""
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False, **more}
    return {**made, "required": list(required)} if required else made


def a_list(items: Schema, **more: Any) -> Schema:
    """A list of at least one item."""
    return {"type": "array", "items": items, "minItems": 1, **more}


def or_null(schema: Schema) -> Schema:
    """What may be left out by saying null."""
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(schemas: Sequence[Schema]) -> Schema:
    """Any of several schemas; the schema itself where there is one."""
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}


def row(contract: Contract) -> Schema:
    """An object by feature name. Rules over several features, which no schema can express, are told as they stand."""
    properties = {feature.name: cell(feature) for feature in contract.features}
    needed = [feature.name for feature in contract.features if feature.missing is Policy.REJECT]
    rules = (
        {"x-rules": [rule.text for rule in contract.rules if rule.policy is Policy.REJECT]} if contract.rules else {}
    )
    return an_object(properties, needed, title=f"The features that predict {contract.target}", **rules)


def cells(contract: Contract) -> Schema:
    """A row as a list, in the contract's order."""
    count = len(contract.features)
    items = [cell(feature) for feature in contract.features]
    return {"type": "array", "prefixItems": items, "items": False, "minItems": count, "maxItems": count}


def cell(feature: Feature) -> Schema:
    """One feature's value."""
    is_null_taken = feature.nullable or feature.missing is not Policy.REJECT
    kind: Any = TYPES[feature.kind]
    made: Schema = {"type": [kind, "null"] if is_null_taken else kind, "description": _told(feature)}
    if feature.kind in FORMATS:
        made |= {"format": FORMATS[feature.kind], **_bounds(feature)}
    if feature.categories and feature.unseen is Policy.REJECT:
        made["enum"] = [*feature.categories, *([None] if is_null_taken else [])]
    reference = _reference(feature)
    return {**made, "x-reference": reference} if reference else made


def example(contract: Contract) -> dict[str, Any]:
    """A row that is accepted."""
    return {feature.name: _typical(feature) for feature in contract.features}


def answer(name: str, contracts: Sequence[Contract], answered: Schema) -> Schema:
    """One row's answer by a model whose versions have these contracts."""
    predicted = [predicts(contract) for contract in contracts]
    own: Schema = {"model": {"const": name}, "prediction": one_of(predicted)}
    sizes = {0 if contract.task is Task.REGRESSION else len(contract.classes) for contract in contracts}
    if sizes != {0}:
        own["probabilities"] = probabilities(contracts)
    return {"allOf": [answered, {"properties": own}]}


def predicts(contract: Contract) -> Schema:
    """A label or a value."""
    return {"type": "number"} if contract.task is Task.REGRESSION else {"enum": list(labels(contract))}


def probabilities(contracts: Sequence[Contract]) -> Schema:
    """A row's probabilities, in the order of the classes."""
    counts = [len(contract.classes) for contract in contracts if contract.task is not Task.REGRESSION]
    share = {"type": "number", "minimum": 0, "maximum": 1}
    listed = "; ".join(", ".join(contract.classes) for contract in contracts[:1])
    described = f"In the order of the classes: {listed}"
    return {"type": "array", "items": share, "minItems": min(counts), "maxItems": max(counts), "description": described}


def _bounds(feature: Feature) -> Schema:
    """The range that is enforced: the contract's where it rejects, and always that of 64 bits for an integer."""
    low, high = (feature.minimum, feature.maximum) if feature.out_of_range is Policy.REJECT else (None, None)
    if feature.kind is Kind.INTEGER:
        least = INT64[0] if low is None else max(ceil(low), INT64[0])
        return {"minimum": least, "maximum": INT64[1] if high is None else min(floor(high), INT64[1])}
    return {name: bound for name, bound in (("minimum", low), ("maximum", high)) if bound is not None}


def _reference(feature: Feature) -> Schema:
    """What is known of the reference but not enforced."""
    found: Schema = {}
    if feature.kind in FORMATS and feature.out_of_range is not Policy.REJECT:
        found = {"minimum": feature.minimum, "maximum": feature.maximum}
    if feature.categories and feature.unseen is not Policy.REJECT:
        found = {"categories": list(feature.categories)}
    return {name: value for name, value in found.items() if value is not None}


def _told(feature: Feature) -> str:
    null = "is the model's to handle" if feature.nullable else _does(feature.missing, feature)
    told = [f"A null {null}"]
    if feature.minimum is not None or feature.maximum is not None:
        low = "any" if feature.minimum is None else f"{feature.minimum:g}"
        high = "any" if feature.maximum is None else f"{feature.maximum:g}"
        told.append(f"a value outside {low} to {high} {_does(feature.out_of_range, feature)}")
    if feature.categories:
        told.append(f"another than the {len(feature.categories)} known {_does(feature.unseen, feature)}")
    return "; ".join(told)


def _does(policy: Policy, feature: Feature) -> str:
    fill = f" {feature.fill}" if policy is Policy.IMPUTE else ""
    return f"{_POLICIES[policy]}{fill}"


def _typical(feature: Feature) -> Any:
    if feature.fill is not None:
        return feature.fill
    if feature.kind is Kind.CATEGORY:
        return feature.categories[0] if feature.categories else "text"
    if feature.kind is Kind.BOOLEAN:
        return False
    known = [bound for bound in (feature.minimum, feature.maximum) if bound is not None]
    middle = sum(known) / len(known) if known else 0.0
    if feature.kind is Kind.NUMBER:
        return middle
    whole = ceil(middle)
    return whole if feature.maximum is None or whole <= feature.maximum else floor(middle)
