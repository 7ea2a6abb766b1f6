"""The formats of model files, and which of them run code when they are loaded."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection
from copy import copy
from io import BytesIO
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from fairlead.errors import BundleError, MissingExtra, UntrustedFormat, UsageError

# Suffix of the file -> format.
FORMATS = {
    ".skops": "skops",
    ".onnx": "onnx",
    ".ubj": "xgboost",
    ".json": "xgboost",
    ".xgb": "xgboost",  # MLflow's name for either
    ".txt": "lightgbm",
    ".lgb": "lightgbm",  # MLflow's name for it
    ".cbm": "catboost",
    ".cb": "catboost",  # MLflow's name for it
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".joblib": "joblib",
    ".cloudpickle": "cloudpickle",
    ".py": "python",
}
RUN_CODE = frozenset({"pickle", "joblib", "cloudpickle", "python", "pyfunc"})
NATIVE = frozenset({"onnx", "xgboost", "lightgbm", "catboost"})  # data, whatever file they come from

# A skops file is a zip file. What it may unpack to, in bytes: its own size, and beyond that up to the first figure,
# or so many times its own size up to the last. Weights shrink to a tenth at best, a file of zeros to a thousandth.
UNPACKED_FREE, UNPACKED_TIMES, UNPACKED_MOST = 50 * 2**20, 200, 2 * 2**30
_PIECE = 4096  # zipfile unpacks no less at once; bzip2 and lzma make up to 200 MB of it

# What a skops file may hold beside what skops trusts by itself: scikit-learn's compiled trees, losses, distances and
# calibrators, and numpy's types. They are data; none runs anything that the file brought.
ALLOWED_TYPES = frozenset(
    {
        "numpy.dtype",
        "sklearn._loss.link.HalfLogitLink",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogLink",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.AbsoluteError",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfGammaLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfPoissonLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn._loss.loss.HuberLoss",
        "sklearn._loss.loss.PinballLoss",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        # HistGradientBoosting's preprocessor of categories is a partial of check_array. What is inside a partial is
        # named and checked by itself, so this lets no other function in.
        "functools.partial",
        "sklearn.utils.validation.check_array",
    }
)


def format_of(name: str) -> str:
    """The format of a file by its suffix. Raises `UsageError` naming the known ones."""
    suffix = "." + name.rpartition(".")[2].lower()
    if suffix not in FORMATS:
        raise UsageError(f"cannot tell the format of the model {name}: its name should end in {', '.join(FORMATS)}")
    return FORMATS[suffix]


def check_trust(name: str, form: str, trust: Collection[str]) -> None:
    """Raises `UntrustedFormat` for a format that runs code when it is loaded, unless it is trusted by name."""
    if form in ("python", "pyfunc") and form not in trust:
        what = "Python code" if form == "python" else "an MLflow model, which runs its own code when it is loaded"
        raise UntrustedFormat(
            f"{name} is {what}: if you know who wrote it, say `trust: [{form}]` in the settings, "
            f"or --trust {form} to register"
        )
    if form in RUN_CODE and form not in trust:
        raise UntrustedFormat(
            f"{name} is a {form} file, which runs code when it is loaded: save the model with skops.io.dump(), "
            f"or, if you know who wrote it, say `trust: [{form}]` in the settings, or --trust {form} to register"
        )


def load_sklearn(name: str, form: str, data: bytes, trust: Collection[str]) -> Any:
    """The model in a file's bytes. Raises `UntrustedFormat`, or `BundleError` when the file is not what it says."""
    check_trust(name, form, trust)
    try:
        return _LOADERS[form](name, data)
    except (BundleError, UntrustedFormat, MissingExtra):
        raise
    except Exception as error:  # a damaged or foreign file fails in as many ways as there are classes
        text = str(error).partition("\n")[0]
        raise BundleError(
            f"{name} cannot be loaded as a {form} file ({type(error).__name__}: {text}): "
            "save the model again, with the package versions that are installed here"
        ) from error


def _skops(name: str, data: bytes) -> Any:
    try:
        from skops import io as skops
    except ModuleNotFoundError as error:
        raise MissingExtra("skops", "sklearn", f"reading the model {name}") from error
    _check_unpacked(name, data)
    unknown = [found for found in skops.get_untrusted_types(data=data) if found not in ALLOWED_TYPES]
    if unknown:
        raise UntrustedFormat(
            f"{name} holds {', '.join(unknown)}, which fairlead does not know to be safe: "
            "use scikit-learn's own steps, or convert the model to ONNX"
        )
    return skops.loads(data, trusted=sorted(ALLOWED_TYPES))


def _check_unpacked(name: str, data: bytes) -> None:
    """Raises `BundleError` for a zip file that unpacks to more than it may, or to more than it says.

    What is stored is as long as it is. What is compressed is unpacked once, in pieces that are thrown away, because
    the size that the file states may be a lie.
    """
    most = max(len(data), UNPACKED_FREE, min(UNPACKED_MOST, UNPACKED_TIMES * len(data)))
    with ZipFile(BytesIO(data)) as archive:
        members = archive.infolist()
        stated = sum(member.file_size for member in members)
        lies = any(_is_longer(archive, member, most) for member in members) if stated <= most else False
    if stated > most or lies:
        size = "more than it says" if lies else f"{stated / 1e6:.0f} MB"
        raise BundleError(
            f"{name} unpacks to {size}; from its {len(data) / 1e6:.1f} MB at most {most / 1e6:.0f} MB are taken: "
            "save the model again, without compression"
        )


def _is_longer(archive: ZipFile, member: ZipInfo, most: int) -> bool:
    if member.compress_type == ZIP_STORED:
        return member.file_size > member.compress_size
    endless = copy(member)
    endless.file_size = most + 1  # zipfile stops where this says, so it must not say what is to be checked
    unpacked = 0
    with archive.open(endless) as file:
        while unpacked <= member.file_size and (piece := file.read(_PIECE)):
            unpacked += len(piece)
    return unpacked > member.file_size


def _pickle(_: str, data: bytes) -> Any:
    return pickle.loads(data)  # noqa: S301  # trusted by name: see check_trust


def _joblib(name: str, data: bytes) -> Any:
    try:
        import joblib  # type: ignore[import-untyped]  # joblib ships no types
    except ModuleNotFoundError as error:
        raise MissingExtra("joblib", "sklearn", f"reading the model {name}") from error
    return joblib.load(BytesIO(data))


_LOADERS: dict[str, Callable[[str, bytes], Any]] = {
    "skops": _skops,
    "pickle": _pickle,
    "cloudpickle": _pickle,  # cloudpickle writes pickles; reading one imports cloudpickle by itself
    "joblib": _joblib,
}
