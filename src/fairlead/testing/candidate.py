"""A small but complete bundle over a model given by a formula: contract, golden set, profile, held-out rows, card."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.core.bundle import (
    CARD,
    GOLDEN,
    HELDOUT,
    PORTABLE,
    PROFILE,
    TRAINING,
    Golden,
    Lineage,
    Manifest,
    ModelCard,
    Parity,
)
from fairlead.core.contract import Contract, Feature, Kind, Policy, Task
from fairlead.core.event import canonical
from fairlead.core.report import SCORE
from fairlead.core.training import Simple, Slice, Split, Spread, Times, TrainingFacts, Twins
from fairlead.ports.predictor import Predictor
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.fairness import Counts
from fairlead.stats.profile import TableProfile, profile

CITIES = ("aspen", "berlin", "cairo")
CONTRACT = Contract(
    features=(
        Feature("age", Kind.NUMBER, minimum=18.0, maximum=90.0),
        Feature("nights", Kind.INTEGER, minimum=1, maximum=14, missing=Policy.IMPUTE, fill=3),
        Feature("city", Kind.CATEGORY, categories=CITIES),
    ),
    task=Task.BINARY,
    target="canceled",
    classes=("0", "1"),
)
# As a registration measures 2,000 drawn rows, held out rows being drawn anew.
FACTS = TrainingFacts(
    split=Split("file", 2000, 600, 0.01, 0.02),
    twins=Twins(2000, 120, 600, 30, Spread(0.87, 0.84, 0.9, 600), Spread(0.87, 0.84, 0.9, 570)),
    times=Times(),
    broken_rules={},
    outside={},
    infinite={},
    single={"age": 0.8, "nights": 0.75, "city": 0.6},
    copies=(),
    train_quality=Spread(0.88, 0.87, 0.89, 2000),
    heldout_quality=Spread(0.87, 0.84, 0.9, 600),
    simple=Simple("logistic regression", "AUROC", 0.87, 0.869, Spread(0.001, -0.002, 0.004, 600)),
    importances={"age": 0.2, "nights": 0.1, "city": 0.03},
    slices=(Slice("city", "aspen", Spread(0.86, 0.8, 0.91, 200), Spread(0.87, 0.84, 0.9, 400)),),
    groups={"city": {"1": {"aspen": Counts(80, 20, 20, 80), "berlin": Counts(80, 20, 20, 80)}}},
    dataset_named=False,
)
FULL_CARD = ModelCard(*(f"what the card says of {name}" for name in ModelCard.__struct_fields__))
MODEL_FILE = "model/model.skops"

Rows = list[tuple[float, int, str]]


class StayPredictor:
    """The chance of a cancellation by a formula. `blur` in [0, 1] mixes noise in: 1 knows nothing."""

    def __init__(self, blur: float = 0.0) -> None:
        self._blur = blur

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """(n, 2) probabilities."""
        shares = np.array([_chance(*row) for row in rows], np.float64)
        noise = np.array([_noise(row) for row in rows], np.float64)
        one = (1 - self._blur) * shares + self._blur * noise
        return np.column_stack([1 - one, one])


def _chance(age: float, nights: int, city: str) -> float:
    effect = CITIES.index(city) if city in CITIES else 0
    logit = 0.08 * (min(age, 1000.0) - 50) + 0.3 * ((nights or 3) - 7) + 0.7 * (effect - 1)
    return float(1 / (1 + np.exp(-logit)))


def _noise(row: tuple[Any, ...]) -> float:
    return int(sha256(repr(row).encode()).hexdigest()[:8], 16) / 2**32


class Parts(Struct, frozen=True):
    """What a bundle may differ in. Without `portable` the original is served."""

    name: str = "stay"
    contract: Contract = CONTRACT
    card: ModelCard = FULL_CARD
    heldout_rows: int = 600
    golden_shift: float = 0.0  # added to the recorded outputs: a model that answers otherwise than it did
    model: bytes = b"a model by formula"
    portable: bytes | None = b"its translation"
    tolerance: float = 1e-5
    seed: int = 0
    training: TrainingFacts | None = FACTS  # None: a bundle from before there were any
    reference: tuple[Column, ...] | None = None  # the features that the profile is of; None: 2,000 drawn rows
    lineage: Lineage = Lineage("drawn", "0" * 64, 2000)


def draw(count: int, seed: int) -> tuple[Rows, NDArray[np.int8]]:
    """Rows as (age, nights, city), and outcomes drawn from the formula."""
    rng = np.random.default_rng(seed)
    ages, nights = rng.uniform(18, 90, count).round(1).tolist(), rng.integers(1, 15, count).tolist()
    rows = list(zip(ages, nights, rng.choice(CITIES, count).tolist(), strict=True))
    truth = rng.random(count) < StayPredictor().predict(rows)[:, 1]
    return rows, truth.astype(np.int8)


def write_candidate(folder: Path, parts: Parts | None = None, predictor: Predictor | None = None) -> Manifest:
    """Writes the bundle's files and returns its manifest. `predictor` gives the recorded golden outputs."""
    parts, predictor = parts or Parts(), predictor or StayPredictor()
    golden_rows, _ = draw(40, parts.seed + 1)
    outputs = predictor.predict(golden_rows) + parts.golden_shift
    names = ("age", "nights", "city")
    golden = Golden(
        rows=tuple(dict(zip(names, row, strict=True)) for row in golden_rows),
        outputs=tuple(tuple(values) for values in outputs.tolist()),
    )
    contents = {
        MODEL_FILE: parts.model,
        GOLDEN: msgspec.json.encode(golden),
        CARD: msgspec.json.encode(parts.card),
        PROFILE: msgspec.json.encode(_profiled(parts, predictor)),
    }
    if parts.training is not None:
        contents[TRAINING] = canonical(parts.training)
    if parts.portable is not None:
        contents[PORTABLE] = parts.portable
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    _write_heldout(folder / HELDOUT, parts)
    paths = [*contents, HELDOUT]
    return Manifest(
        name=parts.name,
        contract=parts.contract,
        model_format="skops",
        model_entry=MODEL_FILE,
        served=MODEL_FILE if parts.portable is None else PORTABLE,
        files={path: sha256((folder / path).read_bytes()).hexdigest() for path in paths},
        lineage=parts.lineage,
        parity=None if parts.portable is None else Parity(len(golden_rows), 0.0, parts.tolerance),
    )


def _profiled(parts: Parts, predictor: Predictor) -> TableProfile:
    rows, _ = draw(2000, parts.seed + 2)
    features = profile(parts.reference or columns_of(rows))
    score = profile([NumericColumn(SCORE, predictor.predict(rows)[:, -1])])
    return TableProfile(features.rows, (*features.columns, *score.columns))


def columns_of(rows: Rows) -> tuple[Column, ...]:
    """Drawn rows as columns."""
    ages, nights, cities = zip(*rows, strict=True)
    codes = np.array([CITIES.index(city) for city in cities], np.int32)
    return (
        NumericColumn("age", np.array(ages, np.float64)),
        NumericColumn("nights", np.array(nights, np.float64)),
        CategoricalColumn("city", codes, CITIES),
    )


def _write_heldout(path: Path, parts: Parts) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows, truth = draw(parts.heldout_rows, parts.seed + 3)
    ages, nights, cities = zip(*rows, strict=True) if rows else ((), (), ())
    table = {
        "age": pa.array(ages, pa.float64()),
        "nights": pa.array(nights, pa.int64()),
        "city": pa.array(cities, pa.string()),
        "canceled": pa.array(truth, pa.int8()),
    }
    pq.write_table(pa.table(table), path)


def formula_onnx() -> bytes:
    """The formula as an ONNX model, with an input for each feature: a portable model that really loads."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Clip", ["age", "", "oldest"], ["years"]),
        helper.make_node(
            "LabelEncoder",
            ["city"],
            ["effect"],
            domain="ai.onnx.ml",
            keys_strings=list(CITIES),
            values_floats=[0.0, 1.0, 2.0],
            default_float=0.0,
        ),
        helper.make_node("Concat", ["years", "nights", "effect"], ["row"], axis=1),
        helper.make_node("Gemm", ["row", "weights", "bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
    ]
    inputs = [
        helper.make_tensor_value_info("age", TensorProto.FLOAT, [None, 1]),
        helper.make_tensor_value_info("nights", TensorProto.FLOAT, [None, 1]),
        helper.make_tensor_value_info("city", TensorProto.STRING, [None, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "stay",
        inputs,
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])],
        [
            helper.make_tensor("oldest", TensorProto.FLOAT, [], [1000.0]),
            helper.make_tensor("weights", TensorProto.FLOAT, [3, 1], [0.08, 0.3, 0.7]),
            helper.make_tensor("bias", TensorProto.FLOAT, [1], [-6.8]),
        ],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    return model


def formula_file(path: Path, weights: Sequence[float] = (), sharper: float = 1.0, shift: float = 0.0) -> Path:
    """The formula as a file: with other weights for age, nights and city, or so many times as sure of itself as it
    should be (below 0: the other way round), or with log odds shifted by so much."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(formula_onnx())
    for tensor in model.graph.initializer:
        if tensor.name in ("weights", "bias"):
            array = sharper * numpy_helper.to_array(tensor)
            if weights and tensor.name == "weights":
                array[:, 0] = weights
            if tensor.name == "bias":
                array = array + shift
            tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float32), tensor.name))
    path.write_bytes(model.SerializeToString())
    return path


def drawn_file(path: Path, count: int, seed: int, *, turned: bool = False) -> Path:
    """Drawn rows with their outcomes, or with the other ones, as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows, truth = draw(count, seed)
    ages, nights, cities = zip(*rows, strict=True)
    outcome = pa.array(1 - truth if turned else truth, pa.int8())
    pq.write_table(pa.table({"age": ages, "nights": nights, "city": cities, "canceled": outcome}), path)
    return path
