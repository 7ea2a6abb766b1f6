"""What a candidate's answers, failures and log records were, and what it means. Nothing is measured here."""

from __future__ import annotations

from msgspec import Struct

from fairlead.core.agreement import Agreement
from fairlead.core.gate import DAY_SECONDS, Check, GatePolicy, figures
from fairlead.core.judging import judged
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome

ROOM = 0.8  # of the free disk that the log may take: others write there too
_GB = 1e9
_WORD = 12  # characters from which a piece of an error says more than an answer may


class GoldenAsked(Struct, frozen=True):
    """The golden rows as callers ask them. `refused`: which rows the server refused though the contract takes them."""

    agreement: Agreement
    refused: tuple[str, ...] = ()
    left_out: int = 0  # rows that the contract itself refuses


class Failure(Struct, frozen=True):
    """A failure that was forced: what the caller got, what the log holds, and whether good requests are answered since.
    Status 0: no answer, or no record."""

    status: int
    said: str
    logged_status: int
    logged_error: str
    is_answered_again: bool


class Volume(Struct, frozen=True):
    """Bytes that a record takes in the log, and that are free on the disk."""

    bytes_each: float
    free_bytes: int


@judged
def judge_golden(found: GoldenAsked) -> Check:
    """Over HTTP every golden row is answered as it was recorded."""
    same, rows = found.agreement, found.agreement.rows
    required = f"every golden row that the contract takes, answered within {same.tolerance:g}"
    measured = figures(
        rows=rows,
        refused=len(found.refused),
        left_out=found.left_out,
        largest_difference=same.largest_difference,
        tolerance=same.tolerance,
    )
    if found.refused:
        asked = counted(rows + len(found.refused), "golden row")
        reason = f"{len(found.refused)} of {asked} were refused, the first {found.refused[0]}."
        return Check("golden_over_http", Outcome.BREACHED, reason, measured, required)
    if rows == 0:
        reason = "There is no golden row that the contract takes."
        return Check("golden_over_http", Outcome.UNDECIDED, reason, measured, required)
    if not same.holds:
        reason = (
            f"Over HTTP {counted(rows, 'golden row')} are answered with differences up to "
            f"{same.largest_difference:.3g}, beyond {same.tolerance:g}."
        )
        return Check("golden_over_http", Outcome.BREACHED, reason, measured, required)
    reason = f"Over HTTP {counted(rows, 'golden row')} are answered as recorded, within {same.largest_difference:.3g}."
    return Check("golden_over_http", Outcome.HOLDS, reason, measured, required)


@judged
def judge_failure(found: Failure) -> Check:
    """A failure is a 500 to its caller, with its error in the log and none of it in the answer; then all is well."""
    required = "500 to the caller without the error, the error in the log, good requests answered afterwards"
    measured = figures(
        status=found.status,
        logged_status=found.logged_status,
        logged_error=found.logged_error[:200],
        answered_again=found.is_answered_again,
    )
    problem = _problem(found)
    if problem:
        return Check("errors_logged", Outcome.BREACHED, problem, measured, required)
    error = found.logged_error.partition(":")[0]
    reason = f"A failure that was forced is in the log ({error}), its caller got a 500 without it, and the next a 200."
    return Check("errors_logged", Outcome.HOLDS, reason, measured, required)


def _problem(found: Failure) -> str:
    if found.status != 500:
        return f"A failure that was forced was answered {found.said or found.status or 'not at all'}, not with 500."
    if not found.logged_status:
        return "A failure that was forced is not in the log."
    if found.logged_status != 500 or not found.logged_error:
        return f"The log's record of a failure says {found.logged_status}, and not what went wrong."
    if leaked := _leaked(found):
        return f"The caller of a failure was told what belongs into the log: {leaked!r}."
    if not found.is_answered_again:
        return "After a failure good requests were not answered."
    return ""


def _leaked(found: Failure) -> str:
    """The error's text that the caller got: its message, or its type."""
    kind, _, message = found.logged_error.partition(": ")
    for piece in (message[:80], kind):
        if len(piece) >= _WORD and piece in found.said:
            return piece
    return ""


@judged
def judge_volume(found: Volume, policy: GatePolicy) -> Check:
    """What the log takes while records are kept fits on the disk."""
    records = policy.expected_rate * DAY_SECONDS * policy.log_days
    needed = found.bytes_each * records
    required = f"at most {ROOM:.0%} of the free disk for {policy.log_days:g} days at {policy.expected_rate:g} a second"
    measured = figures(
        bytes_per_record=round(found.bytes_each, 1),
        gb_per_day=round(found.bytes_each * policy.expected_rate * DAY_SECONDS / _GB, 3),
        needed_gb=round(needed / _GB, 3),
        free_gb=round(found.free_bytes / _GB, 3),
    )
    said = (
        f"{found.bytes_each:.0f} bytes a record at {policy.expected_rate:g} a second are {needed / _GB:.1f} GB in "
        f"{policy.log_days:g} days; {found.free_bytes / _GB:.1f} GB are free"
    )
    if found.bytes_each <= 0.0:
        reason = "The log did not grow: what it takes is not known."
        return Check("log_volume", Outcome.UNDECIDED, reason, measured, required)
    if needed > ROOM * found.free_bytes:
        reason = (
            f"{said}: say in gates.bounds what is expected (expected_rate, log_days), "
            "keep records for fewer days, or give the log a larger disk."
        )
        return Check("log_volume", Outcome.BREACHED, reason, measured, required)
    return Check("log_volume", Outcome.HOLDS, f"{said}.", measured, required)
