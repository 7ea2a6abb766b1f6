"""What comes of deciding again."""

from __future__ import annotations

import pytest

from fairlead.core.recount import Recount, State, compared, tallied, verdict


def one(state: State, said: str = "", name: str = "g") -> Recount:
    """A recount."""
    return Recount("gate", name, "hotel", 3, 0.0, state, said)


def test_a_tally_counts_and_names_the_first() -> None:
    """How many are the same, different and not recomputed, with the first of the latter two."""
    found = [one("same"), one("different", "p was 1", "a"), one("different", "q", "b"), one("unproven", "gone", "c")]
    tally = tallied("gate", found)
    assert (tally.same, tally.different, tally.unproven, tally.count) == (1, 2, 1, 4)
    assert tally.sentence == (
        "gate: 4 decisions, 1 the same byte for byte, 2 different (a: p was 1), 1 not recomputed (c: gone)"
    )


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        (("same", "same"), "same"),
        (("same", "unproven"), "unproven"),
        (("unproven", "different"), "different"),
        ((), "same"),
    ],
)
def test_the_worst_is_the_verdict(states: tuple[State, ...], worst: State) -> None:
    """One that differs outweighs all, then one that cannot be recomputed: silence is no proof."""
    assert verdict([tallied("gate", [one(state)]) for state in states]) == worst


def test_bytes_are_compared_and_their_difference_is_told() -> None:
    """Equal bytes are the same; else the field is named, after what it is of."""
    assert compared(b'{"a":1}', b'{"a":1}', "x: ") == ("same", "")
    assert compared(b'{"a":1}', b'{"a":2}', "x: ") == ("different", "x: a was 1 and comes out as 2")
