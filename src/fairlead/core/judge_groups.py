"""A window by class and by group against the held-out rows: who is worse off, and who is treated otherwise.

Each question is asked once a window, with matured labels (selection rates also at its close), and all questions share
one alpha (Bonferroni): what is called is beyond chance and large enough. What was so on the held-out rows already is
told and called nothing: that is what gates are for. Groups of few labels say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite, sqrt

from msgspec import Struct, UnsetType
from msgspec.structs import replace

from fairlead.core.groups import (
    TOO_FEW,
    ClassReading,
    FairnessReading,
    GroupCounts,
    GroupReading,
    GroupReport,
    Part,
    Rules,
    rated,
)
from fairlead.core.listing import counted
from fairlead.core.report import Layer, WindowReport
from fairlead.core.verdict import Outcome
from fairlead.stats.fairness import NO_GAP, Counts, Gap, fairness
from fairlead.stats.gaps import FEWEST, Widened, fell, widened
from fairlead.stats.performance import UNDEFINED, Measure, difference, proportion
from fairlead.stats.performance.binary import f1_of_counts
from fairlead.stats.performance.measure import LEVEL, on_log

MOST_CLASSES = 20


class _Asked(Struct, frozen=True):
    """What every question is asked at: the rules, and its own part of alpha."""

    rules: Rules
    alpha: float


def judge_groups(counts: GroupCounts) -> GroupReport:
    """The reading of every class, group and pair of groups that the counts allow, by the rules kept with them."""
    rules = counts.rules
    tests = sum(_questions(counts, rules))
    asked = _Asked(rules, rules.alpha / max(tests, 1))
    return GroupReport(
        metric="accuracy" if counts.classes else "mae",
        classes=tuple(_classes(counts, asked)),
        groups=tuple(_groups(counts, asked)),
        fairness=tuple(_fairness(counts, asked)),
        tests=tests,
    )


def _questions(counts: GroupCounts, rules: Rules) -> Iterator[int]:
    """How many questions each part of the report asks."""
    now, held = counts.now.whole, counts.held.whole
    for place in range(len(counts.classes)):
        for mine, other in ((now.truth, held.truth), (now.chosen, held.chosen)):
            yield _enough(mine, other, place, rules)
    before = {name: {one.name: one for one in parts} for name, parts in counts.held.columns.items()}
    for name, parts in counts.now.columns.items():
        known = before.get(name, {})
        yield sum(min(one.labels, _labels(known, one)) >= rules.at_least_labels for one in parts)
    yield sum(_widening(*rates, 0.5) is not None for *_, rates in _rates(counts))


def _labels(known: Mapping[str, Part], one: Part) -> int:
    return known[one.name].labels if one.name in known else 0


def _enough(now: tuple[int, ...], held: tuple[int, ...], place: int, rules: Rules) -> int:
    return int(bool(now and held) and min(now[place], held[place]) >= rules.at_least_labels)


# -- by class ----------------------------------------------------------------------------------------------------


def _classes(counts: GroupCounts, asked: _Asked) -> Iterator[ClassReading]:
    now, held = counts.now.whole, counts.held.whole
    for place, label in enumerate(counts.classes[:MOST_CLASSES]):
        share = rated(proportion(now.decided[place], now.rows), _share(held.decided, place, held.rows))
        if not now.truth:
            yield ClassReading(label, share)
            continue
        mine, other = _card(now, place), _card(held, place)
        readings = {name: rated(one, _or_none(other[name].value)) for name, one in mine.items()}
        outcome, reason = _of_class(counts, place, asked)
        yield ClassReading(label, share, now.truth[place], **readings, outcome=outcome, reason=reason)


def _card(part: Part, place: int, level: float = LEVEL) -> dict[str, Measure]:
    if not part.truth:
        return dict.fromkeys(("precision", "recall", "f1"), UNDEFINED)
    both, truth, chosen = part.both[place], part.truth[place], part.chosen[place]
    return {
        "precision": proportion(both, chosen, level),
        "recall": proportion(both, truth, level),
        "f1": f1_of_counts(both, truth, chosen, level),
    }


def _of_class(counts: GroupCounts, place: int, asked: _Asked) -> tuple[Outcome, str]:
    """The worse of its precision and its recall."""
    now, held, label = counts.now.whole, counts.held.whole, counts.classes[place]
    mine, other = _card(now, place), _card(held, place)
    found = []
    for name, rows, before in (("recall", now.truth, held.truth), ("precision", now.chosen, held.chosen)):
        if not _enough(rows, before, place, asked.rules):
            few = counted(rows[place], "label")
            found.append((Outcome.UNDECIDED, f"{name} of {label} rests on {few}: too few to tell"))
            continue
        outcome = _by_rates((now.both[place], rows[place]), (held.both[place], before[place]), asked)
        said = f"{name} of {label} is {_band(mine[name])}, on the held-out rows {other[name].value:.3f}"
        found.append((outcome, said))
    order = (Outcome.BREACHED, Outcome.UNDECIDED, Outcome.HOLDS)
    return min(found, key=lambda one: order.index(one[0]))


# -- by group ----------------------------------------------------------------------------------------------------


def _groups(counts: GroupCounts, asked: _Asked) -> Iterator[GroupReading]:
    if not counts.now.whole.labels:
        return
    for column, parts in counts.now.columns.items():
        held = {one.name: one for one in counts.held.columns.get(column, ())}
        for one in parts:
            yield _group(column, one, held.get(one.name), counts, asked)


def _group(column: str, one: Part, held: Part | None, counts: GroupCounts, asked: _Asked) -> GroupReading:
    classified, name = bool(counts.classes), f"{column} = {one.name}"
    metric = "accuracy" if classified else "the mean absolute error"
    now = _metric(one)
    before = UNDEFINED if held is None else _metric(held)
    rest = _or_none(_metric(_without(counts.now.whole, one)).value)
    figure = rated(now, _or_none(before.value))
    least = asked.rules.at_least_labels
    bare = GroupReading(column, one.name, one.rows, one.labels, figure, None if rest is None else _four(rest))
    if one.labels < least or held is None or held.labels < least:
        few = "no held-out rows" if one.labels >= least else counted(one.labels, "label")
        return _told(bare, Outcome.UNDECIDED, f"{TOO_FEW}{few}")
    if classified:
        outcome = _by_rates((sum(one.both), one.labels), (sum(held.both), held.labels), asked)
    else:
        outcome = _by_errors(one, held, asked)
    if outcome is Outcome.HOLDS:
        return _told(bare, outcome, "")
    beside = "" if rest is None else f"; elsewhere {rest:.3g}"
    return _told(
        bare, outcome, f"{metric} where {name} is {_band(now)}, on the held-out rows {before.value:.3g}{beside}"
    )


def _told(bare: GroupReading, outcome: Outcome, reason: str) -> GroupReading:
    return replace(bare, outcome=outcome, reason=reason)


def _metric(part: Part, level: float = LEVEL) -> Measure:
    """The accuracy, or the mean absolute error with an interval on its logarithm."""
    if part.truth:
        return proportion(sum(part.both), part.labels, level)
    rows, total, squares = part.errors
    if rows < 2:
        return UNDEFINED
    mean = total / rows
    return on_log(mean, sqrt(max(squares / rows - mean * mean, 0.0) / (rows - 1)), level, rows - 1)


def _without(whole: Part, one: Part) -> Part:
    """The labelled rows but those of a group."""
    (rows, total, squares), (less, off, squared) = whole.errors, one.errors
    return Part(
        "",
        whole.decided,
        _minus(whole.truth, one.truth),
        _minus(whole.chosen, one.chosen),
        _minus(whole.both, one.both),
        (rows - less, total - off, squares - squared),
    )


def _minus(whole: tuple[int, ...], one: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(mine - other for mine, other in zip(whole, one, strict=True)) if one else whole


def _by_rates(now: tuple[int, int], before: tuple[int, int], asked: _Asked) -> Outcome:
    """A rate, k of n, that fell: by Fisher's exact test."""
    one, two = now[0] / now[1], before[0] / before[1]
    drop = (two - one) / two if two else 0.0
    return _called(drop, asked) if drop > asked.rules.drop / 2.0 and fell(now, before) <= asked.alpha else Outcome.HOLDS


def _by_errors(now: Part, before: Part, asked: _Asked) -> Outcome:
    """A mean absolute error that grew. Both means get the larger relative spread of the two: few large errors make the
    mean, and where none of them was drawn the spread is too small as well."""
    (rows, total, squares), (others, known, squared) = now.errors, before.errors
    one, two = total / rows, known / others
    if not two or not one:
        return Outcome.HOLDS
    spread = sqrt(max(squares / rows / one**2, squared / others / two**2, 1.0) - 1.0)
    level = 1.0 - 2.0 * asked.alpha
    ends = (on_log(mean, mean * spread / sqrt(n - 1), level, n - 1) for mean, n in ((one, rows), (two, others)))
    worse = difference(*ends)
    drop = worse.value / two
    return _called(drop, asked) if drop > asked.rules.drop / 2.0 and worse.low > 0.0 else Outcome.HOLDS


def _called(drop: float, asked: _Asked) -> Outcome:
    return Outcome.BREACHED if drop > asked.rules.drop else Outcome.UNDECIDED


# -- fairness ----------------------------------------------------------------------------------------------------

Rates = dict[str, tuple[int, int]]


def _rates(counts: GroupCounts) -> Iterator[tuple[str, str, str, tuple[Rates, Rates]]]:
    """Every column, class and measure, with the groups' rates now and on the held-out rows."""
    places = range(1, 2) if len(counts.classes) == 2 else range(min(len(counts.classes), MOST_CLASSES))
    for column in counts.protected:
        now, held = counts.now.columns.get(column, ()), counts.held.columns.get(column, ())
        for place in places:
            for measure, of in (("impact", _selected), ("tpr", _hits), ("fpr", _alarms)):
                both = tuple({one.name: of(one, place) for one in side} for side in (now, held))
                yield column, counts.classes[place], measure, (both[0], both[1])


def _selected(part: Part, place: int) -> tuple[int, int]:
    return part.decided[place], part.rows


def _hits(part: Part, place: int) -> tuple[int, int]:
    return (part.both[place], part.truth[place]) if part.truth else (0, 0)


def _alarms(part: Part, place: int) -> tuple[int, int]:
    if not part.truth:
        return 0, 0
    return part.chosen[place] - part.both[place], part.labels - part.truth[place]


def _widening(now: Rates, held: Rates, alpha: float) -> Widened | None:
    found = widened(now, held, alpha)
    return found if found.high else None


def _fairness(counts: GroupCounts, asked: _Asked) -> Iterator[FairnessReading]:
    for column, label, measure, (now, held) in _rates(counts):
        if measure != "impact" and not counts.now.whole.truth:
            continue
        yield _fair(FairnessReading(column, label, measure), now, held, asked)


def _fair(bare: FairnessReading, now: Rates, held: Rates, asked: _Asked) -> FairnessReading:
    rules = asked.rules
    bound = rules.impact if bare.measure == "impact" else rules.rate_gap
    gap, before = _gap(now, bare.measure), _gap(held, bare.measure)
    found = replace(bare, bound=bound, rows=gap.rows, pair=(gap.lowest, gap.highest) if gap.lowest else ())
    if not gap.measure.defined:
        rows = min((rows for _, rows in now.values()), default=0)
        return replace(found, reason=f"{TOO_FEW}{counted(rows, 'row')} in the smallest group")
    found = replace(found, figure=rated(gap.measure, _or_none(before.measure.value)))
    wide = _widening(now, held, asked.alpha)
    if wide is not None and wide.change.low > 0.0 and wide.change.value > rules.widening and _beyond(wide, bare, rules):
        return replace(found, pair=(wide.low, wide.high), outcome=Outcome.BREACHED, reason=_unfair(wide, bare))
    within = gap.measure.value >= bound if bare.measure == "impact" else gap.measure.value <= bound
    if within:
        return replace(found, outcome=Outcome.HOLDS)
    side = "below" if bare.measure == "impact" else "above"
    said = f"{_NAMES[bare.measure]} of {bare.column} is {_shown(bare.measure, gap.measure.value)}"
    was = "" if not before.measure.defined else f"; {_shown(bare.measure, before.measure.value)} on the held-out rows"
    return replace(found, reason=f"{said}, {side} {_shown(bare.measure, bound)}, and no worse than it was{was}")


def _gap(rates: Rates, measure: str) -> Gap:
    """The pair that is furthest apart, with an interval that all pairs share."""
    groups = {name: Counts(hits, 0, 0, rows - hits) for name, (hits, rows) in rates.items() if rows >= FEWEST}
    if len(groups) < 2:
        return NO_GAP
    if measure == "impact":
        return fairness(groups).impact
    # a rate as the selection rate of rows of one kind: its gap is that of "true positives" among them
    kinds = {name: Counts(one.true_positives, 0, one.true_negatives, FEWEST) for name, one in groups.items()}
    return fairness(kinds).tpr


def _beyond(wide: Widened, bare: FairnessReading, rules: Rules) -> bool:
    if bare.measure == "impact":
        return bool(wide.ratio < rules.impact)
    return wide.gap.value > rules.rate_gap


def _unfair(wide: Widened, bare: FairnessReading) -> str:
    high, low = wide.rates
    one, other = (f"where {bare.column} = {name}" for name in (wide.low, wide.high))
    said = {
        "impact": f"{low:.1%} are decided {bare.label} {one}, {high:.1%} {other}",
        "tpr": f"of those who are {bare.label}, {low:.1%} are found {one}, {high:.1%} {other}",
        "fpr": f"of those who are not {bare.label}, {low:.1%} are decided so {one}, {high:.1%} {other}",
    }
    return f"{said[bare.measure]}: {wide.change.value:.1%} further apart than on the held-out rows"


_NAMES = {"impact": "the impact", "tpr": "the gap of true positive rates", "fpr": "the gap of false positive rates"}


def _shown(measure: str, value: float) -> str:
    return f"{value:.0%}" if measure == "impact" else f"{value:.3f}"


def _band(one: Measure) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _share(counts: tuple[int, ...], place: int, rows: int) -> float | None:
    return counts[place] / rows if rows else None


def _or_none(value: float) -> float | None:
    return value if isfinite(value) else None


def _four(value: float) -> float:
    return float(f"{value:.4g}")


def by_groups(report: WindowReport, counts: GroupCounts | UnsetType) -> WindowReport:
    """The report with what its classes and groups say. The model's layer breaks where one of them is worse off, or
    where they are treated less alike; the window's verdict stays that of the whole."""
    if isinstance(counts, UnsetType):
        return report
    found = judge_groups(counts)
    told = (*found.unfair, *found.worse)
    if not told:
        return replace(report, groups=found)
    said = "; ".join(told[:2]) + (f"; and {len(told) - 2} more" if len(told) > 2 else "")
    layers = tuple(
        Layer(one.name, Outcome.BREACHED, f"{one.reason}; {said}") if one.name == "model" else one
        for one in report.layers
    )
    return replace(report, groups=found, layers=layers)
