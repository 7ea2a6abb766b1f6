"""From measurements to checks: numbers and a policy in, an outcome with its sentence out. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from fairlead.core.agreement import Agreement
from fairlead.core.bundle import ModelCard
from fairlead.core.gate import Check, CheckName, GatePolicy, figures
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome
from fairlead.stats.performance import Measure

FEWEST_LATENCIES = 100  # below, a 99th percentile is the slowest request


class SchemaSeen(Struct, frozen=True):
    """What the contract was held against. Strange rows hold a value out of range or unseen that a policy lets in."""

    features: int
    heldout_rows: int
    golden_rows: int
    strange_rows: int = 0
    first_strange: str = ""


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


class Comparison(Struct, frozen=True):
    """The candidate against the champion, or a trivial baseline, on the same rows.

    `difference` is positive where the candidate is better.
    """

    metric: str
    candidate: float
    other: float
    difference: Measure
    rows: int
    champion: int | None
    obstacle: str = ""  # why nothing can be compared


def judge_digest(problem: str, files: int, megabytes: float) -> Check:
    """Every file is the one that was registered."""
    required = "the SHA-256 of every file as in the manifest"
    measured = figures(files=files, megabytes=round(megabytes, 3))
    if problem:
        return Check("digest_holds", Outcome.BREACHED, problem, measured, required)
    reason = f"All {files} files ({megabytes:.1f} MB) are the ones that were registered."
    return Check("digest_holds", Outcome.HOLDS, reason, measured, required)


def judge_card(card: ModelCard) -> Check:
    """All thirteen fields of the model card say something."""
    fields, missing = len(card.__struct_fields__), card.missing
    required = f"all {fields} fields of the model card"
    measured = figures(filled=fields - len(missing), fields=fields, missing=", ".join(missing))
    if missing:
        named = ", ".join(missing)
        reason = f"{len(missing)} of {fields} fields of the model card say nothing: {named}."
        return Check("model_card_complete", Outcome.BREACHED, reason, measured, required)
    return Check("model_card_complete", Outcome.HOLDS, f"All {fields} fields are filled.", measured, required)


def judge_schema(problems: Sequence[str], seen: SchemaSeen, policy: GatePolicy) -> Check:
    """The contract is what the training data, the reference profile and the golden set show."""
    required = (
        "names, order, kinds and categories as in training, no held-out row refused, "
        f"at most {policy.strange_share:.0%} with values that training did not show"
    )
    measured = figures(
        features=seen.features,
        heldout_rows=seen.heldout_rows,
        golden_rows=seen.golden_rows,
        strange_rows=seen.strange_rows,
        differences=len(problems),
    )
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        reason = (
            f"{counted(len(problems), 'difference')} between contract and training: {'; '.join(problems[:3])}{more}: "
            "mend the data (`fairlead validate` shows its rows) or the contract, and register again."
        )
        return Check("schema_equals_training", Outcome.BREACHED, reason, measured, required)
    if seen.heldout_rows == 0:
        reason = "There are no held-out rows to hold the contract against."
        return Check("schema_equals_training", Outcome.UNDECIDED, reason, measured, required)
    strange = (
        f"{seen.strange_rows:,} of {counted(seen.heldout_rows, 'held-out row')} hold values that training did not show"
    )
    first = f" (first: {seen.first_strange})" if seen.first_strange else ""
    if seen.strange_rows > policy.strange_share * seen.heldout_rows:
        return Check("schema_equals_training", Outcome.BREACHED, f"{strange}{first}.", measured, required)
    reason = (
        f"{counted(seen.features, 'feature')} agree over {counted(seen.heldout_rows, 'held-out row')}, "
        f"the reference profile and "
        f"{counted(seen.golden_rows, 'golden row')}; {strange}{first}."
    )
    return Check("schema_equals_training", Outcome.HOLDS, reason, measured, required)


def judge_clean(problem: str, found: Agreement | None) -> Check:
    """A fresh interpreter loads what is served and reproduces the golden outputs."""
    if found is None:
        required = "loads, and reproduces the golden outputs"
        return Check("loads_in_clean_process", Outcome.BREACHED, problem, {}, required)
    return _agreement("loads_in_clean_process", "A fresh interpreter", found)


def judge_portable(found: Agreement | None, why_original: str = "") -> Check:
    """The portable model answers as the original does; or there is a reason why the original is served."""
    if found is None:
        reason = f"The original model is served: {why_original}."
        return Check("portable_agrees", Outcome.HOLDS, reason, figures(original_served=True), "a stated reason")
    return _agreement("portable_agrees", "The portable model", found)


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


def judge_logging(sent: int, found: int, wrong: Sequence[str] = ()) -> Check:
    """Every answered request is in the log, with its features, prediction and version."""
    required = "every answered request, with features, prediction and version"
    measured = figures(answered=sent, logged=found, wrong=len(wrong))
    if sent == 0:
        return Check("logging_proven", Outcome.UNDECIDED, "No request was answered.", measured, required)
    if found < sent:
        reason = f"{sent - found} of {counted(sent, 'answered request')} are not in the log."
        return Check("logging_proven", Outcome.BREACHED, reason, measured, required)
    if wrong:
        reason = f"{len(wrong)} of {counted(sent, 'log record')} do not say what happened: {wrong[0]}."
        return Check("logging_proven", Outcome.BREACHED, reason, measured, required)
    reason = f"{counted(sent, 'answered request')} read back from the log with features, prediction and version."
    return Check("logging_proven", Outcome.HOLDS, reason, measured, required)


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
    )
    who = "a second copy of itself (no champion yet)" if found.stand_in else "the champion"
    said = f"Back to {who} in {seconds:.3f} s under {counted(found.requests, 'request')}"
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


def judge_comparison(found: Comparison, policy: GatePolicy) -> Check:
    """The candidate is better than the champion, or no worse by more than the margin; a first one beats a baseline.

    Holds when the interval of the difference lies above the bound, breached when it lies below, else undecided.
    """
    strict = policy.against_champion == "better" or found.champion is None
    bound = 0.0 if strict else -policy.margin
    other = f"v{found.champion}" if found.champion is not None else "the trivial baseline"
    required = f"the interval of the gain over {other} {'above 0' if strict else f'at or above {bound:g}'}"
    gain = found.difference
    measured = figures(
        metric=found.metric,
        candidate=found.candidate,
        other=found.other,
        gain=gain.value,
        gain_low=gain.low,
        gain_high=gain.high,
        rows=found.rows,
    )
    if found.obstacle:
        return Check("better_than_champion", Outcome.UNDECIDED, found.obstacle, measured, required)
    if found.rows < policy.compare_rows or not gain.defined:
        least = f"at least {policy.compare_rows}, of all classes, are needed"
        reason = f"{counted(found.rows, 'labelled held-out row')} cannot tell: {least}."
        return Check("better_than_champion", Outcome.UNDECIDED, reason, measured, required)
    said = (
        f"{found.metric} {found.candidate:.4g} against {found.other:.4g} of {other} on the same "
        f"{counted(found.rows, 'held-out row')}: a gain of {gain.value:+.4f} "
        f"(95 % interval {gain.low:+.4f} to {gain.high:+.4f})"
    )
    outcome, ending = _call(gain, bound, strict)
    return Check("better_than_champion", outcome, f"{said}{ending}.", measured, required)


def _call(gain: Measure, bound: float, strict: bool) -> tuple[Outcome, str]:
    if gain.low > bound or (not strict and gain.low == bound):
        return Outcome.HOLDS, ""
    wanted = "better" if strict else f"no worse by {-bound:g}"
    if gain.high < bound or (strict and gain.high == bound):
        return Outcome.BREACHED, f": it is not {wanted}"
    return Outcome.UNDECIDED, f": not shown to be {wanted}"


def _agreement(name: CheckName, who: str, found: Agreement) -> Check:
    required = f"the golden outputs within {found.tolerance:g}"
    measured = figures(rows=found.rows, largest_difference=found.largest_difference, tolerance=found.tolerance)
    if found.rows == 0:
        return Check(name, Outcome.UNDECIDED, "The golden set is empty.", measured, required)
    tail = f" ({found.detail})" if found.detail else ""
    if not found.holds:
        reason = (
            f"{who} answers {counted(found.rows, 'golden row')} with differences up to {found.largest_difference:.3g}, "
            f"beyond {found.tolerance:g}{tail}."
        )
        return Check(name, Outcome.BREACHED, reason, measured, required)
    reason = (
        f"{who} reproduces {counted(found.rows, 'golden row')} within {found.largest_difference:.3g} "
        f"(allowed {found.tolerance:g}){tail}."
    )
    return Check(name, Outcome.HOLDS, reason, measured, required)
