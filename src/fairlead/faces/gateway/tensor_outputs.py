"""Answers as tensors of the Open Inference Protocol: as JSON, as bytes, or as the likeliest classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import UNSET, Struct, UnsetType

from fairlead.core.contract import Contract, Task
from fairlead.core.decode import labels
from fairlead.core.fallback import ARM, note_of
from fairlead.core.record import Prediction
from fairlead.faces.gateway.binary_tensors import pack
from fairlead.faces.gateway.tensors import FEATURE_DATATYPES, Wanted, check_content_type, refuse_shared_memory
from fairlead.faces.gateway.wire import Refusal

PREDICT = "predict"
PROBABILITIES = "probabilities"


class Choice(NamedTuple):
    """An output to send. `binary`: as bytes behind the JSON; `top`: that many of the likeliest classes, 0 for the
    tensor itself."""

    name: str
    binary: bool
    top: int = 0


_JSON = [Choice(name, False) for name in (PREDICT, PROBABILITIES)]
_BINARY = [Choice(name, True) for name in (PREDICT, PROBABILITIES)]


class OutputTensor(Struct):
    """An output."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | UnsetType = UNSET
    parameters: dict[str, int] | UnsetType = UNSET


class InferAnswer(Struct):
    """The response of `infer`."""

    model_name: str
    model_version: str
    id: str
    outputs: list[OutputTensor]
    parameters: dict[str, str]


def choose_outputs(contract: Contract, wanted: Sequence[Wanted] | None, binary: bool) -> list[Choice]:
    """The outputs to send, in the caller's order; all where none is named. `binary`: how those are sent that say
    nothing. Raises `Refusal` (400)."""
    known = [PREDICT] if contract.task is Task.REGRESSION else [PREDICT, PROBABILITIES]
    if not wanted:
        return (_BINARY if binary else _JSON)[: len(known)]
    strange = next((one.name for one in wanted if one.name not in known), None)
    if strange is not None:
        listed = ", ".join(known)
        raise Refusal(400, f"outputs.{strange[:80]}: the model has no such output; it has {listed}", "outputs")
    if len({one.name for one in wanted}) != len(wanted):
        raise Refusal(400, "outputs: an output is named twice", "outputs")
    return [_choice(one, contract, binary) for one in wanted]


def outputs_of(
    records: Sequence[Prediction], contract: Contract, choices: Sequence[Choice]
) -> tuple[list[OutputTensor], list[bytes]]:
    """The answers as tensors, and the bytes of those that are sent so, in their order."""
    tensors: list[OutputTensor] = []
    parts: list[bytes] = []
    for choice in choices:
        tensor = _tensor(records, contract, choice)
        if choice.binary and tensor.data is not UNSET:
            parts.append(pack(tensor.datatype, tensor.data))
            tensor.data, tensor.parameters = UNSET, {"binary_data_size": len(parts[-1])}
        tensors.append(tensor)
    return tensors, parts


def fallbacks_of(records: Sequence[Prediction]) -> dict[str, str]:
    """What the response's parameters say of rows that their version did not answer; nothing where there is none.

    `fallback` is champion or default (or both, with a comma), `reason` that of the first such row, and
    `fallback_rows`, in an answer to several rows, their places, counted from 0. `arm` is fallback where all are.
    """
    lost = [(at, record) for at, record in enumerate(records) if record.error is not None]
    notes = {at: note for at, record in lost if (note := note_of(record)) is not None}
    if not notes:
        return {}
    told = {"fallback": ",".join(sorted({note.fallback for note in notes.values()}))}
    first = next(iter(notes.values()))
    told["reason"] = first.reason
    if first.path:
        told["path"] = first.path
    if len(records) > 1:
        told["fallback_rows"] = ",".join(map(str, notes))
    return told | ({"arm": ARM} if len(notes) == len(records) else {})


def metadata(name: str, versions: Sequence[int], contract: Contract, platform: str) -> dict[str, Any]:
    """The protocol's description of a model."""
    outputs = [{"name": PREDICT, "datatype": _predicted(contract), "shape": [-1]}]
    if contract.task is not Task.REGRESSION:
        outputs.append({"name": PROBABILITIES, "datatype": "FP64", "shape": [-1, len(contract.classes)]})
    inputs = [
        {"name": feature.name, "datatype": FEATURE_DATATYPES[feature.kind], "shape": [-1]}
        for feature in contract.features
    ]
    return {
        "name": name,
        "versions": [str(version) for version in sorted(versions)],
        "platform": platform,
        "inputs": inputs,
        "outputs": outputs,
        "parameters": {"classes": list(contract.classes), "target": contract.target, "task": contract.task.value},
    }


def flag(parameters: dict[str, Any] | None, name: str, default: bool, path: str) -> bool:
    """A parameter that is true or false. Raises `Refusal` (400)."""
    value = parameters.get(name) if parameters else None
    if value is None or isinstance(value, bool):
        return default if value is None else value
    raise Refusal(400, f"{path}.{name}: expected true or false", f"{path}.{name}")


def _choice(wanted: Wanted, contract: Contract, binary: bool) -> Choice:
    given, path = wanted.parameters, f"outputs.{wanted.name}.parameters"
    if not given:
        return Choice(wanted.name, binary)
    refuse_shared_memory(given, path)
    if check_content_type(given, path) in ("base64", "pd_json"):
        raise Refusal(400, f"{path}.content_type: outputs are not encoded: leave it out", f"{path}.content_type")
    top = given.get("classification", 0)
    if type(top) is not int or top < 0:
        where = f"{path}.classification"
        raise Refusal(400, f"{where}: expected how many classes to name", where)
    if top and wanted.name != PROBABILITIES:
        where = f"{path}.classification"
        raise Refusal(400, f"{where}: only the output {PROBABILITIES} of a classifier has classes", where)
    return Choice(wanted.name, flag(given, "binary_data", binary, path), min(top, len(contract.classes)))


def _tensor(records: Sequence[Prediction], contract: Contract, choice: Choice) -> OutputTensor:
    count = len(records)
    if choice.name == PREDICT:
        return OutputTensor(PREDICT, [count], _predicted(contract), [record.prediction for record in records])
    if choice.top:
        named = [text for record in records for text in _likeliest(record, contract, choice.top)]
        return OutputTensor(PROBABILITIES, [count, choice.top], "BYTES", named)
    flat = [value for record in records for value in record.probabilities or ()]
    return OutputTensor(PROBABILITIES, [count, len(contract.classes)], "FP64", flat)


def _likeliest(record: Prediction, contract: Contract, top: int) -> list[str]:
    """`PROBABILITY:INDEX:LABEL` of the likeliest classes, the likeliest first."""
    values = record.probabilities or ()
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)[:top]
    return [f"{values[at]:f}:{at}:{contract.classes[at]}" for at in order]


def _predicted(contract: Contract) -> str:
    if contract.task is Task.REGRESSION:
        return "FP64"
    return "INT64" if all(isinstance(label, int) for label in labels(contract)) else "BYTES"
