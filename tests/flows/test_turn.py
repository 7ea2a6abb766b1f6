"""Requests of one pass of the event loop are answered together, and each as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from numpy.typing import NDArray

from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.decode import OutputReader, RowDecoder
from fairlead.core.pace import Pace
from fairlead.core.record import Prediction
from fairlead.core.route import Arm, ModelRoute, Route
from fairlead.errors import FairleadError, StateError
from fairlead.flows.serve import Arrival, Ask, ModelFailed, Serving
from fairlead.flows.tally import Tally
from fairlead.flows.turn import MOST, Fault, Given, Question, Turn
from fairlead.flows.warm import LiveModel, LiveVersion
from fairlead.testing.clock import ManualClock
from fairlead.testing.log import MemoryLog

CONTRACT = Contract((Feature("nights", Kind.INTEGER),), Task.REGRESSION, "price")
PAYS = Pace(1e-5, ((4, 1.1e-5), (16, 1.2e-5), (64, 1.5e-5)))


class Price:
    """A hundred a night; it fails on a negative number and remembers the size of each call."""

    def __init__(self, factor: float = 100.0) -> None:
        self.calls: list[int] = []
        self._factor = factor

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """(n, 1) values."""
        self.calls.append(len(rows))
        if any(row[0] < 0 for row in rows):
            raise ValueError("a negative stay")
        return np.array([[self._factor * row[0]] for row in rows], np.float64)


def version(number: int, predictor: Price, pace: Pace) -> LiveVersion:
    """A version in memory."""
    manifest = Manifest(
        name="price",
        contract=CONTRACT,
        model_format="onnx",
        model_entry="m",
        served="m",
        files={},
        lineage=Lineage("d", "0" * 64, 1),
    )
    return LiveVersion(number, str(number), manifest, RowDecoder(CONTRACT), OutputReader(CONTRACT), predictor, pace)


class Room:
    """A model of two versions, a turn, and what everyone was told."""

    def __init__(self, pace: Pace = PAYS) -> None:
        self.predictors = {1: Price(), 2: Price(200.0)}
        versions = {number: version(number, predictor, pace) for number, predictor in self.predictors.items()}
        self.model = LiveModel("price", ModelRoute((Arm("champion", 1, 1.0),), {1: "1", 2: "2"}), versions)
        self.log = MemoryLog()
        self.serving = Serving(self.log, ManualClock(100.0), Tally())
        self.turn = Turn(self.serving)
        self.told: dict[str, list[Given]] = {}

    def ask(self, name: str, nights: int, number: int = 1) -> bool:
        """Puts a question."""
        heard = self.told.setdefault(name, [])
        features = Raw(b'{"nights":%d}' % nights)
        ask = Ask(name, name, 100.0, features, "features")
        arm = "canary" if number == 2 else "champion"
        route = Route(number, arm, 1.0)
        return self.turn.add(Question(self.model, ask, route, Arrival(100.0, 0.0), (nights,), heard.append))

    def answer_to(self, name: str) -> Given:
        """The one thing that was told."""
        (given,) = self.told[name]
        return given


def test_requests_of_one_version_are_one_call_and_one_write() -> None:
    """Each is told its own logged record."""
    room = Room()
    assert [room.ask(str(nights), nights) for nights in range(3)] == [True, False, False]
    room.turn.answer()
    assert room.predictors[1].calls == [3]
    for nights in range(3):
        given = room.answer_to(str(nights))
        assert isinstance(given, Prediction)
        assert given.prediction == 100.0 * nights
        assert given in room.log.kept_predictions
    assert len(room.log.kept_predictions) == 3


def test_a_version_whose_batches_do_not_pay_answers_row_by_row() -> None:
    """So does one whose answers depend on the rows beside them: no batch of it was ever timed."""
    room = Room(Pace(1e-5))
    for nights in range(3):
        room.ask(str(nights), nights)
    room.turn.answer()
    assert room.predictors[1].calls == [1, 1, 1]


def test_a_row_that_fails_fails_alone() -> None:
    """The others are answered; all are logged with their status."""
    room = Room()
    for name, nights in (("a", 1), ("b", -1), ("c", 3)):
        room.ask(name, nights)
    room.turn.answer()
    assert isinstance(room.answer_to("b"), ModelFailed)
    assert [isinstance(room.answer_to(name), Prediction) for name in "ac"] == [True, True]
    assert {record.request_id: record.status for record in room.log.kept_predictions} == {"a": 200, "b": 500, "c": 200}


def test_a_log_that_refuses_fails_everyone() -> None:
    """An answer that is not logged is not given."""
    room = Room()
    room.log.full = True
    room.ask("a", 1)
    room.ask("b", 2)
    room.turn.answer()
    assert all(isinstance(room.answer_to(name), StateError) for name in "ab")
    assert room.serving.tally.log_failures == 1


def test_a_fault_of_the_gateway_is_told_to_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever, and the fault is raised for the operator's log."""
    room = Room()

    def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(room.log, "predictions", broken)
    room.ask("a", 1)
    with pytest.raises(ZeroDivisionError):
        room.turn.answer()
    assert isinstance(room.answer_to("a"), Fault)
    room.turn.answer()
    assert isinstance(room.answer_to("a"), FairleadError)


def test_a_turn_is_full_at_its_most() -> None:
    """Who comes first does not wait for more."""
    room = Room()
    full = []
    for at in range(MOST):
        full.append(room.turn.is_full)
        room.ask(str(at), at)
    full.append(room.turn.is_full)
    room.turn.answer()
    full.append(room.turn.is_full)
    assert full == [*[False] * MOST, True, False]
    assert room.predictors[1].calls == [MOST]


@given(st.lists(st.tuples(st.integers(-2, 20), st.sampled_from((1, 2))), max_size=MOST))
def test_together_is_as_alone(asked: list[tuple[int, int]]) -> None:
    """Whatever is asked in one turn, each is answered as in a turn of its own."""
    together, alone = Room(), Room()
    for at, (nights, number) in enumerate(asked):
        together.ask(str(at), nights, number)
        alone.ask(str(at), nights, number)
        alone.turn.answer()
    together.turn.answer()
    for at in range(len(asked)):
        one, other = together.answer_to(str(at)), alone.answer_to(str(at))
        assert str(one) == str(other) if isinstance(one, FairleadError) else one == other
    by_id = {record.request_id: record for record in alone.log.kept_predictions}
    assert {record.request_id: record for record in together.log.kept_predictions} == by_id
