"""A request's rows from their look-ups to their stand-ins."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import UNSET, Raw
from msgspec.structs import replace

from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, DefaultAnswer, Feature, Kind, Policy, Task
from fairlead.core.decode import OutputReader, Row, RowDecoder
from fairlead.core.fallback import OnFailure, note_of
from fairlead.core.lookup import LookupRules
from fairlead.core.pace import Pace
from fairlead.core.record import Prediction
from fairlead.core.route import Arm, ModelRoute, Route
from fairlead.errors import ContractError, FairleadError
from fairlead.flows.answering import Work, answered
from fairlead.flows.lookups import Lookups
from fairlead.flows.serve import Arrival, Ask, ModelFailed, Overloaded, Serving
from fairlead.flows.tally import Tally
from fairlead.flows.warm import LiveModel, LiveVersion
from fairlead.ports.features import FeaturesDown
from fairlead.testing.clock import ManualClock
from fairlead.testing.features import MemoryFeatures
from fairlead.testing.log import MemoryLog

AGE = Feature("age", Kind.INTEGER, minimum=0.0, maximum=99.0, out_of_range=Policy.FALLBACK)
CONTRACT = Contract((AGE, Feature("orders", Kind.INTEGER)), Task.REGRESSION, "value", default=DefaultAnswer(7.0))
BARE = replace(CONTRACT, default=UNSET)
FAILS = 50
SLOW = Pace(0.005)


class Sums:
    """Answers the sum of a row, and fails on one age."""

    def predict(self, rows: Sequence[Row]) -> Any:
        """(n, 1) values."""
        if any(row[0] == FAILS for row in rows):
            raise RuntimeError("secret internals")
        return np.array([[float(sum(float(value or 0) for value in row))] for row in rows])


class Setting:
    """A model of one version whose orders are looked up by customer."""

    def __init__(self, contract: Contract = CONTRACT, pace: Pace = Pace()) -> None:  # noqa: B008 - a frozen value
        self.serving = Serving(MemoryLog(), ManualClock(), Tally())
        self.serving.on_failure = {"m": OnFailure.DEFAULT}
        self.source = MemoryFeatures("customer_id", {7: {"orders": 3}}, ("orders",))
        rules = LookupRules("repo", ("customer_id",), timeout=5.0)
        lookups = Lookups("m", rules, lambda: self.source, self.serving.clock)
        manifest = Manifest("m", contract, "onnx", "m", "m", {}, Lineage("d", "0", 1))
        rows, reader, part = RowDecoder(contract), OutputReader(contract), lookups.of(contract)
        live = LiveVersion(1, "1", manifest, rows, reader, Sums(), pace, features=part, lookups=lookups)
        self.model = LiveModel("m", ModelRoute((Arm("champion", 1, 1.0),), {}), {1: live}, False, lookups)
        self.waited: list[str] = []

    async def answer(self, age: int) -> list[Prediction]:
        """What a request of one row is answered."""
        features = Raw(msgspec.json.encode({"age": age, "customer_id": 7}))
        ask = Ask("r", "u", 900.0, features, "features")
        arrival = Arrival(1000.0, self.serving.clock.monotonic())
        return await answered(self.serving, self.model, [ask], arrival, [Route(1, "champion", 1.0)], self._wait)

    def _wait(self, work: Work) -> Work:
        self.waited.append(str(getattr(work, "__name__", work)))
        return work


@pytest.mark.parametrize(
    ("age", "pace", "prediction", "waited"),
    [
        (1, Pace(), 4.0, []),
        (1, SLOW, 4.0, ["answer_later"]),
        (FAILS, Pace(), 7.0, ["recovered"]),
        (FAILS, SLOW, 7.0, ["answer_later", "recovered"]),
        (500, Pace(), 7.0, ["recovered"]),
    ],
)
def test_a_row_is_filled_answered_and_recovered(age: int, pace: Pace, prediction: float, waited: list[str]) -> None:
    """Whatever its model is like; only what is not prompt is waited for by the caller's own means."""
    setting = Setting(pace=pace)
    (record,) = asyncio.run(setting.answer(age))
    assert (record.prediction, msgspec.json.decode(record.features)["orders"]) == (prediction, 3)
    assert (note_of(record) is not None) == (prediction == 7.0)
    assert setting.waited == waited


@pytest.mark.parametrize("pace", [Pace(), SLOW])
@pytest.mark.parametrize("ages", [(500, 1, 2), (1, 2, 500)])
def test_every_row_of_a_batch_that_is_refused_is_counted(ages: Sequence[int], pace: Pace) -> None:
    """Nobody was answered: as many rows as a batch that is answered counts; the field is told for the row to blame."""
    setting = Setting(BARE, pace)
    asks = [
        Ask(f"r{place}", "u", 900.0, Raw(msgspec.json.encode({"age": age, "customer_id": 7})), "features")
        for place, age in enumerate(ages)
    ]
    arrival = Arrival(1000.0, setting.serving.clock.monotonic())
    routes = [Route(1, "champion", 1.0)] * len(asks)
    with pytest.raises(ContractError):
        asyncio.run(answered(setting.serving, setting.model, asks, arrival, routes))
    counts = setting.serving.tally.snapshot(0, 1, 1, [])
    assert [(one.code, one.count) for one in counts.requests] == [(arrival.refusal, 3)]
    assert [(one.feature, one.what, one.count) for one in counts.breached] == [("age", "out_of_range", 1)]


@pytest.mark.parametrize(
    ("age", "is_down", "pace", "error"),
    [
        (500, False, Pace(), ContractError),
        (FAILS, False, Pace(), ModelFailed),
        (FAILS, False, SLOW, ModelFailed),
        (1, True, Pace(), Overloaded),
    ],
)
def test_a_request_that_nobody_answers_leaves_nothing_to_the_collector(
    age: int, is_down: bool, pace: Pace, error: type[FairleadError]
) -> None:
    """Who is told of a fault has the last hold on it, and on its frames with the request's rows."""
    setting = Setting(BARE, pace)
    setting.source.error = FeaturesDown("it is away") if is_down else None

    async def ask() -> tuple[type[FairleadError], weakref.ref[FairleadError]]:
        try:
            await setting.answer(age)
        except FairleadError as fault:
            return type(fault), weakref.ref(fault)
        raise AssertionError("it was answered")

    was_enabled = gc.isenabled()
    gc.disable()
    try:
        raised, left = asyncio.run(ask())
        assert left() is None
    finally:
        if was_enabled:
            gc.enable()
    assert raised is error
