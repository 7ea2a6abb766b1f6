"""Experiments: `sample_size` plans one, `compare_arms` reads it and says what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, isfinite, log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct, structs

from fairlead.core.experiment import Action, Benefit, Evidence, Health, called, decide, mismatch, overall
from fairlead.core.listing import counted
from fairlead.errors import UsageError
from fairlead.operations.experiment_data import Experiment, load, needed_units, shares_of
from fairlead.operations.experiment_findings import ArmUnits, Findings, Lift
from fairlead.operations.experiment_plan import ExperimentPlan, sample_size
from fairlead.operations.experiment_reading import (
    Guarded,
    Reader,
    Rule,
    benefit,
    guarded,
    pair,
    parts,
    rule,
    seen,
    told,
)
from fairlead.operations.experiments_html import fragment, page
from fairlead.operations.report_output import as_json, frame_of, written
from fairlead.stats.experiment.compare import Difference, Metric
from fairlead.stats.experiment.rates import Counts, pooled_z
from fairlead.stats.experiment.sequence import TUNED_FOR
from fairlead.stats.sequential.sample_ratio import sample_ratio_log_e

if TYPE_CHECKING:
    import pandas as pd

RATIO_ALPHA = 0.01  # the chance that a sound assignment is ever called broken
_SOON = 100.0  # units that the planned split counts for in the test that finds a gross fault soon
_UNEVEN = 0.001  # the p-value at which units without a value are said to differ between arms
_TORN = 0.01  # the share of units in several arms beyond which the assignment is broken


class ArmComparison(Findings, frozen=True):
    """What an experiment showed, with its faces: a dict, JSON, a frame, a page, a notebook's display."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON: an end that is infinite is null."""
        plain: dict[str, Any] = _finite(msgspec.to_builtins(self))
        return plain

    def to_json(self) -> str:
        """`to_dict` as one JSON document."""
        return as_json(self.to_dict())

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame: the primary metric, guardrails and parts of segments, a row for each and treatment.

        Raises `MissingExtra` without pandas.
        """
        rows = [
            ("primary", self.metric, one.treatment, one.decision.action.value, one.difference) for one in self.primary
        ]
        rows += [
            ("guardrail", one.rule.text, one.treatment, one.health.value, one.difference) for one in self.guardrails
        ]
        rows += [
            (one.column, one.value, one.treatment, "flagged" if one.flagged else "", one.difference)
            for one in self.segments
        ]
        names = Difference.__struct_fields__
        return frame_of(
            [
                {"what": what, "name": name, "treatment": arm, "state": state}
                | {each: getattr(found, each, None) for each in names}
                for what, name, arm, state, found in rows
            ],
            "ArmComparison.to_frame()",
            ["what", "name", "treatment", "state", *names],
        )

    def save_html(self, path: str | Path) -> Path:
        """Writes one self-contained page. Raises `UsageError` where the file cannot be written."""
        return written(path, page(self))

    def _repr_html_(self) -> str:
        return fragment(self)


def compare_arms(  # noqa: PLR0913 - the options of a reading; all but three have a default
    data: Any,
    *,
    arm: str,
    metric: str,
    unit: str | None = None,
    control: str | None = None,
    planned: int | Mapping[Any, int] | ExperimentPlan | None = None,
    covariate: str | None = None,
    guardrails: Sequence[str] = (),
    segments: Sequence[str] = (),
    method: str | None = None,
    expected_shares: Mapping[Any, float] | None = None,
    alpha: float = 0.05,
    higher_is_better: bool = True,
    time: str | None = None,
) -> ArmComparison:
    """Reads an experiment: is the metric better with the treatment, and should it be shipped?

    `data` is a pandas, polars or Arrow table, a dict of columns, or the path of a Parquet, CSV or JSON lines file, in
    the order in which units came (or ordered by `time`). `arm` names the column of arms, `unit` that of what was
    randomised: rows of a unit are added up first. `metric` is a column, `sum(x)`, `max(x)`, or a ratio `x / y`;
    `covariate` a column measured before the experiment (CUPED). `guardrails` are rules, as "refunds <= control + 1%".

    `method` is fixed, read once at `planned` units an arm (a number, a number by arm, or a plan) and not before; or
    always-valid, read as often as one likes. Default: fixed with a plan, always-valid without.

    The split is checked first, against `expected_shares` by arm (default: the plan's, else equal ones).

    Raises `TableError` for a table that cannot be read or lacks a column, `UsageError` for options that do not fit.

    >>> arms, won = ["control"] * 500 + ["new"] * 500, [1, 0, 0, 0, 0] * 100 + [1, 1, 0, 0, 0] * 100
    >>> found = compare_arms({"arm": arms, "won": won}, arm="arm", metric="won", planned=500)
    >>> found.decision.value, round(found.primary[0].difference.lift, 2)
    ('ship', 1.0)
    """
    question = _Question(
        metric,
        covariate,
        tuple(rule(text) for text in _listed(guardrails, "guardrails")),
        tuple(_listed(segments, "segments")),
        planned,
        _always(method, planned),
        expected_shares,
        alpha,
        higher_is_better,
    )
    if isinstance(data, Experiment):  # read from a log, its units put together already
        return _compare(data, question)
    return _compare(load(data, arm=arm, unit=unit, control=control, time=time), question)


class _Question(Struct, frozen=True):
    metric: str
    covariate: str | None
    guardrails: tuple[Rule, ...]
    segments: tuple[str, ...]
    planned: int | Mapping[Any, int] | ExperimentPlan | None
    always: bool
    expected_shares: Mapping[Any, float] | None
    alpha: float
    higher_is_better: bool

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 1.0:
            raise UsageError(f"alpha is {self.alpha}: the chance of a false finding lies between 0 and 1, as in 0.05")

    @property
    def plan(self) -> ExperimentPlan | None:
        return self.planned if isinstance(self.planned, ExperimentPlan) else None


def _compare(experiment: Experiment, question: _Question) -> ArmComparison:
    primary = experiment.metric(question.metric, question.covariate)
    guards = [(one, experiment.metric(one.metric)) for one in question.guardrails]
    shares = shares_of(experiment.arms, question.expected_shares, question.plan.ratio if question.plan else None)
    needed = _needed(experiment, question.planned)
    arms = _arms(experiment, primary, shares, needed)
    report = ArmComparison(
        mismatch("").verdict,
        Action.FIX,
        question.metric,
        "always-valid" if question.always else "fixed",
        question.alpha,
        question.alpha / (len(arms) - 1),
        question.higher_is_better,
        arms,
        _ratio_log_e(experiment.counts(), shares),
        notes=(*experiment.notes, *_unmeasured(arms, question.metric)),
    )
    broken = _broken(experiment, arms, report.ratio_log_e)
    if broken:
        return structs.replace(report, verdict=mismatch(broken).verdict)
    reader = Reader(report.level, question.always, float(sum(needed)) if needed else TUNED_FOR)
    judged = [_judge(experiment, primary, guards, at, reader, report, question.plan) for at in range(1, len(arms))]
    decision = overall([lift.decision for lift, _ in judged])
    readable = question.always or not _missing(arms)
    return structs.replace(
        report,
        verdict=decision.verdict,
        decision=decision.action,
        primary=tuple(lift for lift, _ in judged),
        guardrails=tuple(one for _, several in judged for one in several),
        segments=parts(experiment, primary, question.segments, reader) if readable else (),
    )


def _ratio_log_e(units: Sequence[int], shares: Sequence[float]) -> float:
    """Evidence against the split: the mean of two e-processes, of which one finds a split that is far off in a few
    hundred units, the other one that is off by little."""
    soon, later = sample_ratio_log_e(units, shares, _SOON), sample_ratio_log_e(units, shares)
    return float(np.logaddexp(soon, later)) - log(2.0)


def _judge(
    experiment: Experiment,
    primary: Metric,
    guards: Sequence[tuple[Any, Metric]],
    treatment: int,
    reader: Reader,
    report: ArmComparison,
    plan: ExperimentPlan | None,
) -> tuple[Lift, list[Guarded]]:
    """One treatment's figures and the decision on it. A fixed reading before its planned units shows no figures."""
    name = experiment.arms[treatment]
    missing = _missing((report.arms[0], report.arms[treatment]))
    evidence = Evidence(name, report.metric, None)
    if missing and not reader.always:
        early = structs.replace(evidence, benefit=Benefit(0.0, 0.0, 0.0), complete=False, missing=missing)
        return Lift(name, decide(early)), []
    either, treated = pair(experiment, treatment)
    try:
        found, seen_so_far = reader.read(primary.of(either), treated)
    except ValueError as error:
        return Lift(name, decide(structs.replace(evidence, missing=f"{report.metric}: {error}"))), []
    guarded_by = guarded(experiment, guards, treatment, reader)
    planned = all(one.planned is not None for one in report.arms)
    evidence = structs.replace(
        evidence,
        benefit=benefit(found, higher_is_better=report.higher_is_better),
        told=told(found, reader.alpha),
        planned_reached=not missing if planned else None,
        worthwhile=abs(plan.effect) if plan is not None and plan.effect else None,
        tolerance=plan.margin if plan is not None else 0.0,
        detectable=_detectable(found, reader.alpha),
        guardrails=tuple((one.rule.text, one.health) for one in guarded_by),
    )
    return Lift(name, decide(evidence), found, seen_so_far), guarded_by


def _always(method: str | None, planned: object) -> bool:
    if method not in (None, "fixed", "always-valid"):
        raise UsageError(f"method is {method!r}: it is fixed or always-valid")
    if method == "fixed" and planned is None:
        raise UsageError(
            "a fixed-horizon reading needs its planned units (fl.sample_size gives them): pass planned, or read with "
            "method='always-valid', as often as you like"
        )
    return method == "always-valid" or (method is None and planned is None)


def _needed(experiment: Experiment, planned: int | Mapping[Any, int] | ExperimentPlan | None) -> tuple[int, ...]:
    if planned is None:
        return ()
    if isinstance(planned, ExperimentPlan):
        return (planned.control_units, *[planned.treatment_units] * (len(experiment.arms) - 1))
    return needed_units(experiment.arms, planned)


def _arms(
    experiment: Experiment, primary: Metric, shares: Sequence[float], needed: Sequence[int]
) -> tuple[ArmUnits, ...]:
    measured = np.bincount(experiment.codes[experiment.inside][primary.known], minlength=len(experiment.arms)).tolist()
    return tuple(
        ArmUnits(name, units, known, share, needed[place] if needed else None)
        for place, (name, units, known, share) in enumerate(
            zip(experiment.arms, experiment.counts(), measured, shares, strict=True)
        )
    )


def _broken(experiment: Experiment, arms: Sequence[ArmUnits], log_e: float) -> str:
    """Why the assignment cannot be trusted; nothing where it can."""
    if experiment.torn_share > _TORN:
        return f"{experiment.torn_share:.1%} of the units were seen in more than one arm: mend the assignment"
    if log_e < log(1.0 / RATIO_ALPHA):
        return ""
    total = sum(one.units for one in arms)
    got = ", ".join(
        f"{called(one.name)} got {counted(one.units, 'unit')}, {one.units / total:.1%} of "
        f"{one.expected_share:.1%} planned"
        for one in arms
    )
    return (
        f"the sample ratio is broken: {got}; E = {exp(min(log_e, 700.0)):.3g}. Mend the assignment or the logging "
        "before reading anything; if the split was meant so, say it with expected_shares"
    )


def _missing(arms: Sequence[ArmUnits]) -> str:
    short = [one for one in arms if one.planned is not None and one.measured < one.planned]
    if not short:
        return ""
    said = ", ".join(
        f"{called(one.name)} has {one.measured:,} of {counted(one.planned or 0, 'planned unit')}" for one in short
    )
    return f"{said}: a fixed-horizon test is not read before its plan is complete (method always-valid may be)"


def _unmeasured(arms: Sequence[ArmUnits], metric: str) -> list[str]:
    short = [one for one in arms if one.measured < one.units]
    if not short:
        return []
    said = ", ".join(f"{one.units - one.measured:,} of {called(one.name)}" for one in short)
    notes = [f"units without a value of {metric} were left out: {said}"]
    lost = [Counts(one.units - one.measured, one.units) for one in arms if one.units]
    if min((pooled_z(one, lost[0])[1] for one in lost[1:]), default=1.0) < _UNEVEN:
        shares = " and ".join(f"{one.rate:.1%}" for one in lost)
        notes.append(f"these are more in one arm than in another ({shares}): what is left may not be comparable")
    return notes


def _detectable(found: Difference, alpha: float) -> str:
    least = seen(found, alpha)
    if not isfinite(least):
        return ""
    size = f"{100.0 * least:.2g} points" if found.kind == "proportion" else f"{least:.3g}"
    return f"; so many units would have shown a difference of {size} with 80 % power"


def _listed(names: Sequence[str], what: str) -> Sequence[str]:
    if isinstance(names, str):
        raise UsageError(f"{what} is the text {names!r}: pass a list")
    return names


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value


__all__ = ["Action", "ArmComparison", "ExperimentPlan", "Health", "compare_arms", "sample_size"]
