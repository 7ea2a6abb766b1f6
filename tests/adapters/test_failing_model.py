"""A model that takes a contract's rows and fails on each."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.failing_model import failing_onnx, write_failing
from fairlead.adapters.predictors.onnx import OnnxPredictor
from fairlead.adapters.system_clock import SystemClock
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.errors import MissingExtra
from fairlead.flows.serve import Failed, answer_rows
from fairlead.flows.warm import load
from fairlead.testing.candidate import CONTRACT

VALUES = {Kind.NUMBER: 1.5, Kind.INTEGER: 3, Kind.BOOLEAN: True, Kind.CATEGORY: "b"}
FEATURES = st.lists(st.tuples(st.sampled_from(list(Kind)), st.booleans()), min_size=1, max_size=12)
TASKS = st.sampled_from(list(Task))


@settings(deadline=None, max_examples=30)  # the first loads the runtime
@given(FEATURES, TASKS, st.integers(1, 20))
def test_every_contract_has_its_model_that_fails(kinds: list[tuple[Kind, bool]], task: Task, rows: int) -> None:
    """Whatever the features and the task, it loads, and any number of rows is an error."""
    features = tuple(Feature(f"x {at}", kind, nullable=null) for at, (kind, null) in enumerate(kinds))
    contract = Contract(features, task, "y", () if task is Task.REGRESSION else ("a", "b"))
    predictor = OnnxPredictor(failing_onnx(contract), contract)
    row = tuple(None if null else VALUES[kind] for kind, null in kinds)
    with pytest.raises(Exception, match="Reshape"):
        predictor.predict([row] * rows)


def test_a_bundle_of_it_loads_and_fails_as_a_worker_sees_it(tmp_path: Path) -> None:
    """From the store through the rehearsal to the answer: a failure with its error, and no other."""
    draft = tmp_path / "draft"
    draft.mkdir()
    store = BundleFolder(tmp_path / "bundles")
    digest = store.put(draft, write_failing(draft, CONTRACT))
    live = load(7, digest, store, SystemClock())
    (answer,) = answer_rows(live, [(44.0, 3, "berlin")])
    assert isinstance(answer, Failed)
    assert (answer.status, "Reshape" in answer.error) == (500, True)


def test_without_onnx_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install, and what for."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match="fairlead\\[onnx\\]"):
        write_failing(tmp_path, CONTRACT)


def test_two_of_one_contract_are_one_bundle(tmp_path: Path) -> None:
    """Its digest depends on the contract alone."""
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    assert msgspec.json.encode(write_failing(one, CONTRACT)) == msgspec.json.encode(write_failing(two, CONTRACT))
