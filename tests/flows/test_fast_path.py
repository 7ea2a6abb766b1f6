"""Which of a model's formats answers in production."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightgbm import LGBMClassifier

from fairlead.adapters.predictors.boosters import inside
from fairlead.adapters.predictors.reader import ModelFiles
from fairlead.core.bundle import Golden
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.flows.fast_path import TOLERANCE, Chosen, Original, choose_served
from fairlead.ports.model_reader import Conversion, ModelFacts
from fairlead.ports.predictor import Predictor
from fairlead.testing.clock import ManualClock
from fairlead.testing.predictor import FixedPredictor

CONTRACT = Contract((Feature("x", Kind.NUMBER),), Task.REGRESSION, "y")
ROWS = [(float(at),) for at in range(5)]
FORMS = ("xgboost", "lightgbm", "catboost", "onnx")


class _Clock(ManualClock):
    """A clock that only moves while a model answers."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at


class _Paced(FixedPredictor):
    """Answers after so many seconds of its clock."""

    def __init__(self, clock: _Clock, seconds: float, answer: float) -> None:
        super().__init__(answer)
        self._clock, self._seconds = clock, seconds

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> Any:
        self._clock.at += self._seconds
        return super().predict(rows)


class _Model:
    """A model with a translation for each answer and pace."""

    def __init__(self, clock: _Clock, others: Sequence[tuple[float, float]]) -> None:
        self.facts = ModelFacts("skops")
        self._clock, self._others = clock, others

    def predictor(self, contract: Contract) -> Predictor:
        return FixedPredictor(1.0)

    def translations(self, contract: Contract) -> Sequence[Conversion]:
        return [Conversion(bytes([at]), format=FORMS[at]) for at in range(len(self._others))]

    def open(self, path: Path) -> _Model:
        return self

    def translated(self, conversion: Conversion, contract: Contract) -> Predictor:
        seconds, answer = self._others[(conversion.model or b"")[0]]
        return _Paced(self._clock, seconds, answer)


def chosen(own_seconds: float, *others: tuple[float, float]) -> Chosen:
    """What is chosen of an original that answers 1, and translations by their pace and answer."""
    clock = _Clock()
    model = _Model(clock, others)
    golden = Golden(tuple({"x": row[0]} for row in ROWS), tuple((1.0,) for _ in ROWS))
    original = Original(_Paced(clock, own_seconds, 1.0), "skops", golden, ROWS, ROWS, np.ones((5, 1)))
    return choose_served(CONTRACT, model, model, clock, original)


def test_the_fastest_that_agrees_is_served() -> None:
    """Not the first, and not one that is faster still but answers differently; each is told with its figures."""
    found = chosen(0.01, (0.005, 1.0), (0.001, 1.0), (0.0001, 1.1))
    assert found.translation is not None
    assert (found.translation.format, found.speedup) == ("lightgbm", 10.0)
    assert [(tried.format, tried.microseconds, tried.speedup) for tried in found.tried] == [
        ("skops", 10_000.0, 1.0), ("xgboost", 5_000.0, 2.0), ("lightgbm", 1_000.0, 10.0), ("catboost", 100.0, 100.0),
    ]  # fmt: skip
    assert found.sentence == (
        "the LightGBM booster is served: it differs by at most 0 on 10 rows and answers a row 10 times faster; "
        "its XGBoost booster differs by at most 0 on 10 rows and answers a row 2.0 times faster; "
        "its CatBoost model differs by at most 0.1 on 10 rows, beyond 1e-05"
    )


def test_a_slower_translation_is_not_served() -> None:
    """However well it agrees."""
    found = chosen(0.001, (0.002, 1.0))
    assert found.translation is None
    assert found.sentence == (
        "the original is served: its XGBoost booster differs by at most 0 on 10 rows, "
        "but answers a row 0.5 times as fast"
    )


def test_a_clock_that_stands_still_leaves_the_first_that_agrees() -> None:
    """No speed is claimed that was not measured."""
    found = chosen(0.0, (0.0, 1.1), (0.0, 1.0), (0.0, 1.0))
    assert found.translation is not None
    assert (found.translation.format, found.speedup) == ("lightgbm", None)
    assert {tried.microseconds for tried in found.tried} == {None}


@given(
    st.floats(1e-5, 1e-1),
    st.lists(
        st.tuples(st.floats(1e-5, 1e-1), st.sampled_from((1.0, 1.0 + TOLERANCE / 2, 1.1, float("nan")))), max_size=4
    ),
)
def test_nothing_that_disagrees_or_is_slower_is_ever_served(own: float, others: list[tuple[float, float]]) -> None:
    """Whatever the paces and answers: what is served agrees, and none that agrees is faster."""
    found = chosen(own, *others)
    right = [seconds for seconds, answer in others if abs(answer - 1.0) <= TOLERANCE]
    assert len(found.tried) == 1 + len(others)
    if found.translation is None:
        assert all(seconds >= own * 0.99 for seconds in right)
        return
    seconds, answer = others[FORMS.index(found.translation.format)]
    assert abs(answer - 1.0) <= TOLERANCE
    assert seconds <= own * 1.01
    assert seconds <= min(right) * 1.01


@pytest.fixture
def flipping(tmp_path: Path) -> tuple[Path, Any, list[tuple[Any, ...]]]:
    """A LightGBM model of whole numbers that float32 cannot tell apart."""
    numbers = 100_000_000.0 + np.arange(400) % 40
    model = LGBMClassifier(n_estimators=20, min_data_in_bin=1, min_child_samples=5, verbose=-1, n_jobs=1)
    model.fit(numbers[:, None], numbers % 2)
    found = inside(model)
    assert found is not None
    path = tmp_path / "model.txt"
    path.write_bytes(found[1])
    return path, model, [(number,) for number in numbers[:40].tolist()]


def test_trees_that_flip_in_float32_are_refused(flipping: tuple[Path, Any, list[tuple[Any, ...]]]) -> None:
    """The ONNX translation of a boosted tree puts neighbours on one side of a threshold: its booster is served."""
    path, model, rows = flipping
    reader = ModelFiles()
    opened = reader.open(path)
    contract = Contract((Feature("x", Kind.NUMBER),), Task.BINARY, "y", ("0", "1"))
    predictor = opened.predictor(contract)
    answers = predictor.predict(rows)
    np.testing.assert_allclose(answers, model.predict_proba(np.array(rows)), atol=1e-12)
    golden = Golden(tuple({"x": row[0]} for row in rows), tuple(map(tuple, answers.tolist())))
    found = choose_served(
        contract, opened, reader, ManualClock(), Original(predictor, "lightgbm", golden, rows, rows, answers)
    )
    assert found.translation is None
    assert found.parity is not None
    assert found.parity.largest_difference > 0.1
    assert not found.parity.holds
    assert found.sentence.startswith("the original is served: its ONNX translation differs by at most 0.")
