"""When a window's labels have come, as far as they will: read off the delays that the log shows.

Some labels never come. What counts is the share of those that will: the curve's height, divided by the height at which
it ends. It is believed only where the log is at least twice as old as the delay that is read off it, and where the
delay's upper end, by the curve's lower bound, is within that age too; until then the stated bound holds.
"""

from __future__ import annotations

from math import inf

from msgspec import Struct

from fairlead.core.listing import counted
from fairlead.stats.performance.maturity import DelayCurve
from fairlead.stats.performance.measure import Measure

SHARE = 0.9
AT_MOST = 60 * 86_400.0
FEWEST = 50  # labels, below which a curve says nothing
_FOLLOWED = 2.0  # times the delay that the oldest answer must be old


class Maturity(Struct, frozen=True):
    """After `seconds` from its end a window counts as matured. `known`: it was read off the log; `reason` says how, or
    why not. `ends` is the share of answers whose label comes at all, as far as the log shows."""

    seconds: float
    known: bool
    reason: str
    labels: int = 0
    waiting: int = 0
    ends: Measure | None = None


def maturity_of(curve: DelayCurve, oldest: float, share: float = SHARE, at_most: float = AT_MOST) -> Maturity:
    """The delay within which `share` of the labels that come are there, at most `at_most` seconds. `oldest` is the age
    of the oldest answer."""
    if curve.known < FEWEST:
        return _not_yet(curve, at_most, f"{counted(curve.known, 'label')} came so far, fewer than {FEWEST}")
    ends = Measure(float(curve.share[-1]), float(curve.low[-1]), float(curve.high[-1]))
    wanted = share * ends.value
    sure = curve.low >= wanted
    # Where all have come, the last bounds are as wide as before: the curve itself then says it.
    delay = float(curve.delays[int(sure.argmax())]) if sure.any() else inf
    if delay == inf and ends.value >= 1.0:
        delay = curve.until(wanted)
    if delay * _FOLLOWED > oldest:
        return _not_yet(curve, at_most, f"the oldest answer is {_days(oldest)} old: later labels may still come", ends)
    said = f"{share:.0%} of the labels that come are there within {_days(delay)} ({counted(curve.known, 'label')})"
    if delay > at_most:
        return Maturity(at_most, True, f"{said}; at most {_days(at_most)}", curve.known, curve.waiting, ends)
    return Maturity(delay, True, said, curve.known, curve.waiting, ends)


def stated(seconds: float) -> Maturity:
    """The maturity that the settings state."""
    return Maturity(seconds, False, f"the settings say {_days(seconds)}")


def _not_yet(curve: DelayCurve, at_most: float, why: str, ends: Measure | None = None) -> Maturity:
    reason = f"not known yet, so {_days(at_most)}: {why}"
    return Maturity(at_most, False, reason, curve.known, curve.waiting, ends)


def _days(seconds: float) -> str:
    if seconds < 7_200.0:
        return f"{seconds:.0f} s" if seconds < 120.0 else f"{seconds / 60.0:.0f} minutes"
    return f"{seconds / 3_600.0:.0f} hours" if seconds < 2 * 86_400.0 else f"{seconds / 86_400.0:.1f} days"
