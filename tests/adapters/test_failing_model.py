"""A model that takes a contract's rows and fails on each."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.failing_model import failing_onnx, failing_sklearn, write_failing
from fairlead.adapters.predictors.formats import load_sklearn
from fairlead.adapters.predictors.onnx import OnnxPredictor
from fairlead.adapters.predictors.served import sklearn_predictor
from fairlead.adapters.system_clock import SystemClock
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.errors import MissingExtra
from fairlead.flows.serve import Failed, answer_rows
from fairlead.flows.warm import load
from fairlead.ports.predictor import Predictor
from fairlead.testing.candidate import CONTRACT

VALUES = {Kind.NUMBER: 1.5, Kind.INTEGER: 3, Kind.BOOLEAN: True, Kind.CATEGORY: "b"}
FEATURES = st.lists(st.tuples(st.sampled_from(list(Kind)), st.booleans()), min_size=1, max_size=12)
CLASSES = {Task.REGRESSION: (), Task.BINARY: ("no", "yes"), Task.MULTICLASS: ("a", "b", "c")}
WITHOUT = {"onnx": (), "skops": ("onnx",)}  # what is written, and what is then not installed


def predictor_of(form: str, contract: Contract) -> Predictor:
    """What a worker would load."""
    if form == "onnx":
        return OnnxPredictor(failing_onnx(contract), contract)
    return sklearn_predictor(load_sklearn("model.skops", "skops", failing_sklearn(contract), ()), contract)


@settings(deadline=None, max_examples=60)  # the first loads the runtime
@given(st.sampled_from(list(WITHOUT)), FEATURES, st.sampled_from(list(Task)), st.integers(1, 20))
def test_every_contract_has_its_model_that_fails(
    form: str, kinds: list[tuple[Kind, bool]], task: Task, rows: int
) -> None:
    """Whatever the features and the task, it loads without trust, and any number of rows is an error."""
    features = tuple(Feature(f"x {at}", kind, nullable=null) for at, (kind, null) in enumerate(kinds))
    contract = Contract(features, task, "y", CLASSES[task])
    predictor = predictor_of(form, contract)
    row = tuple(None if null else VALUES[kind] for kind, null in kinds)
    with pytest.raises(Exception, match=r"Reshape|expecting \d+ features|could not convert|NaN"):
        predictor.predict([row] * rows)


@pytest.mark.parametrize("form", WITHOUT)
def test_a_bundle_of_it_loads_and_fails_as_a_worker_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """From the store through the rehearsal to the answer: a failure with its error, and no other. ONNX where that is
    installed, scikit-learn where it is not."""
    for name in WITHOUT[form]:
        monkeypatch.setitem(sys.modules, name, None)
    draft = tmp_path / "draft"
    draft.mkdir()
    store = BundleFolder(tmp_path / "bundles")
    manifest = write_failing(draft, CONTRACT)
    assert manifest.model_format == form
    live = load(7, store.put(draft, manifest), store, SystemClock())
    (answer,) = answer_rows(live, [(44.0, 3, "berlin")])
    assert isinstance(answer, Failed)
    said = "Reshape" if form == "onnx" else "ValueError: could not convert string to float"
    assert (answer.status, said in answer.error) == (500, True), answer.error


def test_without_either_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install, and what for; ONNX without its runtime is neither."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtra, match="fairlead\\[sklearn\\]"):
        write_failing(tmp_path, CONTRACT)
    assert not list(tmp_path.iterdir())
