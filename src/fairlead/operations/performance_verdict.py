"""What measured performance amounts to: against a reference, or slice against slice, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome, Verdict
from fairlead.errors import UsageError
from fairlead.operations.performance_measure import reason_of
from fairlead.operations.performance_metrics import Terms, higher_is_better
from fairlead.operations.performance_values import Content, SliceRow, interval, label_of, number
from fairlead.stats.performance.measure import Measure
from fairlead.stats.performance.segments import Comparison, Pair, Standing, compare

ALL = "all rows"


def against(content: Content, reference: Content, terms: Terms) -> tuple[Comparison, ...]:
    """The primary metric now against the reference's: of all rows first, then of each slice that both have.

    Raises `UsageError` for a reference that measured something else, or at another level.
    """
    if reference.task != content.task:
        raise UsageError(f"the reference is {reference.task}, the data {content.task}: name the task of both")
    if reference.level != content.level:
        raise UsageError(f"the reference's intervals are at {reference.level:g}, the data's at {content.level:g}")
    if content.primary not in reference.metrics:
        raise UsageError(f"the reference has no {label_of(content.primary)}: measure it with the same columns")
    return compare(
        [_whole(content, reference), *_shared(content, reference)],
        higher_is_better=higher_is_better(content.primary),
        tolerance=terms.tolerance,
        min_rows=terms.min_rows,
        level=terms.level,
    )


def judged(content: Content, changes: Sequence[Comparison], reference: Content | None = None) -> Verdict:
    """The verdict of a report: by its changes, else by its slices, else that there is nothing to judge by."""
    value = content.metrics[content.primary]
    if not value.defined:
        return Verdict(Outcome.UNMEASURED, _undefined(content))
    found = content.maturity
    if found is not None and not content.matured:
        return Verdict(
            Outcome.UNDECIDED,
            f"{says(content.primary, value)} on {_rows(content)}, but only {found.matured.value:.0%} of the labels are "
            "known, and early labels need not be like late ones",
        )
    if reference is not None and changes:
        return _by_changes(content, changes, reference)
    if content.segments:
        return _by_slices(content)
    return Verdict(
        Outcome.UNMEASURED,
        f"{says(content.primary, value)} on {_rows(content)}; there is no reference and no segment to compare it with",
    )


def says(metric: str, value: Measure) -> str:
    """A metric with its interval."""
    ends = f" ({interval(value)})" if isfinite(value.low) and isfinite(value.high) else ""
    return f"{label_of(metric)} is {number(value.value)}{ends}"


def _rows(content: Content) -> str:
    return f"{counted(content.counts.measured, 'measured row')}"


def _whole(content: Content, reference: Content) -> Pair:
    name = content.primary
    sizes = content.counts.measured, reference.counts.measured
    return Pair(ALL, sizes[0], content.metrics[name], sizes[1], reference.metrics[name])


def _shared(content: Content, reference: Content) -> list[Pair]:
    before = {(row.column, row.name): row for row in reference.segments}
    pairs = []
    for row in content.segments:
        other = before.get((row.column, row.name))
        if other is not None and content.primary in row.metrics and content.primary in other.metrics:
            values = row.metrics[content.primary], other.metrics[content.primary]
            pairs.append(Pair(named(row), row.rows, values[0], other.rows, values[1]))
    return pairs


def named(row: SliceRow) -> str:
    """A slice as a person names it."""
    return f"{row.column} = {row.name}"


def _by_changes(content: Content, changes: Sequence[Comparison], reference: Content) -> Verdict:
    whole, slices = changes[0], changes[1:]
    worse = [one for one in slices if one.standing is Standing.BREACHED]
    if min(content.counts.measured, reference.counts.measured) < 1:
        return Verdict(Outcome.UNMEASURED, "the reference has no measured rows")
    reason = reason_of(whole, content.primary, "the reference", 0)
    if whole.standing is Standing.BREACHED:
        return Verdict(Outcome.BREACHED, reason + _also(worse))
    if worse:
        first = max(worse, key=lambda one: abs(one.gap.value) / max(one.allowed, 1e-300))
        told = reason_of(first, content.primary, "the reference", 0)
        rest = f", and {len(worse) - 1} more" if len(worse) > 1 else ""
        return Verdict(Outcome.BREACHED, f"{first.name}: {told}{rest}; over all rows {number(whole.value.value)}")
    return Verdict(Outcome(whole.standing.value), reason)


def _also(worse: Sequence[Comparison]) -> str:
    return f"; worse in {', '.join(one.name for one in worse[:3])}" + (", …" if len(worse) > 3 else "") if worse else ""


def _by_slices(content: Content) -> Verdict:
    rows = content.segments
    by = {standing: [row for row in rows if row.against_rest.standing is standing] for standing in Standing}
    worse, open_ = by[Standing.BREACHED], by[Standing.UNDECIDED] + by[Standing.UNMEASURED]
    label = label_of(content.primary)
    if worse:
        first = max(worse, key=lambda row: abs(row.against_rest.gap.value))
        more = len(worse) - 1
        others = f"; {more} more slice{'s are' if more > 1 else ' is'} worse than the rest" if more else ""
        return Verdict(Outcome.BREACHED, f"{named(first)}: {first.reason}{others}")
    if open_:
        few = f"{len(open_)} of {len(rows)} have too few rows to say"
        return Verdict(Outcome.UNDECIDED, f"no slice is shown to have a worse {label} than the rest; {few}")
    return Verdict(
        Outcome.HOLDS,
        f"in none of {counted(len(rows), 'slice')} is {label} worse than in the rest by what is tolerated",
    )


def _undefined(content: Content) -> str:
    counts, label = content.counts, label_of(content.primary)
    if counts.measured:
        held = [row.name for row in content.by_class if row.card.support]
        one = f": all labels are {held[0]!r}" if len(held) == 1 else ""
        return f"{label} is not defined on {_rows(content)}{one}"
    if counts.labels_missing + counts.labels_unusable == counts.rows:
        return f"none of {counted(counts.rows, 'row')} has a label: {label} cannot be known yet"
    return f"none of {counted(counts.rows, 'row')} has both a label and a prediction: there is nothing to measure"
