"""Named tensors of the Open Inference Protocol, to rows and back. One tensor a feature, shape [n] or [n, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from fairlead.core.contract import Contract, Kind, Task
from fairlead.core.decode import labels
from fairlead.core.record import Prediction
from fairlead.faces.gateway.predict import Id
from fairlead.faces.gateway.wire import Refusal

DATATYPES = {Kind.NUMBER: "FP64", Kind.INTEGER: "INT64", Kind.BOOLEAN: "BOOL", Kind.CATEGORY: "BYTES"}
KNOWN = frozenset(
    ("BOOL", "BYTES", "FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
)
PREDICT = "predict"
PROBABILITIES = "probabilities"


class Tensor(Struct):
    """An input."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]
    parameters: dict[str, Any] = {}


class Wanted(Struct):
    """An output that the caller asks for."""

    name: str
    parameters: dict[str, Any] = {}


class InferBody(Struct):
    """The request of `infer`. `parameters` may hold `unit_id` and `timestamp`."""

    inputs: list[Tensor]
    id: Id | None = None
    parameters: dict[str, Any] = {}
    outputs: list[Wanted] = []


class OutputTensor(Struct):
    """An output."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class InferAnswer(Struct):
    """The response of `infer`."""

    model_name: str
    model_version: str
    id: str
    outputs: list[OutputTensor]
    parameters: dict[str, str]


def rows_of(tensors: Sequence[Tensor]) -> list[Raw]:
    """The rows as JSON objects by feature name. Raises `Refusal` (400)."""
    if not tensors:
        raise Refusal(400, "inputs: the request has no tensor: send one for each feature", "inputs")
    names = [tensor.name for tensor in tensors]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Refusal(400, f"inputs.{twice}: the tensor is given twice", f"inputs.{twice}")
    columns = [_column(tensor) for tensor in tensors]
    lengths = {len(column) for column in columns}
    if lengths == {0}:
        raise Refusal(400, "inputs: the batch is empty: send at least one row", "inputs")
    if len(lengths) > 1:
        sizes = ", ".join(f"{name} {len(column)}" for name, column in zip(names, columns, strict=True))
        raise Refusal(400, f"inputs: the tensors differ in length: {sizes}", "inputs")
    return [Raw(msgspec.json.encode(dict(zip(names, row, strict=True)))) for row in zip(*columns, strict=True)]


def outputs_of(records: Sequence[Prediction], contract: Contract, wanted: Sequence[Wanted]) -> list[OutputTensor]:
    """The answers as tensors. Raises `Refusal` (400) for an output that does not exist."""
    count = len(records)
    made = {PREDICT: OutputTensor(PREDICT, [count], _predicted(contract), [record.prediction for record in records])}
    if contract.task is not Task.REGRESSION:
        flat = [value for record in records for value in record.probabilities or ()]
        made[PROBABILITIES] = OutputTensor(PROBABILITIES, [count, len(contract.classes)], "FP64", flat)
    return [made[name] for name in check_wanted(contract, wanted)]


def check_wanted(contract: Contract, wanted: Sequence[Wanted]) -> list[str]:
    """The names of the outputs to send. Raises `Refusal` (400)."""
    known = [PREDICT] if contract.task is Task.REGRESSION else [PREDICT, PROBABILITIES]
    names = [one.name for one in wanted] or known
    strange = next((name for name in names if name not in known), None)
    if strange is not None:
        raise Refusal(400, f"outputs.{strange}: the model has no such output; it has {', '.join(known)}", "outputs")
    return names


def metadata(name: str, versions: Sequence[int], contract: Contract, platform: str) -> dict[str, Any]:
    """The protocol's description of a model."""
    outputs = [{"name": PREDICT, "datatype": _predicted(contract), "shape": [-1]}]
    if contract.task is not Task.REGRESSION:
        outputs.append({"name": PROBABILITIES, "datatype": "FP64", "shape": [-1, len(contract.classes)]})
    inputs = [
        {"name": feature.name, "datatype": DATATYPES[feature.kind], "shape": [-1]} for feature in contract.features
    ]
    return {
        "name": name,
        "versions": [str(version) for version in sorted(versions)],
        "platform": platform,
        "inputs": inputs,
        "outputs": outputs,
        "parameters": {"classes": list(contract.classes), "target": contract.target, "task": contract.task.value},
    }


def _predicted(contract: Contract) -> str:
    if contract.task is Task.REGRESSION:
        return "FP64"
    return "INT64" if all(isinstance(label, int) for label in labels(contract)) else "BYTES"


def _column(tensor: Tensor) -> list[Any]:
    """A tensor's values, flat, checked against its shape and datatype."""
    path = f"inputs.{tensor.name}"
    if tensor.datatype not in KNOWN:
        raise Refusal(400, f"{path}: datatype {tensor.datatype} is not known; one of {', '.join(sorted(KNOWN))}", path)
    shape = tensor.shape
    if len(shape) not in (1, 2) or shape[0] < 0 or (len(shape) == 2 and shape[1] != 1):
        raise Refusal(400, f"{path}: expected shape [n] or [n, 1], came {shape}", path)
    values = [inner for outer in tensor.data for inner in (outer if isinstance(outer, list) else (outer,))]
    if len(values) != shape[0]:
        raise Refusal(400, f"{path}: shape {shape} holds {shape[0]} values, data holds {len(values)}", path)
    bad = next((value for value in values if value is not None and not _of_type(value, tensor.datatype)), None)
    if bad is not None:
        raise Refusal(
            400, f"{path}: expected {tensor.datatype} values, came {msgspec.json.encode(bad).decode()[:60]}", path
        )
    return values


def _of_type(value: object, datatype: str) -> bool:
    if datatype == "BYTES":
        return isinstance(value, str)
    if datatype == "BOOL":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if datatype.startswith("FP"):
        return isinstance(value, int | float)
    return isinstance(value, int) and (value >= 0 or not datatype.startswith("U"))
