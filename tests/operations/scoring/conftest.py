"""A home with a small model in it that takes every kind of feature, and tables for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper, numpy_helper

from fairlead.adapters.bundle_folder import BundleFolder, file_sha256
from fairlead.adapters.predictors.onnx import OnnxPredictor
from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.app.compose import open_context
from fairlead.core.bundle import GOLDEN, PORTABLE, Golden, Lineage, Manifest, Parity
from fairlead.core.contract import Contract, Feature, Kind, Policy, Task
from fairlead.flows.warm import LiveVersion, load
from fairlead.operations.context import Context
from fairlead.testing.registry import MemoryRegistry

CONTRACT = Contract(
    features=(
        Feature("lead_time", Kind.NUMBER, minimum=0.0, maximum=700.0),
        Feature("adr", Kind.NUMBER, nullable=True, minimum=-10.0, maximum=500.0, out_of_range=Policy.IMPUTE, fill=90.0),
        Feature("nights", Kind.INTEGER, minimum=0.0, maximum=60.0, missing=Policy.IMPUTE, out_of_range=Policy.REJECT,
                fill=2),
        Feature("repeated", Kind.BOOLEAN, missing=Policy.WARN),
        Feature("segment", Kind.CATEGORY, categories=("Direct", "Groups"), missing=Policy.IMPUTE, fill="Direct"),
    ),
    task=Task.BINARY,
    target="is_canceled",
    classes=("0", "1"),
)  # fmt: skip
NUMBERS = ("lead_time", "adr", "nights", "repeated")
SLOPES = (0.004, 0.003, -0.1, -0.7)


def model_bytes(breaks_above: float = 1e9, bias: float = -0.5) -> bytes:
    """A logistic model in ONNX to which a null counts 0; it answers NaN where lead_time exceeds `breaks_above`."""

    def constant(name: str, value: float) -> Any:
        return numpy_helper.from_array(np.array([[value]], np.float32), name)

    nodes, terms = [], []
    for name in NUMBERS:
        nodes += [
            helper.make_node("IsNaN", [name], [f"{name}_absent"]),
            helper.make_node("Where", [f"{name}_absent", "zero", name], [f"{name}_known"]),
            helper.make_node("Mul", [f"{name}_known", f"{name}_slope"], [f"{name}_term"]),
        ]
        terms.append(f"{name}_term")
    nodes += [
        helper.make_node("LabelEncoder", ["segment"], ["group"], domain="ai.onnx.ml",
                         keys_strings=["Direct", "Groups"], values_floats=[0.0, 1.0], default_float=0.5),
        helper.make_node("Sum", [*terms, "group", "bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["sound"]),
        helper.make_node("Sub", ["limit", "lead_time_known"], ["room"]),
        helper.make_node("Sqrt", ["room"], ["root"]),
        helper.make_node("Mul", ["root", "zero"], ["nothing"]),
        helper.make_node("Sum", ["sound", "nothing"], ["probability"]),
    ]  # fmt: skip
    slopes = [constant(f"{name}_slope", slope) for name, slope in zip(NUMBERS, SLOPES, strict=True)]
    graph = helper.make_graph(
        nodes,
        "logistic",
        [
            *(helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in NUMBERS),
            helper.make_tensor_value_info("segment", TensorProto.STRING, [None, 1]),
        ],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])],
        [*slopes, constant("bias", bias), constant("limit", breaks_above), constant("zero", 0.0)],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    onnx.checker.check_model(onnx.load_model_from_string(data))
    return data


def put_bundle(home: Path, *, breaks_above: float = 1e9, bias: float = -0.5) -> tuple[Manifest, str]:
    """Puts a bundle of the model into a home, and returns its manifest and digest."""
    draft = home / "draft"
    (draft / PORTABLE).parent.mkdir(parents=True)
    data = model_bytes(breaks_above, bias)
    (draft / PORTABLE).write_bytes(data)
    row: dict[str, float | int | bool | str | None] = {
        "lead_time": 30.0, "adr": 80.5, "nights": 3, "repeated": False, "segment": "Direct"}  # fmt: skip
    answered = OnnxPredictor(data, CONTRACT).predict([tuple(row.values())])
    (draft / GOLDEN).write_bytes(msgspec.json.encode(Golden((row,), (tuple(answered[0].tolist()),))))
    manifest = Manifest(
        name="hotel",
        contract=CONTRACT,
        model_format="onnx",
        model_entry=PORTABLE,
        served=PORTABLE,
        files={path: file_sha256(draft / path) for path in (PORTABLE, GOLDEN)},
        lineage=Lineage(dataset="made", dataset_digest="0" * 64, rows=1),
        parity=Parity(rows=1, largest_difference=0.0, tolerance=1e-6),
    )
    return manifest, BundleFolder(home / "bundles").put(draft, manifest)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """A home with hotel@1, which never fails, and hotel@2, which fails above a lead time of 600."""
    registry = MemoryRegistry()
    opened = replace(open_context(tmp_path / "home"), open_registry=lambda: registry)
    for version in ({}, {"breaks_above": 600.0}):
        manifest, digest = put_bundle(opened.home, **version)
        registry.register(manifest, digest, opened.bundles.path(digest))
    yield opened
    assert isinstance(opened.journal, SqliteJournal)
    opened.journal.close()


@pytest.fixture
def live(context: Context) -> LiveVersion:
    """hotel@1, ready to answer."""
    return load(1, context.registry.versions("hotel")[0].bundle, context.bundles)


@pytest.fixture
def failing(context: Context) -> LiveVersion:
    """hotel@2, ready to answer."""
    return load(2, context.registry.versions("hotel")[1].bundle, context.bundles)


@pytest.fixture
def table() -> Callable[..., pa.Table]:
    """Makes bookings, all of which the contract takes."""

    def make(rows: int = 1_000, seed: int = 0) -> pa.Table:
        rng = np.random.default_rng(seed)
        return pa.table(
            {
                "booking": [f"b{place}" for place in range(rows)],
                "lead_time": rng.uniform(0, 590, rows),
                "adr": pa.array(rng.uniform(0, 400, rows), mask=rng.random(rows) < 0.1),
                "nights": rng.integers(0, 30, rows),
                "repeated": rng.random(rows) < 0.2,
                "segment": pa.array(np.array(["Direct", "Groups", "Online"])[rng.integers(0, 3, rows)]),
                "arrived": pa.array(1_700_000_000 + 3600 * np.arange(rows), pa.timestamp("s")),
            }
        )

    return make
