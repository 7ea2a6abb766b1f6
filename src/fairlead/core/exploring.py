"""Decisions that chance takes, for a stated share of requests: without them a log says nothing of what was not decided.

A request is dealt by its id. One that is dealt gets any of the model's classes, each with the same chance, where its
score lies in the stated band; all others get what the model decides. So the chance of every logged decision is known,
and other policies can be valued by weighing with it (`stats.policy.values`), as long as they decide otherwise only
where something is drawn.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

EXPLORED = "explored"  # the arm of an answer whose decision was drawn
_TAG = "draws"


class Draws(Struct, frozen=True):
    """The share of requests whose decision is drawn, where the score lies from `low` to `high`."""

    share: float
    low: float = 0.0
    high: float = 1.0

    @property
    def tag(self) -> str:
        """As the log has it of every answer that was given under it.

        >>> Draws(0.01, 0.3, 0.7).tag
        'draws:0.01:0.3:0.7'
        """
        return f"{_TAG}:{self.share!r}:{self.low!r}:{self.high!r}"

    def among(self, score: float | None) -> bool:
        """Whether a decision may be drawn at this score."""
        return score is not None and self.low <= score <= self.high


class Drawn(NamedTuple):
    """A decision that was drawn, and what the answer's record says where it is not taken: the arm of all others."""

    draws: Draws
    decision: int | str
    arm: str


def draws_of(tag: str) -> Draws | None:
    """What a log's tag stands for; None for any other text.

    >>> draws_of("draws:0.01:0.3:0.7"), draws_of("ro-7")
    (Draws(share=0.01, low=0.3, high=0.7), None)
    """
    name, _, rest = tag.partition(":")
    try:
        share, low, high = (float(part) for part in rest.split(":"))
    except ValueError:
        return None
    return Draws(share, low, high) if name == _TAG else None


def chance_of(draws: Draws, score: float | None, classes: int, *, as_decided: bool) -> float:
    """The chance of a logged decision; `as_decided`: it is what the model decides by itself.

    >>> draws = Draws(0.1, 0.4, 0.6)
    >>> [round(chance_of(draws, 0.5, 2, as_decided=each), 3) for each in (True, False)]
    [0.95, 0.05]
    >>> [chance_of(draws, 0.9, 2, as_decided=each) for each in (True, False)]
    [1.0, 0.0]
    """
    if not draws.among(score):
        return float(as_decided)
    return (1.0 - draws.share) * as_decided + draws.share / classes
