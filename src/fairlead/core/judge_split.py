"""The checks of how training and held-out rows were parted, and of what the features give away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

from fairlead.core.contract import Contract, Task
from fairlead.core.gate import Check, GatePolicy, figures
from fairlead.core.judge_data import told
from fairlead.core.judging import judged
from fairlead.core.listing import counted, first_of
from fairlead.core.training import Split, Spread, Times, Twins
from fairlead.core.verdict import Outcome
from fairlead.stats.performance.measure import z_of

_CERTAIN = 0.999  # level at which two parts are called different
_KINDS = {
    "file": "held out in a file of their own",
    "time": "held out, the latest by time",
    "last": "held out, the last of the table",
}


@judged
def judge_leakage(scores: Mapping[str, float], copies: Sequence[str], contract: Contract, policy: GatePolicy) -> Check:
    """No feature is the target, tells it by itself, or is known only afterwards."""
    metric = "of the target's variance (R2)" if contract.task is Task.REGRESSION else "AUROC"
    problems = [f"{name} is a copy of the target" for name in copies]
    problems += [
        f"{name} alone tells the target: {score:.3f} {metric}"
        for name, score in sorted(scores.items(), key=lambda one: -one[1])
        if score >= policy.leak_score and name not in copies
    ]
    late = [name for name in contract.names if name in policy.known_late]
    problems += [f"{name} is known only after the prediction (gates.bounds.known_late)" for name in late]
    best = max(scores, key=lambda name: scores[name], default="")
    measured = figures(
        features=len(scores), copies=len(copies), best=best, best_score=round(scores[best], 4) if best else None
    )
    required = f"no copy of the target, no single feature of {policy.leak_score:g} or more, none that is known too late"
    strongest = f"; the strongest alone is {best} with {scores[best]:.3f} {metric}" if best else ""
    return told("no_leakage", problems, f"No feature gives the target away{strongest}.", required, measured)


@judged
def judge_twins(found: Twins, policy: GatePolicy) -> Check:
    """Held-out rows occur in training no more often than training rows occur again, and the quality is not theirs.

    Some data hold equal rows by nature (group bookings): a random split then has them in both parts, just as often as
    training has them twice. More than that is a leak.
    """
    within, across = found.within / max(found.rows, 1), found.across / max(found.heldout_rows, 1)
    error = sqrt(max(within * (1 - within), 1 / max(found.heldout_rows, 1)) / max(found.heldout_rows, 1))
    problems = []
    if across > within + policy.twins_excess + z_of(_CERTAIN) * error:
        problems.append(
            f"{across:.1%} of {counted(found.heldout_rows, 'held-out row')} are training rows, though only "
            f"{within:.1%} of those occur twice: the parts were not kept apart"
        )
    every, fresh = found.every, found.fresh
    lost = None
    if isinstance(every, Spread) and isinstance(fresh, Spread):
        lost = (every.value - fresh.value) / abs(every.value) if every.value else 0.0
        if lost > policy.fresh_loss and fresh.high < every.value:
            problems.append(
                f"the quality falls from {every.value:.4g} to {fresh.value:.4g} on the "
                f"{counted(fresh.rows, 'held-out row')} that training does not hold"
            )
    elif found.across == found.heldout_rows > 0:
        problems.append("every held-out row is a training row")
    measured = figures(
        heldout_rows=found.heldout_rows,
        across=found.across,
        within_share=round(within, 4),
        across_share=round(across, 4),
        fresh_loss=lost,
    )
    required = (
        f"at most {policy.twins_excess:.0%} more held-out rows in training than training rows occur twice, and at most "
        f"{policy.fresh_loss:.0%} of the quality owed to them"
    )
    holds = (
        f"{across:.1%} of {counted(found.heldout_rows, 'held-out row')} equal a training row, {within:.1%} of those "
    )
    holds += "occur twice"
    holds += f"; without them the quality changes by {-lost:+.1%}." if lost is not None else "."
    return told("no_duplicates", list(dict.fromkeys(problems)), holds, required, measured)


@judged
def judge_times(found: Times) -> Check:
    """Training ends before the held-out rows begin."""
    required = "the last training row no later than the first held-out row, where the rows have times"
    measured = figures(
        column=found.column or None, train_last=found.train_last or None, heldout_first=found.heldout_first or None
    )
    if not found.column:
        if not found.unnamed:
            said = "Does not apply: no column of the reference holds a time, and none was named."
            return Check("temporal_order", Outcome.HOLDS, said, measured, required)
        said = f"{first_of(found.unnamed, 3)} holds times that nobody named: name the event time with --time-column."
        return Check("temporal_order", Outcome.UNDECIDED, said, measured, required)
    if found.problem:
        said = f"The order cannot be told: {found.problem}."
        return Check("temporal_order", Outcome.UNDECIDED, said, measured, required)
    problems = []
    if found.early:
        problems.append(
            f"{counted(found.early, 'held-out row')} are earlier than the last training row ({found.train_last}): "
            "the model has seen the future of what it is tested on"
        )
    spans = f"training to {found.train_last}, held out from {found.heldout_first} by {found.column}"
    untimed = f"; {counted(found.untimed, 'row')} without a time" if found.untimed else ""
    return told("temporal_order", problems, f"In order: {spans}{untimed}.", required, measured)


@judged
def judge_locked(told_of: tuple[int, int] | None, natural: float, same_file: bool, policy: GatePolicy) -> Check:
    """The champion was not trained on what the candidate is tested on. `told_of` are the held-out rows that its sketch
    can tell of, and how many of them it held; None where there is no champion to have seen them, `natural` is the share
    that would be there by equal rows alone."""
    required = f"at most {policy.heldout_reuse:.0%} of the held-out rows in the champion's training"
    if same_file:
        said = "The held-out file is what the champion was trained on: hold out rows that no version has seen."
        return Check("heldout_locked", Outcome.BREACHED, said, figures(same_file=True), required)
    if told_of is None:
        said = "Does not apply: there is no champion whose training rows could be compared; the bundle pins its own."
        return Check("heldout_locked", Outcome.HOLDS, said, figures(same_file=False), required)
    asked, held = told_of
    share = held / asked if asked else 0.0
    measured = figures(asked=asked, seen=held, share=round(share, 4), natural=round(natural, 4))
    problems = []
    if asked and share - natural > policy.heldout_reuse:
        problems.append(
            f"{share:.0%} of {counted(asked, 'held-out row')} that could be told were in the champion's training: "
            "the two are not compared on rows new to both"
        )
    holds = f"Held in the bundle; {held} of {counted(asked, 'row')} that could be told were in the champion's training."
    return told("heldout_locked", problems, holds, required, measured)


@judged
def judge_split(found: Split, policy: GatePolicy) -> Check:
    """How the rows were parted is known, and rows that were cut off a table's end are like the others."""
    total = found.rows + found.heldout_rows
    share = found.heldout_rows / max(total, 1)
    measured = figures(
        kind=found.kind, rows=found.rows, heldout_rows=found.heldout_rows, gap=round(found.gap, 4), error=found.error
    )
    required = "a stated way; rows cut off a table's end by no order of the target"
    problems = []
    if found.kind == "last" and found.gap > policy.split_gap and found.gap > z_of(_CERTAIN) * found.error:
        problems.append(
            f"the last rows of the table are not like the others (the target differs by {found.gap:.2f}): the table is "
            "in some order; name it with --time-column, or give --heldout"
        )
    how = f"{found.heldout_rows:,} of {counted(total, 'row')} ({share:.0%}) are {_KINDS[found.kind]}"
    holds = f"{how}; the target differs by {found.gap:.3f}."
    return told("split_documented", problems, holds, required, measured)
