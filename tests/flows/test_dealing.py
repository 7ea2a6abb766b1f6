"""Which arm a request is dealt."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.core.route import Arm, ModelRoute, choose
from fairlead.core.split import By, Split
from fairlead.flows.dealing import dealt, value_of
from fairlead.flows.serve import Arrival, Ask
from fairlead.flows.warm import LiveModel

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
