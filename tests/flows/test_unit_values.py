"""The log by unit: who counts, from when on, and by what."""

from __future__ import annotations

from math import isnan
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from fairlead.core.experiment_terms import measure
from fairlead.core.record import EventRecord, OutcomeRecord, Prediction
from fairlead.flows.unit_values import Sought, UnitValues

ARMS = ("champion", "challenger-2")
SOUGHT = Sought("hotel", (measure("conversion"),), 100.0, 10.0, 1_000.0, rollout="g", arms=ARMS, before=500.0)


def answer(unit: str, at: float, arm: str = "champion", **more: object) -> Prediction:
    """An answer in the experiment."""
    raw = Raw(b'{"city":"Oslo","nights":2}')
    record = Prediction(f"{unit}/{at}", "hotel", 1, arm, unit, 0.5, at, at, raw, 0, 0.5, 2.0, rollout="g")
    return replace(record, **more)


def event(unit: str, at: float, value: float | str = 1.0, name: str = "conversion", told: float = 0.0) -> EventRecord:
    """What a unit's caller logged."""
    return EventRecord(f"{unit}/{name}/{at}", "hotel", unit, name, value, at, told or at)


def values(sought: Sought, answers: list[Prediction], events: list[EventRecord], now: float = 2_000.0) -> list[float]:
    """The first measure of each unit that counts."""
    found = UnitValues(sought)
    found.answers(answers)
    found.events(events)
    return [row.values[0] for row in found.rows(now)]


def test_only_what_came_within_the_window_counts() -> None:
    """Not what came before the answer, nor after the window; the first value, and 0 where there is none."""
    answers = [answer(unit, 1_000.0) for unit in "abcd"]
    events = [
        event("a", 999.0, 7.0),
        event("a", 1_050.0, 3.0),
        event("a", 1_040.0, 2.0),
        event("b", 1_100.0),
        event("c", 1_099.0, 5.0),
    ]
    assert values(SOUGHT, answers, events) == [2.0, 0.0, 5.0, 0.0]


@pytest.mark.parametrize(
    ("how", "worth"), [("sum(x)", 6.0), ("count(x)", 2.0), ("mean(x)", 3.0), ("first(x)", 4.0), ("x", 4.0)]
)
def test_how_values_are_taken_together(how: str, worth: float) -> None:
    """The sum, the number, the mean, or the first."""
    sought = replace(SOUGHT, measures=(measure(how),))
    events = [event("a", 1_020.0, 2.0, "x"), event("a", 1_010.0, 4.0, "x"), event("a", 1_015.0, "much", "x")]
    assert values(sought, [answer("a", 1_000.0)], events) == [worth]


def test_a_mean_of_nothing_is_no_value() -> None:
    """A unit that rated nothing is left out of a mean rating; it bought nothing, and that is 0."""
    sought = replace(SOUGHT, measures=(measure("mean(x)"), measure("sum(x)")))
    found = UnitValues(sought)
    found.answers([answer("a", 1_000.0)])
    mean, total = found.rows(2_000.0)[0].values
    assert isnan(mean)
    assert total == 0.0


def test_a_unit_counts_once_its_window_and_the_delay_are_over() -> None:
    """Before that it waits, and is no zero."""
    found = UnitValues(SOUGHT)
    found.answers([answer("a", 1_000.0), answer("b", 1_050.0)])
    assert (found.rows(1_109.0), found.waiting(1_109.0)) == ([], 2)
    assert [row.unit for row in found.rows(1_110.0)] == ["a"]
    assert (len(found.rows(1_160.0)), found.waiting(1_160.0)) == (2, 0)


def test_what_is_told_too_late_never_changes_a_unit_that_was_read() -> None:
    """It is counted as late, and left out: a value that was once read stays."""
    found = UnitValues(SOUGHT)
    found.answers([answer("a", 1_000.0)])
    before = found.rows(1_110.0)
    found.events([event("a", 1_050.0, told=1_110.5)])
    assert found.rows(5_000.0) == before
    assert found.late() == 1
    found.events([event("a", 1_060.0, told=1_109.0)])
    assert found.rows(5_000.0)[0].values == (1.0,)


def test_a_heavy_user_is_one_unit_from_its_first_answer_on() -> None:
    """A thousand requests, in any order, are one row; a retry of a request is no second one."""
    sought = replace(SOUGHT, measures=(measure("requests"), measure("latency_ms"), measure("error_rate")))
    answers = [answer("a", 1_000.0 + turn / 20.0, latency_ms=float(turn % 2)) for turn in range(1_000)]
    answers += [answer("a", 1_000.0), answer("a", 1_200.0, status=500)]
    Random(1).shuffle(answers)
    found = UnitValues(sought)
    found.answers(answers)
    (row,) = found.rows(2_000.0)
    assert (row.at, row.values[0], row.values[2]) == (1_000.0, 1_000.0, 0.0)
    assert row.values[1] == pytest.approx(0.5, abs=0.001)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 300), st.booleans()), max_size=30), st.randoms())
def test_the_order_of_reading_is_nothing(said: list[tuple[str, int, bool]], rng: Random) -> None:
    """Records of several workers come in any order: the units are the same."""
    sought = replace(SOUGHT, measures=(measure("conversion"), measure("requests")), features=("city",))
    answers = [
        answer(unit, 1_000.0 + at, "challenger-2" if unit > "c" else "champion") for unit, at, is_it in said if is_it
    ]
    events = [event(unit, 1_000.0 + at, float(at)) for unit, at, is_it in said if not is_it]
    found = []
    for _ in range(2):
        one = UnitValues(sought)
        one.events(events)
        one.answers(answers)
        found.append(one.rows(9_000.0))
        rng.shuffle(answers)
        rng.shuffle(events)
    assert found[0] == found[1]


def test_other_traffic_is_passed_over() -> None:
    """Of another model, another rollout, a shadow, an arm that was given back, from before the start; and answers whose
    caller names no unit are counted."""
    found = UnitValues(SOUGHT)
    found.answers(
        [
            answer("a", 1_000.0, model_name="motel"),
            answer("b", 1_000.0, rollout="other"),
            answer("c", 1_000.0, shadow_of=1),
            answer("d", 1_000.0, "returned-2"),
            answer("e", 999.0),
            answer("f", 1_000.0, request_id="f"),
        ]
    )
    assert (found.rows(9_000.0), found.without_unit) == ([], 1)


def test_what_units_did_before_the_start_is_their_covariate() -> None:
    """Within the period before, and not of what came after."""
    sought = replace(SOUGHT, covariates=(measure("count(visit)"),))
    found = UnitValues(sought)
    found.answers([answer("a", 1_010.0)])
    found.events([event("a", at, name="visit") for at in (400.0, 600.0, 999.0, 1_000.0)])
    assert found.rows(9_000.0)[0].covariates == (2.0,)


def test_outcomes_are_the_mean_over_a_units_answers() -> None:
    """As the labels that came in time say; of text that spells no number, nothing."""
    sought = replace(SOUGHT, measures=(measure("outcome"),))
    found = UnitValues(sought)
    found.answers([answer("a", at) for at in (1_000.0, 1_001.0, 1_002.0, 1_003.0)])
    told = ((1_000.0, 1, 1_050.0), (1_001.0, "0", 1_050.0), (1_002.0, "no", 1_050.0), (1_003.0, 9, 1_111.0))
    found.outcomes([OutcomeRecord(f"a/{at}", value, at, when) for at, value, when in told])
    assert found.rows(9_000.0)[0].values == (0.5,)


@pytest.mark.parametrize("raw", [b'{"nights":2}', b"[1]", b"{", b'{"city":null}'])
def test_features_that_are_not_there_are_nothing(raw: bytes) -> None:
    """Whatever the caller sent."""
    found = UnitValues(replace(SOUGHT, features=("city",)))
    found.answers([answer("a", 1_000.0, features=msgspec.Raw(raw))])
    assert found.rows(9_000.0)[0].features == (None,)
