"""request -> route -> predict -> log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import Raw
from numpy.typing import NDArray

from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.decode import OutputReader, RowDecoder
from fairlead.core.record import OutcomeRecord
from fairlead.core.route import Arm, ModelRoute, choose
from fairlead.errors import ContractError, NotFound, StateError
from fairlead.flows.serve import Arrival, Ask, ModelFailed, NotReady, Serving, describe, pin
from fairlead.flows.tally import Tally
from fairlead.flows.warm import Live, LiveModel, LiveVersion
from fairlead.ports.predictor import Predictor
from fairlead.testing.clock import ManualClock
from fairlead.testing.log import MemoryLog
from fairlead.testing.predictor import FailingPredictor, FixedPredictor

CONTRACT = Contract((Feature("nights", Kind.INTEGER),), Task.BINARY, "canceled", ("no", "yes"))
ARRIVAL = Arrival(1000.0, 0.0, "trace")


def version(number: int, predictor: Predictor) -> LiveVersion:
    """A version in memory."""
    manifest = Manifest("hotel", CONTRACT, "onnx", "m", "m", {}, Lineage("d", "0", 1))
    return LiveVersion(number, str(number), manifest, RowDecoder(CONTRACT), OutputReader(CONTRACT), predictor)


def model(*predictors: Predictor, share: float = 0.5) -> LiveModel:
    """A champion (1) and a canary (2)."""
    versions = {number: version(number, predictor) for number, predictor in enumerate(predictors, 1)}
    return LiveModel("hotel", ModelRoute((Arm("canary", 2, share), Arm("champion", 1, 1.0 - share)), {}), versions)


def asks(count: int) -> list[Ask]:
    """Rows of some units."""
    return [
        Ask(f"r{index}", f"u{index}", 900.0, Raw(b'{"nights":%d}' % index), f"instances[{index}]")
        for index in range(count)
    ]


@pytest.fixture
def serving() -> Serving:
    """A worker's data plane over a log in memory, at 2 s on the monotonic clock."""
    clock = ManualClock(1000.0)
    clock.advance(2.0)
    return Serving(MemoryLog(), clock, Tally())


def kept(serving: Serving) -> MemoryLog:
    """Its log."""
    assert isinstance(serving.log, MemoryLog)
    return serving.log


def test_a_batch_over_two_arms_keeps_its_order(serving: Serving) -> None:
    """Each version is asked once, for its own rows; every record tells arm, propensity and latency."""
    champion, canary = FixedPredictor(0.9, 0.1), FixedPredictor(0.2, 0.8)
    hotel = model(champion, canary, share=0.25)
    rows = asks(40)
    routes = [choose(hotel.route, ask.unit_id) for ask in rows]
    records = serving.answer(hotel, rows, ARRIVAL, routes)
    assert [record.request_id for record in records] == [ask.request_id for ask in rows]
    for record, route in zip(records, routes, strict=True):
        expected = {"champion": (1, "no", 0.1, 0.75), "canary": (2, "yes", 0.8, 0.25)}[route.arm]
        assert (record.model_version, record.prediction, record.score, record.propensity) == expected
        assert (record.latency_ms, record.received_at, record.timestamp, record.trace_id) == (
            2000.0,
            1000.0,
            900.0,
            "trace",
        )
    assert len(champion.asked) + len(canary.asked) == 40
    assert kept(serving).kept_predictions == records


def test_a_row_that_breaks_the_contract_stops_all(serving: Serving) -> None:
    """No model runs and nothing is logged."""
    predictor = FixedPredictor(0.9, 0.1)
    hotel = model(predictor, predictor)
    rows = [*asks(2), Ask("bad", "u", 1.0, Raw(b'{"nights":"x"}'), "instances[2]")]
    with pytest.raises(ContractError) as caught:
        serving.answer(hotel, rows, ARRIVAL, [choose(hotel.route, ask.unit_id) for ask in rows])
    assert caught.value.path == "instances[2].nights"
    assert (predictor.asked, kept(serving).kept_predictions) == ([], [])


@pytest.mark.parametrize("predictor", [FailingPredictor(KeyError("x\ny")), FixedPredictor(float("nan"), 1.0)])
def test_a_failure_is_logged_for_the_version_that_failed(serving: Serving, predictor: Predictor) -> None:
    """With status 500, its error on one line, and without an answer."""
    hotel = model(FixedPredictor(0.9, 0.1), predictor)
    (ask,) = asks(1)
    with pytest.raises(ModelFailed, match="version 2"):
        serving.answer(hotel, [ask], ARRIVAL, [pin(hotel, 2)])
    (record,) = kept(serving).kept_predictions
    assert (record.status, record.arm, record.prediction, record.score) == (500, "pinned", None, None)
    assert record.error is not None
    assert "\n" not in record.error


class Picky:
    """Answers 0.2, 0.8, but no batch that holds more than `limit` rows or one of `poison`."""

    def __init__(self, *poison: int, limit: int = 10**6) -> None:
        self.poison = set(poison)
        self.limit = limit

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """(n, 2) probabilities."""
        if len(rows) > self.limit or self.poison & {row[0] for row in rows}:
            raise RuntimeError("one row spoils all")
        return np.tile(np.array([0.2, 0.8]), (len(rows), 1))


def test_only_the_rows_that_fail_are_failures(serving: Serving) -> None:
    """In a batch over two arms, both of whose versions fail on some rows: each version is tried, every row is logged,
    in order, with its own status; the caller gets one error that names the rows."""
    hotel = model(Picky(3, 30), Picky(3, 30, 31, limit=7), share=0.25)
    rows = asks(200)
    routes = [choose(hotel.route, ask.unit_id) for ask in rows]
    spoilt = [index for index in (3, 30, 31) if index != 31 or routes[31].version == 2]
    named = ", ".join(map(str, spoilt))
    with pytest.raises(ModelFailed, match=rf"failed to answer {len(spoilt)} of 200 rows .*: {named}\)"):
        serving.answer(hotel, rows, ARRIVAL, routes)
    records = kept(serving).kept_predictions
    assert [record.request_id for record in records] == [ask.request_id for ask in rows]
    assert [index for index, record in enumerate(records) if record.status == 500] == spoilt
    assert {(record.prediction, record.error) for record in records if record.status == 200} == {("yes", None)}
    assert {record.error for record in records if record.status == 500} == {"RuntimeError: one row spoils all"}
    counted = {(one.arm, one.code): one.count for one in serving.tally.snapshot(0, 1, 1, []).requests}
    assert sum(count for (_, code), count in counted.items() if code == 200) == 200 - len(spoilt)


def test_an_outage_of_both_arms_is_logged_for_both(serving: Serving) -> None:
    """The first version's failure hides nothing of the other's."""
    broken = FailingPredictor(RuntimeError("down"))
    hotel = model(broken, broken)
    rows = asks(60)
    routes = [choose(hotel.route, ask.unit_id) for ask in rows]
    with pytest.raises(ModelFailed, match=r"versions 1 and 2 of model 'hotel' failed to answer 60 of 60 rows .*19, …"):
        serving.answer(hotel, rows, ARRIVAL, routes)
    records = kept(serving).kept_predictions
    assert [(record.arm, record.status) for record in records] == [(route.arm, 500) for route in routes]
    assert {record.arm for record in records} == {"champion", "canary"}


def test_a_batch_that_fails_only_as_a_whole_is_answered(serving: Serving) -> None:
    """A model that takes few rows at once is asked for few at once."""
    hotel = model(Picky(limit=3), Picky(limit=3))
    records = serving.answer(hotel, asks(50), ARRIVAL, [pin(hotel, 1)] * 50)
    assert {(record.status, record.prediction) for record in records} == {(200, "yes")}


def test_a_record_tells_which_rollout_drew_it(serving: Serving) -> None:
    """For every arm while the route has a salt; not for a version that the caller named."""
    drawn = model(FixedPredictor(0.9, 0.1), FixedPredictor(0.9, 0.1))
    hotel = LiveModel("hotel", msgspec.structs.replace(drawn.route, salt="rollout-7"), drawn.versions)
    rows = asks(40)
    records = serving.answer(hotel, rows, ARRIVAL, [choose(hotel.route, ask.unit_id) for ask in rows])
    assert {(record.arm, record.rollout) for record in records} == {("champion", "rollout-7"), ("canary", "rollout-7")}
    (alone,) = serving.answer(hotel, asks(1), ARRIVAL, [pin(hotel, 2)])
    assert (alone.arm, alone.rollout) == ("pinned", "")
    (plain,) = serving.answer(drawn, asks(1), ARRIVAL, [choose(drawn.route, "u0")])
    assert plain.rollout == ""


def test_a_log_that_refuses_is_counted_and_told(serving: Serving) -> None:
    """For predictions and for outcomes."""
    kept(serving).full = True
    hotel = model(FixedPredictor(0.9, 0.1), FixedPredictor(0.9, 0.1))
    with pytest.raises(StateError):
        serving.answer(hotel, asks(1), ARRIVAL, [choose(hotel.route, "u")])
    with pytest.raises(StateError):
        serving.outcomes([OutcomeRecord("a", 1, 1.0, 1.0)])
    assert (serving.tally.log_failures, serving.tally.outcomes) == (2, 0)


def test_what_is_not_served_is_not_found(serving: Serving) -> None:
    """Before the first table nothing is ready; then models and versions are looked up by name and number."""
    with pytest.raises(NotReady):
        serving.model("hotel")
    assert serving.weights() == []
    serving.live = Live(1, {"hotel": model(FixedPredictor(), FixedPredictor())})
    with pytest.raises(NotFound, match="served are: hotel"):
        serving.model("other")
    with pytest.raises(NotFound, match="warm are: 1, 2"):
        pin(serving.model("hotel"), 9)
    assert serving.weights() == [("hotel", "2", "canary", 0.5), ("hotel", "1", "champion", 0.5)]


def test_a_failure_is_described_in_one_short_line() -> None:
    """Type and message, at most 500 characters."""
    assert describe(ValueError("a\n  b")) == "ValueError: a b"
    assert len(describe(ValueError("x" * 10_000))) == 500
