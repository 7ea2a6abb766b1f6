"""The model's checks beyond one figure: against simpler ones, on its training rows, by group, and when disturbed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

from msgspec import Struct

from fairlead.core.contract import Contract, Task
from fairlead.core.gate import Check, CheckName, GatePolicy, figures
from fairlead.core.judge_data import told
from fairlead.core.judging import judged
from fairlead.core.listing import counted, first_of
from fairlead.core.training import QUALITY, SLICED, Simple, Slice, Spread, measure_of
from fairlead.core.verdict import Outcome
from fairlead.stats.fairness import Counts, Fairness, Gap, fairness, worst
from fairlead.stats.performance import UNDEFINED, Measure
from fairlead.stats.performance.segments import Pair, Standing, compare

# Words by which a column is known to tell a protected group, as parts of its name.
PROTECTED = frozenset(
    {"sex", "gender", "race", "ethnicity", "ethnic", "religion", "nationality", "disability", "disabled"}
    | {"pregnant", "pregnancy", "minority"}
)


class Disturbed(Struct, frozen=True):
    """What became of held-out rows in which some values were taken away, put out of range, or replaced by unseen ones.

    `quality` is on the rows that were answered both before and after; nan where the rows do not define it.
    """

    rows: int
    refused: int  # by the contract, as it says
    broken: int  # answers that are no finite numbers, or no probabilities
    first: str  # the first of those, or the error
    before: float
    after: float
    each: dict[str, float] = {}  # the quality by kind of disturbance


@judged
def judge_simple(found: Simple, policy: GatePolicy) -> Check:
    """A logistic or ridge regression on the same rows is not better."""
    gain, loss = found.gain, found.metric != "AUROC"
    allowed = policy.margin * (abs(found.other) if loss else 1.0)
    required = f"not worse than {found.kind} by more than {policy.margin:g}{' of its ' + found.metric if loss else ''}"
    measured = figures(
        metric=found.metric, own=found.own, simple=found.other, gain=gain.value, low=gain.low, high=gain.high
    )
    said = (
        f"{found.metric} {found.own:.4g} against {found.other:.4g} of a {found.kind}: a gain of {gain.value:+.4f} "
        f"(95 % interval {gain.low:+.4f} to {gain.high:+.4f})"
    )
    if gain.value >= -allowed:
        return Check("simpler_not_better", Outcome.HOLDS, f"{said}.", measured, required)
    if gain.high < 0:
        return Check("simpler_not_better", Outcome.BREACHED, f"{said}: the simpler is better.", measured, required)
    return Check("simpler_not_better", Outcome.UNDECIDED, f"{said}: too few rows to tell.", measured, required)


@judged
def judge_overfitting(train: Spread, held: Spread, task: Task, policy: GatePolicy) -> Check:
    """What the model knows of its training rows it knows of others, nearly."""
    gap = train.value - held.value
    metric = QUALITY[task]
    required = f"{metric} on held-out rows at most {policy.overfitting:g} below that on training rows"
    measured = figures(metric=metric, train=train.value, heldout=held.value, gap=gap)
    said = f"{metric} {train.value:.4f} on {counted(train.rows, 'training row')}, {held.value:.4f} on held-out rows"
    if gap <= policy.overfitting:
        return Check("overfitting_gap", Outcome.HOLDS, f"{said}: a gap of {gap:+.4f}.", measured, required)
    if train.low - held.high > 0:
        said = f"{said}: a gap of {gap:.4f}, it learned its rows by heart."
        return Check("overfitting_gap", Outcome.BREACHED, said, measured, required)
    said = f"{said}: a gap of {gap:.4f}, but too few rows to tell."
    return Check("overfitting_gap", Outcome.UNDECIDED, said, measured, required)


@judged
def judge_slices(found: Sequence[Slice], task: Task, policy: GatePolicy) -> Check:
    """No group of held-out rows is served much worse than all others: by effect, and by Benjamini-Hochberg."""
    metric = SLICED[task]
    required = f"no group whose {metric} is more than {policy.slice_loss:.0%} below that of all others"
    if not found:
        said = "Does not apply: no column parts the held-out rows in groups of at least 30 that define the metric."
        return told("slices_hold", (), said, required, figures(slices=0))
    pairs = [
        Pair(
            f"{one.column} = {one.value}",
            one.inside.rows,
            measure_of(one.inside),
            one.outside.rows,
            measure_of(one.outside),
        )
        for one in found
    ]
    compared = compare(pairs, higher_is_better=True, tolerance=policy.slice_loss)
    bad = sorted((one for one in compared if one.standing is Standing.BREACHED), key=lambda one: one.gap.value)
    problems = [
        f"{metric} {one.value.value:.3f} where {one.name} ({counted(one.rows, 'row')}), {one.other.value:.3f} elsewhere"
        for one in bad
    ]
    low = min(compared, key=lambda one: one.value.value)
    measured = figures(
        slices=len(found), worse=len(bad), lowest=low.name, lowest_value=low.value.value, elsewhere=low.other.value
    )
    holds = (
        f"{counted(len(found), 'group')}; the lowest {metric} is {low.value.value:.3f} where {low.name} "
        f"({counted(low.rows, 'row')}), {low.other.value:.3f} elsewhere."
    )
    return told("slices_hold", problems, holds, required, measured)


def protected_of(columns: Sequence[str], policy: GatePolicy) -> tuple[str, ...]:
    """The columns that the policy protects, and those that are named like a protected group."""
    by_name = [name for name in columns if set(name.lower().replace("-", "_").split("_")) & PROTECTED]
    return tuple(dict.fromkeys((*policy.protected, *by_name)))


@judged
def judge_fairness(
    groups: Mapping[str, Mapping[str, Mapping[str, Counts]]], contract: Contract, policy: GatePolicy
) -> Check:
    """Selection rates and error rates of protected groups lie close together. `groups` are counts by column, class and
    value of every column that could be a protected one."""
    required = (
        f"a disparate impact of at least {policy.impact:.0%}, true and false positive rates at most "
        f"{policy.rate_gap:.0%} apart"
    )
    asked = protected_of([*groups, *contract.names], policy)
    if not asked:
        said = "Does not apply: gates.bounds.protected names no column, and none is named like a protected group."
        return told("fairness_holds", (), said, required, figures(columns=0))
    if contract.task is Task.REGRESSION:
        said = f"Does not apply to values, which decide nothing ({first_of(asked, 3)}): see slices_hold."
        return told("fairness_holds", (), said, required, figures(columns=len(asked)))
    missing = [name for name in asked if name not in groups]
    if missing:
        said = f"The registered data have no groups of {first_of(missing, 3)}: register with held-out rows that do."
        return Check("fairness_holds", Outcome.UNMEASURED, said, figures(columns=len(asked)), required)
    found = {
        f"{column} ({label})" if contract.task is Task.MULTICLASS else column: fairness(values)
        for column in asked
        for label, values in groups[column].items()
    }
    return _fairness(found, policy, required)


def _fairness(found: Mapping[str, Fairness], policy: GatePolicy, required: str) -> Check:
    impact, tpr, fpr = worst(found)
    calls = (
        _call(impact.measure, policy.impact, above=True),
        _call(tpr.measure, policy.rate_gap, above=False),
        _call(fpr.measure, policy.rate_gap, above=False),
    )
    measured = figures(
        columns=len(found),
        impact=impact.measure.value,
        impact_low=impact.measure.low,
        impact_high=impact.measure.high,
        tpr_gap=tpr.measure.value,
        tpr_low=tpr.measure.low,
        tpr_high=tpr.measure.high,
        fpr_gap=fpr.measure.value,
        fpr_low=fpr.measure.low,
        fpr_high=fpr.measure.high,
    )
    few = sorted({f"{column} = {name}" for column, one in found.items() for name in one.few})
    small = f"; too few rows to be asked: {first_of(few, 3)}" if few else ""
    said = (
        f"{first_of(list(found), 3)}: disparate impact {_shown(impact, percent=True)}, "
        f"true positive rates {_shown(tpr)} apart, false positive rates {_shown(fpr)} apart{small}."
    )
    if Outcome.BREACHED in calls:
        return Check("fairness_holds", Outcome.BREACHED, said, measured, required)
    if not impact.measure.defined or Outcome.UNDECIDED in calls:
        return Check("fairness_holds", Outcome.UNDECIDED, f"{said[:-1]}: too few rows to tell.", measured, required)
    return Check("fairness_holds", Outcome.HOLDS, said, measured, required)


def _call(gap: Measure, bound: float, *, above: bool) -> Outcome:
    """By the value; a breach needs the interval too. What is not defined breaks nothing."""
    if not gap.defined or (gap.value >= bound if above else gap.value <= bound):
        return Outcome.HOLDS
    sure = gap.high < bound if above else gap.low > bound
    return Outcome.BREACHED if sure else Outcome.UNDECIDED


def _shown(gap: Gap, *, percent: bool = False) -> str:
    if not gap.measure.defined:
        return "not defined"
    form = ".0%" if percent else ".3f"
    one = gap.measure
    return f"{one.value:{form}} ({one.low:{form}} to {one.high:{form}}; {gap.lowest} and {gap.highest})"


@judged
def judge_calibration(found: Measure, rows: int, task: Task, policy: GatePolicy, before: Measure = UNDEFINED) -> Check:
    """A probability means what it says: its expected calibration error, less what chance adds, is within its bound; or
    no worse than the champion's (`before`) on the same rows, which it would replace."""
    required = f"an expected calibration error not surely above {policy.calibration:.0%}, or not above the champion's"
    if task is Task.REGRESSION:
        said = "Does not apply: values are no probabilities."
        return told("calibrated", (), said, required, figures(rows=rows))
    measured = figures(ece=found.value, low=found.low, high=found.high, rows=rows, champion=before.value)
    if not found.defined or rows < policy.compare_rows:
        said = f"{counted(rows, 'labelled held-out row')} cannot tell: at least {policy.compare_rows} are needed."
        return Check("calibrated", Outcome.UNDECIDED, said, measured, required)
    of = "The chosen class's" if task is Task.MULTICLASS else "The"
    said = (
        f"{of} expected calibration error is {found.value:.1%} (95 % interval {found.low:.1%} to {found.high:.1%}) "
        f"over {counted(rows, 'held-out row')}"
    )
    problems = []
    if found.low > policy.calibration and before.defined and found.value <= before.value:
        said = f"{said}; the champion's is {before.value:.1%} on the same rows"
    elif found.low > policy.calibration:
        problems = [f"{said}: probabilities must be calibrated anew"]
    return told("calibrated", problems, f"{said}.", required, measured)


@judged
def judge_useful(importances: Mapping[str, float], task: Task, policy: GatePolicy) -> Check:
    """Features earn their keep: shuffling one costs something, for enough of them."""
    idle = sorted(name for name, lost in importances.items() if lost <= policy.useful)
    share = len(idle) / max(len(importances), 1)
    ordered = sorted(importances, key=lambda name: -importances[name])
    required = f"at most {policy.idle_share:.0%} of the features without effect on the {QUALITY[task]}, and not all"
    measured = figures(features=len(importances), idle=len(idle), **{f"of_{n}": importances[n] for n in ordered[:10]})
    top = ", ".join(f"{name} {importances[name]:.3f}" for name in ordered[:3])
    problems = []
    if importances and len(idle) == len(importances):
        problems.append("no feature matters to what the model answers")
    elif share > policy.idle_share:
        problems.append(
            f"{len(idle)} of {counted(len(importances), 'feature')} are without effect: {first_of(idle, 5)}"
        )
    without = f"; without effect: {first_of(idle, 5)}" if idle else ""
    holds = f"Shuffling costs {QUALITY[task]} most in {top}{without}."
    return told("features_useful", problems, holds, required, measured)


@judged
def judge_robust(found: Disturbed, policy: GatePolicy) -> Check:
    """Rows that are disturbed as the contract allows are answered, by numbers, and not much worse."""
    required = (
        f"finite answers to every row that the contract lets through, and at most {policy.robust_loss:.0%} of the "
        "quality lost"
    )
    lost = (found.before - found.after) / abs(found.before) if found.before and not isnan(found.after) else None
    measured = figures(
        rows=found.rows,
        refused=found.refused,
        broken=found.broken,
        before=found.before,
        after=found.after,
        lost=lost,
        **found.each,
    )
    name: CheckName = "robust_to_bad_input"
    if found.broken:
        said = f"{found.broken:,} of {counted(found.rows, 'disturbed row')} were not answered by finite numbers: "
        return Check(name, Outcome.BREACHED, f"{said}{found.first}.", measured, required)
    if not found.rows:
        return Check(name, Outcome.UNDECIDED, "There are no held-out rows to disturb.", measured, required)
    said = f"{counted(found.rows, 'disturbed row')}, {found.refused:,} of them refused as the contract says"
    if lost is None:
        return Check(name, Outcome.HOLDS, f"{said}; the rest answered; too few for a quality.", measured, required)
    said = f"{said}; the quality goes from {found.before:.4g} to {found.after:.4g} ({-lost:+.1%})"
    if lost > policy.robust_loss:
        return Check(name, Outcome.BREACHED, f"{said}.", measured, required)
    return Check(name, Outcome.HOLDS, f"{said}.", measured, required)
