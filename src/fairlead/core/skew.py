"""Whether serving and training see the same values: when two are one, and what a comparison means."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose, isnan

from fairlead.core.inference import label_text
from fairlead.core.listing import counted, first_of
from fairlead.core.verdict import Outcome, Verdict
from fairlead.stats.skew import Disagreement, Place, pairs_needed

NAMED = 5  # features that a reason names
TOLERANCE = 1e-6  # between float32 and float64, relatively


def same(served: object, trained: object, tolerance: float = TOLERANCE) -> bool:
    """Whether two records of a value are one: null is null, absent and NaN; true is 1; a class is its text.

    >>> same(3, 3.0), same(None, float("nan")), same(0.1, 0.1000001), same("3", 3), same(None, 0)
    (True, True, True, True, False)
    """
    one, two = _plain(served), _plain(trained)
    if one is None or two is None:
        return one is two
    if isinstance(one, int | float) and isinstance(two, int | float):
        return isclose(one, two, rel_tol=tolerance, abs_tol=tolerance * tolerance)
    return _text(one) == _text(two)


def judge_skew(
    found: Sequence[Disagreement], joined: int, served: int, *, limit: float, alpha: float, key: str
) -> Verdict:
    """The verdict on features of which `joined` of the `served` requests were found in the training data by `key`.

    - unmeasured: nothing could be compared.
    - breached: some feature's share of unequal values is beyond the limit.
    - holds: every feature's is within it.
    - undecided: there are too few pairs to say.
    """
    if not served:
        return Verdict(Outcome.UNMEASURED, "no request is in the log: nothing was served yet")
    if not joined or not found:
        what = "shares no feature with the log" if joined else f"has none of the {counted(served, 'logged request')}"
        return Verdict(Outcome.UNMEASURED, f"the training data {what}: is {key} what both are known by?")
    beyond = [one for one in found if one.place is Place.BEYOND]
    of = f"of {counted(len(found), 'feature')}"
    if beyond:
        told = first_of([f"{one.name} ({one.share:.2%} unequal)" for one in beyond], NAMED)
        return Verdict(
            Outcome.BREACHED, f"{len(beyond):,} {of} differ in more than {limit:.2%} of the requests: {told}"
        )
    open_ = [one for one in found if one.place is Place.OPEN]
    if open_:
        needed = pairs_needed(limit, alpha)
        more = f"; {needed:,} equal pairs of each would show it" if needed else ""
        told = first_of([f"{one.name} ({one.unequal:,} of {one.pairs:,})" for one in open_], NAMED)
        return Verdict(Outcome.UNDECIDED, f"not enough data yet for {len(open_):,} {of}: {told}{more}")
    return Verdict(Outcome.HOLDS, f"all {counted(len(found), 'feature')} differ in at most {limit:.2%} of the requests")


def _plain(value: object) -> object:
    return None if isinstance(value, float) and isnan(value) else value


def _text(value: object) -> str:
    return value if isinstance(value, str) else label_text(value)
