"""From measurements to checks: numbers and a policy in, an outcome with its sentence out. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from fairlead.core.agreement import Agreement
from fairlead.core.bundle import ModelCard
from fairlead.core.gate import Check, CheckName, GatePolicy, figures
from fairlead.core.judging import judged
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome
from fairlead.stats.performance import Measure


class SchemaSeen(Struct, frozen=True):
    """What the contract was held against. Strange rows hold a value out of range or unseen that a policy lets in."""

    features: int
    heldout_rows: int
    golden_rows: int
    strange_rows: int = 0
    first_strange: str = ""


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


@judged
def judge_digest(problem: str, files: int, megabytes: float) -> Check:
    """Every file is the one that was registered."""
    required = "the SHA-256 of every file as in the manifest"
    measured = figures(files=files, megabytes=round(megabytes, 3))
    if problem:
        return Check("digest_holds", Outcome.BREACHED, problem, measured, required)
    reason = f"All {files} files ({megabytes:.1f} MB) are the ones that were registered."
    return Check("digest_holds", Outcome.HOLDS, reason, measured, required)


@judged
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


@judged
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


@judged
def judge_clean(problem: str, found: Agreement | None) -> Check:
    """A fresh interpreter loads what is served and reproduces the golden outputs."""
    if found is None:
        required = "loads, and reproduces the golden outputs"
        return Check("loads_in_clean_process", Outcome.BREACHED, problem, {}, required)
    return _agreement("loads_in_clean_process", "A fresh interpreter", found)


@judged
def judge_portable(found: Agreement | None, why_original: str = "") -> Check:
    """The portable model answers as the original does; or there is a reason why the original is served."""
    if found is None:
        reason = f"The original model is served: {why_original}."
        return Check("portable_agrees", Outcome.HOLDS, reason, figures(original_served=True), "a stated reason")
    return _agreement("portable_agrees", "The portable model", found)


@judged
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
