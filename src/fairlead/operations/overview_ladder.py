"""The ladder of four layers: is the data as expected, the model right, the product working, the business served?

A layer that nothing measures says so. It never borrows the layer below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairlead.core.check import LABELS
from fairlead.core.impact import ImpactReport, standing
from fairlead.core.listing import counted
from fairlead.core.metrics import METRICS, UNBOUND, metric
from fairlead.core.report import metric_name
from fairlead.core.rollout import Call, Phase
from fairlead.core.verdict import Outcome, Verdict, worst
from fairlead.operations.overview_cost import with_cost
from fairlead.operations.overview_notes import percent
from fairlead.operations.overview_values import (
    GuardrailView,
    PerformanceView,
    RolloutView,
    Rung,
    WindowView,
    WorkerView,
)

_SERVED = ("service", "product")  # the layers whose guardrails tell how the service does for those who call it
# Where nobody logs such a figure, or no guardrail bounds it, the layer is said to be unmeasured rather than left out.
_NO_BUSINESS = Verdict(
    Outcome.UNMEASURED,
    "Not measured: nobody logs a business figure: send events such as revenue to POST /v1/events, or state "
    "what wrong answers cost in models.NAME.cost, and, to guard rollouts by it, write revenue >= 0.98 * champion.",
)


def ladder_of(
    windows: Sequence[WindowView],
    rollouts: Sequence[RolloutView],
    workers: Sequence[WorkerView],
    impact: Sequence[ImpactReport] = (),
    outages: Sequence[Verdict] = (),
) -> tuple[Rung, ...]:
    """The four layers, from the last window, the newest rollout (`rollouts` newest first), the workers, what callers
    and the business had of each window (`impact` oldest first), and the alerts that stand on requests of the last
    minutes that got no answer: no window need close for these."""
    last = windows[-1] if windows else None
    rollout = rollouts[0] if rollouts else None
    seen = standing(impact)
    product = _product(rollout, workers, seen)
    judged = (
        ("Data and features", together(_data(last), seen.get("data"))),
        ("Model", together(_model(windows), seen.get("model"))),
        ("Product", worst([*outages, product]) if outages else product),
        ("Business", with_cost(_business(rollout, seen), windows)),
    )
    return tuple(
        Rung(number, name, verdict.outcome, verdict.reason) for number, (name, verdict) in enumerate(judged, start=1)
    )


def together(verdict: Verdict, beside: Verdict | None) -> Verdict:
    """The worse of both: a layer with what else was seen of it. Whatever holds beside what is unmeasured does not
    measure it."""
    if beside is None or beside.outcome is Outcome.UNMEASURED:
        return verdict
    if beside.outcome is not Outcome.HOLDS:
        return worst([verdict, beside])
    if verdict.outcome is Outcome.HOLDS:
        return Verdict(Outcome.HOLDS, f"{verdict.reason.removesuffix('.')}; {beside.reason}")
    return verdict


def _data(window: WindowView | None) -> Verdict:
    if window is None:
        return Verdict(Outcome.UNMEASURED, "No window has closed yet: the first is judged once its time is over.")
    if window.data is not None:
        return Verdict(window.data.outcome, f"{window.name}: {window.data.reason}")
    if not window.drift:
        return Verdict(Outcome.UNMEASURED, f"{window.name}: {window.reason or 'no feature was measured'}")
    return _features(window)


def _features(window: WindowView) -> Verdict:
    total = len(window.drift)
    moved = [each for each in window.drift if each.level in ("warning", "critical")]
    critical = [each for each in moved if each.level == "critical"]
    missing = [each.name for each in window.drift if each.level == "unmeasured"]
    if critical:
        most = max(critical, key=lambda each: each.ratio or 0.0)
        size = f" ({LABELS.get(most.method, most.method)} {most.effect:.2f})" if most.effect is not None else ""
        text = f"{len(moved)} of {counted(total, 'feature')} moved, most of all {most.name}{size}"
        return Verdict(Outcome.BREACHED, f"{window.name}: {text}.")
    if missing:
        return Verdict(Outcome.UNMEASURED, f"{window.name}: could not measure {', '.join(missing)}.")
    if moved:
        text = f"a slight shift in {', '.join(each.name for each in moved)}; the other {total - len(moved)} are still"
        return Verdict(Outcome.UNDECIDED, f"{window.name}: {text}.")
    look = f"all {total} features look" if total != 1 else "its one feature looks"
    return Verdict(Outcome.HOLDS, f"{window.name}: {look} like the reference.")


def _model(windows: Sequence[WindowView]) -> Verdict:
    last = windows[-1] if windows else None
    if last is not None and last.model is not None:
        return Verdict(last.model.outcome, f"{last.name}: {last.model.reason}")
    if last is not None and last.performance is not None:
        found = last.performance
        return Verdict(found.outcome, f"{last.name}: {found.reason or _performance_words(found)}")
    known = [one for one in windows if one.performance is not None and _said(one.performance)]
    if last is not None and not last.rows and known:
        said = f"no answers in {last.name}; last: {_last_known(known)}"
        return Verdict(Outcome.UNMEASURED, said)
    how = "send what really happened to POST /v1/outcomes"
    return Verdict(Outcome.UNMEASURED, f"Nothing says yet how good the answers are: {how}.")


def _last_known(windows: Sequence[WindowView]) -> str:
    """The metric by labels in the newest window that has any, else its estimate."""
    labelled = [one for one in windows if one.performance is not None and one.performance.realised is not None]
    window = (labelled or windows)[-1]
    assert window.performance is not None, "the caller has looked"
    return f"{_said(window.performance)} in {window.name}"


def _said(found: PerformanceView) -> str:
    name = metric_name(found.metric)
    if found.realised is not None:
        return f"{name} {found.realised:.3f}"
    return f"{name} estimated at {found.estimated:.3f}" if found.estimated is not None else ""


def _performance_words(last: PerformanceView) -> str:
    values = (("realised", last.realised), ("estimated", last.estimated), ("reference", last.reference))
    said = [f"{name} {value:.3f}" for name, value in values if value is not None]
    return f"{last.metric}: {', '.join(said) or 'not measured'}."


def _product(rollout: RolloutView | None, workers: Sequence[WorkerView], seen: Mapping[str, Verdict]) -> Verdict:
    beside = seen.get("product")
    told = beside is not None and beside.outcome is not Outcome.UNMEASURED
    verdict = _rollout_and_workers(rollout, workers, measured=told)
    if beside is not None and not told and workers and verdict.outcome is Outcome.UNMEASURED:
        return beside
    return together(verdict, beside)


def _rollout_and_workers(rollout: RolloutView | None, workers: Sequence[WorkerView], *, measured: bool) -> Verdict:
    """What the workers and the newest rollout's guardrails say. `measured` tells that errors and latency are measured
    window by window."""
    verdicts = [Verdict(worker.outcome, worker.reason) for worker in workers if worker.outcome is not Outcome.HOLDS]
    readings = [each for each in rollout.guardrails if _is_served(each.metric)] if rollout else []
    if measured:  # what a rollout did not measure, its windows did
        readings = [each for each in readings if each.canary is not None or each.champion is not None]
    if rollout is not None:
        verdicts += [_reading(rollout, each) for each in readings]
    if any(verdict.outcome is not Outcome.HOLDS for verdict in verdicts):
        return worst(verdicts)
    if not workers:
        return Verdict(Outcome.UNMEASURED, "No gateway worker has reported: start one with `fairlead up`.")
    alive = (
        f"{len(workers)} of {counted(len(workers), 'worker')} answer{'s' * (len(workers) == 1)} with "
        f"the published route"
    )
    if measured and not readings:
        return Verdict(Outcome.HOLDS, f"{alive}.")
    if rollout is None or not readings:
        return Verdict(Outcome.UNMEASURED, f"{alive}; errors and latency are told with the first closed window.")
    said = " and ".join(verdict.reason for verdict in verdicts)
    return Verdict(Outcome.HOLDS, f"{alive}; {said} {_on_whom(rollout)}.")


def _is_served(name: str) -> bool:
    return metric(name).layer in _SERVED and name not in UNBOUND


def _business(rollout: RolloutView | None, seen: Mapping[str, Verdict]) -> Verdict:
    """What events that are money say: against the windows before, and by the newest rollout's guardrails."""
    beside = seen.get("business")
    guarded = _guarded(rollout)
    return together(guarded, beside) if guarded is not _NO_BUSINESS else beside or guarded


def _guarded(rollout: RolloutView | None) -> Verdict:
    readings = [each for each in rollout.guardrails if metric(each.metric).layer == "business"] if rollout else []
    if rollout is None or not readings:
        return _NO_BUSINESS
    verdicts = [_reading(rollout, each) for each in readings]
    if any(verdict.outcome is not Outcome.HOLDS for verdict in verdicts):
        return worst(verdicts)
    said = " and ".join(verdict.reason for verdict in verdicts)
    return Verdict(Outcome.HOLDS, f"{said} {_on_whom(rollout)}.")


def _reading(rollout: RolloutView, each: GuardrailView) -> Verdict:
    """A guardrail's call as a verdict on what serves now: after a rollback that is the champion again."""
    value = each.champion if rollout.phase is Phase.ROLLED_BACK else each.canary
    if value is None:
        return Verdict(Outcome.UNMEASURED, f"{_metric(each)} was not measured {_on_whom(rollout)}")
    if rollout.phase is Phase.ROLLED_BACK:
        return Verdict(Outcome.HOLDS, f"{_metric(each)} {format_metric(each.metric, each.champion)}")
    if each.call is Call.REGRESS:
        return Verdict(Outcome.BREACHED, each.reason)
    if each.call is Call.SAFE or rollout.phase is Phase.PROMOTED:
        return Verdict(Outcome.HOLDS, f"{_metric(each)} {format_metric(each.metric, each.canary)}")
    return Verdict(Outcome.UNDECIDED, each.reason)


def _on_whom(rollout: RolloutView) -> str:
    if rollout.phase is Phase.ROLLED_BACK and rollout.champion is not None:
        return f"on champion v{rollout.champion} when v{rollout.version} was rolled back"
    return f"on v{rollout.version}"


def format_metric(name: str, value: float | None) -> str:
    """A guardrail's value in its unit. Latency is the share of requests slower than the bound.

    >>> format_metric("error_rate", 0.0125), format_metric("p99_latency", 0.005), format_metric("error_rate", None)
    ('1.25 %', '0.5 % too slow', 'not measured')
    """
    if value is None:
        return "not measured"
    unit = METRICS[name].unit if name in METRICS else "value"
    if unit == "ms":
        return f"{percent(value)} too slow"
    return percent(value) if unit == "share" else f"{value:.3g}"


def _metric(each: GuardrailView) -> str:
    return each.metric.replace("_", " ")
