"""Runbooks made from the settings: one page for each alert that this home can raise; and their steps tried out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from fairlead.adapters.disk_room import tried
from fairlead.config.aim import only
from fairlead.config.watchpoints import stand_ins
from fairlead.core.alarm import (
    BENIGN,
    CALIBRATION,
    DATA,
    DEGRADED,
    GOLDEN,
    HARMFUL,
    IMPACT,
    LOG_REFUSED,
    LOOP,
    METRIC,
    NO_WORKER,
    PREDICTIONS,
    PROMOTION,
    REGRESS_HELD,
    ROLLBACK,
    SILENT,
    UNACKNOWLEDGED,
    UNMEASURED,
)
from fairlead.core.facts_act import ProcedureRehearsed
from fairlead.core.group_alarms import FAIRNESS, GROUP
from fairlead.core.harm import HarmPolicy
from fairlead.core.incident_terms import Handling
from fairlead.core.opening import category_of
from fairlead.core.runbook import Rehearsed, Runbook, index, page, span, steps_for
from fairlead.errors import FairleadError, NotFound, StateError
from fairlead.flows.warm import load
from fairlead.flows.worker_alarm import GONE_SECONDS
from fairlead.operations.alerts import alerts
from fairlead.operations.context import Context
from fairlead.operations.gates import last_report
from fairlead.operations.incidents import list_incidents
from fairlead.operations.links import folder_of

_STALE_SECONDS = 15.0
_OF_NO_MODEL = (LOG_REFUSED, NO_WORKER)


class Tried(Struct, frozen=True):
    """A step that was tried: in which page, whether it worked, how long it took, and what it said."""

    runbook: str
    step: str
    passed: bool
    seconds: float
    reason: str = ""


def build(context: Context) -> tuple[Path, tuple[Runbook, ...]]:
    """Writes every page and the index; returns the folder and what was written. Raises `StateError`."""
    books, known = runbooks(context), rehearsed(context)
    folder = folder_of(context)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for book in books:
            (folder / f"{book.name}.md").write_text(page(book, known.get(book.name, {})), encoding="utf-8")
        (folder / "README.md").write_text(index(books, known), encoding="utf-8")
    except OSError as error:
        raise StateError(f"the runbooks cannot be written to {folder} ({error.strerror}): name another") from None
    return folder, books


def runbook_text(context: Context, name: str) -> str:
    """The Markdown of a page by an alert's name, or by the name that its settings give; a page that people have laid
    into the folder, where nothing raises one of that name. Raises `NotFound`."""
    meant = {alert.runbook: alert.name for alert in context.settings.alerting.alerts if alert.runbook}
    books = {book.name: book for book in runbooks(context)}
    own = folder_of(context) / f"{name}.md"
    if name not in books and name == own.stem and own.is_file():
        return own.read_text(encoding="utf-8", errors="replace")
    book = books.get(name) or books.get(meant.get(name, ""))
    if book is None:
        raise NotFound(f"there is no runbook {name!r}: there is {', '.join(sorted(books))}")
    return page(book, rehearsed(context).get(book.name, {}))


def runbooks(context: Context) -> tuple[Runbook, ...]:
    """A page for each alert that this home can raise, as it is configured, the gravest first."""
    rank = {"critical": 0, "high": 1, "medium": 2, "low": 3}
    return tuple(sorted((*_built_in(context), *_stated(context)), key=lambda one: (rank[one.severity], one.name)))


def rehearse(context: Context) -> tuple[Tried, ...]:
    """Tries every step that harms nobody, and journals how it went; nothing is deployed, sent or changed. A step that
    several pages share is tried once."""
    done: dict[str, tuple[bool, float, str]] = {}
    found = []
    for book in runbooks(context):
        for name in dict.fromkeys(step.rehearsal for step in book.steps if step.rehearsal):
            if name not in done:
                done[name] = _try(context, name)
            found.append(Tried(book.name, name, *done[name]))
    facts = [ProcedureRehearsed("", one.runbook, one.step, one.passed, one.seconds, one.reason) for one in found]
    context.journal.append(facts, actor=context.actor, at=context.clock.now())
    return tuple(found)


# -- what is configured ------------------------------------------------------------------------------------------------


def _built_in(context: Context) -> Iterator[Runbook]:
    settings, harm = context.settings, HarmPolicy()
    full = settings.log.when_full == "shed"
    raised = {
        HARMFUL: (
            "critical",
            (
                f"matured labels show the primary metric more than {harm.critical_drop:.0%} below the reference, or "
                f"the loss above what is tolerated, of a window or since the promotion (alpha {harm.alpha:g})"
            ),
        ),
        DEGRADED: ("low", f"the metric slips by {harm.warning_drop:.0%} to {harm.critical_drop:.0%}, or is about to"),
        DATA: ("medium", "a column is broken: nulls, categories or ranges that training did not know"),
        SILENT: ("medium", f"a window of {settings.monitoring.window_seconds or 0:g} s cannot be judged"),
        ROLLBACK: ("high", "a new version broke a guardrail and lost its traffic"),
        REGRESS_HELD: ("high", "a guardrail is broken and the rollout is held: a person decides"),
        GOLDEN: ("critical", "what serves answers its golden rows otherwise, and nothing stands behind it"),
        PROMOTION: ("high", "a promoted version has become worse, and was not taken back by itself"),
        LOG_REFUSED: ("critical" if full else "high", "the prediction log takes no records"),
        CALIBRATION: ("medium", "labels show that probabilities are off"),
        PREDICTIONS: ("high", "the predictions' mean or spread moved far, or one value is answered to many"),
        IMPACT: ("medium", "what callers log, the volume, the errors or the latency are not what is usual"),
        LOOP: ("medium", "a model's own decisions shape what the next one learns from"),
        UNACKNOWLEDGED: ("high", "nobody has acknowledged an incident in its time"),
        UNMEASURED: ("low", "a condition of the settings has had no value for a day"),
        NO_WORKER: ("critical", f"models are to be served, and no worker gave a sign of life in {GONE_SECONDS:g} s"),
        BENIGN: ("low", "inputs moved and harm nobody as far as is known: on record, and told to nobody"),
        METRIC: ("medium", "a metric of monitoring.metrics has crossed its alert_threshold"),
        GROUP: ("medium", "a class or a segment became worse than the whole shows"),
        FAIRNESS: ("medium", "groups of a protected column are treated less alike than before"),
    }
    for name, (severity, text) in raised.items():
        yield _book(context, name, name.replace("-", " ").capitalize(), text, severity, category_of(name))


def _stated(context: Context) -> Iterator[Runbook]:
    """The settings' own alerts, and what stands in for them."""
    own = {alert.name: alert for alert in context.settings.alerting.alerts}
    usual = _usual(context)
    for name, (said, severity) in usual.items():
        if name not in own:
            yield _book(context, name, name.replace("_", " ").capitalize(), said, severity, _category(name))
    for alert in own.values():
        metric = alert.parsed.metric
        category = _category(metric)
        title = alert.message or alert.name.replace("_", " ").replace("-", " ").capitalize()
        raised, models = f"`{alert.stated.text}`", alert.models or ()
        if models:
            raised += f" of {', '.join(models)}"
        if alert.name in usual:  # it is aimed, and the others have what stands in
            raised += f"; of all others {usual[alert.name][0]}"
        owner = alert.owner or _owners(context, models)
        book = _book(context, alert.name, title, raised, alert.severity, category, owner)
        own_name = only(models)
        yield replace(book, steps=steps_for(category, own_name)) if own_name else book


def _category(metric: str) -> str:
    """Where the trouble lies that a metric tells of."""
    from fairlead.core.metrics import METRICS
    from fairlead.core.watched import REFUSED

    if metric in REFUSED:
        return "data"
    return METRICS[metric].category if metric in METRICS else "model"


def _usual(context: Context) -> dict[str, tuple[str, str]]:
    """What stands in for the settings, by metric: its levels in words, and the graver one's severity."""
    points = stand_ins(context.settings)
    found = {}
    for name in dict.fromkeys(one.condition.metric for one in points):
        levels = [one for one in points if one.condition.metric == name]
        said = "; ".join(f"`{one.condition.text}`: {one.severity}" for one in levels)
        found[name] = (said, levels[-1].severity)
    return found


def _book(
    context: Context, name: str, title: str, raised: str, severity: str, category: str, owner: str = ""
) -> Runbook:
    settings = context.settings
    handling = settings.incidents.handling
    channels = tuple(one.name for one in settings.alerting.channels if severity in settings.alerting.takes(one))
    return Runbook(
        name=name,
        title=title,
        raised=raised,
        severity=severity,
        category=category,
        owner=owner or (settings.alerting.owner if name in _OF_NO_MODEL else _owners(context, ())),
        answer_within=handling.acknowledge[severity],
        channels=channels,
        escalation=tuple(_escalation(handling, severity)),
        steps=steps_for(category, next(iter(settings.models)) if len(settings.models) == 1 else ""),
    )


def _owners(context: Context, models: Sequence[str]) -> str:
    """Who answers for the models (none: for all that there may be): each owner, and for which of them."""
    settings = context.settings
    others = () if models else (settings.alerting.owner,)
    found: dict[str, list[str]] = {}
    for name in models or settings.models:
        found.setdefault(settings.owner_of(name), []).append(name)
    if len({*found, *others}) == 1:
        return next(iter(found), settings.alerting.owner)
    own = [f"{owner} ({', '.join(names)})" for owner, names in found.items() if owner not in others]
    return ", ".join((*own, *(f"{owner} (all others)" for owner in others)))


def _escalation(handling: Handling, severity: str) -> Iterator[str]:
    for one in handling.escalations:
        after = span(handling.acknowledge[severity] + one.after_seconds)
        yield f"after {after} without an acknowledgement: {', '.join(one.to) or 'all channels that take it'}"


# -- what is tried -----------------------------------------------------------------------------------------------------


def rehearsed(context: Context) -> dict[str, dict[str, Rehearsed]]:
    """The last rehearsal of each step, by page."""
    found: dict[str, dict[str, Rehearsed]] = {}
    for entry in context.journal.read(kinds=("procedure_rehearsed",)):
        fact = entry.fact
        if isinstance(fact, ProcedureRehearsed):
            one = Rehearsed(entry.at, fact.passed, fact.seconds, fact.reason)
            found.setdefault(fact.runbook, {})[fact.step] = one
    return found


def _try(context: Context, name: str) -> tuple[bool, float, str]:
    begun = time.perf_counter()
    try:
        passed, reason = _REHEARSALS[name](context)
    except FairleadError as error:
        passed, reason = False, error.line
    return passed, time.perf_counter() - begun, reason


def _alerts(context: Context) -> tuple[bool, str]:
    return True, f"{len(alerts(context).standing)} stand"


def _triage(context: Context) -> tuple[bool, str]:
    """A triage of nobody's incident: all that it reads can be read."""
    from fairlead.core.incident import Incident
    from fairlead.operations.triage import examine

    model = next(iter(context.board.current().models), "")
    now = context.clock.now()
    trial = Incident("rehearsal", model, "open", "low", "model", "a rehearsal", "", "", now, now - 1.0, now)
    found = examine(context, trial)
    return bool(found.checks), f"{len(found.checks)} steps ran"


def _windows(context: Context) -> tuple[bool, str]:
    judged = sum(1 for _ in context.journal.read(kinds=("window_judged",)))
    return judged > 0, f"{judged} windows judged" if judged else "no window has been judged yet"


def _golden(context: Context) -> tuple[bool, str]:
    """What serves, asked here."""
    table = context.board.current()
    asked = 0
    for route in table.models.values():
        version = route.arms[-1].version
        load(version, route.bundles[version], context.bundles)
        asked += 1
    return asked > 0, f"{asked} asked" if asked else "nothing serves yet"


def _rollback(context: Context) -> tuple[bool, str]:
    """Whether the gate of what serves has gone back and forth with it."""
    for name in context.board.current().models:
        report = last_report(context, f"{name}@champion")
        check = next((one for one in report.checks if one.name == "rollback_rehearsed"), None)
        if check is None or check.outcome.value != "holds":
            return False, f"{name}: {'its gate has not tried it' if check is None else check.reason}"
    return True, "the gate of what serves has gone back and forth"


def _trainer(context: Context) -> tuple[bool, str]:
    """Whether there is one, and its command can be read."""
    return (True, "") if context.open_trainer() is not None else (False, "the settings name no trainer")


def _workers(context: Context) -> tuple[bool, str]:
    now = context.clock.now()
    there = [one for one in context.board.workers() if now - one.heartbeat_at < _STALE_SECONDS]
    return bool(there), f"{len(there)} workers" if there else "no worker is running"


def _disk(context: Context) -> tuple[bool, str]:
    trouble = tried(context.home / "log", "rehearsal")
    return not trouble, trouble


def _postmortems(context: Context) -> tuple[bool, str]:
    known = list_incidents(context)
    return True, f"{sum(one.postmortem is not None for one in known)} of {len(known)} incidents have one"


_REHEARSALS: Mapping[str, Callable[[Context], tuple[bool, str]]] = MappingProxyType(
    {
        "alerts": _alerts,
        "triage": _triage,
        "windows": _windows,
        "golden": _golden,
        "rollback": _rollback,
        "trainer": _trainer,
        "workers": _workers,
        "disk": _disk,
        "postmortems": _postmortems,
    }
)
