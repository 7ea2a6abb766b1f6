"""JSON Schema of a request to `infer`, from a model's contracts.

Some of what is required of tensors no schema can say: that each feature comes once, that the data is as long as the
shape has it and of the datatype, and that all tensors have the same number of rows. That stands in the descriptions.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.core.contract import Contract, Kind, Task
from fairlead.faces.gateway.binary_tensors import DATATYPES
from fairlead.faces.gateway.openapi_schemas import ID, INSTANT, UNIT, Schema, a_list, or_null
from fairlead.faces.gateway.tensor_outputs import PREDICT, PROBABILITIES
from fairlead.faces.gateway.tensors import CONTENT_TYPES, FEATURE_DATATYPES

_FLAG = {"type": ["boolean", "null"]}
_CONTENT_TYPE = {"enum": [*CONTENT_TYPES, None], "description": "What the data was made of, by MLServer's names"}
_UNENCODED = {"enum": [*(name for name in CONTENT_TYPES if name not in ("base64", "pd_json")), None]}
_NUMERIC = (Kind.NUMBER, Kind.INTEGER)


def body(contracts: Sequence[Contract]) -> Schema:
    """What `infer` takes of a model whose answering versions have these contracts."""
    identity = {
        "unit_id": {**UNIT, "description": "What is randomised: all rows go to one version"},
        "timestamp": {**INSTANT, "description": "Event time"},
        "binary_data_output": {
            **_FLAG,
            "description": "Outputs come as bytes behind the JSON, unless one says otherwise",
        },
        "content_type": _CONTENT_TYPE,
    }
    members = {
        "id": or_null({"type": "string", "maxLength": ID["maxLength"]}),
        "inputs": a_list(_tensor(contracts), description=_told(contracts[-1])),
        "outputs": or_null({"type": "array", "items": _wanted(contracts)}),
        "parameters": or_null(_open(identity)),
    }
    return _open(members, ("inputs",))


def _tensor(contracts: Sequence[Contract]) -> Schema:
    names = list(dict.fromkeys(name for contract in contracts for name in contract.names))
    is_free = any(all(feature.kind in _NUMERIC for feature in contract.features) for contract in contracts)
    parameters = {
        "binary_data_size": {
            "type": ["integer", "null"],
            "description": "Of the bytes behind the JSON, instead of data",
        },
        "content_type": _CONTENT_TYPE,
        "shared_memory_region": False,
    }
    members: Schema = {
        "name": {"type": "string"} if is_free else {"enum": names},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 2},
        "datatype": {"enum": list(DATATYPES)},
        "data": {"type": ["array", "null"], "description": "Flat, or nested as the shape has it"},
        "parameters": or_null(_open(parameters)),
    }
    return _open(members, ("name", "shape", "datatype"))


def _wanted(contracts: Sequence[Contract]) -> Schema:
    is_classifier = any(contract.task is not Task.REGRESSION for contract in contracts)
    parameters = {
        "binary_data": {**_FLAG, "description": "As bytes behind the JSON"},
        "classification": {"type": "integer", "minimum": 0, "description": "How many of the likeliest classes to name"},
        "content_type": _UNENCODED,
        "shared_memory_region": False,
    }
    name = {"enum": [PREDICT, PROBABILITIES] if is_classifier else [PREDICT], "description": "Each once"}
    return _open({"name": name, "parameters": or_null(_open(parameters))}, ("name",))


def _told(contract: Contract) -> str:
    listed = ", ".join(f"{feature.name} {FEATURE_DATATYPES[feature.kind]}" for feature in contract.features)
    one = f"A tensor of shape [n] or [n, 1] for each feature, of the same n: {listed}"
    is_free = all(feature.kind in _NUMERIC for feature in contract.features)
    return one + (f"; or one tensor of any name and shape [n, {len(contract.features)}]" if is_free else "")


def _open(properties: Schema, required: Sequence[str] = ()) -> Schema:
    """An object whose other members are left alone, as the protocol's extensions need it."""
    made: Schema = {"type": "object", "properties": properties}
    return {**made, "required": list(required)} if required else made
