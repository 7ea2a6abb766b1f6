"""Which alerts open an incident, which join one that is open, and where the trouble lies as far as an alert tells.

One model has one open incident at a time, rollouts aside: what else goes wrong meanwhile joins it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

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
    NO_WORKER,
    PREDICTIONS,
    PROMOTION,
    REGRESS_HELD,
    ROLLBACK,
    SILENT,
    UNACKNOWLEDGED,
    runbook_of,
)
from fairlead.core.alert import PAGING
from fairlead.core.event import AlertQuieted, AlertRaised, Entry, IncidentNoted, IncidentOpened, WindowJudged
from fairlead.core.group_alarms import FAIRNESS, GROUP
from fairlead.core.incident import Incident, incidents
from fairlead.core.watched import REFUSED_SHARE

_CATEGORY: Mapping[str, str] = MappingProxyType(
    {
        DATA: "data",
        HARMFUL: "model",
        DEGRADED: "model",
        ROLLBACK: "integration",
        SILENT: "data",
        CALIBRATION: "model",
        PREDICTIONS: "model",
        LOOP: "model",
        IMPACT: "business",
        GOLDEN: "model",
        PROMOTION: "model",
        REGRESS_HELD: "model",
        LOG_REFUSED: "infrastructure",
        BENIGN: "data",
        GROUP: "model",
        FAIRNESS: "model",
        NO_WORKER: "infrastructure",
        REFUSED_SHARE: "data",
    }
)
_ELSEWHERE = (HARMFUL, ROLLBACK)  # their incidents are opened with the verdict itself, which knows more
_RANK = ("low", "medium", "high", "critical")


def opens(alert: str, severity: str) -> bool:
    """Whether an alert is an incident: whatever pages, and broken data, which harm before labels show it.

    >>> opens("data-quality", "medium"), opens("degraded-performance", "low"), opens("high_error_rate", "critical")
    (True, False, True)
    """
    kind = runbook_of(alert)
    return kind not in (*_ELSEWHERE, UNACKNOWLEDGED) and (kind == DATA or severity in PAGING)


def belongs(alert: str, incident: Incident) -> bool:
    """Whether an alert is of an incident: it opened or joined it, shows what its window showed, tells of its rollout,
    or tells that nobody has acknowledged it."""
    kind, _, rest = alert.partition(":")
    if kind == UNACKNOWLEDGED:
        return rest.rpartition(":")[0] == incident.id
    if kind == ROLLBACK:
        return rest == incident.rollout
    return alert in incident.alerts or (alert == HARMFUL and bool(incident.window))


def category_of(alert: str, stated: Callable[[str], str] = lambda _: "") -> str:
    """Where the trouble lies; `stated` answers for the settings' own alerts, by their name."""
    return _CATEGORY.get(runbook_of(alert)) or stated(runbook_of(alert)) or "infrastructure"


def standing(entries: Sequence[Entry]) -> dict[str, Entry]:
    """The alerts of one model that were raised and are not over, each with the entry that raised it first."""
    known: dict[str, Entry] = {}
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, AlertRaised):
            if fact.alert not in known or _is_benign(known[fact.alert]):  # what was benign may come to harm
                known[fact.alert] = entry
        elif isinstance(fact, AlertQuieted) and fact.recovered:
            known.pop(fact.alert, None)
    return known


def _is_benign(entry: Entry) -> bool:
    return isinstance(entry.fact, AlertRaised) and entry.fact.benign


def to_open(
    entries: Sequence[Entry], model: str, stated: Callable[[str], str] = lambda _: ""
) -> tuple[IncidentOpened | IncidentNoted, ...]:
    """What the standing alerts of a model ask for that no incident answers yet. `entries` are the model's, in order;
    windows' reports may be left out of them. The same entries, with these facts behind them, ask for nothing more."""
    known = incidents(entries)
    current = next((one for one in reversed(known) if one.rollout is None and one.state != "resolved"), None)
    found: list[IncidentOpened | IncidentNoted] = []
    joined = {alert for one in known if one.state != "resolved" for alert in one.alerts}
    for alert, entry in standing(entries).items():
        fact = entry.fact
        assert isinstance(fact, AlertRaised), "an alert stands since it was raised"
        if fact.benign or alert in joined or not opens(alert, fact.severity) or _answered(known, alert, entry):
            continue
        if current is not None:
            found.append(_joins(current, fact))
        elif not any(isinstance(one, IncidentOpened) for one in found):
            found.append(_opened(entries, model, entry, category_of(alert, stated)))
        else:
            opened = next(one for one in found if isinstance(one, IncidentOpened))
            found.append(IncidentNoted(model, opened.incident, _note(fact), alert=alert))
    return tuple(found)


def _answered(known: Sequence[Incident], alert: str, entry: Entry) -> bool:
    """Whether an incident that is resolved by now was about this very alert: a person closed it while it stands."""
    return any(alert in one.alerts and (one.resolved_seq or 0) > entry.seq for one in known)


def _joins(current: Incident, fact: AlertRaised) -> IncidentNoted:
    worse = _RANK.index(fact.severity) > _RANK.index(current.severity) if current.severity in _RANK else False
    severity = fact.severity if worse else ""
    return IncidentNoted(fact.model, current.id, _note(fact), alert=fact.alert, severity=severity)


def _note(fact: AlertRaised) -> str:
    return f"Alert ({fact.severity}) joined: {fact.title}. {fact.reason}"


def _opened(entries: Sequence[Entry], model: str, entry: Entry, category: str) -> IncidentOpened:
    fact = entry.fact
    assert isinstance(fact, AlertRaised), "an alert opens it"
    seen_at = entry.at if fact.event_at is None else fact.event_at
    window = _window(entries, entry.seq) if runbook_of(fact.alert) == DATA else None
    return IncidentOpened(
        model=model,
        incident=f"inc-{model or 'all'}-{fact.alert.replace(':', '-')}-{entry.seq}",
        severity=fact.severity,
        title=fact.title,
        category=category,
        reason=fact.reason,
        owner=fact.owner,
        began_at=seen_at if window is None else window.starts_at,
        detected_at=seen_at,
        alert=fact.alert,
    )


def _window(entries: Sequence[Entry], seq: int) -> WindowJudged | None:
    """The window that showed it: the last that was judged before the alert."""
    judged = [entry.fact for entry in entries if isinstance(entry.fact, WindowJudged) and entry.seq < seq]
    return judged[-1] if judged else None
