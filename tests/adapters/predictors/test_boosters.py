"""The boosting libraries' own files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRegressor
from xgboost import XGBClassifier, XGBRegressor

from fairlead.adapters.predictors import boosters
from fairlead.adapters.predictors.boosters import inside, load_booster, try_out
from fairlead.adapters.predictors.reader import ModelFiles
from fairlead.adapters.predictors.served import sklearn_predictor
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.errors import BundleError, MissingExtra
from fairlead.ports.predictor import Cells
from fairlead.testing.model_reader import check_model_reader

SUFFIX = {"xgboost": ".ubj", "lightgbm": ".txt", "catboost": ".cbm"}
FORMATS = tuple(SUFFIX)
SLOW_CATBOOST = (
    "xgboost",
    "lightgbm",
    pytest.param("catboost", marks=pytest.mark.slow),
)  # imports itself in each trial
FEATURES = (
    Feature("price", Kind.NUMBER, nullable=True),
    Feature("nights", Kind.INTEGER),
    Feature("repeated", Kind.BOOLEAN),
)
MEAL = Feature("meal", Kind.CATEGORY, nullable=True, categories=("bb", "fb", "hb"))
CLASSES = {Task.BINARY: ("no", "yes"), Task.MULTICLASS: ("a", "b", "c"), Task.REGRESSION: ()}


def frame(rows: int = 400) -> pd.DataFrame:
    """Numbers with nulls, whole numbers and flags."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame(
        {
            "price": rng.normal(100, 20, rows).round(2),
            "nights": rng.integers(0, 9, rows),
            "repeated": rng.integers(0, 2, rows).astype(bool),
        }
    )
    data.loc[::5, "price"] = np.nan
    return data


def meals(rows: int = 400) -> Any:
    """A category with nulls."""
    return pd.Series(np.random.default_rng(1).choice(["bb", "hb", "fb"], rows)).mask(np.arange(rows) % 7 == 0)


def rows_of(data: pd.DataFrame, count: int = 30) -> list[tuple[Any, ...]]:
    """Rows as the port takes them."""
    lists = [data[name].iloc[:count].astype(object).tolist() for name in data.columns]
    return [tuple(None if pd.isna(cell) else cell for cell in row) for row in zip(*lists, strict=True)]


def truth(data: pd.DataFrame, task: Task) -> Any:
    """What is to be learned, as numbers of classes or as values."""
    value = data.price.fillna(90.0) + 10 * data.nights + np.random.default_rng(2).normal(0, 10, len(data))
    if task is Task.REGRESSION:
        return value
    return np.digitize(value, np.quantile(value, [0.5] if task is Task.BINARY else [0.3, 0.7]))


MAKERS: dict[str, tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]] = {
    "xgboost": (XGBClassifier, XGBRegressor, {"n_estimators": 20, "enable_categorical": True, "n_jobs": 1}),
    "lightgbm": (LGBMClassifier, LGBMRegressor, {"n_estimators": 20, "verbose": -1, "n_jobs": 1}),
    "catboost": (
        CatBoostClassifier,
        CatBoostRegressor,
        {"iterations": 20, "verbose": 0, "allow_writing_files": False, "thread_count": 1},
    ),
}


@dataclass(frozen=True)
class Boosted:
    """A fitted wrapper, the library's own file of it, and what the library answers."""

    form: str
    model: Any
    data: bytes
    contract: Contract
    rows: list[tuple[Any, ...]]
    answers: Any

    def save(self, folder: Path) -> Path:
        """Writes the library's own file."""
        path = folder / f"model{SUFFIX[self.form]}"
        path.write_bytes(self.data)
        return path


def boosted(form: str, task: Task, *, categories: bool = False, **settings: Any) -> Boosted:
    """Fits one, and asks it."""
    data = frame()
    features: tuple[Feature, ...] = FEATURES
    if categories:
        meal = meals().fillna("nan") if form == "catboost" else meals().astype("category")
        data, features = data.assign(meal=meal), (*features, MEAL)
        settings |= {"cat_features": ["meal"]} if form == "catboost" else {}
    classifier, regressor, common = MAKERS[form]
    maker = regressor if task is Task.REGRESSION else classifier
    model = maker(**common, **settings).fit(data, truth(data, task))
    found = inside(model)
    assert found is not None
    asked = model.predict(data[:30]) if task is Task.REGRESSION else model.predict_proba(data[:30])
    rows = rows_of(frame().assign(meal=meals()) if categories else frame())
    classes = CLASSES[task] if form != "catboost" else tuple(map(str, range(len(CLASSES[task]))))
    contract = Contract(features, task, "target", classes)
    return Boosted(form, model, found[1], contract, rows, np.asarray(asked, np.float64).reshape(30, -1))


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("form", SLOW_CATBOOST)
def test_a_librarys_own_file_keeps_the_port(form: str, task: Task, tmp_path: Path) -> None:
    """It opens as a model, answers as the library does, and has a translation."""
    one = boosted(form, task)
    path = one.save(tmp_path)
    check_model_reader(ModelFiles(), path, one.contract, one.rows)
    opened = ModelFiles().open(path)
    assert (opened.facts.format, opened.facts.names, opened.facts.width) == (form, one.contract.names, 3)
    assert opened.facts.classifier == (task is not Task.REGRESSION)
    np.testing.assert_allclose(opened.predictor(one.contract).predict(one.rows), one.answers, rtol=1e-6, atol=1e-7)
    (translation,) = opened.translations(one.contract)
    assert translation.model is not None, translation.reason


@pytest.mark.parametrize("form", FORMATS)
def test_categories_are_given_as_the_library_wants_them(form: str, tmp_path: Path) -> None:
    """The file's own codes or texts, nulls among them; ONNX has no such trees, and says so."""
    one = boosted(form, Task.BINARY, categories=True)
    opened = ModelFiles().open(one.save(tmp_path))
    predictor = opened.predictor(one.contract)
    np.testing.assert_allclose(predictor.predict(one.rows), one.answers, rtol=1e-6, atol=1e-7)
    unseen = predictor.predict([(*one.rows[0][:-1], "breakfast")])
    assert np.isfinite(unseen).all()
    (translation,) = opened.translations(one.contract)
    assert translation.reason.startswith("ONNX has no trees with categories")


@pytest.mark.parametrize("form", FORMATS)
def test_the_wrappers_are_answered_as_they_were_trained(form: str) -> None:
    """A scikit-learn wrapper gets back the category columns that it was fitted on, and the booster in it agrees."""
    one = boosted(form, Task.BINARY, categories=True)
    classes = tuple(str(label) for label in one.model.classes_)
    contract = Contract(one.contract.features, Task.BINARY, "target", classes)
    rows = one.rows if form != "catboost" else [(*row[:-1], row[-1] or "nan") for row in one.rows]
    np.testing.assert_allclose(sklearn_predictor(one.model, contract).predict(rows), one.answers, atol=1e-7)


@pytest.mark.parametrize("form", ["xgboost", "lightgbm"])
def test_columns_are_answered_as_rows_are(form: str) -> None:
    """Bit for bit, nulls and categories included."""
    one = boosted(form, Task.BINARY, categories=True)
    predictor: Any = load_booster(form, one.data).predictor(one.contract)
    cells = []
    for column in zip(*one.rows, strict=True):
        missing = np.array([cell is None for cell in column])
        kept = [next(cell for cell in column if cell is not None) if cell is None else cell for cell in column]
        cells.append(Cells(np.array(kept), missing))
    assert np.array_equal(predictor.predict_columns(cells), predictor.predict(one.rows))


@pytest.mark.parametrize(
    ("form", "task", "settings"),
    [
        ("xgboost", Task.BINARY, {"objective": "binary:logitraw"}),
        ("xgboost", Task.MULTICLASS, {"objective": "multi:softmax"}),
        ("lightgbm", Task.MULTICLASS, {"objective": "multiclassova"}),
        ("catboost", Task.MULTICLASS, {"loss_function": "MultiClassOneVsAll"}),
    ],
)
def test_raw_scores_and_labels_become_probabilities(form: str, task: Task, settings: dict[str, Any]) -> None:
    """By the objective's own rule: the logistic function, softmax, or a share of the sum."""
    one = boosted(form, task, **settings)
    answers = load_booster(form, one.data).predictor(one.contract).predict(one.rows)
    np.testing.assert_allclose(answers.sum(axis=1), 1.0, atol=1e-6)
    said = one.answers / one.answers.sum(axis=1, keepdims=True)
    if settings["objective" if "objective" in settings else "loss_function"] == "binary:logitraw":
        margin = one.model.get_booster().inplace_predict(frame()[:30].astype(float), predict_type="margin")
        said = np.column_stack([1 - 1 / (1 + np.exp(-margin)), 1 / (1 + np.exp(-margin))])
    np.testing.assert_allclose(answers, said, atol=1e-6)


@pytest.mark.parametrize(
    ("form", "settings"),
    [
        ("xgboost", {"objective": "binary:hinge"}),
        ("xgboost", {"booster": "gblinear"}),
        ("lightgbm", {"objective": lambda truth, score: (score - truth, np.ones_like(score))}),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_an_objective_that_no_contract_has_is_refused(form: str, settings: dict[str, Any]) -> None:
    """Hinge labels, linear boosters and functions of one's own: one line says what may be used."""
    with pytest.raises(BundleError, match=r"answers are neither|only trees"):
        load_booster(form, boosted_bytes(form, settings))


def boosted_bytes(form: str, settings: dict[str, Any]) -> bytes:
    """The file of a classifier that no contract takes."""
    classifier, _, common = MAKERS[form]
    common = {**common, "enable_categorical": False} if form == "xgboost" else common
    found = inside(classifier(**common, **settings).fit(frame().astype(float), truth(frame(), Task.BINARY)))
    assert found is not None
    return found[1]


@pytest.mark.parametrize("form", FORMATS)
def test_a_model_that_does_not_fit_its_contract_is_told(form: str) -> None:
    """Too few features, text for a number, too many classes, and a value where classes are asked."""
    model = load_booster(form, boosted(form, Task.BINARY).data)
    texts = Feature("price", Kind.CATEGORY, categories=("x",))
    for features, task, classes, what in (
        (FEATURES[:2], Task.BINARY, ("0", "1"), "takes 3 features, but the contract has 2"),
        ((texts, *FEATURES[1:]), Task.BINARY, ("0", "1"), "holds text"),
        (FEATURES, Task.MULTICLASS, ("0", "1", "2"), "tells 2 classes apart, but the contract asks for the 3 classes"),
        (FEATURES, Task.REGRESSION, (), "tells 2 classes apart, but the contract asks for one value"),
    ):
        with pytest.raises(BundleError, match=what):
            model.predictor(Contract(tuple(features), task, "target", classes))


@pytest.mark.parametrize("form", SLOW_CATBOOST)
def test_damaged_files_are_told_and_end_nothing(form: str, tmp_path: Path) -> None:
    """Cut short, overwritten, empty, or another library's: the readers may crash, but in a process of their own."""
    whole = boosted(form, Task.BINARY).data
    other = b"tree\nversion=v4\n" if form != "lightgbm" else b"{}"
    middle = len(whole) // 2
    for data in (b"", b"garbage", other, whole[:middle]):
        path = tmp_path / f"model{SUFFIX[form]}"
        path.write_bytes(data)
        with pytest.raises(BundleError, match=f"is no whole {form} model") as caught:
            ModelFiles().open(path)
        assert caught.value.line == str(caught.value)


def test_a_reader_that_hangs_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the limit the trial's process is ended."""
    path = boosted("lightgbm", Task.BINARY).save(tmp_path)
    monkeypatch.setattr(boosters, "TRIAL_SECONDS", 0.0)
    with pytest.raises(BundleError, match="took more than 0 s"):
        try_out(path, "lightgbm")


@pytest.mark.parametrize("form", FORMATS)
def test_a_missing_library_names_its_extra(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, with what to install."""
    path = boosted(form, Task.BINARY).save(tmp_path)
    monkeypatch.setitem(sys.modules, form, None)
    with pytest.raises(MissingExtra, match=rf"pip install 'fairlead\[{form}\]'"):
        ModelFiles().open(path)


@pytest.mark.parametrize("form", ["xgboost", "lightgbm"])
def test_a_worker_needs_no_python_package_of_the_library(form: str, tmp_path: Path) -> None:
    """The compiled library answers by itself: neither its Python package nor a data frame is imported."""
    one = boosted(form, Task.BINARY)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from fairlead.adapters.predictors.served import native_predictor\n"
        "from fairlead.core.contract import Contract, Feature, Kind, Task\n"
        "features = tuple(Feature(name, Kind.NUMBER) for name in 'abc')\n"
        "contract = Contract(features, Task.BINARY, 'y', ('0', '1'))\n"
        f"predictor = native_predictor('{form}', Path(sys.argv[1]).read_bytes(), contract)\n"
        "assert predictor.predict([(1.0, 2, None)]).shape == (1, 2)\n"
        "print(*{name.split('.')[0] for name in sys.modules})\n"
    )
    command = [sys.executable, "-c", program, str(one.save(tmp_path))]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert "fairlead" in loaded
    assert loaded & {form, "pandas", "sklearn", "scipy", "onnx", "onnxruntime", "mlflow", "catboost"} == set()
