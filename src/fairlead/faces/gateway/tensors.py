"""Named tensors of the Open Inference Protocol, to rows.

Either one tensor a feature, of shape [n] or [n, 1], or for a model whose features are all numbers one tensor of any
name and shape [n, k] that holds them all, in the contract's order.
"""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from fairlead.core.contract import Contract, Kind
from fairlead.core.decode import shown
from fairlead.faces.gateway.binary_tensors import DATATYPES, Bytes, Datatype, split, unpack
from fairlead.faces.gateway.wire import Refusal, check_count

FEATURE_DATATYPES = {Kind.NUMBER: "FP64", Kind.INTEGER: "INT64", Kind.BOOLEAN: "BOOL", Kind.CATEGORY: "BYTES"}
# MLServer's names for what a tensor was made of. The datatype says it all, but for the last two.
CONTENT_TYPES = ("np", "pd", "str", "datetime", "base64", "pd_json")
_NUMERIC = (Kind.NUMBER, Kind.INTEGER)


class Tensor(Struct):
    """An input. `data`: flat or nested as `shape` has it, None where it is bytes behind the JSON."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class Wanted(Struct):
    """An output that the caller asks for."""

    name: str
    parameters: dict[str, Any] | None = None


class InferBody(Struct):
    """The request of `infer`. `parameters` may hold `unit_id`, `timestamp` and `binary_data_output`; members and
    parameters that are not known are left alone, as the protocol's extensions need it."""

    inputs: list[Tensor]
    id: Annotated[str, Meta(max_length=256)] | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[Wanted] | None = None


def rows_of(tensors: Sequence[Tensor], contract: Contract, data: Bytes | None = None) -> list[Raw]:
    """The rows as JSON objects by feature name. `data`: the bytes behind the JSON, if any. Raises `Refusal` (400)."""
    if not tensors:
        raise Refusal(400, "inputs: the request has no tensor: send one for each feature", "inputs")
    chunks = [None] * len(tensors) if data is None else split(tensors, data)
    if len(tensors) == 1 and _is_matrix(tensors[0], contract):
        names: Sequence[str] = contract.names
        flat, width = _values(tensors[0], chunks[0], len(names)), len(names)
        rows: list[Sequence[Any]] = [flat[at : at + width] for at in range(0, len(flat), width)]
    else:
        names = [tensor.name for tensor in tensors]
        if len(set(names)) != len(names):
            raise _twice(names)
        columns = [_values(tensor, chunk, 1) for tensor, chunk in zip(tensors, chunks, strict=True)]
        if len({len(column) for column in columns}) > 1:
            raise _uneven(names, columns)
        rows = list(zip(*columns, strict=True))
    if not rows:
        raise Refusal(400, "inputs: the batch is empty: send at least one row", "inputs")
    check_count(rows, "inputs")
    encode = msgspec.json.encode
    return [Raw(encode(dict(zip(names, row, strict=True)))) for row in rows]


def check_content_type(parameters: dict[str, Any] | None, path: str) -> str | None:
    """MLServer's `content_type`, if the caller gave one. Raises `Refusal` (400) for one that is not known."""
    kind = parameters.get("content_type") if parameters else None
    if kind is None or kind in CONTENT_TYPES:
        return kind
    where = f"{path}.content_type"
    raise Refusal(400, f"{where}: {_came(kind)} is not known; one of {', '.join(CONTENT_TYPES)}", where)


def refuse_shared_memory(parameters: dict[str, Any] | None, path: str) -> None:
    """Raises `Refusal` (400) for a tensor that lies in a memory region."""
    if parameters and "shared_memory_region" in parameters:
        raise Refusal(400, f"{path}: shared memory is not supported: send the data with the request", path)


def _is_matrix(tensor: Tensor, contract: Contract) -> bool:
    """Whether a tensor that comes alone holds all features. Raises `Refusal` (400) where that cannot be."""
    shape, names = tensor.shape, contract.names
    if len(shape) != 2 or (shape[1] == 1 and (tensor.name in names or len(names) > 1)):
        return False
    path = _path(tensor)
    strange = next((feature for feature in contract.features if feature.kind not in _NUMERIC), None)
    if strange is not None:
        raise Refusal(
            400,
            f"{path}: expected shape [n] or [n, 1], came {shape}: one tensor holds all features only where all are "
            f"numbers, and {strange.name} is a {strange.kind.value}",
            path,
        )
    if shape[1] != len(names):
        raise Refusal(400, f"{path}: expected shape [n, {len(names)}]: a column for each feature, came {shape}", path)
    return True


def _twice(names: Sequence[str]) -> Refusal:
    times = Counter(names)
    path = f"inputs.{next(name for name in names if times[name] > 1)[:80]}"
    return Refusal(400, f"{path}: the tensor is given twice", path)


def _uneven(names: Sequence[str], columns: Sequence[list[Any]]) -> Refusal:
    sizes = ", ".join(f"{name[:80]} {len(column)}" for name, column in zip(names[:20], columns[:20], strict=True))
    return Refusal(400, f"inputs: the tensors differ in length: {sizes}", "inputs")


def _values(tensor: Tensor, chunk: Bytes | None, width: int) -> list[Any]:
    """A tensor's values, flat, checked against its shape and datatype."""
    spec, shape = DATATYPES.get(tensor.datatype), tensor.shape
    if spec is None:
        path, known = _path(tensor), ", ".join(DATATYPES)
        raise Refusal(400, f"{path}: datatype {tensor.datatype[:40]} is not known; one of {known}", path)
    if not 0 < len(shape) < 3 or shape[0] < 0 or (len(shape) == 2 and shape[1] != width):
        raise Refusal(400, f"{_path(tensor)}: expected shape [n] or [n, 1], came {shape[:10]}", _path(tensor))
    has_more = tensor.parameters is not None and (chunk is None or len(tensor.parameters) > 1)
    if has_more or (chunk is not None and tensor.data):
        _check_parameters(tensor, chunk)
    if chunk is not None:
        values = unpack(tensor.datatype, chunk, tensor.name)
    else:
        values = tensor.data if tensor.data is not None else _flat(tensor, width)
        if not _fits(values, spec):
            values = _flat(tensor, width)
            if not _fits(values, spec):
                values = _typed(tensor, spec, values)
    if len(values) != shape[0] * width:
        path, count = _path(tensor), shape[0] * width
        raise Refusal(400, f"{path}: shape {shape} holds {count} values, data holds {len(values)}", path)
    return _decoded(tensor, values) if has_more else values


def _check_parameters(tensor: Tensor, chunk: Bytes | None) -> None:
    path = _path(tensor)
    refuse_shared_memory(tensor.parameters, path)
    if chunk is not None and tensor.data:
        raise Refusal(400, f"{path}: the tensor has both data and binary_data_size: send one", path)
    if chunk is None and tensor.parameters and tensor.parameters.get("binary_data_size") is not None:
        said = "binary_data_size needs the header inference-header-content-length: the JSON's length"
        raise Refusal(400, f"{path}: {said}", path)


def _fits(values: list[Any], spec: Datatype) -> bool:
    """Whether all are what the datatype holds, none of them missing: the usual case, in C."""
    if not set(map(type, values)) <= spec.types:
        return False
    return not (spec.is_bounded and values and (min(values) < spec.low or max(values) > spec.high))


def _flat(tensor: Tensor, width: int) -> list[Any]:
    data = tensor.data
    if data is None:
        raise Refusal(400, f"{_path(tensor)}.data: expected an array, came nothing", f"{_path(tensor)}.data")
    kinds = set(map(type, data))
    if list not in kinds:
        return data
    if len(kinds) == 1 and set(map(len, data)) == {width}:
        return [value for row in data for value in row]
    at = next(at for at, row in enumerate(data) if not isinstance(row, list) or len(row) != width)
    where = f"{_path(tensor)}.data[{at}]"
    raise Refusal(400, f"{where}: expected an array of {width}, as in the shape, came {_came(data[at])}", where)


def _typed(tensor: Tensor, spec: Datatype, values: list[Any]) -> list[Any]:
    """Values that came as JSON, of the datatype and in its range. A whole number is an integer: JSON does not tell
    3.0 from 3."""
    kinds = set(map(type, values))
    if not kinds <= spec.types:
        if float in kinds and int in spec.types:
            values = [int(value) if type(value) is float and value.is_integer() else value for value in values]
        strange = (at for at, value in enumerate(values) if value is not None and type(value) not in spec.types)
        at = next(strange, None)
        if at is not None:
            raise _wrong(tensor, values, at)
    if not spec.is_bounded:
        return values
    present = values if type(None) not in kinds else [value for value in values if value is not None]
    if present and (min(present) < spec.low or max(present) > spec.high):
        at = next(at for at, one in enumerate(values) if one is not None and not spec.low <= one <= spec.high)
        raise _wrong(tensor, values, at)
    return values


def _wrong(tensor: Tensor, values: Sequence[Any], at: int) -> Refusal:
    spec, path = DATATYPES[tensor.datatype], f"{_path(tensor)}[{at}]"
    bounds = f" from {spec.low:g} to {spec.high:g}" if spec.is_bounded else ""
    return Refusal(400, f"{path}: expected {tensor.datatype} values{bounds}, came {_came(values[at])}", path)


def _decoded(tensor: Tensor, values: list[Any]) -> list[Any]:
    """Texts that MLServer's client wrote in base64 or as JSON, as what they were."""
    kind = check_content_type(tensor.parameters, f"{_path(tensor)}.parameters")
    if kind not in ("base64", "pd_json") or tensor.datatype != "BYTES":
        return values
    made: list[Any] = []
    for value in values:
        try:
            made.append(_said(value, kind))
        except (ValueError, msgspec.DecodeError):
            path = f"{_path(tensor)}[{len(made)}]"
            said = "text in base64" if kind == "base64" else "JSON in a text"
            raise Refusal(400, f"{path}: expected {said}, as content_type has it, came {shown(value)}", path) from None
    return made


def _said(value: str | None, kind: str) -> Any:
    if value is None:
        return None
    return b64decode(value, validate=True).decode() if kind == "base64" else msgspec.json.decode(value)


def _path(tensor: Tensor) -> str:
    return f"inputs.{tensor.name[:80]}"


def _came(value: object) -> str:
    """A value as the caller wrote it. What nests is only named: it may be deep."""
    if isinstance(value, list):
        return f"an array of {len(value)}"
    return "an object" if isinstance(value, dict) else shown(value)
