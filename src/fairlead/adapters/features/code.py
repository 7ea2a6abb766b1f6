"""Features that a function computes: the same one over the training table and before the model, row by row.

The function takes one row, a mapping by field, and returns a mapping of what it computes. A row is a plain dict: of
what serves a table and a single row alike it costs a request least.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fairlead.adapters.predictors.formats import check_trust
from fairlead.adapters.predictors.python_code import INIT, imported_function, sources, split_call
from fairlead.adapters.predictors.rows import Floats, Row
from fairlead.core.bundle import FeatureCode
from fairlead.core.contract import Contract, Feature
from fairlead.errors import UsageError
from fairlead.ports.features import Fields
from fairlead.ports.predictor import Predictor

INPUTS = "INPUTS"  # a tuple of this name in the code names the fields that the function reads


class PackagedFeatures:
    """A function as a source. `path` and `call` say where it stands, `inputs` what it says it reads, if it does."""

    def __init__(self, path: Path, files: Mapping[str, bytes], call: str, names: Sequence[str] = ()) -> None:
        """`files` are the code's bytes, `names` what it computes, where that is known. Raises `BundleError`."""
        self.function, module = imported_function(path, files, call)
        self.path = path
        self.call = call
        self.names = tuple(names)
        self.inputs = tuple(map(str, getattr(module, INPUTS, ())))

    def features(self, rows: Sequence[Fields]) -> list[Fields]:
        """What it computes of each row. Raises what the function does, and `TypeError` for what is no mapping."""
        function = self.function
        made: list[Fields] = []
        for row in rows:
            found = function(row)
            if not isinstance(found, Mapping):
                raise TypeError(f"{self.path.name}:{self.call} returned {type(found).__name__}, not a mapping")
            made.append(found)
        return made


class BundledFeatures(PackagedFeatures):
    """A function of a bundle, with what the model sees."""

    def __init__(self, path: Path, files: Mapping[str, bytes], code: FeatureCode) -> None:
        super().__init__(path, files, code.call, code.computed)
        self._seen = code.features

    def before(self, predictor: Callable[[Contract], Predictor], contract: Contract) -> FeaturedPredictor:
        """A model that answers what a request holds; `predictor` makes the one that answers what is computed."""
        return FeaturedPredictor(self, contract, self._seen, predictor)


class FeaturedPredictor:
    """Answers rows of a request: computes what the model sees, and asks it."""

    def __init__(
        self,
        source: PackagedFeatures,
        contract: Contract,
        seen: tuple[Feature, ...],
        predictor: Callable[[Contract], Predictor],
    ) -> None:
        """`contract` is the request's; the model gets one of what it sees."""
        self._source = source
        self._fields = contract.names
        self._names = tuple(feature.name for feature in seen)
        self._pick: Callable[[Fields], Any] = itemgetter(*self._names)
        self._model = predictor(model_contract(contract, seen))

    def predict(self, rows: Sequence[Row]) -> Floats:
        """(n, k) as the model answers. Raises what the function does, and `KeyError` for what it left out."""
        if not rows:
            return self._model.predict([])
        named = [dict(zip(self._fields, row, strict=True)) for row in rows]
        made = self._source.features(named)
        return self._model.predict([self._row({**row, **found}) for row, found in zip(named, made, strict=True)])

    def _row(self, values: Fields) -> Row:
        """In the model's order; a NaN is a null, as in the reference."""
        picked = self._pick(values)
        if len(self._names) == 1:
            picked = (picked,)
        return tuple([None if value != value else value for value in picked])  # noqa: PLR0124 - NaN alone differs


def model_contract(contract: Contract, seen: tuple[Feature, ...]) -> Contract:
    """What the model itself takes: the same task over what it sees. Rules are of the request."""
    return msgspec.structs.replace(contract, features=seen, rules=())


def packaged(place: str | Path, trust: Collection[str] | None) -> PackagedFeatures:
    """The function that `FILE.py:FUNCTION` or `FOLDER:MODULE.FUNCTION` names; `trust` as for models, None where the
    caller's own process runs the caller's own code.

    Raises `UsageError`, `UntrustedFormat` before anything has run, and `BundleError`.
    """
    path, call = split_call(Path(place))
    if not path.exists():
        raise UsageError(f"the feature code {path} does not exist: name it as in features.py:function")
    if not call:
        raise UsageError(f"the feature code {path} names no function: write {path.name}:FUNCTION")
    if trust is not None:
        check_trust(path.name, "python", trust)
    return PackagedFeatures(path, sources(path), call)


def bundled(path: Path, files: Mapping[str, bytes], code: FeatureCode, trust: Collection[str]) -> BundledFeatures:
    """The function in a bundle, from checked bytes. Raises `UntrustedFormat` before anything has run."""
    check_trust(path.name, "python", trust)
    return BundledFeatures(path, {INIT: files[""]} if "" in files else files, code)


class Watched(Mapping[str, Any]):
    """A row that tells which of its fields were read. Whoever walks through it has read all."""

    def __init__(self, row: Fields, read: set[str]) -> None:
        """`read` gathers the names."""
        self._row = row
        self._read = read

    def __getitem__(self, name: str) -> Any:
        value = self._row[name]
        self._read.add(name)
        return value

    def __iter__(self) -> Iterator[str]:
        self._read.update(self._row)
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)


def as_cell(value: Any) -> Any:
    """A computed value as a table holds it: NumPy's scalars as Python's, NaN as None."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN alone differs
