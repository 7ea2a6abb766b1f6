"""The bundle: the immutable, hashed folder that is validated and served."""

from __future__ import annotations

from hashlib import sha256

import msgspec
from msgspec import Struct

from fairlead.core.contract import Contract, Feature

# Names of the files in a bundle. The original model lies under `model/` as it was given.
MANIFEST = "manifest.json"
MODEL = "model"
PORTABLE = "portable/model.onnx"
# Translations of the original: format -> path.
TRANSLATIONS = {
    "onnx": PORTABLE,
    "xgboost": "portable/model.ubj",
    "lightgbm": "portable/model.txt",
    "catboost": "portable/model.cbm",
}
FEATURES = "features"  # the folder of the code that computes what the model sees
PROFILE = "profile.json"
GOLDEN = "golden.json"
HELDOUT = "heldout.parquet"
CARD = "card.json"
TRAINING = "training.json"  # what only the registration could know of the training rows


class Parity(Struct, frozen=True):
    """How far the portable model's answers lie from the original's on the golden set."""

    rows: int
    largest_difference: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the portable model may be served in the original's place."""
        return self.rows > 0 and self.largest_difference <= self.tolerance


class Tried(Struct, frozen=True):
    """A format that could have been served, and what was measured of it."""

    format: str
    parity: Parity | None = None  # None where it could not be had, or for the original itself
    microseconds: float | None = None  # the median time of one row; None on a clock that stands still
    speedup: float | None = None  # how many times faster it answers a row than the original
    reason: str = ""  # why it cannot be had


class Lineage(Struct, frozen=True):
    """Where a version comes from."""

    dataset: str  # version or name of the training data
    dataset_digest: str
    rows: int
    trained_from: str | None = None  # event time of the first and last training row, where known
    trained_to: str | None = None
    code_commit: str | None = None
    run_id: str | None = None
    parent: int | None = None  # the champion that this version was trained to replace
    environment: dict[str, str] = {}  # package -> version, python included


class ModelCard(Struct, frozen=True):
    """The thirteen fields that every deployed model must state (after Mitchell et al., 2019)."""

    model_name: str = ""
    version: str = ""
    date: str = ""
    owner: str = ""
    intended_use: str = ""
    out_of_scope_use: str = ""
    training_data: str = ""
    evaluation_data: str = ""
    metrics: str = ""
    subgroup_performance: str = ""
    ethical_considerations: str = ""
    caveats_and_recommendations: str = ""
    maintenance_plan: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The fields that say nothing."""
        return tuple(name for name in self.__struct_fields__ if not getattr(self, name).strip())


class Golden(Struct, frozen=True):
    """Rows with the original model's answers: what every later load of the bundle must reproduce.

    `rows` are JSON objects by feature name; `outputs` has a row of class probabilities (or one value) for each.
    """

    rows: tuple[dict[str, float | int | bool | str | None], ...]
    outputs: tuple[tuple[float, ...], ...]


class Recalibration(Struct, frozen=True):
    """A binary version's own correction: logit of what it answers is slope times logit of the model's answer plus
    intercept. The slope is positive, so that rows stay in their order."""

    slope: float
    intercept: float


class FeatureCode(Struct, frozen=True):
    """A function in the bundle that computes what the model sees of what a request holds; the manifest's contract is of
    the request then. What it does not compute the model sees as it came."""

    entry: str  # the path of its file or folder in the bundle
    call: str  # the function's name in it
    computed: tuple[str, ...]  # what it computes
    features: tuple[Feature, ...]  # what the model sees, in the model's order
    parity: Parity  # how far a row computed as served lies from the same row of the whole reference


class Manifest(Struct, frozen=True):
    """What a bundle holds. `files` maps each file's path in the folder to the SHA-256 of its bytes."""

    name: str
    contract: Contract
    model_format: str  # skops | onnx | xgboost | lightgbm | catboost | pickle | joblib | cloudpickle | python | pyfunc
    model_entry: str  # the model's path in the bundle: a file, or a folder
    served: str  # the path of what is served: the fastest translation whose parity holds, else the original
    files: dict[str, str]
    lineage: Lineage
    parity: Parity | None = None
    metrics: dict[str, float] = {}  # on the held-out set
    segments: tuple[str, ...] = ()  # the columns whose groups the card's subgroup performance is of
    threshold: float = 0.5  # binary: probability of the last class from which it is predicted
    model_call: str = ""  # the function's name in Python code
    candidates: tuple[Tried, ...] = ()  # what could have been served, the original first
    features: FeatureCode | None = None  # code that computes the model's features, where it is part of the bundle
    recalibration: Recalibration | None = None  # what is done to the model's answers before anybody sees them

    def format_of(self, entry: str) -> str:
        """The format of the original, or of a translation, by its path in the bundle."""
        found = next((form for form, path in TRANSLATIONS.items() if path == entry), None)
        return found or self.model_format


def digest_of(manifest: Manifest) -> str:
    """The bundle's identity: the SHA-256 of its manifest, which holds the digest of every file."""
    return sha256(msgspec.json.encode(manifest, order="deterministic")).hexdigest()
