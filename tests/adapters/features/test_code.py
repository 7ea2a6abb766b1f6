"""Feature functions: from a file of the user's own, and before a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.adapters.features.code import BundledFeatures, packaged
from fairlead.core.bundle import FeatureCode, Parity
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.errors import BundleError, UntrustedFormat, UsageError
from fairlead.ports.predictor import Predictor
from fairlead.testing.features import check_feature_source
from fairlead.testing.predictor import check_predictor

CODE = """
import math

def features(row):
    nights = row["nights"]
    return {"logged": math.log1p(nights) if nights is not None else None, "kind": row["hotel"].lower()}
"""
CONTRACT = Contract((Feature("nights", Kind.INTEGER), Feature("hotel", Kind.CATEGORY)), Task.REGRESSION, "y")
SEEN = (Feature("kind", Kind.CATEGORY), Feature("nights", Kind.INTEGER), Feature("logged", Kind.NUMBER))
ROWS: list[dict[str, Any]] = [{"nights": 2, "hotel": "City"}, {"nights": None, "hotel": "Resort"}]


def saved(folder: Path, code: str = CODE, call: str = "features") -> Path:
    """A file of code, and its function's name."""
    (folder / "made.py").write_text(code)
    return folder / f"made.py:{call}"


class Longest:
    """A model that remembers its rows and answers the length of their text."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.seen: list[tuple[Any, ...]] = []

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        self.seen += rows
        return np.array([len(row[0]) for row in rows], np.float64).reshape(-1, 1)


def bundled(folder: Path, code: str = CODE) -> BundledFeatures:
    """The code as a bundle holds it."""
    stated = FeatureCode("features/made.py", "features", ("logged", "kind"), SEEN, Parity(2, 0.0, 1e-6))
    saved(folder, code)
    return BundledFeatures(folder / "made.py", {"__init__.py": code.encode()}, stated)


def test_a_function_is_a_source_of_features(tmp_path: Path) -> None:
    """It keeps what every source keeps; a package's function does, too."""
    source = packaged(saved(tmp_path), ("python",))
    source.names = ("logged", "kind")
    check_feature_source(source, ROWS)
    assert source.features(ROWS)[1] == {"logged": None, "kind": "resort"}
    package = tmp_path / "made_of"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "steps.py").write_text(CODE)
    (package / "serve.py").write_text("from .steps import features")
    assert packaged(tmp_path / "made_of:serve.features", None).features(ROWS[1:]) == [
        {"logged": None, "kind": "resort"}
    ]


def test_code_runs_only_when_it_is_trusted(tmp_path: Path) -> None:
    """Nothing of it is imported before; from a bundle neither."""
    mark = tmp_path / "ran"
    place = saved(tmp_path, f"open({str(mark)!r}, 'w').close()\n{CODE}")
    for trust in ((), ("pickle",)):
        with pytest.raises(
            UntrustedFormat,
            match=r"made.py is Python code: if you know who wrote it, say `trust: .python.` in the settings",
        ):
            packaged(place, trust)
    assert not mark.exists()
    packaged(place, None)
    assert mark.exists()


@pytest.mark.parametrize(
    ("name", "error", "what"),
    [
        ("nowhere.py:features", UsageError, "nowhere.py does not exist: name it as in features.py:function"),
        ("made.py", UsageError, "names no function: write made.py:FUNCTION"),
        ("made.py:other", BundleError, "made.py has no function other"),
    ],
)
def test_a_wrong_name_is_told(name: str, error: type[Exception], what: str, tmp_path: Path) -> None:
    """A file that is not there, no function, and one that is not in it."""
    saved(tmp_path)
    with pytest.raises(error, match=what):
        packaged(tmp_path / name, None)


def test_what_is_no_mapping_is_the_functions_failure(tmp_path: Path) -> None:
    """It says what came instead."""
    source = packaged(saved(tmp_path, "def features(row): return [1]"), None)
    with pytest.raises(TypeError, match=r"made.py:features returned list, not a mapping"):
        source.features(ROWS)


def test_a_model_sees_what_is_computed(tmp_path: Path) -> None:
    """In its own order, what is not computed as it came; NaN is null, and no rule of the request is the model's."""
    code = CODE.replace("if nights is not None else None", "if nights is not None else float('nan')")
    models: list[Longest] = []

    def model(contract: Contract) -> Predictor:
        models.append(Longest(contract))
        return models[0]

    predictor = bundled(tmp_path, code).before(model, CONTRACT)
    assert predictor.predict([(2, "City"), (None, "Resort")]).tolist() == [[4.0], [6.0]]
    assert models[0].seen == [("city", 2, pytest.approx(np.log1p(2))), ("resort", None, None)]
    assert models[0].contract.features == SEEN
    check_predictor(predictor, [(2, "City"), (5, "Resort")], 1)


def test_one_feature_is_a_row_too(tmp_path: Path) -> None:
    """A model that sees a single feature gets rows of one."""
    code = "def features(row): return {'kind': row['hotel']}"
    stated = FeatureCode("features/made.py", "features", ("kind",), SEEN[:1], Parity(2, 0.0, 1e-6))
    saved(tmp_path, code)
    source = BundledFeatures(tmp_path / "made.py", {"__init__.py": code.encode()}, stated)
    assert source.before(Longest, CONTRACT).predict([(2, "City")]).tolist() == [[4.0]]


def test_a_failure_is_the_models(tmp_path: Path) -> None:
    """What the code raises comes through, and so does a feature that it left out."""
    with pytest.raises(AttributeError):
        bundled(tmp_path).before(Longest, CONTRACT).predict([(2, None)])
    left = bundled(tmp_path, "def features(row): return {'logged': 1.0}").before(Longest, CONTRACT)
    with pytest.raises(KeyError, match=r"kind"):
        left.predict([(2, "City")])
