"""An experiment read from the log: arms by unit, with what each unit showed, told as the same report as a table's."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from math import inf
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct, structs

from fairlead.adapters.fact_log import SegmentFactReader
from fairlead.core.arms import CHAMPION, label
from fairlead.core.event import canonical
from fairlead.core.experiment import Action
from fairlead.core.experiment_terms import Measure, Terms, measures
from fairlead.core.listing import counted
from fairlead.core.outlook import lasting
from fairlead.core.plain import kept
from fairlead.core.rollout import Rollout
from fairlead.core.verdict import Outcome, Verdict
from fairlead.errors import StateError
from fairlead.flows.unit_values import Sought, UnitRow, UnitValues
from fairlead.operations.context import Context
from fairlead.operations.experiment_data import Experiment, grouped
from fairlead.operations.experiment_facts import OVER, Trial, arms_of
from fairlead.operations.experiment_plan import ExperimentPlan
from fairlead.operations.experiment_reading import rule
from fairlead.operations.experiments import ArmComparison, compare_arms
from fairlead.operations.performance_read import slices_of
from fairlead.stats.experiment.units import units_of

if TYPE_CHECKING:
    pass

COVARIATE = "before the start"  # a column's name that no measure has
_TOGETHER = 60.0  # seconds within which arms that ended are one end


class Span(Struct, frozen=True):
    """Which arms are read, and until when units were dealt to them; `notes` say what is left out."""

    shares: dict[str, float]
    until: float = float("inf")
    notes: tuple[str, ...] = ()


class Reading(Struct, frozen=True):
    """A reading of an experiment: at which instant, from which units (SHA-256 of their values), and what it shows."""

    at: float
    units: str
    report: ArmComparison


def read_trial(context: Context, one: Trial) -> ArmComparison:
    """What a started experiment shows now; of one that was stopped, its last reading."""
    if one.report is not None:
        return one.report
    span = span_of(one.terms, arms_of(context, one))
    found = UnitValues(sought_of(one, span))
    follow(context, found)
    return reading(found, one.terms, span, context.clock.now())


def read_until(context: Context, one: Trial, arms: Sequence[Rollout], at: float) -> Reading:
    """What had reached the log of an experiment before an instant: read again later, it is the same."""
    span = span_of(one.terms, arms)
    found = UnitValues(sought_of(one, span))
    follow(context, found, at)
    units = sha256(canonical(kept(found.rows(at)))).hexdigest()
    return Reading(at, units, reading(found, one.terms, span, at))


def reading(found: UnitValues, terms: Terms, span: Span, now: float) -> ArmComparison:
    """What the units show by an instant, in seconds since 1970."""
    rows = found.rows(now)
    rows = rows[: _horizon(rows, _needed(terms, span), terms)]
    notes = [*span.notes, *_notes(found, now, terms)]
    return _early(_compared(terms, span, _experiment(rows, found.sought, span, notes)), terms)


def sought_of(one: Trial, span: Span) -> Sought:
    """What of the log an experiment is read from."""
    terms = one.terms
    return Sought(
        one.model,
        needs(terms),
        terms.window,
        terms.delay,
        one.started_at,
        span.until,
        one.rollout,
        tuple(span.shares),
        () if terms.covariate is None else measures(terms.covariate),
        terms.before,
        terms.segments,
    )


def needs(terms: Terms) -> tuple[Measure, ...]:
    """The measures of the metric and of the guardrails, each once; the metric's first."""
    texts = [terms.metric, *(rule(text).metric for text in terms.guardrails)]
    found = {one.text: one for text in texts for one in measures(text)}
    return tuple(found.values())


def follow(context: Context, found: UnitValues, until: float = inf) -> None:
    """Reads the log, as far as it goes now, of what was received before an instant. Raises `StateError`."""
    reader = context.open_log()
    while True:
        predictions, outcomes = reader.poll()
        found.answers(one for one in predictions if one.received_at < until)
        found.outcomes(one for one in outcomes if one.received_at < until)
        if not predictions and not outcomes:
            break
    events = SegmentFactReader(context.home / "log").events()
    found.events(one for one in events if one.received_at < until)


def keep(context: Context, one: Trial, report: ArmComparison) -> None:
    """Keeps the last reading under the home: as JSON, and as a page. One that cannot be kept is told anew."""
    folder = context.home / "experiments"
    with suppress(OSError, StateError):
        folder.mkdir(exist_ok=True)
        (folder / f"{one.id}.json").write_text(report.to_json(), encoding="utf-8")
        report.save_html(folder / f"{one.id}.html")


def span_of(terms: Terms, arms: Sequence[Rollout]) -> Span:
    """An arm that ended before the others is left out, as units came to those alone since; of arms that all ended,
    those that stood longest are read, until they ended."""
    ends = {label(arm.version): arm.phase_at for arm in arms if arm.phase in OVER}
    standing = [name for name in terms.shares if name != CHAMPION and name not in ends]
    until = float("inf")
    if ends and not standing:
        last = max(ends.values())
        standing = [name for name, at in ends.items() if at >= last - _TOGETHER]
        until = min(ends[name] for name in standing)
    left_out = [name for name in ends if name not in standing]
    kept = {name: share for name, share in terms.shares.items() if name == CHAMPION or name in standing}
    total = sum(kept.values())
    notes = tuple(f"{name} ended before the others and is not read" for name in left_out)
    return Span({name: share / total for name, share in kept.items()}, until, notes)


def _experiment(rows: Sequence[UnitRow], sought: Sought, span: Span, notes: Sequence[str]) -> Experiment:
    import pyarrow as pa

    arms = tuple(span.shares)
    columns: dict[str, Any] = {
        one.text: np.array([row.values[at] for row in rows], np.float64) for at, one in enumerate(sought.measures)
    }
    for at, name in enumerate(sought.features):
        columns[name] = _sliced(name, [row.features[at] for row in rows])
    if sought.covariates:
        columns[COVARIATE] = _covariate(rows)
    place = {name: at for at, name in enumerate(arms)}
    codes = np.array([place[row.arm] for row in rows], np.intp)
    number: dict[str, int] = {}
    keys = np.array([number.setdefault(row.unit, len(number)) for row in rows], np.intp)
    return grouped(pa.table(columns), arms, (np.arange(len(rows)), codes), units_of(keys), notes)


def _sliced(name: str, values: Sequence[str | None]) -> Any:
    """A feature's values as the parts that they cut the units into: by value, or numbers by quartile."""
    import pyarrow as pa

    from fairlead.adapters.tables import to_columns

    text = pa.array(values, pa.string())
    with suppress(pa.ArrowInvalid):
        text = text.cast(pa.float64())
    names, place = slices_of(to_columns(pa.table({name: text}), [name])[0])
    return pa.array([names[at] for at in place.tolist()], pa.string())


def _covariate(rows: Sequence[UnitRow]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The covariate's measure, or the ratio of its two."""
    sides = np.array([row.covariates for row in rows], np.float64).reshape(len(rows), -1)
    if sides.shape[1] == 1:
        return np.asarray(sides[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = sides[:, 0] / sides[:, 1]
    return np.where(np.isfinite(ratio), ratio, np.nan)


def _compared(terms: Terms, span: Span, experiment: Experiment) -> ArmComparison:
    always = terms.method == "always-valid"
    plan = None if terms.planned is None else msgspec.convert(terms.planned, ExperimentPlan)
    # An arm that ended leaves its part of alpha to nobody.
    alpha = terms.alpha * (len(span.shares) - 1) / len(terms.arms)
    return compare_arms(
        experiment,
        arm="arm",
        metric=terms.metric,
        planned=plan,
        covariate=None if terms.covariate is None else COVARIATE,
        guardrails=terms.guardrails,
        segments=terms.segments,
        method="always-valid" if always else "fixed",
        expected_shares=span.shares,
        alpha=alpha,
        higher_is_better=terms.higher_is_better,
    )


def _needed(terms: Terms, span: Span) -> dict[str, int]:
    """The planned units by arm of a reading at a fixed horizon."""
    if terms.method != "fixed" or terms.planned is None:
        return {}
    plan = msgspec.convert(terms.planned, ExperimentPlan)
    return {name: plan.control_units if name == CHAMPION else plan.treatment_units for name in span.shares}


def _horizon(rows: Sequence[UnitRow], needed: dict[str, int], terms: Terms) -> int:
    """How many of the units, in their order, are read: at a fixed horizon those that came until each arm had its
    planned ones, so that a later reading is the same one; else all."""
    mine = range(len({one.text for one in measures(terms.metric)}))  # the metric's are the first that were sought
    left = dict(needed)
    for at, row in enumerate(rows if left else ()):
        if row.arm in left and all(np.isfinite(row.values[place]) for place in mine):
            left[row.arm] -= 1
            if left[row.arm] <= 0:
                del left[row.arm]
            if not left:
                return at + 1
    return len(rows)


def _notes(found: UnitValues, now: float, terms: Terms) -> list[str]:
    notes = []
    waiting, late = found.waiting(now), found.late()
    if waiting:
        closed = lasting(terms.window + terms.delay)
        notes.append(f"{counted(waiting, 'unit')} not read yet: a unit counts {closed} after its first answer")
    if late:
        notes.append(f"{counted(late, 'event')} told too late to count: more than {lasting(terms.delay)} after")
    if found.without_unit:
        notes.append(f"{counted(found.without_unit, 'answer')} without a unit left out: nothing can be joined to them")
    return notes


def _early(report: ArmComparison, terms: Terms) -> ArmComparison:
    """Where an arm has too few units for any figure, more of them is what it takes: nothing is to be fixed."""
    short = [one for one in report.arms if one.measured < 2]
    if report.decision is not Action.FIX or report.verdict.outcome is Outcome.BREACHED or not short:
        return report
    said = ", ".join(f"{one.name} has {counted(one.measured, 'unit')}" for one in short)
    closed = lasting(terms.window + terms.delay)
    verdict = Verdict(Outcome.UNDECIDED, f"{said} so far: a unit counts {closed} after its first answer")
    return structs.replace(report, decision=Action.EXTEND, verdict=verdict)
