"""What happened in the demo, read back from the journal, the log and the bundles: nothing here is remembered or set."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from msgspec import Struct

from fairlead.core.event import RetrainDecided, RetrainFinished, WindowJudged
from fairlead.core.report import WindowReport, report_of
from fairlead.core.rollout import Phase
from fairlead.core.verdict import Outcome
from fairlead.faces.demo.bookings import Bookings
from fairlead.faces.demo.home import MODEL
from fairlead.faces.demo.stage import Facts
from fairlead.faces.demo.traffic import Tally
from fairlead.faces.demo.train import TARGET
from fairlead.operations import incidents, rollouts
from fairlead.operations.context import Context
from fairlead.operations.rollouts import RolloutView
from fairlead.stats.performance import auroc

_OUTCOMES = {Phase.PROMOTED: "promoted", Phase.ROLLED_BACK: "rolled_back"}
LAST_MONTHS = ("2017-07-01", "2017-09-01")


class Drift(Struct, frozen=True):
    """The worst verdict, the first window that broke it, and what moved then, by harm."""

    verdict: str
    first_breach_at: str | None
    reason: str
    features: tuple[str, ...]


class Month(Struct, frozen=True):
    """The primary metric (AUC) of one month, as known when its labels had matured."""

    month: str
    version: int
    reference: float | None
    estimated: float | None
    realised: float | None
    low: float | None
    high: float | None
    matured_share: float
    harmful: bool


class Retrained(Struct, frozen=True):
    """One retraining."""

    reason: str
    challenger: int | None
    beats_champion: bool
    result: str


class Released(Struct, frozen=True):
    """One rollout. Evidence is of the guardrail that was broken, or else of the one that came closest."""

    id: str
    version: int
    outcome: str  # promoted | rolled_back | held
    why: str
    guardrail: str | None
    evidence_log_e: float | None
    threshold_log_e: float | None
    requests_exposed: int
    seconds_to_decision: float | None
    seconds_to_swap: float | None


class Harmed(Struct, frozen=True):
    """One incident, and its postmortem's path in the home folder."""

    id: str
    title: str
    postmortem: str | None


class Summary(Struct, frozen=True):
    """The demo's document."""

    model: str
    predictions_requested: int
    predictions_answered: int
    predictions_logged: int
    predictions_lost: int
    non_2xx: int
    workers_killed: int
    reconnects: int
    drift: Drift
    performance: tuple[Month, ...]
    left_alone: dict[str, float]  # AUC of each version on the last two months, had it been the champion
    retraining: Retrained | None
    retrainings: tuple[Retrained, ...]
    rollouts: tuple[Released, ...]
    incidents: tuple[Harmed, ...]
    journal_entries: int
    seconds: float
    home: str
    console: str
    process: int  # of `fairlead up`, for whoever keeps it


class Run(Struct, frozen=True):
    """What only the one who ran it knows."""

    workers_killed: int
    seconds: float
    console: str
    process: int


def summarise(context: Context, facts: Facts, bookings: Bookings, tally: Tally, run: Run) -> Summary:
    """The whole document."""
    logged, exposed = _log(context)
    retrainings = _retrainings(facts)
    return Summary(
        model=MODEL,
        predictions_requested=tally.requested,
        predictions_answered=len(tally.answered),
        predictions_logged=len(logged & tally.answered),
        predictions_lost=len(tally.answered - logged),
        non_2xx=tally.non_2xx,
        workers_killed=run.workers_killed,
        reconnects=tally.reconnects,
        drift=_drift(facts),
        performance=tuple(_month(report) for report in _latest(facts)),
        left_alone=_left_alone(context, bookings),
        retraining=retrainings[0] if retrainings else None,
        retrainings=retrainings,
        rollouts=tuple(_released(view, exposed) for view in rollouts.rollouts(context, MODEL)),
        incidents=tuple(Harmed(found.id, found.title, found.postmortem) for found in incidents.list_incidents(context)),
        journal_entries=context.journal.verify(),
        seconds=round(run.seconds, 1),
        home=str(context.home),
        console=run.console,
        process=run.process,
    )


def _log(context: Context) -> tuple[set[str], Counter[int]]:
    """The request ids of the log's answers, and how many requests each version answered as a canary."""
    reader = context.open_log()
    logged: set[str] = set()
    exposed: Counter[int] = Counter()
    while True:
        predictions, outcomes = reader.poll()
        if not predictions and not outcomes:
            return logged, exposed
        for record in predictions:
            if record.shadow_of is None and record.status == 200:
                logged.add(record.request_id)
                exposed[record.model_version] += record.arm == "canary"


def _latest(facts: Facts) -> list[WindowReport]:
    """Each window's last word."""
    latest: dict[str, WindowReport] = {}
    for fact in facts.of(WindowJudged):
        report = report_of(fact)
        latest[report.window] = report
    return [latest[window] for window in sorted(latest)]


def _drift(facts: Facts) -> Drift:
    for fact in facts.of(WindowJudged):
        report = report_of(fact)
        if report.verdict is Outcome.BREACHED:
            ranked = report.suspects or report.moved
            return Drift(report.verdict.value, report.window, report.reason, ranked)
    reports = _latest(facts)
    return Drift(reports[-1].verdict.value if reports else Outcome.UNMEASURED.value, None, "no window was breached", ())


def _month(report: WindowReport) -> Month:
    seen = report.performance
    return Month(
        month=report.window,
        version=report.version,
        reference=seen.reference if seen else None,
        estimated=seen.estimated if seen else None,
        realised=seen.realised if seen else None,
        low=seen.low if seen else None,
        high=seen.high if seen else None,
        matured_share=seen.matured_share if seen else 0.0,
        harmful=report.harmful,
    )


def _retrainings(facts: Facts) -> tuple[Retrained, ...]:
    asked = {fact.run: fact for fact in facts.of(RetrainDecided) if fact.triggered}
    return tuple(
        Retrained(asked[fact.run].reason if fact.run in asked else "", fact.version, fact.beats_champion, fact.reason)
        for fact in facts.of(RetrainFinished)
    )


def _released(view: RolloutView, exposed: Counter[int]) -> Released:
    readings = view.decision.readings if view.decision else ()
    broken = view.decision.guardrail if view.decision else None
    chosen = [reading for reading in readings if broken in (None, reading.guardrail)]
    closest = max(chosen, key=lambda reading: reading.log_e_max - reading.threshold_log_e, default=None)
    return Released(
        id=view.id,
        version=view.version,
        outcome=_OUTCOMES.get(view.phase, "held"),
        why=view.why,
        guardrail=closest.guardrail if closest else None,
        evidence_log_e=closest.log_e_max if closest else None,
        threshold_log_e=closest.threshold_log_e if closest else None,
        requests_exposed=exposed[view.version],
        seconds_to_decision=view.seconds_to_decision,
        seconds_to_swap=view.seconds_to_swap,
    )


def _left_alone(context: Context, bookings: Bookings) -> dict[str, float]:
    """What each version that ever was champion would have reached on the last two months' bookings."""
    rows = bookings.arrivals(*LAST_MONTHS)
    truth = np.asarray(rows[TARGET].to_pylist(), dtype=np.float64)
    reached: dict[str, float] = {}
    for info in context.registry.versions(MODEL):
        if info.version not in _champions(context):
            continue
        contract = context.bundles.manifest(info.bundle).contract
        columns: list[list[Any]] = [rows[name].to_pylist() for name in contract.names]
        answers = context.bundles.load(info.bundle).predict(list(zip(*columns, strict=True)))
        reached[f"version {info.version}"] = round(auroc(truth, answers[:, -1]), 4)
    return reached


def _champions(context: Context) -> set[int]:
    return {view.version for view in rollouts.rollouts(context, MODEL) if view.phase is Phase.PROMOTED}
