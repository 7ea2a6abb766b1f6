"""What was measured of a running candidate, and what it means: how fast, in how much memory, by strange requests, in
the log, and on the way back. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from fairlead.core.gate import Check, GatePolicy, figures
from fairlead.core.judging import judged
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome

FEWEST_LATENCIES = 100  # below, a 99th percentile is the slowest request


class Served(Struct, frozen=True):
    """Requests that a real worker answered. `latencies_ms` are of the requests after the warm-up, as the client saw."""

    latencies_ms: tuple[float, ...]
    refused: int  # answers other than 2xx
    first_refusal: str
    peak_memory_mb: float
    model_mb: float  # what is served, on disk


class EdgeAnswer(Struct, frozen=True):
    """What one strange request got. `expected` are the allowed classes of status (2, 4); `field` must be named."""

    case: str
    expected: tuple[int, ...]
    status: int
    error: str | None  # the JSON error's text, None where there is none
    field: str = ""
    note: str = ""

    @property
    def problem(self) -> str | None:
        """What is wrong with the answer."""
        classes = " or ".join(f"{kind}xx" for kind in self.expected)
        if self.note:
            return f"{self.case}: {self.note}"
        if self.status // 100 not in self.expected:
            return f"{self.case} was answered {self.status or 'not at all'}, expected {classes}"
        if self.status >= 400 and not self.error:
            return f"{self.case} was answered {self.status} without a JSON error"
        if self.status >= 400 and self.field and self.field not in (self.error or ""):
            return f"{self.case} was answered {self.status} without naming {self.field}"
        return None


class Rehearsal(Struct, frozen=True):
    """A swap to the candidate and back under traffic. Seconds count from publishing the way back."""

    requests: int
    refused: int
    first_refusal: str
    candidate_answers: int
    previous_answers: int
    forward_seconds: float  # from publishing the candidate until the last worker had it
    back_seconds: float  # until the last worker had the previous version again
    last_answer_seconds: float  # until the candidate's last answer
    stand_in: bool  # no champion yet: the candidate under another version number stood in
    previous: int = 0  # the version that was gone back to, which is the champion of now
    connections: int = 1


@judged
def judge_served(found: Served, policy: GatePolicy) -> Check:
    """Latency and memory of a real worker, under its bounds."""
    required = f"p99 <= {policy.p99_ms:g} ms, peak memory <= {policy.peak_memory_mb:g} MB, no refusal"
    total = len(found.latencies_ms)
    if total == 0:
        return Check("latency_and_memory", Outcome.UNDECIDED, "No request was answered.", {}, required)
    p50, p95, p99 = (float(q) for q in np.percentile(found.latencies_ms, (50, 95, 99), method="higher"))
    measured = figures(
        requests=total,
        refused=found.refused,
        p50_ms=round(p50, 3),
        p95_ms=round(p95, 3),
        p99_ms=round(p99, 3),
        peak_memory_mb=round(found.peak_memory_mb, 1),
        model_mb=round(found.model_mb, 3),
    )
    memory = f"peak memory {found.peak_memory_mb:.0f} MB"
    said = f"p50 {p50:.2f}, p95 {p95:.2f}, p99 {p99:.2f} ms over {counted(total, 'request')}, {memory}"
    if found.refused:
        reason = (
            f"{found.refused} of {counted(total, 'valid request')} were refused, the first with {found.first_refusal}."
        )
        return Check("latency_and_memory", Outcome.BREACHED, reason, measured, required)
    over = [f"p99 is over {policy.p99_ms:g} ms"] if p99 > policy.p99_ms else []
    if found.peak_memory_mb > policy.peak_memory_mb:
        over.append(f"memory is over {policy.peak_memory_mb:g} MB")
    if over:
        reason = f"{said}: {' and '.join(over)}."
        return Check("latency_and_memory", Outcome.BREACHED, reason, measured, required)
    if total < FEWEST_LATENCIES:
        reason = f"{said}: too few requests for a 99th percentile, at least {FEWEST_LATENCIES} are needed."
        return Check("latency_and_memory", Outcome.UNDECIDED, reason, measured, required)
    return Check("latency_and_memory", Outcome.HOLDS, f"{said}.", measured, required)


@judged
def judge_edges(answers: Sequence[EdgeAnswer]) -> Check:
    """Each strange request got its stated answer."""
    required = "4xx with a JSON error that names the field, or 2xx where the contract says so; never 5xx"
    problems = [answer.problem for answer in answers if answer.problem]
    statuses = {f"status_{answer.case.replace(' ', '_')}": answer.status for answer in answers}
    measured = figures(cases=len(answers), wrong=len(problems), **statuses)
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        reason = f"{len(problems)} of {counted(len(answers), 'case')} went wrong: {'; '.join(problems[:3])}{more}."
        return Check("edge_cases_answered", Outcome.BREACHED, reason, measured, required)
    if not answers:
        return Check("edge_cases_answered", Outcome.UNDECIDED, "No case was tried.", measured, required)
    refused = sum(answer.status >= 400 for answer in answers)
    reason = (
        f"{counted(len(answers), 'case')}: {refused} refused with a reason, "
        f"{len(answers) - refused} answered, none failed."
    )
    return Check("edge_cases_answered", Outcome.HOLDS, reason, measured, required)


@judged
def judge_logging(
    sent: int, found: int, wrong: Sequence[str] = (), later_ms: Sequence[float] = (), apart_ms: float = 5.0
) -> Check:
    """Every answered request is in the log, with its features, prediction, version and latency.

    `later_ms`: by how much each caller's latency is longer than the logged one. The median decides: what the network
    and a busy caller add is little in most requests.
    """
    required = f"every answered request, with features, prediction, version, and its latency within {apart_ms:g} ms"
    apart = float(np.median(later_ms)) if len(later_ms) else None
    measured = figures(
        answered=sent, logged=found, wrong=len(wrong), latency_apart_ms=None if apart is None else round(apart, 3)
    )
    if sent == 0:
        return Check("logging_proven", Outcome.UNDECIDED, "No request was answered.", measured, required)
    if found < sent:
        reason = f"{sent - found} of {counted(sent, 'answered request')} are not in the log."
        return Check("logging_proven", Outcome.BREACHED, reason, measured, required)
    if wrong:
        reason = f"{len(wrong)} of {counted(sent, 'log record')} do not say what happened: {wrong[0]}."
        return Check("logging_proven", Outcome.BREACHED, reason, measured, required)
    if apart is not None and not abs(apart) <= apart_ms:
        reason = (
            f"The logged latency is {apart:+.1f} ms from what the caller saw, in the median: {apart_ms:g} are allowed."
        )
        return Check("logging_proven", Outcome.BREACHED, reason, measured, required)
    told = "" if apart is None else f"; callers saw {apart:+.2f} ms more latency in the median"
    reason = f"{counted(sent, 'answered request')} read back from the log with features, prediction and version{told}."
    return Check("logging_proven", Outcome.HOLDS, reason, measured, required)


@judged
def judge_rehearsal(found: Rehearsal, policy: GatePolicy) -> Check:
    """The way back is quick and costs no request."""
    required = f"back within {policy.rollback_seconds:g} s, no refused request"
    seconds = max(found.back_seconds, found.last_answer_seconds)
    measured = figures(
        requests=found.requests,
        refused=found.refused,
        candidate_answers=found.candidate_answers,
        previous_answers=found.previous_answers,
        forward_seconds=round(found.forward_seconds, 4),
        back_seconds=round(found.back_seconds, 4),
        last_answer_seconds=round(found.last_answer_seconds, 4),
        stand_in=found.stand_in,
        previous=found.previous,
        connections=found.connections,
    )
    who = "a second copy of itself (no champion yet)" if found.stand_in else f"the champion, v{found.previous},"
    over = counted(found.connections, "connection")
    said = f"Back to {who} in {seconds:.3f} s under {counted(found.requests, 'request')} over {over}"
    if found.refused:
        reason = (
            f"{found.refused} of {counted(found.requests, 'request')} were refused, the first with "
            f"{found.first_refusal}."
        )
        return Check("rollback_rehearsed", Outcome.BREACHED, reason, measured, required)
    if not (found.candidate_answers and found.previous_answers):
        reason = "The traffic did not meet both versions: nothing was rehearsed."
        return Check("rollback_rehearsed", Outcome.UNDECIDED, reason, measured, required)
    if not seconds <= policy.rollback_seconds:
        reason = f"{said}: longer than {policy.rollback_seconds:g} s."
        return Check("rollback_rehearsed", Outcome.BREACHED, reason, measured, required)
    return Check("rollback_rehearsed", Outcome.HOLDS, f"{said}, none refused.", measured, required)
