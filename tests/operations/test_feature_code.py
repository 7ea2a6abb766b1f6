"""Feature code from a training table to the answers of a worker, and what may be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from skops import io as skops

import fairlead
from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.adapters.worker_stage import WorkerStage
from fairlead.app.compose import open_context
from fairlead.core.bundle import PORTABLE
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import DigestMismatch, UntrustedFormat, UsageError
from fairlead.flows.labelled import Labelled
from fairlead.operations.context import Context
from fairlead.operations.feature_code import compute_features
from fairlead.operations.models import Registration, register, resolve, show
from fairlead.operations.retraining import _challenger, _feature_code
from fairlead.operations.training_data import freeze
from fairlead.testing.registry import MemoryRegistry
from fairlead.testing.trainer import CopyTrainer

BOOKINGS = Path(fairlead.__file__).parent / "faces/demo/data/hotel_bookings.parquet"
CODE = """
import math

def features(row):
    if row["lead_time"] == 424242:
        raise ValueError("no such booking")
    return {"logged": math.log1p(row["lead_time"]), "city": int(row["hotel"] == "City Hotel")}
"""
SEEN = ["logged", "city", "adr"]


class Case:
    """A model trained on computed features: its files, and the frame that it was trained on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.code = self.write(CODE)
        columns = ["lead_time", "hotel", "adr", "total_of_special_requests", "is_canceled"]
        rows: pd.DataFrame = pq.read_table(BOOKINGS, columns=columns).to_pandas().iloc[:1200]
        self.rows = rows
        self.trained: pd.DataFrame = compute_features(rows, self.code)
        self.fitted = LogisticRegression(max_iter=2000).fit(self.trained[SEEN], rows.is_canceled)
        self.model = folder / "model.skops"
        self.model.write_bytes(skops.dumps(self.fitted))
        self.reference = folder / "reference.parquet"
        rows.to_parquet(self.reference, index=False)

    def write(self, code: str, name: str = "shared.py") -> str:
        """Writes code; returns how it is named."""
        (self.folder / name).write_text(code)
        return f"{self.folder / name}:features"

    def asked(self, **changes: Any) -> Registration:
        """A registration of it."""
        said = Registration(
            "stay", str(self.model), self.reference, "is_canceled", trust=("python",), feature_code=self.code
        )
        return msgspec.structs.replace(said, **changes)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The model and its data."""
    return Case(tmp_path_factory.mktemp("case"))


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """An empty home, with a registry in memory."""
    registry = MemoryRegistry()
    opened = replace(open_context(tmp_path / "home"), open_registry=lambda: registry)
    yield opened
    assert isinstance(opened.journal, SqliteJournal)
    opened.journal.close()


def test_every_frame_is_computed_alike(case: Case) -> None:
    """pandas, polars, Arrow and a dict of columns come back as they came, with the same new columns."""
    frame = case.rows.iloc[5:20]
    expected = case.trained.iloc[5:20]
    pd.testing.assert_frame_equal(compute_features(frame, case.code), expected)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    assert compute_features(table, case.code)["logged"].to_pylist() == expected.logged.tolist()
    polars = compute_features(pl.from_arrow(table), case.code)
    assert isinstance(polars, pl.DataFrame)
    assert polars["city"].to_list() == expected.city.tolist()
    columns = {name: frame[name].tolist() for name in frame.columns}
    made = fairlead.compute_features(columns, case.code)
    assert list(made) == [*frame.columns, "logged", "city"]
    assert made["logged"] == expected.logged.tolist()


def test_the_version_takes_what_a_request_holds(case: Case, context: Context) -> None:
    """The contract is of the fields that the code reads or the model sees; the bundle holds the code and its parity."""
    register(context, case.asked())
    manifest = show(context, "stay@1").manifest
    assert manifest.contract.names == ("lead_time", "hotel", "adr")
    code = manifest.features
    assert code is not None
    assert (code.entry, code.call, code.computed) == ("features/shared.py", "features", ("logged", "city"))
    assert [feature.name for feature in code.features] == SEEN
    assert (code.parity.rows, code.parity.largest_difference) == (1200, 0.0)
    assert manifest.served == PORTABLE
    assert manifest.parity is not None
    assert manifest.parity.holds
    assert code.entry in manifest.files
    loaded = BundleFolder(context.home / "bundles", ("python",)).load(resolve(context, "stay@1").bundle)
    rows = [tuple(row) for row in case.rows[list(manifest.contract.names)].head(50).to_numpy(object)]
    np.testing.assert_allclose(loaded.predict(rows), case.fitted.predict_proba(case.trained[SEEN].head(50)), atol=1e-5)


def test_code_that_is_not_trusted_neither_registers_nor_serves(case: Case, context: Context) -> None:
    """With the fix; and code that was changed in the bundle is not what was registered."""
    with pytest.raises(
        UntrustedFormat,
        match=r"shared.py is Python code: if you know who wrote it, say `trust: .python.` in the settings",
    ):
        register(context, case.asked(trust=()))
    assert context.registry.models() == ()
    digest = register(context, case.asked()).bundle
    root = context.home / "bundles"
    with pytest.raises(UntrustedFormat, match=r"--trust python"):
        BundleFolder(root).load(digest)
    trusting = BundleFolder(root, ("python",))
    trusting.load(digest)
    changed = root / digest / "features" / "shared.py"
    changed.chmod(0o644)
    changed.write_text(CODE.replace("log1p", "sqrt"))
    with pytest.raises(DigestMismatch, match=r"features/shared.py"):
        trusting.load(digest)


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("def features(row): return {'logged': row['is_canceled'], 'city': 1}", r"fails on row 0 .*KeyError: 'is_canc"),
        (
            "from itertools import count\nseen = count(1)\ndef features(row): return {'logged': next(seen), 'city': 1}",
            r"'logged' in row 1199 of reference.parquet is 1200 computed with the whole table, but 1201 computed as a",
        ),
        (
            "import random\ndef features(row): return {'logged': row['lead_time'], 'city': random.random()}",
            r"'city' in row 1199 of reference.parquet is 0.* but 0.* computed as a request is .allowed: 1e-06.",
        ),
        ("def features(row): return {'logged': row['lead_time']}", r"takes city, which neither the feature code comp"),
        ("def features(row): return {'logged': 'a' if row['adr'] > 90 else 1, 'city': 1}", "'logged' of several kinds"),
        ("def features(row): return {'logged': 1, 'city': 1, 'adr': 2 * row['adr']}", r"'adr' in row 0 of reference"),
    ],
)
def test_code_that_would_answer_otherwise_than_it_trained_is_refused(
    case: Case, context: Context, code: str, what: str
) -> None:
    """The column, the row and both values are named, and nothing is left behind."""
    with pytest.raises(UsageError, match=what):
        register(context, case.asked(feature_code=case.write(code, "other.py")))
    assert context.registry.models() == ()
    assert not list((context.home / "bundles").glob("*"))


def test_a_column_that_training_made_otherwise_is_found(case: Case, context: Context, tmp_path: Path) -> None:
    """The reference may hold the features: then they must be those that the code computes."""
    held = tmp_path / "held.parquet"
    case.trained.to_parquet(held, index=False)
    register(context, case.asked(reference=held))
    assert show(context, "stay@1").manifest.contract.names == ("lead_time", "hotel", "adr")
    skewed = case.trained.copy()
    skewed["logged"] = [value + 0.5 * (at == 7) for at, value in enumerate(case.trained["logged"])]
    skewed.to_parquet(held, index=False)
    with pytest.raises(UsageError, match=r"'logged' in row 7 of held.parquet is .*: train on what it computes"):
        register(context, case.asked(reference=held))


def test_requests_hold_the_raw_fields_on_every_protocol(case: Case, context: Context) -> None:
    """Served, described and logged: the answer is the trained model's, a failure of the code is a 500 in the log."""
    digest = register(context, case.asked()).bundle
    table = RouteTable(1, {"stay": ModelRoute((Arm("champion", 1, 1.0),), {1: digest})})
    row = {"lead_time": 12, "hotel": "City Hotel", "adr": 80.5}
    expected = case.fitted.predict_proba(compute_features(pd.DataFrame([row]), case.code)[SEEN])[0].tolist()
    with (
        WorkerStage(context.home / "bundles", table, ("python",)) as stage,
        httpx.Client(base_url=stage.base_url) as http,
    ):
        native = http.post("/v1/models/stay/predict", json={"features": row}).json()
        assert native["probabilities"] == pytest.approx(expected, abs=1e-5)
        inputs = [
            {"name": name, "shape": [1], "datatype": kind, "data": [row[name]]}
            for name, kind in (("lead_time", "INT64"), ("hotel", "BYTES"), ("adr", "FP64"))
        ]
        tensors = http.post("/v2/models/stay/infer", json={"inputs": inputs}).json()
        assert tensors["outputs"][0]["data"] == [native["prediction"]]
        scored = http.post("/models/stay/invocations", json={"dataframe_records": [row]}).json()
        assert scored == {"predictions": [native["prediction"]]}
        described = [one["name"] for one in http.get("/v2/models/stay").json()["inputs"]]
        assert described == ["lead_time", "hotel", "adr"]
        assert "logged" not in http.get("/openapi.json").text
        computed = http.post("/v1/models/stay/predict", json={"features": {**row, "logged": 3.0}})
        assert (computed.status_code, computed.json()["path"]) == (422, "features.logged")
        failed = http.post("/v1/models/stay/predict", json={"features": {**row, "lead_time": 424242}})
        assert failed.status_code == 500
        assert "no such booking" not in failed.text
        logged = stage.logged()
    assert [msgspec.json.decode(one.features)["lead_time"] for one in logged] == [12, 12, 12, 424242]
    assert (logged[-1].status, logged[-1].error) == (500, "ValueError: no such booking")


def test_a_challenger_brings_the_champions_code(case: Case, context: Context) -> None:
    """It is trained on what requests held, and registered behind the same function."""
    info = register(context, case.asked())
    manifest = context.bundles.manifest(info.bundle)
    trusting = replace(
        context,
        settings=msgspec.structs.replace(context.settings, trust=("python",)),
        open_trainer=lambda: CopyTrainer(case.model),
    )
    raw = case.rows[["lead_time", "hotel", "adr"]].to_dict("records")
    rows = [
        Labelled(float(at), f"q{at}", msgspec.Raw(msgspec.json.encode(row)), int(outcome))
        for at, (row, outcome) in enumerate(zip(raw, case.rows.is_canceled, strict=True))
    ]
    folder = context.home / "runs" / "run-1"
    folder.mkdir(parents=True)
    challenger = _challenger(trusting, info, freeze(folder, rows, manifest.contract), "run-1")
    made = context.bundles.manifest(challenger.bundle)
    assert made.contract.names == manifest.contract.names
    assert made.features is not None
    assert manifest.features is not None
    assert made.features.computed == ("logged", "city")
    assert made.files[made.features.entry] == manifest.files[manifest.features.entry]
    bare = context.bundles.manifest(info.bundle)
    assert _feature_code(Path("bundle"), msgspec.structs.replace(bare, features=None)) == ""
