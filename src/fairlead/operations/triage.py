"""The triage of an incident, run: what the home, the watch, the golden rows and the journal say, and what to do.

The version that serves is loaded here and asked; recent outcomes are read from the log. So it takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Raw

from fairlead.adapters.note_folder import COUNTERS, NoteFolder
from fairlead.config.watchpoints import stand_ins, watchpoints
from fairlead.core.adjust import RecentRows
from fairlead.core.alarm import GOLDEN, LOG_REFUSED
from fairlead.core.alert import PAGING
from fairlead.core.bundle import Manifest
from fairlead.core.contract import Task
from fairlead.core.decode import RowDecoder
from fairlead.core.event import (
    AlertRaised,
    AliasMoved,
    Entry,
    RolloutStarted,
    RouteChanged,
    VersionRegistered,
    WindowJudged,
    WorkerChanged,
    canonical,
)
from fairlead.core.facts_act import TriageDone, UpstreamChanged
from fairlead.core.handling import failed
from fairlead.core.incident import Incident
from fairlead.core.inference import label_text
from fairlead.core.opening import standing
from fairlead.core.recommend import RULES, Recommendation, Signs, recommend
from fairlead.core.report import WindowReport, report_of
from fairlead.core.triage import (
    BEFORE_SECONDS,
    Changed,
    GoldenSeen,
    Machinery,
    TriageCheck,
    WorkerSeen,
    classified,
    golden,
    infrastructure,
    panels,
    timeline,
)
from fairlead.core.verdict import Outcome
from fairlead.errors import ContractError, FairleadError, Refused
from fairlead.flows.labelled import Labelled, labelled
from fairlead.flows.tally import Counts
from fairlead.flows.warm import load
from fairlead.operations.context import Context
from fairlead.operations.incidents import show_incident
from fairlead.stats.performance import auroc_interval
from fairlead.stats.recalibrate import moved_threshold, recalibrate

RECENT_ROWS = 5_000
WINDOWS = 24
NEWEST = 2  # windows that count where nobody said when it began: one may have just begun
SURE = 0.01  # a fit that is so unlikely by chance counts
_KEPT = 0.95  # of the held-out AUROC: so much of it is ranking that was kept
_LIVE_SECONDS = 86_400.0  # event time that lies so far from the clock is a past that is played again
_MACHINES = ("latency", "error_rate", "timeout", "queue", "memory", "cpu", "disk", LOG_REFUSED)


class Triage(NamedTuple):
    """What was found: the five checks, and what is recommended."""

    checks: tuple[TriageCheck, ...]
    recommendation: Recommendation
    category: str


def triage(context: Context, identity: str) -> Incident:
    """Runs the five steps and journals them. Raises `NotFound`, and `Refused` for an incident that is resolved."""
    incident = show_incident(context, identity)
    if incident.state == "resolved":
        raise Refused(f"incident {identity} is resolved: open another, `fairlead incident open {incident.model} TITLE`")
    found = examine(context, incident)
    advice = found.recommendation
    fact = TriageDone(
        incident.model,
        identity,
        Raw(canonical(found.checks)),
        advice.action,
        advice.reason,
        found.category,
        advice.approved,
    )
    context.journal.append([fact], actor=context.actor, at=context.clock.now())
    return show_incident(context, identity)


def examine(context: Context, incident: Incident) -> Triage:
    """The five steps, without a word in the journal."""
    entries = [] if not incident.model else list(context.journal.read(model=incident.model, kinds=_KINDS))
    reports = tuple(_reports(entries, incident))
    served = _served(context, incident, entries)
    began = began_wall(incident)
    changes = tuple(_changes(context, incident, entries, began))
    machinery = _machinery(context, incident, entries, reports)
    steps = (
        infrastructure(machinery),
        panels(reports),
        golden(served.golden),
        timeline(changes, began),
    )
    signs = _signs(context, incident, (machinery, reports, served), began, steps)
    tried = failed(incident)
    rules = [rule for rule in RULES if rule.action not in tried]
    advice = recommend(signs, context.settings.incidents.handling.approvals, rules)
    outcome = Outcome.UNDECIDED if advice.action == "none" else Outcome.BREACHED
    if advice.rule in ("taken back", "calm"):
        outcome = Outcome.HOLDS
    said = f"{advice.action.replace('_', ' ')}: {advice.reason}"
    may = "may be done without asking" if advice.approved else "waits for a person"
    decision = TriageCheck("decision", outcome, said, (("rule", advice.rule), ("policy", may)))
    return Triage((*steps, decision), advice, classified(signs, incident.opened_as or incident.category))


def began_wall(incident: Incident) -> float | None:
    """When it began on the clock of the journal; None where its records are of another time, as a replayed past is."""
    if incident.began_at is None or incident.detected_at is None:
        return None
    return incident.began_at if abs(incident.opened_at - incident.detected_at) < _LIVE_SECONDS else None


# -- what is seen ------------------------------------------------------------------------------------------------------


class _Served(NamedTuple):
    """The champion as the journal and its bundle know it."""

    version: int | None
    previous: int | None
    moved_at: float | None
    manifest: Manifest | None
    before: Manifest | None
    predictor: Any
    golden: GoldenSeen


_KINDS = (
    "alert_raised",
    "alert_quieted",
    "alias_moved",
    "golden_tested",
    "rollout_started",
    "route_changed",
    "version_registered",
    "window_judged",
)


def _reports(entries: Sequence[Entry], incident: Incident) -> Iterator[WindowReport]:
    """The last report of each window since it began, in their order, the latest ones. Where nobody said when it began
    only the newest count: what they show no more is cured, and no cause of what is seen now."""
    judged: dict[str, WindowJudged] = {}
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, WindowJudged) and (incident.began_at is None or fact.ends_at > incident.began_at):
            judged[fact.window] = fact
    latest = sorted(judged.values(), key=lambda fact: fact.starts_at)
    for fact in latest[-(NEWEST if incident.began_at is None else WINDOWS) :]:
        try:
            yield report_of(fact)
        except msgspec.MsgspecError:
            continue  # another program's


def _served(context: Context, incident: Incident, entries: Sequence[Entry]) -> _Served:
    moves = [entry for entry in entries if isinstance(entry.fact, AliasMoved) and entry.fact.alias == "champion"]
    version = previous = moved_at = None
    if moves and isinstance(moves[-1].fact, AliasMoved):
        version, previous, moved_at = moves[-1].fact.version, moves[-1].fact.previous, moves[-1].at
    known = [entry.fact for entry in entries if isinstance(entry.fact, VersionRegistered)]
    bundles = {fact.version: fact.bundle for fact in known}
    if version is None or version not in bundles:
        seen = GoldenSeen(version, None, reason="no version serves")
        return _Served(version, previous, moved_at, None, None, None, seen)
    told = _told(context, incident.model, version)
    try:
        live = load(version, bundles[version], context.bundles)
        rows = len(msgspec.json.decode((context.bundles.path(bundles[version]) / "golden.json").read_bytes())["rows"])
        manifest, predictor, seen = live.manifest, live.predictor, GoldenSeen(version, rows, workers=told)
    except (FairleadError, OSError, KeyError) as error:
        reason = error.line if isinstance(error, FairleadError) else str(error)
        wrong = "differently" in reason
        manifest, predictor = None, None
        seen = GoldenSeen(version, 1 if wrong else None, int(wrong), reason, told)
    before = _manifest(context, bundles.get(previous or 0))
    return _Served(version, previous, moved_at, manifest, before, predictor, seen)


def _manifest(context: Context, digest: str | None) -> Manifest | None:
    try:
        return None if digest is None else context.bundles.manifest(digest)
    except FairleadError:
        return None


def _told(context: Context, model: str, version: int) -> tuple[tuple[int, str], ...]:
    """The workers whose golden rows are answered otherwise, as they last said."""
    return tuple(
        (state.worker, one.reason)
        for state in context.board.workers()
        for one in state.golden
        if one.model == model and one.version == version and not one.holds
    )


def _machinery(
    context: Context, incident: Incident, entries: Sequence[Entry], reports: Sequence[WindowReport]
) -> Machinery:
    now = context.clock.now()
    workers = tuple(
        WorkerSeen(one.worker, one.generation, now - one.heartbeat_at, one.errors.get(incident.model, one.error))
        for one in context.board.workers()
    )
    said = _alerts(context, incident.model, entries)
    failures = sum(report.failed for report in reports)
    asked = sum(report.rows + report.other_rows + report.failed for report in reports)
    return Machinery(workers, context.board.current().generation, asked, failures, _log_trouble(context), *said)


def _alerts(context: Context, model: str, entries: Sequence[Entry]) -> tuple[tuple[str, ...], ...]:
    """The standing alerts that speak of machines, each told: those that page, those of them that tell of latency alone,
    and those that page nobody. The metric of what the settings state says what it speaks of, not its name."""
    points = (*watchpoints(context.settings, model), *stand_ins(context.settings, model))
    metrics = {point.key: point.condition.metric for point in points}
    faults, slow, mild = list[str](), list[str](), list[str]()
    for alert, entry in standing(entries).items():
        fact, metric = entry.fact, metrics.get(alert, alert)
        if not isinstance(fact, AlertRaised) or not any(word in metric for word in _MACHINES):
            continue
        kind = mild if fact.severity not in PAGING else slow if "latency" in metric else faults
        kind.append(f"{fact.title}: {fact.reason}" + (f" ({fact.severity})" if kind is mild else ""))
    return tuple(faults), tuple(slow), tuple(mild)


def _log_trouble(context: Context) -> str:
    for note in NoteFolder(context.home / COUNTERS).read().values():
        try:
            counts = msgspec.json.decode(note, type=Counts)
        except msgspec.DecodeError:
            continue
        if counts.log is not None and counts.log.refused:
            return counts.log.refused
    return ""


def _changes(context: Context, incident: Incident, entries: Sequence[Entry], began: float | None) -> Iterator[Changed]:
    """What changed from an hour before it began until it was opened, in order."""
    if began is None:
        return
    shared = context.journal.read(kinds=("upstream_changed", "worker_changed"))
    found = [one for entry in (*entries, *shared) if (one := _changed(entry, incident.model)) is not None]
    yield from sorted(
        (one for one in found if began - BEFORE_SECONDS <= one.at <= incident.opened_at), key=lambda one: one.at
    )


def _changed(entry: Entry, model: str) -> Changed | None:
    fact = entry.fact
    if isinstance(fact, AliasMoved) and fact.alias == "champion" and fact.version is not None:
        return Changed(entry.at, "deploy", f"version {fact.version} became the champion")
    if isinstance(fact, RolloutStarted):
        return Changed(entry.at, "deploy", f"rollout {fact.rollout} of version {fact.version} began")
    if isinstance(fact, RouteChanged) and fact.canary is not None:
        return Changed(entry.at, "route", f"version {fact.canary} got {fact.share:.0%} of the traffic")
    if isinstance(fact, UpstreamChanged) and fact.model in ("", model):
        return Changed(fact.happened_at, "upstream", f"{fact.source}: {fact.what}")
    if isinstance(fact, WorkerChanged) and fact.state == "failed":
        return Changed(entry.at, "worker", f"worker {fact.worker} failed: {fact.detail}")
    return None


# -- what it means -----------------------------------------------------------------------------------------------------


def _signs(
    context: Context,
    incident: Incident,
    found: tuple[Machinery, Sequence[WindowReport], _Served],
    began: float | None,
    steps: Sequence[TriageCheck],
) -> Signs:
    machinery, reports, served = found
    broken = {shift.name: None for report in reports for shift in report.broken}
    last = reports[-1] if reports else None
    signs = Signs(
        taken_back=incident.rollout is not None,
        since_promotion=None if began is None or served.moved_at is None else began - served.moved_at,
        previous=served.previous,
        reads_alike=_alike(served),
        golden_wrong=any(step.step == "golden" and step.outcome is Outcome.BREACHED for step in steps)
        or any(alert.startswith(GOLDEN) for alert in incident.alerts),
        machines="; ".join(machinery.faults),
        slow="; ".join(machinery.slow),
        broken=tuple(broken),
        harmful=any(report.harmful for report in reports),
        quadrant="unknown" if last is None else last.quadrant.value,
        trainer=context.settings.retraining.trains,
    )
    if signs.taken_back or broken or served.manifest is None:
        return signs
    since = incident.began_at if incident.began_at is not None or not reports else reports[0].starts_at
    return _from_outcomes(context, since, served, signs)


def _alike(served: _Served) -> bool:
    """Whether the version before takes the same inputs by the same code."""
    now, before = served.manifest, served.before
    if now is None or before is None:
        return True
    code = [None if one.features is None else one.files.get(one.features.entry) for one in (now, before)]
    return now.contract == before.contract and code[0] == code[1]


def _from_outcomes(context: Context, since: float | None, served: _Served, signs: Signs) -> Signs:
    """What the outcomes since an instant (None: all recent ones) say of ranking and calibration; of a binary model
    only."""
    manifest = served.manifest
    assert manifest is not None, "without a bundle nothing is asked"
    known = labelled(context.open_log(), manifest.name, RECENT_ROWS)
    rows = [row for row in known if since is None or row.at >= since]
    signs = msgspec.structs.replace(signs, labels=len(rows))
    if manifest.contract.task is not Task.BINARY or not rows:
        return signs
    recent = recent_rows(context, manifest, served.predictor, rows)
    if not recent.truth.size or not 0.0 < recent.truth.mean() < 1.0:
        return signs
    ranked, reference = auroc_interval(recent.truth, recent.score), manifest.metrics.get("auroc")
    fit = recalibrate(recent.truth, recent.score)
    off, shifted = fit.p_value < SURE, fit.p_shift < SURE and fit.p_slope >= SURE
    return msgspec.structs.replace(
        signs,
        ranking_kept=None if reference is None else bool(ranked.high >= _KEPT * reference),
        miscalibrated=off,
        shifted=shifted,
        moved_to=moved_threshold(manifest.threshold, fit.shift) if shifted else None,
    )


def recent_rows(context: Context, manifest: Manifest, predictor: Any, rows: Sequence[Labelled]) -> RecentRows:
    """Recent labelled rows of a binary model in the order of time, scored by a predictor as the gateway asks it: what
    is missing is imputed, what the contract refuses is left out, and so is an outcome that is no class."""
    known = context.settings.models.get(manifest.name)
    cost = None if known is None or known.cost is None else known.cost.matrix
    decoder, classes = RowDecoder(manifest.contract), manifest.contract.classes
    asked, truth = [], []
    for row in rows:
        label = label_text(row.outcome)
        try:
            values = decoder.check(msgspec.json.decode(row.features))[0]
        except (ContractError, msgspec.MsgspecError):
            continue
        if label in classes:
            asked.append(values)
            truth.append(float(label == classes[-1]))
    score = np.asarray(predictor.predict(asked)[:, -1] if asked else np.empty(0), np.float64)
    sound = np.isfinite(score)
    return RecentRows(np.array(truth)[sound], score[sound], manifest.threshold, cost)
