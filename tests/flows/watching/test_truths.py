"""Outcomes wait for their time and for their predictions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.record import OutcomeRecord
from fairlead.flows.watching.truths import Truths

OUTCOMES = st.builds(OutcomeRecord, st.sampled_from("abc"), st.integers(0, 1), st.floats(0, 9), st.floats(0, 9))


@given(st.lists(OUTCOMES), st.lists(st.floats(0, 9)))
def test_each_outcome_is_given_once_when_it_is_due(outcomes: list[OutcomeRecord], looks: list[float]) -> None:
    """Nothing comes before it was observed, nothing twice, nothing is lost; each look is in order of observation."""
    truths, given_out = Truths(), []
    truths.add(outcomes)
    for watermark in [*sorted(looks), 10.0]:
        due = truths.due(watermark)
        assert all(outcome.observed_at <= watermark for outcome in due)
        assert [outcome.observed_at for outcome in due] == sorted(outcome.observed_at for outcome in due)
        given_out += due
    assert sorted(map(repr, given_out)) == sorted(map(repr, outcomes))


@given(st.lists(OUTCOMES, min_size=1), st.randoms(use_true_random=False))
def test_the_latest_of_several_waits(outcomes: list[OutcomeRecord], random: object) -> None:
    """For each request the outcome that was observed last, then received last, is claimed, and only once."""
    truths = Truths()
    for outcome in outcomes:
        truths.keep(outcome)
    for name in {outcome.request_id for outcome in outcomes}:
        mine = [(each.observed_at, each.received_at) for each in outcomes if each.request_id == name]
        found = truths.claim(name)
        assert found is not None
        assert (found.observed_at, found.received_at) == max(mine)
        assert truths.claim(name) is None


def test_memory_is_bounded() -> None:
    """Beyond the limit the outcomes that waited longest are forgotten, and counted."""
    truths = Truths(most=2)
    for name in "abc":
        truths.keep(OutcomeRecord(name, 1, 0.0, 0.0))
    assert truths.forgotten == 1
    assert truths.claim("a") is None
    assert truths.claim("b") is not None


def test_a_flood_from_the_future_is_bounded() -> None:
    """Outcomes dated centuries ahead do not fill the memory, nor push out those that are due soon; they are counted."""
    truths = Truths(most=80)
    soon = [OutcomeRecord(f"soon{n}", 1, 10.0 + n, 0.0) for n in range(20)]
    truths.add(soon[:10])
    for n in range(1_000):
        truths.add([OutcomeRecord(f"r{n}", 1, 9e9 + n, 1.0)])
        assert len(truths._future) <= 90
    truths.add(soon[10:])
    assert truths.due(30.0) == soon
    assert len(truths._future) + truths.forgotten == 1_000
