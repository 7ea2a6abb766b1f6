"""Performance without labels, of any table: the report, its methods, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fairlead
from fairlead.core.quadrant import Quadrant
from fairlead.core.verdict import Outcome
from fairlead.errors import TableError, UsageError
from fairlead.operations.estimate import EstimateReport, estimate_performance

Columns = dict[str, Any]
CARDS = {"a": "p_a", "b": "p_b", "c": "p_c"}


def binary(n: int, seed: int, at: float = 0.0, *, flipped: bool = False) -> Columns:
    """A score of one input, and a truth that another input bends; `at` moves that one."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.normal(at, 1.0, n)
    slope = (2.0 - 1.2 * z) * (-0.5 if flipped else 1.0)
    truth = (rng.random(n) < 1 / (1 + np.exp(-x * slope))).astype(int)
    return {"x": x, "z": z, "p": 1 / (1 + np.exp(-2 * x)), "y": truth}


def several(n: int, seed: int) -> Columns:
    """Three classes, by text."""
    rng = np.random.default_rng(seed)
    p = np.exp(1.5 * rng.normal(size=(n, 3)))
    p /= p.sum(axis=1, keepdims=True)
    truth = np.array(list("abc"))[(p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)]
    return {"p_a": p[:, 0], "p_b": p[:, 1], "p_c": p[:, 2], "y": truth}


def values(n: int, seed: int, at: float = 0.0) -> Columns:
    """A regression whose error grows with an input and by a category."""
    rng = np.random.default_rng(seed)
    x, kind = rng.uniform(at, at + 3, n), rng.integers(0, 2, n)
    truth = 50 + 10 * x + rng.normal(size=n) * (1 + x + 2 * kind)
    return {"x": x, "kind": np.array(["old", "new"])[kind], "d": 50 + 10 * x, "y": truth}


def without(columns: Columns, *names: str) -> Columns:
    """The other columns."""
    return {name: values for name, values in columns.items() if name not in names}


def test_every_kind_of_table_gives_one_report(tmp_path: Path) -> None:
    """pandas, polars, Arrow, dicts and paths say the same."""
    known, live = binary(1500, 0), without(binary(800, 1), "y")
    paths = []
    for name, columns in (("known", known), ("live", live)):
        paths.append(tmp_path / f"{name}.parquet")
        pq.write_table(pa.table(columns), paths[-1])
    kinds: list[tuple[Any, Any]] = [
        (known, live),
        (pd.DataFrame(known), pd.DataFrame(live)),
        (pl.DataFrame(known), pl.DataFrame(live)),
        (pa.table(known), pa.table(live)),
        (paths[0], str(paths[1])),
    ]
    found = [estimate_performance(one, two, target="y", score="p").to_json() for one, two in kinds]
    assert len(set(found)) == 1
    assert fairlead.estimate_performance is estimate_performance
    assert fairlead.EstimateReport is EstimateReport


def test_the_report_has_its_forms(tmp_path: Path) -> None:
    """A frame of a line for each chunk and metric, plain values, JSON, and pages that draw every chunk."""
    live = binary(1000, 1)
    cost = {"false_positive": 1.0, "false_negative": 5.0}
    report = estimate_performance(binary(1500, 0), live, target="y", score="p", chunk_rows=250, cost=cost)
    frame = report.to_frame()
    assert len(frame) == 4 * len(report.reference)
    assert {"auroc", "accuracy", "log_loss", "brier", "auprc", "specificity", "cost"} <= set(frame.metric)
    inside = (frame.estimated_low <= frame.realised) & (frame.realised <= frame.estimated_high)
    assert inside.mean() > 0.8
    plain = json.loads(report.to_json())
    assert plain == json.loads(json.dumps(report.to_dict()))
    assert [chunk["rows"] for chunk in plain["chunks"]] == [250] * 4
    page = report.save_html(tmp_path / "report.html").read_text()
    assert page.count("<svg") == len([m for m in report.reference if frame[frame.metric == m].estimated.notna().any()])
    assert "<script" not in page
    assert report._repr_html_().count("<svg") == 1
    with pytest.raises(UsageError, match="cannot be written"):
        report.save_html(tmp_path / "no" / "where.html")


def test_pape_is_taken_where_inputs_moved_and_is_nearer() -> None:
    """`auto` weights the chunk whose inputs moved, says so, and its estimate is nearer than CBPE's."""
    known, moved, still = binary(4000, 0), binary(2000, 1, at=1.0), binary(2000, 2)
    live = {name: np.concatenate([still[name], moved[name]]) for name in known}
    both: Columns = {"target": "y", "score": "p", "chunk_rows": 2000, "features": ["x", "z"]}
    report = estimate_performance(known, live, **both)
    assert [chunk.method for chunk in report.chunks] == ["cbpe", "pape"]
    assert "pape for 1 of 2 chunks" in report.reason
    plain = estimate_performance(known, live, method="cbpe", **both)
    errors = []
    for one in (report, plain):
        reading = one.chunks[1].reading("auroc")
        assert reading is not None
        errors.append(abs(reading.estimated.value - reading.realised.value))
    assert errors[0] < 0.4 * errors[1]
    effective = report.chunks[1].effective
    assert effective is not None
    assert 200 < effective < 4000
    assert report.chunks[1].moved == ("z",)
    assert report.chunks[1].quadrant is Quadrant.COVARIATE
    assert report.chunks[0].quadrant is Quadrant.BENIGN
    assert report.chunks[0].verdict.outcome is Outcome.HOLDS


@pytest.mark.slow
def test_weights_learned_from_nothing_cost_nothing() -> None:
    """Where no input moved, `pape` errs no more than CBPE does, to a tenth, in accuracy and AUROC, over 10 samples; and
    where one moved less than `auto` can tell, it errs less."""
    for at, most in ((0.0, 1.1), (0.2, 0.9)):
        errors = np.zeros((2, 2))
        for seed in range(0, 20, 2):
            known, live = binary(2000, seed), binary(1000, seed + 1, at=at)
            for place, method in enumerate(("cbpe", "pape")):
                asked: Columns = {"target": "y", "score": "p", "features": ["x", "z"], "method": method, "seed": seed}
                report = estimate_performance(known, live, **asked)
                for column, metric in enumerate(("accuracy", "auroc")):
                    reading = report.chunks[0].reading(metric)
                    assert reading is not None
                    errors[place, column] += abs(reading.estimated.value - reading.realised.value)
        assert (errors[1] < most * errors[0]).all(), (at, errors)


def test_inputs_that_no_reference_row_resembles_are_refused() -> None:
    """With `pape` there is then no estimate and the verdict is undecided; `auto` falls back and is undecided too."""
    known, far = binary(2000, 0), without(binary(1000, 1, at=9.0), "y")
    for method in ("pape", "auto"):
        report = estimate_performance(known, far, target="y", score="p", features=["x", "z"], method=method)
        assert report.verdict.outcome is Outcome.UNDECIDED
        assert "are worth" in report.verdict.reason
        reading = report.chunks[0].reading("auroc")
        assert reading is not None
        assert reading.estimated.defined == (method == "auto")


def test_a_changed_concept_is_named_once_labels_are_there() -> None:
    """Still inputs and a realised metric below the estimate beyond both intervals: concept drift, and a breach."""
    report = estimate_performance(
        binary(3000, 0), binary(1500, 1, flipped=True), target="y", score="p", features=["x", "z"]
    )
    assert report.chunks[0].quadrant is Quadrant.CONCEPT
    assert report.verdict.outcome is Outcome.BREACHED
    assert "AUROC is" in report.verdict.reason


def test_early_labels_correct_the_estimate() -> None:
    """With a third of the labels, accuracy over all rows is corrected by them, and the share is told."""
    live = binary(1500, 1, at=0.5)
    truth = live["y"].astype(float)
    truth[np.arange(1500) % 3 != 0] = np.nan
    report = estimate_performance(binary(3000, 0), {**live, "y": truth}, target="y", score="p")
    (chunk,) = report.chunks
    assert chunk.labelled == pytest.approx(1 / 3)
    reading = chunk.reading("accuracy")
    assert reading is not None
    real = float(np.mean(live["y"] == (live["p"] >= 0.5)))
    assert reading.powered.low <= real <= reading.powered.high
    assert abs(reading.powered.value - real) < abs(reading.estimated.value - real)
    assert reading.powered.high - reading.powered.low < 1.02 * (reading.realised.high - reading.realised.low)


def test_several_classes() -> None:
    """Probabilities by class, or by their columns' names; five metrics, near what is realised."""
    known, live = several(2000, 0), several(1000, 1)
    report = estimate_performance(known, live, target="y", probabilities=CARDS)
    same = estimate_performance(known, live, target="y", probabilities=list(CARDS.values()))
    assert report == same
    assert set(report.reference) == {"accuracy", "macro_f1", "macro_precision", "macro_recall", "macro_auroc"}
    for reading in report.chunks[0].readings:
        assert reading.estimated.low <= reading.realised.value <= reading.estimated.high, reading.metric


def test_a_regression_learns_where_errors_are_large() -> None:
    """By features the moved inputs' larger error is foretold; without them by the prediction; no MAPE with zeros."""
    known, live = values(4000, 0), values(2000, 1, at=1.5)
    for features in (["x", "kind"], None):
        report = estimate_performance(known, live, target="y", prediction="d", task="regression", features=features)
        assert report.method == "dle"
        for name in ("mae", "rmse", "mape"):
            reading = report.chunks[0].reading(name)
            assert reading is not None
            assert reading.estimated.value == pytest.approx(reading.realised.value, rel=0.25), name
    assert "prediction alone" in report.reason
    zero = {**known, "y": np.where(np.arange(4000) == 0, 0.0, known["y"])}
    report = estimate_performance(zero, live, target="y", prediction="d", task="regression")
    assert report.chunks[0].reading("mape") is None


def test_windows_of_time() -> None:
    """Rows are cut by their instants; a window without rows is unmeasured."""
    live = binary(300, 1)
    live["at"] = np.repeat([0.0, 86_400.0, 3 * 86_400.0], 100)
    report = estimate_performance(binary(1500, 0), live, target="y", score="p", window="1d", timestamp="at")
    assert [(chunk.name, chunk.rows) for chunk in report.chunks] == [
        ("1970-01-01", 100),
        ("1970-01-02", 100),
        ("1970-01-03", 0),
        ("1970-01-04", 100),
    ]
    assert report.chunks[2].verdict.outcome is Outcome.UNMEASURED
    assert report.verdict.outcome is Outcome.UNMEASURED


def test_rows_without_a_score_are_left_out_and_counted() -> None:
    """A missing or infinite score takes its row out; a chunk of nothing else is unmeasured."""
    live = binary(300, 1)
    live["p"] = np.where(np.arange(300) < 100, np.nan, live["p"])
    live["p"][150] = np.inf
    report = estimate_performance(binary(1500, 0), live, target="y", score="p", chunk_rows=100)
    assert [(chunk.rows, chunk.left_out) for chunk in report.chunks] == [(0, 100), (99, 1), (100, 0)]
    assert report.chunks[0].verdict.outcome is Outcome.UNMEASURED


@pytest.mark.parametrize(
    ("changes", "given", "error", "words"),
    [
        ({"y": [None] * 200}, {}, TableError, "no row of the reference has a label"),
        ({"y": [1] * 200}, {}, TableError, "5 of each class"),
        ({"p": np.linspace(0, 2, 200)}, {}, TableError, "outside"),
        ({"y": [0, 1, 2, 3] * 50}, {}, TableError, "two classes"),
        ({}, {"target": "label"}, TableError, "no column 'label'"),
        ({}, {"score": "q"}, TableError, "no column 'q'"),
        ({}, {"features": ["x", "w"]}, TableError, "no column 'w'"),
        ({}, {"features": "x"}, TableError, "pass a list"),
        ({}, {"features": ["y"]}, UsageError, "is the target"),
        ({}, {"score": None, "prediction": "y"}, UsageError, "name its column, score="),
        ({}, {"method": "pape"}, UsageError, "features="),
        ({}, {"method": "dle"}, UsageError, "does not fit"),
        ({}, {"method": "guess"}, UsageError, "one of auto"),
        ({}, {"level": 1.0}, UsageError, "confidence"),
        ({}, {"cost": {"miss": 1.0}}, UsageError, "name finite costs"),
        ({}, {"chunk_rows": 0}, UsageError, "at least 1"),
        ({}, {"chunk_rows": 10, "window": "1d"}, UsageError, "both cut"),
        ({}, {"window": "1d"}, UsageError, "needs timestamp"),
    ],
)
def test_what_cannot_serve_is_refused(changes: Columns, given: Columns, error: type[Exception], words: str) -> None:
    """Each wrong table and argument gets its own sentence."""
    plan = {"target": "y", "score": "p", **given}
    with pytest.raises(error, match=words):
        estimate_performance({**binary(200, 0), **changes}, binary(100, 1), **plan)


def test_too_few_rows_and_unknown_classes_are_refused() -> None:
    """49 labelled reference rows, an empty side, a class without a probability, a regression without a prediction."""
    with pytest.raises(TableError, match="50 are needed"):
        estimate_performance(binary(49, 0), binary(100, 1), target="y", score="p")
    with pytest.raises(TableError, match="has no rows"):
        estimate_performance(binary(200, 0), {"p": [], "y": []}, target="y", score="p")
    odd = several(200, 1)
    odd["y"] = np.where(np.arange(200) == 7, "d", odd["y"])
    with pytest.raises(TableError, match="'d'"):
        estimate_performance(several(200, 0), odd, target="y", probabilities=CARDS)
    with pytest.raises(UsageError, match="probabilities"):
        estimate_performance(several(200, 0), odd, target="y", prediction="y")
    with pytest.raises(UsageError, match="predict"):
        estimate_performance(values(200, 0), values(100, 1), target="y", task="regression")
    mixed = {**binary(100, 1), "x": ["text"] * 100}
    with pytest.raises(TableError, match="text on one side"):
        estimate_performance(binary(200, 0), mixed, target="y", score="p", features=["x"])
