"""What the data plane answers for one model: its paths, and the schemas of its contract."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from fairlead.core.contract import Contract, Task
from fairlead.faces.gateway import openapi_schemas as schemas
from fairlead.faces.gateway import openapi_tensors
from fairlead.faces.gateway.openapi_operation import (
    CSV,
    SCORING,
    TO_BODIES,
    TO_ROWS,
    Operation,
    operation,
    probe,
    ref,
    refused,
    said,
    taken,
    with_bytes,
)
from fairlead.faces.gateway.openapi_schemas import ID, INSTANT, UNIT, Schema, a_list, an_object, one_of, or_null
from fairlead.faces.gateway.tensors import FEATURE_DATATYPES
from fairlead.faces.gateway.wire import MOST_ROWS
from fairlead.flows.warm import LiveModel

_READY = an_object({"name": {"type": "string"}, "ready": {"type": "boolean"}}, ("name", "ready"))

_MADE_ID = {
    "description": "The request's id, where none was given: that of a single row; row n of several is ID:n",
    "schema": {"type": "string"},
}


class ModelPaths:
    """One served model. `is_only`: the paths without a name mean it."""

    def __init__(self, model: LiveModel, *, is_only: bool) -> None:
        self._model = model
        self._is_only = is_only
        self._key = re.sub(r"[^\w.-]", "_", model.name, flags=re.ASCII)
        self._address = quote(model.name, safe="")
        self._contracts = {number: live.asked for number, live in sorted(model.versions.items())}
        self._answering = sorted({arm.version for arm in model.route.arms})

    def components(self) -> dict[str, Schema]:
        """The rows of each distinct contract, and the answer."""
        answering = [self._contracts[number] for number in self._answering]
        made: dict[str, Schema] = {}
        for number, contract in self._contracts.items():
            made[self._named("features", number)] = schemas.row(contract)
            made[self._named("cells", number)] = schemas.cells(contract)
        return {**made, f"{self._key}.answer": schemas.answer(self._model.name, answering, ref("Answered"))}

    def paths(self) -> Iterator[tuple[str, str, Operation]]:
        """Path, method and operation."""
        name, about = self._address, f"/v2/models/{self._address}"
        yield f"/v1/models/{name}/predict", "post", self._predict()
        yield from self._protocol(about, "", self._answering)
        for number in self._contracts:
            yield from self._protocol(f"{about}/versions/{number}", f", version {number}", [number])
        for verb in ("load", "unload"):
            said_no = refused(f"Models are not {verb}ed by hand", 501, tag=self._model.name)
            yield f"/v2/repository/models/{name}/{verb}", "post", said_no
        if self._is_only:
            yield "/invocations", "post", self._invocations("", self._answering)
        yield f"/models/{name}/invocations", "post", self._invocations("", self._answering)
        for number in self._contracts:
            path = f"/models/{name}/versions/{number}/invocations"
            yield path, "post", self._invocations(f", version {number}", [number])

    def _named(self, what: str, number: int) -> str:
        """Versions with the same contract share its schema."""
        contract = self._contracts[number]
        first = next(other for other, known in self._contracts.items() if known == contract)
        return f"{self._key}.{what}.{first}"

    def _all(self, what: str, numbers: list[int]) -> Schema:
        """What every one of the versions accepts: which of them will answer is not the caller's choice."""
        names = sorted({self._named(what, number) for number in numbers})
        return ref(names[0]) if len(names) == 1 else {"allOf": [ref(name) for name in names]}

    def _example(self, numbers: list[int]) -> dict[str, Any]:
        return schemas.example(self._contracts[numbers[-1]])

    def _predict(self) -> Operation:
        row = self._all("features", self._answering)
        identity: Schema = {"request_id": or_null(ID), "unit_id": or_null(UNIT), "timestamp": or_null(INSTANT)}
        pinned: Schema = {
            **identity,
            "version": {"enum": [*self._contracts, None], "description": "For operators only"},
        }
        instance = an_object({"features": row, **identity}, ("features",))
        single = an_object({"features": row, **pinned}, ("features",))
        batch = an_object(
            {"instances": a_list({"anyOf": [row, instance]}, maxItems=MOST_ROWS), **pinned}, ("instances",)
        )
        one = ref(f"{self._key}.answer")
        many = an_object({"predictions": a_list(one)}, ("predictions",))
        return operation(
            f"Predictions of {self._model.name}: one for features, several for instances",
            said("The answer, or the answers in the order of the instances", {"anyOf": [one, many]}),
            (*TO_BODIES, *TO_ROWS, 422),
            body=taken({"anyOf": [single, batch]}, {"features": self._example(self._answering)}),
            tag=self._model.name,
        )

    def _protocol(self, path: str, which: str, numbers: list[int]) -> Iterator[tuple[str, str, Operation]]:
        """The Open Inference Protocol."""
        name, tag = self._model.name, self._model.name
        yield (
            path,
            "get",
            operation(f"The tensors of {name}{which}", said("Metadata", {"type": "object"}), (404, 503), tag=tag),
        )
        yield f"{path}/ready", "get", self._ready(which)
        contract, row = self._contracts[numbers[-1]], self._example(numbers)
        tensors = [
            {"name": one.name, "shape": [1], "datatype": FEATURE_DATATYPES[one.kind], "data": [row[one.name]]}
            for one in contract.features
        ]
        yield (
            f"{path}/infer",
            "post",
            operation(
                f"Tensors of {name}{which}, by the Open Inference Protocol",
                with_bytes(
                    said("A tensor of predictions, and one of probabilities for a classifier", ref("InferAnswer"))
                ),
                (*TO_BODIES, *TO_ROWS),
                body=with_bytes(taken(self._tensors(numbers), {"inputs": tensors})),
                tag=tag,
            ),
        )

    def _tensors(self, numbers: list[int]) -> Schema:
        return openapi_tensors.body([self._contracts[number] for number in numbers])

    def _ready(self, which: str) -> Operation:
        made = probe(f"Whether {self._model.name}{which} can answer", _READY, tag=self._model.name)
        made["responses"]["404"] = ref("Problem404", "responses")
        return made

    def _invocations(self, which: str, numbers: list[int]) -> Operation:
        contracts = [self._contracts[number] for number in numbers]
        classified = [contract for contract in contracts if contract.task is not Task.REGRESSION]
        predicted = [schemas.predicts(contract) for contract in contracts]
        if len(classified) == len(contracts):
            predicted.append(schemas.probabilities(contracts))
        body = taken(self._scored(contracts, numbers), {"dataframe_records": [self._example(numbers)]})
        body["content"][CSV] = {
            "schema": {"type": "string", "description": "A header with the features' names, and rows"}
        }
        answered = {"predictions": a_list(one_of(predicted)), "fallbacks": a_list(_FELL_BACK)}
        predictions = an_object(answered, ("predictions",))
        return operation(
            f"Predictions of {self._model.name}{which}, by MLflow's scoring protocol",
            {**said("One prediction a row", predictions), "headers": {"x-request-id": _MADE_ID}},
            (*TO_BODIES, *TO_ROWS),
            shape=SCORING,
            body=body,
            tag=self._model.name,
        )

    def _scored(self, contracts: list[Contract], numbers: list[int]) -> Schema:
        """The four forms. Only the contract's own order of columns is in the schema; any other is taken too."""
        row = self._all("features", numbers)
        names = {contract.names for contract in contracts}
        is_classifier = all(contract.task is not Task.REGRESSION for contract in contracts)
        either = [row]
        forms: dict[str, Schema] = {"dataframe_records": a_list(row, maxItems=MOST_ROWS)}
        if len(names) == 1:
            listed = self._all("cells", numbers)
            numbered = list(range(len(contracts[0].names)))
            told = "In any order; without columns, or with their numbers, cells stand in the contract's"
            columns = {"enum": [list(contracts[0].names), numbered, None], "description": told}
            index = {"description": "Not looked at"}
            split = {"columns": columns, "data": a_list(listed, maxItems=MOST_ROWS), "index": index}
            forms["dataframe_split"] = an_object(split, ("data",))
            either.append(listed)
            if len(numbered) == 1:
                either.append(schemas.cell(contracts[0].features[0]))
        rows = a_list(one_of(either), maxItems=MOST_ROWS)
        forms |= {"instances": rows, "inputs": rows}
        params = or_null(_params(is_classifier))
        made = [an_object({name: form, "params": params}, (name,)) for name, form in forms.items()]
        return {"anyOf": made, "description": "For instances and inputs an object of columns is taken as well"}


_FELL_BACK = an_object(
    {
        "row": {"type": "integer", "minimum": 0},
        "fallback": {"enum": ["champion", "default"]},
        "reason": {"type": "string"},
        "path": {"type": "string"},
    },
    ("row", "fallback", "reason"),
    description="A row that its version did not answer: who did, and why",
)


def _params(is_classifier: bool) -> Schema:
    functions = ["predict", "predict_proba"] if is_classifier else ["predict"]
    told = "for all rows; a list with a value for each is taken as well"
    return an_object(
        {
            "request_id": {**or_null(ID), "description": f"Of the request; {told}"},
            "unit_id": {**or_null(UNIT), "description": f"What is randomised, {told}"},
            "timestamp": {**or_null(INSTANT), "description": f"Event time, {told}"},
            "pyfunc_predict_fn": {"enum": functions},
        }
    )
