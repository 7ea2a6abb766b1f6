"""A verdict: what a check found, with its reason. Numbers never alert; verdicts do."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct


class Outcome(StrEnum):
    """The four answers a check can give. Silence is none of them."""

    HOLDS = "holds"
    UNDECIDED = "undecided"
    UNMEASURED = "unmeasured"
    BREACHED = "breached"


_SEVERITY = {Outcome.HOLDS: 0, Outcome.UNDECIDED: 1, Outcome.UNMEASURED: 2, Outcome.BREACHED: 3}


class Verdict(Struct, frozen=True):
    """An outcome and the sentence that explains it."""

    outcome: Outcome
    reason: str


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The most severe of some verdicts: breached, then unmeasured, then undecided, then holds.

    No verdict at all is `unmeasured`: a check that looked at nothing has not passed.

    >>> worst([Verdict(Outcome.HOLDS, "calm"), Verdict(Outcome.BREACHED, "price moved")]).reason
    'price moved'
    >>> worst([]).outcome.value
    'unmeasured'
    """
    return max(
        verdicts,
        key=lambda verdict: _SEVERITY[verdict.outcome],
        default=Verdict(Outcome.UNMEASURED, "nothing was measured"),
    )
