"""Formats of model files, and trust."""

from __future__ import annotations

import pickle
import struct
import zipfile
from functools import partial
from io import BytesIO
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


def zeros(megabytes: int, compression: int) -> bytes:
    """A model of scikit-learn's own kind that holds an array of zeros."""
    model = KNeighborsClassifier()
    model.weights_of_nothing = np.zeros(megabytes * 2**17)
    data: bytes = skops.dumps(model, compression=compression)
    return data


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_file_that_unpacks_to_a_thousand_times_its_size_is_refused(compression: int) -> None:
    """Before it is unpacked; the same array without compression is a model, and so is a small file of zeros."""
    bomb = zeros(60, compression)
    assert len(bomb) < 2**20
    with pytest.raises(BundleError, match=r"m\.skops unpacks to 63 MB; from its .* at most 52 MB"):
        load_sklearn("m.skops", "skops", bomb, ())
    assert load_sklearn("m.skops", "skops", zeros(60, zipfile.ZIP_STORED), ()).weights_of_nothing.nbytes == 60 * 2**20
    assert load_sklearn("m.skops", "skops", zeros(10, compression), ()).weights_of_nothing.nbytes == 10 * 2**20


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_file_that_lies_about_its_size_is_refused(compression: int) -> None:
    """Whether it says less than it holds, or more."""
    honest = zeros(60, zipfile.ZIP_DEFLATED) if compression else zeros(1, zipfile.ZIP_STORED)
    with zipfile.ZipFile(BytesIO(honest)) as archive:
        (member,) = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    said = struct.pack("<LL", member.compress_size, member.file_size)
    lie = struct.pack("<LL", member.compress_size, 1000 if compression else 2**24)
    at = honest.rindex(said)  # in the directory at the end of the file
    assert at > archive.start_dir
    with pytest.raises(BundleError, match="more than it says"):
        load_sklearn("m.skops", "skops", honest[:at] + lie + honest[at + len(lie) :], ())


def test_a_model_that_was_compressed_is_a_model() -> None:
    """Compression as such is no harm."""
    model = DecisionTreeClassifier().fit(X, Y)
    loaded = load_sklearn("m.skops", "skops", skops.dumps(model, compression=zipfile.ZIP_DEFLATED), ())
    assert np.array_equal(loaded.predict(X), model.predict(X))
