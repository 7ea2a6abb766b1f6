"""The example bundle is complete and answers by its formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairlead.adapters.predictors.onnx import OnnxPredictor
from fairlead.core.bundle import GOLDEN, HELDOUT, Golden
from fairlead.stats.performance import auroc
from fairlead.testing.candidate import CONTRACT, Parts, StayPredictor, draw, formula_file, formula_onnx, write_candidate


def test_the_same_parts_give_the_same_bundle(tmp_path: Path) -> None:
    """Byte for byte, so that its digest is its identity."""
    one, two = (write_candidate(tmp_path / name) for name in ("one", "two"))
    assert one == two
    assert write_candidate(tmp_path / "three", Parts(seed=1)) != one


def test_the_golden_set_is_what_the_formula_answers(tmp_path: Path) -> None:
    """Unless it was shifted on purpose."""
    write_candidate(tmp_path)
    golden = msgspec.json.decode((tmp_path / GOLDEN).read_bytes(), type=Golden)
    rows = [tuple(row[name] for name in CONTRACT.names) for row in golden.rows]
    assert np.array_equal(StayPredictor().predict(rows), np.array(golden.outputs))


def test_held_out_rows_have_their_truth(tmp_path: Path) -> None:
    """The features in order, then the target, of both classes."""
    write_candidate(tmp_path, Parts(heldout_rows=50))
    table = pq.read_table(tmp_path / HELDOUT)
    assert table.column_names == [*CONTRACT.names, CONTRACT.target]
    assert set(table["canceled"].to_pylist()) == {0, 1}


def test_blur_takes_knowledge_away() -> None:
    """The formula knows something, half of it less, none of it nothing."""
    rows, truth = draw(4000, 9)
    known = [auroc(truth, StayPredictor(blur).predict(rows)[:, 1]) for blur in (0.0, 0.7, 1.0)]
    assert known[0] > known[1] > 0.55 > known[2] > 0.45


def test_the_onnx_model_is_the_formula() -> None:
    """The same answers within float32, unseen cities and old ages included."""
    rows = [*draw(50, 4)[0], (2000.0, 3, "aspen"), (40.0, 3, "nowhere")]
    answers = OnnxPredictor(formula_onnx(), CONTRACT).predict(rows)
    assert np.allclose(answers, StayPredictor().predict(rows), atol=1e-6)


def test_the_formula_can_be_written_otherwise(tmp_path: Path) -> None:
    """Surer, the other way round, shifted, or of other weights: the log odds say so."""
    rows, _ = draw(200, 3)

    def odds(**changed: Any) -> NDArray[np.float64]:
        p = OnnxPredictor(formula_file(tmp_path / "m.onnx", **changed).read_bytes(), CONTRACT).predict(rows)[:, -1]
        return np.asarray(np.log(p / (1.0 - p)), np.float64)

    plain = odds()
    np.testing.assert_allclose(odds(sharper=-0.5), -0.5 * plain, atol=1e-3)
    np.testing.assert_allclose(odds(shift=1.5), plain + 1.5, atol=1e-3)
    assert np.ptp(odds(weights=(0.0, 0.0, 0.0))) < 1e-5
