"""What is measured of a candidate."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from fairlead.core.amend import Amendments, Terms
from fairlead.core.bundle import Lineage
from fairlead.core.contract import Contract, Feature, Kind, Policy, Rule, Task
from fairlead.errors import BundleError, UsageError
from fairlead.flows.candidate import Candidate, Measured, Rows, contract_of, golden_set, measure
from fairlead.flows.fast_path import TOLERANCE
from fairlead.ports.model_reader import Conversion, ModelFacts
from fairlead.ports.predictor import Predictor
from fairlead.testing.clock import ManualClock
from fairlead.testing.dataset import MemoryDataset
from fairlead.testing.model_reader import ScriptedModel
from fairlead.testing.predictor import FailingPredictor, FixedPredictor

DATA = MemoryDataset(
    {
        "id": list(range(50)),
        "at": list(range(50)),
        "x": [float(row) for row in range(50)],
        "y": [row % 2 for row in range(50)],
        "stars": [row % 5 for row in range(50)],
    }
)
SILENT = ModelFacts("onnx")


def candidate(**changes: Any) -> Candidate:
    return msgspec.structs.replace(Candidate("m", Path("m.onnx"), "y", Lineage("d", "0", 50), "today"), **changes)


@pytest.mark.parametrize(
    ("facts", "changes", "names"),
    [
        (ModelFacts("skops", ("stars", "x"), 2), {}, ("stars", "x")),
        (SILENT, {"features": ("x", "id")}, ("x", "id")),
        (SILENT, {"unit": "id", "ignored": ("at",)}, ("x", "stars")),
        (SILENT, {}, ("id", "at", "x", "stars")),
    ],
)
def test_the_models_names_go_before_the_tables(facts: ModelFacts, changes: dict[str, Any], names: Any) -> None:
    """By the model's own names, else as they were given, else every column but target, unit and time."""
    assert contract_of(candidate(**changes), DATA, facts).names == names


@pytest.mark.parametrize(
    ("facts", "target", "task", "classes"),
    [
        (SILENT, "y", Task.BINARY, ("0", "1")),
        (SILENT, "stars", Task.MULTICLASS, ("0", "1", "2", "3", "4")),
        (SILENT, "x", Task.REGRESSION, ()),
        (ModelFacts("skops", classifier=False), "stars", Task.REGRESSION, ()),
        (ModelFacts("skops", classes=("1", "0"), classifier=True), "y", Task.BINARY, ("1", "0")),
        (ModelFacts("skops", classes=("a", "b", "c"), classifier=True), "y", Task.MULTICLASS, ("a", "b", "c")),
    ],
)
def test_the_model_knows_its_task_best(facts: ModelFacts, target: str, task: Task, classes: Any) -> None:
    """Where the model says what it is, the target's values do not overrule it; else they tell."""
    contract = contract_of(candidate(target=target), DATA, facts)
    assert (contract.task, contract.classes) == (task, classes)


@pytest.mark.parametrize(
    ("facts", "changes", "what"),
    [
        (ModelFacts("skops", ("x", "age", "sex")), {}, "has no age, sex"),
        (ModelFacts("skops", width=9), {}, r"takes 9 features, but the reference has 4 \(id, at, x, stars\)"),
        (SILENT, {"features": ("x", "y")}, "one of the model's features"),
        (SILENT, {"target": "z"}, "no target column 'z'"),
        (ModelFacts("skops", classes=("0", "1"), classifier=True), {"task": Task.REGRESSION}, "is a binary model, not"),
        (ModelFacts("skops", classifier=False), {"task": Task.BINARY}, "is a regression model, not a binary one"),
    ],
)
def test_a_table_that_does_not_fit_is_told(facts: ModelFacts, changes: dict[str, Any], what: str) -> None:
    """The columns that are missing, or too many, are named."""
    with pytest.raises(UsageError, match=what):
        contract_of(candidate(**changes), DATA, facts)


def test_the_users_word_goes_before_the_tables() -> None:
    """What the user says of a feature is in the contract, the rest as the table shows it; an unknown name is told."""
    plain = contract_of(candidate(), DATA, SILENT)
    first = plain.features[0].name
    said = Amendments(features={first: Terms(missing=Policy.WARN)}, rules=(Rule(f"{first} == {first}"),))
    found = contract_of(candidate(amendments=said), DATA, SILENT)
    assert found.features[0] == replace(plain.features[0], missing=Policy.WARN)
    assert (found.features[1:], found.rules) == (plain.features[1:], said.rules)
    with pytest.raises(UsageError, match="which the model does not have"):
        contract_of(candidate(amendments=Amendments(features={"nobody": Terms()})), DATA, SILENT)


def test_the_golden_set_is_the_same_again() -> None:
    """The same data give the same rows, the least and the greatest among them."""
    contract = Contract((Feature("x", Kind.NUMBER),), Task.REGRESSION, "y")
    rows, golden = golden_set(contract, FixedPredictor(1.0), DATA)
    assert (rows, golden) == golden_set(contract, FixedPredictor(1.0), DATA)
    assert {(0.0,), (49.0,)} <= set(rows)


class _Ticking(ManualClock):
    """A clock on which each look takes a millisecond."""

    def __init__(self) -> None:
        super().__init__()
        self._looks = count()

    def monotonic(self) -> float:
        return next(self._looks) / 1000.0


def measured(original: Predictor, portable: Predictor, clock: ManualClock | None = None) -> Measured:
    model = ScriptedModel(ModelFacts("skops", ("x",), 1, (), False), original, portable)
    return measure(candidate(target="x2"), ROWS, model, model, clock or ManualClock())


TWICE = MemoryDataset({"x": [float(row) for row in range(50)], "x2": [2.0 * row for row in range(50)]})
ROWS = Rows(TWICE, TWICE, TWICE)


def test_parity_counts_every_compared_row() -> None:
    """The golden rows and the held-out rows; large values are compared relatively."""
    found = measured(FixedPredictor(1e6), FixedPredictor(1e6 + 1.0))
    assert found.parity is not None
    assert found.parity.rows == 100
    assert found.parity.largest_difference == pytest.approx(1e-6)
    assert found.parity.tolerance == TOLERANCE
    assert found.portable == b"portable"


def test_the_speed_up_is_measured_where_time_passes() -> None:
    """On a clock that runs it is among the metrics; on one that stands still it is left out."""
    assert measured(FixedPredictor(1.0), FixedPredictor(1.0), _Ticking()).metrics["portable_speedup"] == 1.0
    assert "portable_speedup" not in measured(FixedPredictor(1.0), FixedPredictor(1.0)).metrics


def test_metrics_are_the_held_out_rows() -> None:
    """A model that always says 49 errs by the spread of the truth."""
    found = measured(FixedPredictor(49.0), FixedPredictor(49.0))
    assert found.metrics["rmse"] == pytest.approx(np.std([2.0 * row for row in range(50)]))
    assert found.answers.shape == (50, 1)


class _Misfit(ScriptedModel):
    """A model that refuses the contract."""

    def predictor(self, contract: Contract) -> Predictor:
        raise BundleError("it wants strings")


class _Unloadable(ScriptedModel):
    """A model whose translation cannot be loaded."""

    def translated(self, conversion: Conversion, contract: Contract) -> Predictor:
        raise BundleError("unknown operator")


def test_a_model_that_refuses_the_contract_is_wrong_usage() -> None:
    """The caller brought model and data together."""
    model = _Misfit(ModelFacts("onnx", ("x",)), FixedPredictor(1.0))
    with pytest.raises(UsageError, match=r"m\.onnx does not fit the reference: it wants strings"):
        measure(candidate(target="x2"), ROWS, model, model, ManualClock())


def test_a_translation_that_cannot_be_loaded_is_not_served() -> None:
    """The original is, and the sentence says why."""
    model = _Unloadable(ModelFacts("skops", ("x",), 1, (), False), FixedPredictor(1.0), FixedPredictor(1.0))
    found = measure(candidate(target="x2"), ROWS, model, model, ManualClock())
    assert (found.portable, found.parity) == (None, None)
    assert found.served == "the original is served: its ONNX translation cannot be loaded: unknown operator"


@pytest.mark.parametrize(
    ("portable", "why"),
    [
        (FailingPredictor(RuntimeError("bad node\nmore")), r"cannot answer \(RuntimeError: bad node\)"),
        (FixedPredictor(0.5, 0.5), r"answers shape \(100, 2\), not \(100, 1\)"),
    ],
)
def test_a_translation_that_cannot_answer_is_not_served(portable: Predictor, why: str) -> None:
    """A failing translation is a reason to serve the original, not to fail."""
    found = measured(FixedPredictor(1.0), portable)
    assert found.portable is None
    assert re.search(f"the original is served: its ONNX translation {why}", found.served)
