"""A bundle as MLflow's own tools know a model: an `MLmodel` with signature, input example and flavours around it.

`mlflow.pyfunc.load_model("models:/NAME/VERSION")` answers as the gateway does, by the same contract and the same model.
"""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from fairlead.core.bundle import GOLDEN, MANIFEST, Golden, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Policy, Task
from fairlead.core.decode import labels
from fairlead.core.event import canonical

BUNDLES = "bundle"  # the folder of the model's folder that holds the bundle, under its digest
FLAVOR = "fairlead"
LOADER = "fairlead.adapters.mlflow_pyfunc"
EXAMPLE, SERVING_EXAMPLE = "input_example.json", "serving_input_example.json"
PROBABILITIES = "pyfunc_predict_fn"  # MLflow's own name for what a scikit-learn model is asked
_TYPES = {Kind.NUMBER: "double", Kind.INTEGER: "long", Kind.BOOLEAN: "boolean", Kind.CATEGORY: "string"}


def write_model(manifest: Manifest, digest: str, folder: Path, run_id: str, into: Path) -> None:
    """Writes the files of MLflow's model into an empty folder: `MLmodel`, the original, and of the bundle what
    answers. `folder` is the bundle's. Raises `OSError`."""
    from mlflow.models import Model

    place = into / BUNDLES / digest
    original = Path(manifest.model_entry).name
    _copy(folder / manifest.model_entry, into / original)
    for name in sorted({manifest.served, *_code(manifest), GOLDEN}):
        _copy(folder / name, place / name)
    (place / MANIFEST).write_bytes(canonical(manifest))
    _write_requirements(into)
    example = _example(folder, manifest.contract)
    saved = _write_example(into, example) if example else None
    model = Model(artifact_path="model", run_id=run_id, signature=signature(manifest.contract))
    if saved is not None:
        model.saved_input_example_info = saved
    python = ".".join(map(str, sys.version_info[:3]))
    model.add_flavor(
        "python_function",
        loader_module=LOADER,
        data=BUNDLES,
        env={"virtualenv": "python_env.yaml"},
        python_version=python,
    )
    model.add_flavor(FLAVOR, data=original, model_format=manifest.model_format, bundle=digest, served=manifest.served)
    model.save(str(into / "MLmodel"))


def signature(contract: Contract) -> Any:
    """MLflow's signature of a contract: the features in their order, and what is answered of a row.

    A whole number or truth value that may be missing is of any type there: MLflow's own have no missing value, and it
    takes no whole numbers for doubles. The contract judges them all the same.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ParamSchema, ParamSpec, Schema

    asked = Schema([_column(feature) for feature in contract.features])
    how = ParamSchema([ParamSpec(PROBABILITIES, "string", "predict")])
    answered = _answer(contract)
    if contract.task is Task.REGRESSION:  # it has no probabilities to ask for
        return ModelSignature(asked, answered)
    return ModelSignature(asked, answered, how)


def _column(feature: Feature) -> Any:
    from mlflow.types.schema import AnyType, ColSpec

    optional = feature.nullable or feature.missing is not Policy.REJECT
    kind: Any = _TYPES[feature.kind]
    if optional and feature.kind in (Kind.INTEGER, Kind.BOOLEAN):
        kind = AnyType()  # type: ignore[no-untyped-call]  # MLflow's
    return ColSpec(kind, feature.name, required=not optional)


def _answer(contract: Contract) -> Any:
    from mlflow.types.schema import ColSpec, Schema

    if contract.task is Task.REGRESSION:
        return Schema([ColSpec("double")])
    whole = all(isinstance(label, int) for label in labels(contract))
    return Schema([ColSpec("long" if whole else "string")])


def _code(manifest: Manifest) -> tuple[str, ...]:
    return () if manifest.features is None else (manifest.features.entry,)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.exists():
        shutil.copyfile(source, target)


def _example(folder: Path, contract: Contract) -> dict[str, Any]:
    """A golden row as MLflow keeps a data frame's."""
    try:
        golden = msgspec.json.decode((folder / GOLDEN).read_bytes(), type=Golden)
    except (OSError, msgspec.MsgspecError):
        return {}
    if not golden.rows:
        return {}
    row = golden.rows[0]
    return {"columns": list(contract.names), "data": [[row.get(name) for name in contract.names]]}


def _write_example(into: Path, example: dict[str, Any]) -> dict[str, Any]:
    (into / EXAMPLE).write_bytes(msgspec.json.encode(example))
    (into / SERVING_EXAMPLE).write_bytes(msgspec.json.encode({"dataframe_split": example}))
    return {
        "artifact_path": EXAMPLE,
        "type": "dataframe",
        "pandas_orient": "split",
        "serving_input_path": SERVING_EXAMPLE,
    }


def _write_requirements(into: Path) -> None:
    """What a new environment needs to answer: this version of fairlead."""
    try:
        known = f"fairlead[registry]=={version('fairlead')}"
    except PackageNotFoundError:
        known = "fairlead[registry]"
    (into / "requirements.txt").write_text(f"{known}\npandas\n")
    python = ".".join(map(str, sys.version_info[:3]))
    (into / "python_env.yaml").write_text(f"python: {python}\ndependencies:\n- -r requirements.txt\n")
