"""From scikit-learn to ONNX."""

from __future__ import annotations

import sys

import onnx
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fairlead.adapters.portable import OPSETS, convert
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.ports.model_reader import Conversion

CONTRACT = Contract((Feature("x", Kind.NUMBER), Feature("z", Kind.NUMBER)), Task.BINARY, "y", ("0", "1"))
DATA = pd.DataFrame({"x": [float(n) for n in range(40)], "z": [1.0] * 40})
MODEL = HistGradientBoostingClassifier(max_iter=5).fit(DATA, [0] * 20 + [1] * 20)


def test_the_operators_are_pinned() -> None:
    """Opset, one matrix input for numbers, no ZipMap; and the same model converts to the same graph."""
    data = convert(MODEL, CONTRACT).model
    assert data is not None
    model = onnx.load_model_from_string(data)
    assert all(opset.version <= OPSETS[opset.domain] for opset in model.opset_import)
    assert [given.name for given in model.graph.input] == ["features"]
    assert not any(node.op_type == "ZipMap" for node in model.graph.node)
    again = onnx.load_model_from_string(convert(MODEL, CONTRACT).model or b"")
    assert [node.op_type for node in again.graph.node] == [node.op_type for node in model.graph.node]


def double(values: pd.DataFrame) -> pd.DataFrame:
    """A step that nobody can convert."""
    return values * 2


def test_without_the_converter_that_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is served as it is, and what would make it faster is said."""
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    assert convert(MODEL, CONTRACT) == Conversion(
        None, "skl2onnx is not installed, which converts it to ONNX: pip install 'fairlead[onnx]'"
    )


def test_what_cannot_be_converted_has_a_reason() -> None:
    """A step without a converter, and categories inside a model: a sentence, not an exception."""
    own = make_pipeline(FunctionTransformer(double), HistGradientBoostingClassifier(max_iter=2))
    found = convert(own.fit(DATA, [0, 1] * 20), CONTRACT)
    assert found.model is None
    assert found.reason.startswith("skl2onnx cannot convert Pipeline: ")
    categories = DATA.assign(x=pd.Categorical(["a", "b"] * 20))
    inside = HistGradientBoostingClassifier(max_iter=2).fit(categories, [0, 1] * 20)
    contract = Contract((Feature("x", Kind.CATEGORY), CONTRACT.features[1]), Task.BINARY, "y", ("0", "1"))
    assert convert(inside, contract).model is None
