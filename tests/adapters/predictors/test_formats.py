"""Formats of model files, and trust."""

from __future__ import annotations

import pickle
from functools import partial
from os import system
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]  # ships no types
import joblib  # type: ignore[import-untyped]  # ships no types
import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier
from skops import io as skops

from fairlead.adapters.predictors.formats import FORMATS, RUN_CODE, format_of, load_sklearn
from fairlead.errors import BundleError, UntrustedFormat, UsageError

X = np.random.default_rng(0).normal(size=(60, 2))
Y = (X[:, 0] > 0).astype(int)


def test_a_suffix_tells_the_format() -> None:
    """Each known suffix, whatever its case; any other is an error that names them."""
    assert format_of("Model.SKOPS") == "skops"
    assert {format_of(f"m{suffix}") for suffix in FORMATS} == set(FORMATS.values())
    for name in ("model.bin", "model", "model.zip"):
        with pytest.raises(UsageError, match=r"should end in \.skops, \.onnx"):
            format_of(name)


@pytest.mark.parametrize("form", sorted(RUN_CODE))
def test_code_runs_only_when_allowed_by_name(form: str, tmp_path: Path) -> None:
    """A file that would run a command is refused unread; trusting another format changes nothing."""

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "exploded",))

    data = pickle.dumps(Bomb())
    for trust in ((), RUN_CODE - {form}):
        with pytest.raises(UntrustedFormat, match=f"--trust {form}"):
            load_sklearn("m", form, data, trust)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("form", "dump"), [("pickle", pickle.dumps), ("cloudpickle", cloudpickle.dumps), ("joblib", None)]
)
def test_a_trusted_pickle_is_the_model(form: str, dump: Any, tmp_path: Path) -> None:
    """Allowed by name, each format gives the model back."""
    model = DecisionTreeClassifier().fit(X, Y)
    if dump is None:
        joblib.dump(model, tmp_path / "m.joblib")
    data = dump(model) if dump else (tmp_path / "m.joblib").read_bytes()
    loaded = load_sklearn("m", form, data, [form])
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(),
        HistGradientBoostingRegressor(max_iter=3),
        HistGradientBoostingRegressor(max_iter=3, loss="gamma"),
        CalibratedClassifierCV(DecisionTreeClassifier()),
        KNeighborsClassifier(),
        MLPClassifier((3,), max_iter=1000, tol=1.0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_scikit_learns_own_models_are_safe(model: Any) -> None:
    """What skops does not know by itself but scikit-learn wrote is allowed."""
    model.fit(X, Y + 1)
    loaded = load_sklearn("m.skops", "skops", skops.dumps(model), ())
    assert np.array_equal(loaded.predict(X), model.predict(X))


def double(values: Any) -> Any:
    """A step of the user's own."""
    return values * 2


@pytest.mark.parametrize(
    ("function", "named"), [(double, "double"), (partial(system, "true"), "system"), (partial(double), "double")]
)
def test_a_type_beyond_the_list_is_named(function: Any, named: str) -> None:
    """A step of the user's own is refused by name, also inside a partial."""
    step = FunctionTransformer(function)
    data = skops.dumps(make_pipeline(step, DecisionTreeClassifier()))
    with pytest.raises(UntrustedFormat, match=rf"m\.skops holds .*{named}"):
        load_sklearn("m.skops", "skops", data, ())


@pytest.mark.parametrize(("form", "trust"), [("skops", ()), ("pickle", ("pickle",)), ("joblib", ("joblib",))])
@pytest.mark.parametrize("data", [b"", b"garbage", b"PK\x03\x04"])
def test_a_damaged_file_is_an_error_of_the_bundle(form: str, trust: tuple[str, ...], data: bytes) -> None:
    """One line with the name, whatever the loader raised."""
    with pytest.raises(BundleError, match=rf"^m cannot be loaded as a {form} file") as caught:
        load_sklearn("m", form, data, trust)
    assert "\n" not in str(caught.value)
