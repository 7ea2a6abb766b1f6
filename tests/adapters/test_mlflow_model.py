"""Our versions as MLflow's own tools load them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import msgspec
import numpy as np
import pandas as pd
import pytest
from mlflow.types.schema import AnyType, ColSpec
from msgspec.structs import replace

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.mlflow_model import signature
from fairlead.adapters.mlflow_models import fetch
from fairlead.adapters.mlflow_pyfunc import ServedModel
from fairlead.adapters.mlflow_registry import MlflowRegistry
from fairlead.adapters.predictors.mlflow_folder import own_model
from fairlead.core.bundle import GOLDEN, Golden
from fairlead.core.contract import Contract, Feature, Kind, Policy, Task
from fairlead.errors import BundleError, ContractError, DigestMismatch, UsageError
from fairlead.flows.serve import answer_rows
from fairlead.flows.warm import load
from fairlead.testing.candidate import CONTRACT, Parts, formula_onnx, write_candidate

ANY: Any = AnyType()  # type: ignore[no-untyped-call]  # MLflow's


class Logged:
    """A version in a home, and MLflow pointed at it."""

    def __init__(self, home: Path) -> None:
        draft = home / "draft"
        draft.mkdir(parents=True)
        manifest = write_candidate(draft, Parts(portable=formula_onnx()))
        self.home, self.store = home, BundleFolder(home / "bundles")
        self.digest = self.store.put(draft, manifest)
        self.uri = f"sqlite:///{home}/mlflow.db"
        registry = MlflowRegistry(self.uri, home / "artifacts")
        self.info = registry.register(manifest, self.digest, self.store.path(self.digest))

    @property
    def golden(self) -> Golden:
        """The rows and answers that were recorded."""
        return msgspec.json.decode((self.store.path(self.digest) / GOLDEN).read_bytes(), type=Golden)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    """`stay@1`."""
    version = Logged(tmp_path_factory.mktemp("home") / "home")
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"The ``noload`` loader strategy")
        mlflow.set_tracking_uri(version.uri)
        mlflow.set_registry_uri(version.uri)
        yield version
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


@pytest.fixture(scope="module")
def loaded(logged: Logged) -> Any:
    """The version, as MLflow loads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own imports
        return mlflow.pyfunc.load_model("models:/stay/1")


def test_mlflow_reads_signature_flavours_and_example(logged: Logged) -> None:
    """`get_model_info` of a version: the contract as its signature, and the bundle by its digest."""
    info = mlflow.models.get_model_info("models:/stay/1")
    assert info.signature.inputs.input_names() == ["age", "nights", "city"]
    assert [column.to_dict()["type"] for column in info.signature.inputs.inputs] == [
        "double",
        "any",
        "string",
    ]
    assert [column.required for column in info.signature.inputs.inputs] == [True, False, True]
    assert [column.type.name for column in info.signature.outputs.inputs] == ["long"]
    assert set(info.flavors) == {"python_function", "fairlead"}
    assert info.flavors["fairlead"]["bundle"] == logged.digest
    assert info.run_id == logged.info.run_id


def test_mlflow_answers_the_golden_rows_as_the_gateway_does(logged: Logged, loaded: Any) -> None:
    """Labels and probabilities of each row are those of the version as a worker serves it."""
    rows = logged.golden.rows
    live = load(1, logged.digest, logged.store)
    served: list[Any] = list(answer_rows(live, [live.rows.check(row)[0] for row in rows]))
    frame = pd.DataFrame(rows)
    assert loaded.predict(frame).tolist() == [answer.prediction for answer in served]
    shares = loaded.predict(frame, params={"pyfunc_predict_fn": "predict_proba"})
    assert np.array_equal(shares, [answer.probabilities for answer in served])
    assert len(rows) == 40
    assert {answer.prediction for answer in served} == {0, 1}


def test_mlflow_loads_the_example_and_answers_it(loaded: Any) -> None:
    """The example is a golden row, with a type for each column."""
    example = loaded.input_example
    assert list(example.columns) == ["age", "nights", "city"]
    assert loaded.predict(example).shape == (1,)


def test_a_missing_value_is_imputed_as_the_contract_says(loaded: Any) -> None:
    """None and NaN are missing; a row that the contract refuses is an error that names it."""
    given = pd.DataFrame({"age": [40.0, 40.0], "nights": [None, 3.0], "city": ["aspen", "aspen"]})
    shares = loaded.predict(given, params={"pyfunc_predict_fn": "predict_proba"})
    assert np.array_equal(shares[0], shares[1])
    with pytest.raises(ContractError, match=r"rows\[1\]\.age"):
        loaded.predict(pd.DataFrame({"age": [40.0, float("nan")], "nights": [1.0, 1.0], "city": ["aspen"] * 2}))
    assert loaded.predict(given.head(0)).shape == (0,)


def test_what_is_asked_wrongly_is_refused(loaded: Any) -> None:
    """Another method, and a column that is missing."""
    example = loaded.input_example
    with pytest.raises(UsageError, match="use predict or predict_proba"):
        loaded.predict(example, params={"pyfunc_predict_fn": "explain"})
    with pytest.raises(mlflow.exceptions.MlflowException, match="age"):
        loaded.predict(example.drop(columns="age"))


def test_a_changed_byte_is_found(logged: Logged, tmp_path: Path) -> None:
    """MLflow's copy is checked by the bundle's own digests when it is loaded."""
    place = tmp_path / logged.digest
    (found,) = (logged.home / "artifacts").rglob(f"bundle/{logged.digest}")
    for path in found.rglob("*"):
        if path.is_file():
            (place / path.relative_to(found)).parent.mkdir(parents=True, exist_ok=True)
            (place / path.relative_to(found)).write_bytes(path.read_bytes())
    assert ServedModel(tmp_path).manifest.name == "stay"
    served = place / ServedModel(tmp_path).manifest.served
    served.write_bytes(served.read_bytes() + b"\0")
    with pytest.raises(DigestMismatch, match="is not what was registered"):
        ServedModel(tmp_path)
    (tmp_path / "other").mkdir()
    with pytest.raises(BundleError, match="holds 2 bundles, not one"):
        ServedModel(tmp_path)


def test_the_original_is_what_is_fetched(logged: Logged, tmp_path: Path) -> None:
    """A version of ours can be registered again: its original model is what lies in it."""
    for place, address in enumerate(("models:/stay/1", f"runs:/{logged.info.run_id}/model")):
        (tmp_path / str(place)).mkdir()
        assert fetch(address, logged.uri, tmp_path / str(place)).read_bytes() == b"a model by formula"
    (tmp_path / "file").mkdir()
    alone = fetch(f"runs:/{logged.info.run_id}/model/model.skops", logged.uri, tmp_path / "file")
    assert alone.read_bytes() == b"a model by formula"


@pytest.mark.parametrize(
    ("feature", "column"),
    [
        (Feature("x", Kind.NUMBER), ColSpec("double", "x")),
        (Feature("x", Kind.NUMBER, nullable=True), ColSpec("double", "x", required=False)),
        (Feature("x", Kind.INTEGER), ColSpec("long", "x")),
        (Feature("x", Kind.INTEGER, missing=Policy.IMPUTE, fill=3), ColSpec(ANY, "x", required=False)),
        (Feature("x", Kind.BOOLEAN, nullable=True), ColSpec(ANY, "x", required=False)),
        (Feature("x", Kind.BOOLEAN), ColSpec("boolean", "x")),
        (Feature("x", Kind.CATEGORY, categories=("a",)), ColSpec("string", "x")),
    ],
)
def test_each_kind_has_a_column(feature: Feature, column: ColSpec) -> None:
    """What may be missing is no required column, and of MLflow's types only floats and text can be missing."""
    assert signature(Contract((feature,), Task.REGRESSION, "y")).inputs.inputs == [column]


def test_answers_have_types_too() -> None:
    """Values, whole labels, and labels that are text; only a classifier can be asked for probabilities."""
    values = signature(replace(CONTRACT, task=Task.REGRESSION, classes=()))
    assert (values.outputs.inputs[0].type.name, values.params) == ("double", None)
    words = signature(replace(CONTRACT, classes=("no", "yes")))
    assert words.outputs.inputs[0].type.name == "string"
    assert [one.name for one in words.params.params] == ["pyfunc_predict_fn"]


@pytest.mark.parametrize("name", ["../draft", "nothing"])
def test_a_flavour_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    """What was downloaded says where the model lies: only within itself."""
    (tmp_path / "draft").write_text("x")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text(f"flavors:\n  fairlead:\n    data: {name}\n")
    with pytest.raises(UsageError, match="which is not in it"):
        own_model(folder)
