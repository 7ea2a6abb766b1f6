"""Is it the version's doing that workers die, grow or stop answering? Pure: samples in, a reason out, or none.

A busy machine, a restart by hand and a champion that was no better before are nobody's doing. So each rule compares a
process with itself before the version had traffic, and looks at what only its own work can change:

deaths      3 or more by a fault (SIGSEGV, SIGABRT, an exit code from 2 on), more than the rate before explains.
            SIGTERM, SIGKILL and the exit codes 0 and 1 are somebody else's.
memory      64 MiB more, 16 KiB or more for each answer of the version, in every quarter of them, and twice as before.
            A jump, a plateau, and growth that was there before, are none.
event loop  a fifth of its ticks late by over 64 ms, on 0.7 of a processor, at 3 times the processor time an answer
            took. Lateness alone is what a busy machine does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from math import exp, lgamma, log, log1p

from msgspec import Struct

LEAST_DEATHS = 3
CALM_SECONDS = 600.0  # a time before that is known for less counts as ten minutes without a death
GROWN_BYTES = 64 * 2**20
BYTES_EACH = 16 * 2**10
LEAST_ANSWERS = 200  # of the version, by one process
LEAST_BEFORE = 100  # answers of a process before the version had traffic, for it to be compared with itself
TIMES_GROWN, TIMES_WORK = 2.0, 3.0  # of what it was before
QUARTERS = 4
LATE_SHARE, LATE_BEFORE = 0.2, 0.02
BUSY_CORES = 0.7
LEAST_TICKS = 50

_FAULTS = re.compile(r"was ended by SIG(SEGV|ABRT|BUS|FPE|ILL|SYS|TRAP)\b|left with (?!0\b|1\b)\d+")


class Sample(Struct, frozen=True):
    """What one process said of itself at an instant; all are counts since its start but `resident` (bytes).

    `answers` counts predictions, of all versions and of the one that is looked at; `ticks` are those of the event loop,
    `late` those of them that came more than 64 ms late.
    """

    resident: int
    cpu_seconds: float
    answers: int
    mine: int
    ticks: int = 0
    late: int = 0
    at: float = 0.0


def is_fault(detail: str) -> bool:
    """Whether a worker's end, as the supervisor tells it, is a fault of what ran in it.

    >>> is_fault("pid 7 was ended by SIGSEGV after 3.2 s"), is_fault("pid 7 was ended by SIGKILL after 3.2 s")
    (True, False)
    >>> is_fault("pid 7 left with 134 after 0.2 s"), is_fault("pid 7 left with 1 after 0.2 s")
    (True, False)
    """
    return _FAULTS.search(detail) is not None


def deaths(before: int, before_seconds: float, since: int, since_seconds: float, alpha: float) -> str:
    """Why deaths since a version has had traffic are its doing; nothing where they may be chance, at error `alpha`.

    Under a constant rate each of all deaths falls into the time since with the probability of its length. It is looked
    at with each death, and the k-th may spend alpha / (k (k + 1)).
    """
    if since < LEAST_DEATHS:
        return ""
    part = since_seconds / (since_seconds + max(before_seconds, CALM_SECONDS))
    if upper_tail(before + since, part, since) > alpha / (since * (since + 1)):
        return ""
    known = f"{before} in {before_seconds:.0f} s before" if before else f"none in {before_seconds:.0f} s before"
    return f"{since} worker processes died of a fault in the {since_seconds:.0f} s since it has had traffic, {known}"


def upper_tail(trials: int, share: float, least: int) -> float:
    """The probability of `least` or more successes.

    >>> round(upper_tail(3, 0.5, 3), 12)
    0.125
    """
    if least <= 0 or share >= 1.0:
        return 1.0
    if share <= 0.0 or least > trials:
        return 0.0
    odds = share / (1.0 - share)
    ways = lgamma(trials + 1) - lgamma(least + 1) - lgamma(trials - least + 1)
    term = exp(ways + least * log(share) + (trials - least) * log1p(-share))
    total = 0.0
    for k in range(least, trials + 1):
        total += term
        term *= odds * (trials - k) / (k + 1)
    return min(1.0, total)


def growth(before: Sequence[Sample], since: Sequence[Sample], *, alone: bool = False) -> str:
    """Why a process's growth is a version's doing; nothing where it may not be.

    `before` are samples of the same process without the version's traffic, `since` with it, both in order of time and
    without anything being loaded in between. `alone`: nobody else answers in the process, so nothing need be known of
    before.
    """
    if not since:
        return ""
    first, last = since[0], since[-1]
    grown, mine = last.resident - first.resident, last.mine - first.mine
    if grown < GROWN_BYTES or mine < LEAST_ANSWERS or grown < BYTES_EACH * mine or not _is_steady(since):
        return ""
    if not alone:
        known = _each(before)
        if known is None or grown < TIMES_GROWN * known * (last.answers - first.answers):
            return ""
    return f"its memory grew by {grown / 2**20:.0f} MiB over {mine} answers of the version, steadily"


def _each(before: Sequence[Sample]) -> float | None:
    """Bytes that a process grew by an answer, in the later half of its answers before: what first calls leave behind is
    no growth that goes on. None where it is not known."""
    if not before or before[-1].answers - before[0].answers < LEAST_BEFORE:
        return None
    last, middle = before[-1], (before[0].answers + before[-1].answers) / 2
    half = next(one for one in before if one.answers >= middle)
    answers = last.answers - half.answers
    return max(0, last.resident - half.resident) / answers if answers else None


def _is_steady(since: Sequence[Sample]) -> bool:
    """Whether each quarter of the version's answers brought half of its part of the growth, or more."""
    first, last = since[0], since[-1]
    least = (last.resident - first.resident) / (2 * QUARTERS)
    marks = [first]
    for quarter in range(1, QUARTERS):
        goal = first.mine + (last.mine - first.mine) * quarter / QUARTERS
        marks.append(next(one for one in since if one.mine >= goal))
    marks.append(last)
    return all(b.resident - a.resident >= least for a, b in pairwise(marks))


def held_up(before: Sequence[Sample], since: Sequence[Sample]) -> str:
    """Why it is a version's doing that a process's event loop is late; nothing where it may not be. Samples as in
    `growth`."""
    if not before or not since:
        return ""
    then, now = _work(before), _work(since)
    if then is None or now is None or since[-1].mine - since[0].mine < LEAST_ANSWERS:
        return ""
    if now.late < LATE_SHARE or then.late > LATE_BEFORE or now.cores < BUSY_CORES:
        return ""
    if now.each < TIMES_WORK * then.each:
        return ""
    return (
        f"{100 * now.late:.0f} % of its event loop's ticks are late by over 64 ms ({100 * then.late:.1f} % before), "
        f"and an answer takes {1000 * now.each:.1f} ms of processor time ({1000 * then.each:.1f} ms before)"
    )


class _Work(Struct, frozen=True):
    """Between two samples: the share of late ticks, the processors in use, and their seconds for an answer."""

    late: float
    cores: float
    each: float


def _work(span: Sequence[Sample]) -> _Work | None:
    first, last = span[0], span[-1]
    ticks, answers, seconds = last.ticks - first.ticks, last.answers - first.answers, last.at - first.at
    if ticks < LEAST_TICKS or answers < LEAST_BEFORE or seconds <= 0.0:
        return None
    used = last.cpu_seconds - first.cpu_seconds
    return _Work((last.late - first.late) / ticks, used / seconds, used / answers)
