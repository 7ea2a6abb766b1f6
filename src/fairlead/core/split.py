"""How requests are dealt to the arms of a route: by unit, by request, by a feature's value, by blocks of time.

    unit      a unit keeps its arm for as long as the shares allow: people are not shown two models in turn
    request   every request is dealt anew: the most evidence an hour, where nobody notices
    feature   all requests with one value go together, such as a region: for effects that spill over within it
    time      all requests of one block go together: a switchback, for effects that spill over to everybody

The first two deal units or requests, and evidence counts those. The other two deal *clusters*: a rollout's tests, which
take units as dealt one by one, would be wrong, so they belong to experiments that are read by clusters (Bojinov,
Simchi-Levi, Zhao 2023 for switchbacks).
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct


class By(StrEnum):
    """What is dealt."""

    UNIT = "unit"
    REQUEST = "request"
    FEATURE = "feature"
    TIME = "time"


class Split(Struct, frozen=True):
    """How a route's requests are dealt.

    `feature` names the feature whose value is dealt, or restricts or stratifies. `within`: only requests with one of
    these values are dealt; all others get the champion and are no evidence. `stratified`: each value draws units of
    its own, so that one value's luck is not another's. `block_seconds` is the length of a block of time. `explore`,
    from 0 up to 1, is the share of requests dealt evenly over all arms instead: a later valuation of other policies
    needs it.
    """

    by: By = By.UNIT
    feature: str = ""
    within: tuple[str, ...] = ()
    stratified: bool = False
    block_seconds: float = 0.0
    explore: float = 0.0

    @property
    def clusters(self) -> bool:
        """Whether many units are dealt together."""
        return self.by in (By.FEATURE, By.TIME)


PLAIN = Split()  # the unit alone decides


class Dealt(NamedTuple):
    """What a request is dealt by: its ids, when it came (seconds since 1970), and its value of the split's feature as
    text, None where it has none."""

    request_id: str
    unit_id: str
    at: float
    value: str | None = None


def fault_of(split: Split) -> str:
    """What is wrong with a split, as a sentence with the fix; nothing where it can be dealt.

    >>> fault_of(Split(by=By.TIME))
    'a split by time needs the length of its blocks: write block: 1h'
    """
    uses = split.by is By.FEATURE or bool(split.within) or split.stratified
    if uses and not split.feature:
        return "a split by, within or over the strata of a feature needs its name: write feature: country"
    if split.feature and not uses:
        return f"the feature {split.feature!r} decides nothing: write by: feature, within: [...] or stratified: true"
    if split.by is By.TIME and not split.block_seconds > 0.0:
        return "a split by time needs the length of its blocks: write block: 1h"
    if split.block_seconds and split.by is not By.TIME:
        return f"a block belongs to a split by time, not to one by {split.by.value}: leave it out"
    if not 0.0 <= split.explore < 1.0:
        return f"the exploring share is {split.explore:g}: write 0% or more and less than 100%"
    return ""


def key_of(split: Split, dealt: Dealt) -> str:
    """What is hashed to a place.

    >>> key_of(Split(by=By.TIME, block_seconds=3600.0), Dealt("r", "u", 7_300.0))
    '2'
    """
    match split.by:
        case By.REQUEST:
            return dealt.request_id
        case By.FEATURE:
            return "" if dealt.value is None else f"={dealt.value}"  # no value is not the empty text
        case By.TIME:
            return str(int(dealt.at // split.block_seconds))
        case _:
            return dealt.unit_id
