"""Every flavour of model, from its file to its answers over HTTP: registered, rehearsed and served by a worker."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

import fairlead
from fairlead.adapters.mlflow_registry import import_mlflow
from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.adapters.worker_stage import WorkerStage
from fairlead.app.compose import open_context
from fairlead.core.bundle import Manifest
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import MissingExtra, UntrustedFormat, UsageError
from fairlead.operations.context import Context
from fairlead.operations.models import Registration, register
from fairlead.testing.registry import MemoryRegistry

mlflow = import_mlflow()  # quietly: it reads its settings when it is imported first
BOOKINGS = Path(fairlead.__file__).parent / "faces/demo/data/hotel_bookings.parquet"
NUMBERS = ["lead_time", "adr", "total_of_special_requests"]
TEXTS = ["hotel", "deposit_type"]
TARGET = "is_canceled"


@pytest.fixture(scope="module")
def bookings() -> pd.DataFrame:
    """Real bookings: two columns of text, three of numbers."""
    table = pq.read_table(BOOKINGS, columns=[*TEXTS, *NUMBERS, TARGET]).to_pandas()
    found: pd.DataFrame = table.iloc[:1500]
    return found


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """An empty home, with a registry in memory."""
    registry = MemoryRegistry()
    opened = replace(open_context(tmp_path / "home"), open_registry=lambda: registry)
    yield opened
    assert isinstance(opened.journal, SqliteJournal)
    opened.journal.close()


def serve(context: Context, data: pd.DataFrame, model: str, trust: tuple[str, ...] = ()) -> tuple[Manifest, Any]:
    """Registers a model on a table and asks a worker of its own, over HTTP, for the table's last 20 rows."""
    reference = context.home / "reference.parquet"
    reference.parent.mkdir(parents=True, exist_ok=True)
    data.to_parquet(reference, index=False)
    info = register(context, Registration("hotel", model, reference, TARGET, trust=trust))
    context.bundles.verify(info.bundle)
    route = ModelRoute((Arm("champion", 1, 1.0),), {1: info.bundle})
    rows = data[-20:].drop(columns=TARGET).to_dict("records")
    with WorkerStage(context.home / "bundles", RouteTable(1, {"hotel": route}), trust) as stage:
        answer = httpx.post(f"{stage.base_url}/v1/models/hotel/predict", json={"instances": rows}, timeout=30.0)
    assert answer.status_code == 200, answer.text
    context.bundles.verify(info.bundle)  # serving it left no trace in it
    said = [one.get("probabilities", one["prediction"]) for one in answer.json()["predictions"]]
    table = [list(one.values()) if isinstance(one, dict) else np.atleast_1d(one) for one in said]
    return context.bundles.manifest(info.bundle), np.array(table, np.float64)


def categorical(data: pd.DataFrame) -> pd.DataFrame:
    """The features, with texts as pandas' categories."""
    return data.drop(columns=TARGET).astype(dict.fromkeys(TEXTS, "category"))


def small(maker: Callable[..., Any], **settings: Any) -> Any:
    """A classifier of few trees."""
    return maker(n_estimators=15, n_jobs=1, **settings)


def catboost() -> Any:
    """The same of CatBoost's."""
    return CatBoostClassifier(iterations=15, verbose=0, allow_writing_files=False, thread_count=1, cat_features=TEXTS)


def test_lightgbms_own_file(context: Context, bookings: pd.DataFrame, tmp_path: Path) -> None:
    """Categories by the file's own codes; no code is trusted, and the answers are LightGBM's."""
    model = small(LGBMClassifier, verbose=-1).fit(categorical(bookings), bookings[TARGET])
    model.booster_.save_model(tmp_path / "model.txt")
    manifest, answers = serve(context, bookings, str(tmp_path / "model.txt"))
    np.testing.assert_allclose(answers, model.predict_proba(categorical(bookings)[-20:]), atol=1e-5)
    assert (manifest.model_format, manifest.served) == ("lightgbm", "model/model.txt")
    assert manifest.contract.classes == ("0", "1")
    assert [tried.format for tried in manifest.candidates] == ["lightgbm", "onnx"]


def test_a_python_function(context: Context, bookings: pd.DataFrame, tmp_path: Path) -> None:
    """Code that is trusted by name is copied into the bundle, and answers there."""
    code = "def cancels(records): return [min(1.0, max(0.0, row['lead_time']) / 800) for row in records]"
    (tmp_path / "rule.py").write_text(code)
    manifest, answers = serve(context, bookings, f"{tmp_path}/rule.py:cancels", ("python",))
    np.testing.assert_allclose(answers[:, 1], np.clip(bookings.lead_time[-20:] / 800, 0, 1), atol=1e-6)
    assert (manifest.model_format, manifest.model_entry, manifest.model_call) == ("python", "model/rule.py", "cancels")


@pytest.mark.slow
def test_xgboosts_own_file(context: Context, bookings: pd.DataFrame, tmp_path: Path) -> None:
    """Both of its formats, with the categories that the file keeps."""
    model = small(XGBClassifier, enable_categorical=True).fit(categorical(bookings), bookings[TARGET])
    for name in ("model.ubj", "model.json"):
        model.save_model(tmp_path / name)
        manifest, answers = serve(context, bookings, str(tmp_path / name))
        np.testing.assert_allclose(answers, model.predict_proba(categorical(bookings)[-20:]), atol=1e-5)
        assert (manifest.model_format, manifest.served) == ("xgboost", f"model/{name}")


@pytest.mark.slow
def test_catboosts_own_file(context: Context, bookings: pd.DataFrame, tmp_path: Path) -> None:
    """Texts as CatBoost's own categories."""
    model = catboost().fit(bookings.drop(columns=TARGET), bookings[TARGET])
    model.save_model(tmp_path / "model.cbm")
    manifest, answers = serve(context, bookings, str(tmp_path / "model.cbm"))
    np.testing.assert_allclose(answers, model.predict_proba(bookings.drop(columns=TARGET)[-20:]), atol=1e-5)
    assert (manifest.model_format, manifest.served) == ("catboost", "model/model.cbm")


@pytest.mark.slow
def test_a_regression_in_lightgbms_own_file(context: Context, bookings: pd.DataFrame, tmp_path: Path) -> None:
    """Values, not probabilities."""
    data = bookings[[*NUMBERS]].rename(columns={"adr": TARGET})
    model = small(LGBMRegressor, verbose=-1).fit(data.drop(columns=TARGET), data[TARGET])
    model.booster_.save_model(tmp_path / "model.txt")
    _, answers = serve(context, data, str(tmp_path / "model.txt"))
    np.testing.assert_allclose(answers[:, 0], model.predict(data.drop(columns=TARGET)[-20:]), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("maker", [XGBClassifier, LGBMClassifier, CatBoostClassifier])
def test_a_pickled_wrapper_is_served_without_its_pickle(
    maker: Any, context: Context, bookings: pd.DataFrame, tmp_path: Path
) -> None:
    """The registration trusts the pickle; what is served is data, and is many times faster."""
    data = bookings.drop(columns=TEXTS)
    settings = {"verbose": -1} if maker is LGBMClassifier else {}
    model = small(maker, **settings) if maker is not CatBoostClassifier else catboost().set_params(cat_features=[])
    model.fit(data.drop(columns=TARGET), data[TARGET])
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    with pytest.raises(UntrustedFormat, match="--trust pickle"):
        serve(context, data, str(tmp_path / "model.pkl"))
    manifest, answers = serve(context, data, str(tmp_path / "model.pkl"), ("pickle",))
    np.testing.assert_allclose(answers, model.predict_proba(data.drop(columns=TARGET)[-20:]), atol=2e-5)
    assert manifest.served.startswith("portable/")
    assert [tried.format for tried in manifest.candidates][0::2] == ["pickle", "onnx"]
    assert manifest.metrics["portable_speedup"] > 1


@pytest.mark.slow
@pytest.mark.parametrize("flavor", ["xgboost", "lightgbm", "catboost", "sklearn"])
@pytest.mark.filterwarnings("ignore")
def test_an_mlflow_models_native_file(flavor: str, context: Context, bookings: pd.DataFrame, tmp_path: Path) -> None:
    """The folder that MLflow wrote is a model: its native file is taken, and no code is run or trusted."""
    data = bookings.drop(columns=TEXTS)
    features = data.drop(columns=TARGET)
    folder = str(tmp_path / "logged")
    if flavor == "xgboost":
        model = small(XGBClassifier).fit(features, data[TARGET])
        mlflow.xgboost.save_model(model, folder)
    elif flavor == "lightgbm":
        model = small(LGBMClassifier, verbose=-1).fit(features, data[TARGET])
        mlflow.lightgbm.save_model(model.booster_, folder)
    elif flavor == "catboost":
        model = catboost().set_params(cat_features=[]).fit(features, data[TARGET])
        mlflow.catboost.save_model(model, folder)
    else:
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, data[TARGET])
        mlflow.sklearn.save_model(model, folder, serialization_format="skops")
    manifest, answers = serve(context, data, folder)
    np.testing.assert_allclose(answers, model.predict_proba(features[-20:]), atol=2e-5)
    assert manifest.model_format == ("skops" if flavor == "sklearn" else flavor)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_any_pyfunc(context: Context, bookings: pd.DataFrame, tmp_path: Path) -> None:
    """Its labels are classes with probability 1; it runs code, so it is trusted by name or not at all."""

    class Rule(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]  # MLflow loads its modules late
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return (model_input["lead_time"] > 100).astype(int)

    folder = str(tmp_path / "logged")
    mlflow.pyfunc.save_model(folder, python_model=Rule(), infer_code_paths=False, pip_requirements=[])
    with pytest.raises(UntrustedFormat, match="--trust pyfunc"):
        serve(context, bookings, folder)
    manifest, answers = serve(context, bookings, folder, ("pyfunc",))
    assert np.array_equal(answers[:, 1], (bookings.lead_time[-20:] > 100).astype(float))
    assert (manifest.model_format, manifest.model_entry) == ("pyfunc", "model/logged")


def test_a_model_of_other_classes_is_told(context: Context, bookings: pd.DataFrame, tmp_path: Path) -> None:
    """A booster knows how many classes it has; a target with more is the wrong target."""
    model = small(LGBMClassifier, verbose=-1).fit(bookings[NUMBERS], bookings[TARGET])
    model.booster_.save_model(tmp_path / "model.txt")
    data = bookings[NUMBERS].assign(**{TARGET: bookings.deposit_type + bookings.hotel})
    with pytest.raises(UsageError, match="tells 2 classes apart, but the target is_canceled holds"):
        serve(context, data, str(tmp_path / "model.txt"))


def test_a_library_that_is_missing_is_told(
    context: Context, bookings: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra's name is in the message, and nothing is registered."""
    (tmp_path / "model.cbm").write_bytes(b"CBM1")
    monkeypatch.setitem(__import__("sys").modules, "catboost", None)
    with pytest.raises(MissingExtra, match=r"fairlead\[catboost\]"):
        serve(context, bookings, str(tmp_path / "model.cbm"))
    assert context.registry.models() == ()
