"""Which arm a request is dealt."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw, UnsetType

from fairlead.core.asking import answered
from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.decode import Answer, OutputReader, RowDecoder
from fairlead.core.exploring import EXPLORED, Draws
from fairlead.core.record import Prediction
from fairlead.core.route import Arm, ModelRoute, Route, choose
from fairlead.core.split import By, Split
from fairlead.flows.dealing import dealt, value_of
from fairlead.flows.routing import drawing
from fairlead.flows.serve import Arrival, Ask, Failed, record_of
from fairlead.flows.warm import LiveModel, LiveVersion
from fairlead.testing.candidate import StayPredictor

ARMS = (Arm("canary", 2, 0.5), Arm("champion", 1, 0.5))


def live(split: Split) -> LiveModel:
    """A model with a canary of a half."""
    return LiveModel("m", ModelRoute(ARMS, {}, salt="r1", split=split), {})


def ask(features: object, request: str = "q", unit: str = "u", at: float = 0.0) -> Ask:
    """A row."""
    return Ask(request, unit, at, Raw(msgspec.json.encode(features)), "features")


@settings(deadline=None)
@given(st.text(max_size=8), st.text(max_size=8))
def test_a_plain_route_asks_for_the_unit_alone(request: str, unit: str) -> None:
    """Whatever the row holds."""
    model = live(Split())
    found = dealt(model, ask({"country": "NZ"}, request, unit), Arrival(0.0, 0.0))
    assert found == choose(model.route, unit)


def test_only_the_named_values_are_dealt() -> None:
    """A region first: there half of the units meet the canary, elsewhere and where nothing is said nobody does."""
    model = live(Split(feature="country", within=("NZ", "7")))
    arms: dict[object, list[str]] = {}
    for value in ("NZ", 7, "DE", None):
        rows = [ask({"country": value, "age": 3}, f"q{i}", f"u{i}") for i in range(400)]
        arms[value] = [dealt(model, row, Arrival(0.0, 0.0)).arm for row in rows]
    assert 140 < arms["NZ"].count("canary") < 260
    assert arms["NZ"] == arms[7]
    assert set(arms["DE"]) == set(arms[None]) == {"champion"}


def test_time_is_that_of_arrival() -> None:
    """A caller who names another time stamp meets the same version."""
    model = live(Split(by=By.TIME, block_seconds=60.0))
    found = [
        [dealt(model, ask({}, at=said), Arrival(came, 0.0)).arm for said in (0.0, 9e8)] for came in range(0, 6_000, 60)
    ]
    assert all(one == other for one, other in found)
    assert {one for one, _ in found} == {"canary", "champion"}


@pytest.mark.parametrize(
    ("features", "value"),
    [
        (b'{"country": "NZ"}', "NZ"),
        (b'{"country": ""}', ""),
        (b'{"country": 3}', "3"),
        (b'{"country": 3.5}', "3.5"),
        (b'{"country": true}', "true"),
        (b'{"country": null}', None),
        (b'{"country": ["NZ"]}', None),
        (b'{"country": {"code": "NZ"}}', None),
        (b'{"land": "NZ"}', None),
        (b'["NZ"]', None),
        (b'{"country": ', None),
        (b'{"country": "\xff"}', None),
        (b'{"country": NaN}', None),
    ],
)
def test_a_value_is_read_as_text_or_not_at_all(features: bytes, value: str | None) -> None:
    """Numbers and booleans as JSON spells them; what is no single value, and what is no JSON, is none: the contract
    refuses it with its reason."""
    assert value_of(features, "country") == value


# -- decisions that chance takes ---------------------------------------------------------------------------------------

DRAWS = Draws(0.2, 0.3, 0.7)
BINARY = Contract((Feature("x", Kind.NUMBER),), Task.BINARY, "y", ("no", "yes"))
VALUES = Contract((Feature("x", Kind.NUMBER),), Task.REGRESSION, "y")


def drawing_model(contract: Contract = BINARY, draws: Draws | UnsetType = DRAWS) -> LiveModel:
    """A champion alone, whose decisions are drawn for a fifth of the requests."""
    manifest = Manifest("m", contract, "onnx", "m", "m", {}, Lineage("d", "d", 1))
    version = LiveVersion(1, "b", manifest, RowDecoder(contract), OutputReader(contract), StayPredictor())
    split = Split() if draws is UNSET else Split(by=By.REQUEST)
    return LiveModel("m", ModelRoute((Arm("champion", 1, 1.0),), {1: "b"}, split=split, draws=draws), {1: version})


def recorded(model: LiveModel, number: int, score: float) -> Prediction:
    """The record of an answer with a score."""
    row = ask({}, f"q{number}", f"u{number % 7}")
    said = Answer("yes" if score >= 0.5 else "no", score, (1.0 - score, score))
    return record_of("m", row, dealt(model, row, Arrival(0.0, 0.0)), Arrival(0.0, 0.0), said, 1.0)


def test_a_stated_share_of_decisions_is_drawn_each_class_alike() -> None:
    """By the request's id, so that a retry is answered alike; marked by its arm, with the chance of it in the log; all
    others are the model's own, and the score stays the model's in both."""
    found = [recorded(drawing_model(), number, 0.6) for number in range(4_000)]
    drawn = [one for one in found if one.arm == EXPLORED]
    assert 700 < len(drawn) < 900
    assert 340 < sum(one.prediction == "no" for one in drawn) < 460
    assert {(one.propensity, one.rollout) for one in drawn} == {(0.2, DRAWS.tag)}
    others = [one for one in found if one.arm != EXPLORED]
    assert {(one.arm, one.prediction, one.propensity, one.rollout) for one in others} == {
        ("champion", "yes", 0.8, DRAWS.tag)
    }
    assert {one.score for one in found} == {0.6}
    assert found == [recorded(drawing_model(), number, 0.6) for number in range(4_000)]


def test_beyond_the_band_and_where_the_model_failed_nothing_is_drawn() -> None:
    """A sure score keeps its decision, and a failure stays one."""
    model = drawing_model()
    found = [recorded(model, number, 0.9) for number in range(500)]
    assert {(one.arm, one.prediction) for one in found} == {("champion", "yes")}
    for number in range(100):
        row = ask({}, f"q{number}")
        route = dealt(model, row, Arrival(0.0, 0.0))
        record = record_of("m", row, route, Arrival(0.0, 0.0), Failed("it broke"), 1.0)
        assert (record.arm, record.status, record.prediction) == ("champion", 500, None)


def test_values_are_never_drawn() -> None:
    """There is no other side of a threshold: the route is the champion's, as if nothing were stated."""
    model = drawing_model(VALUES)
    row = ask({}, "q1")
    assert dealt(model, row, Arrival(0.0, 0.0)) == Route(1, "champion", 1.0)


def test_without_draws_an_answer_is_logged_to_the_byte_as_before() -> None:
    """Nothing of it is in the route table, the record or the answer."""
    model = drawing_model(draws=UNSET)
    assert b"draw" not in msgspec.json.encode(model.route)
    record = recorded(model, 1, 0.6)
    assert (record.arm, record.propensity, record.rollout, record.prediction) == ("champion", 1.0, "", "yes")
    assert msgspec.json.encode(answered(record)) == (
        b'{"request_id":"q1","model":"m","version":1,"arm":"champion","prediction":"yes","probabilities":[0.4,0.6]}'
    )


def test_nothing_is_drawn_while_something_is_tried() -> None:
    """A rollout's evidence is of its versions' own decisions."""
    alone = ModelRoute((Arm("champion", 1, 1.0),), {1: "b"})
    assert drawing(alone, None) is alone
    assert drawing(alone, DRAWS).draws == DRAWS
    for other in (ModelRoute(ARMS, {}, salt="r1"), ModelRoute(alone.arms, {}, shadows=(2,), salt="r1")):
        assert drawing(other, DRAWS) is other
