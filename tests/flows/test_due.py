"""Whose turn it is."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from fairlead.flows.due import Due

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abc"), st.integers(0, 20).map(float)),
        st.tuples(st.none(), st.integers(0, 20).map(float)),
    ),
    max_size=60,
)


@given(STEPS)
def test_each_is_taken_once_at_its_earliest_instant(steps: list[tuple[str | None, float]]) -> None:
    """For any asks and looks: what is given is what a list of the earliest instants would give."""
    due = Due()
    known: dict[str, float] = {}
    for name, at in steps:
        if name is not None:
            due.ask(name, at)
            known[name] = min(at, known.get(name, inf))
            continue
        taken = sorted(one for one, instant in known.items() if instant <= at)
        assert sorted(due.take(at)) == taken
        for one in taken:
            del known[one]


def test_infinity_asks_for_nothing() -> None:
    """A model that waits for nothing is never due."""
    due = Due()
    due.ask("a", inf)
    assert due.take(1e300) == []
