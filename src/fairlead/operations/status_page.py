"""The status page: how each model is, in plain words, as one static HTML file and one JSON document.

It is for everybody: no version, no feature, no metric, no address and no name of a person or of a team is on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct

from fairlead.config.settings import Settings
from fairlead.config.watchpoints import stand_ins, watchpoints
from fairlead.core.alarm import LOG_REFUSED
from fairlead.core.alert import PAGING
from fairlead.core.communication import public_words
from fairlead.core.event import Entry
from fairlead.core.incident import KINDS, Incident, incidents
from fairlead.core.opening import standing
from fairlead.core.watched import OUTAGE
from fairlead.errors import StateError
from fairlead.operations.context import Context
from fairlead.operations.page_style import document

State = Literal["operational", "degraded", "outage"]
SHOWN_SECONDS = 30 * 86_400.0  # for so long a resolved incident stays on the page
GONE_SECONDS = 15.0  # no worker has said anything for so long: nobody answers
_ORDER: tuple[State, ...] = ("operational", "degraded", "outage")
_WORDS = {
    "operational": "Operational",
    "degraded": "Degraded",
    "outage": "Outage",
}
_TONES = {"operational": "holds", "degraded": "warning", "outage": "critical"}
_STYLE = """
.fl main{max-width:760px}.fl .row{display:flex;justify-content:space-between;gap:16px;align-items:baseline;
background:var(--card);border:1px solid var(--line);border-radius:8px;padding:13px 18px;margin-top:8px}
.fl .row b{font-size:15px}.fl .row .tag::before{content:"";display:inline-block;width:9px;height:9px;border-radius:50%;
background:var(--tone);margin-right:8px}
.fl article{background:var(--card);border:1px solid var(--line);border-left:4px solid var(--tone);border-radius:8px;
padding:14px 18px;margin-top:8px}.fl article h3{margin:0 0 4px;font-size:15px}
.fl article ol{margin:10px 0 0;padding:0;list-style:none;font-variant-numeric:tabular-nums}
.fl article li{display:flex;gap:12px;padding:3px 0;color:var(--soft)}.fl article time{white-space:nowrap}
"""


class ModelStatus(Struct, frozen=True):
    """How one model is, since when where it is not well, and what to know."""

    model: str
    state: State
    since: float | None = None
    message: str = ""


class PublicIncident(Struct, frozen=True):
    """An incident as the public may know it."""

    model: str
    state: Literal["investigating", "fixing", "watching", "resolved"]
    began_at: float
    ended_at: float | None
    message: str
    updates: tuple[tuple[float, str], ...]


class Status(Struct, frozen=True):
    """The whole page."""

    title: str
    state: State
    updated_at: float
    models: tuple[ModelStatus, ...]
    incidents: tuple[PublicIncident, ...]


def status(context: Context) -> Status:
    """How things are now, for everybody to know."""
    now = context.clock.now()
    entries = list(context.journal.read(kinds=(*KINDS, "alert_raised", "alert_quieted")))
    known, stands = incidents(entries), _standing(entries)
    served = sorted(context.board.current().models)
    gone = not any(now - one.heartbeat_at < GONE_SECONDS for one in context.board.workers())
    failing = {name: failing_alerts(context.settings, name) for name in {*served, *(one.model for one in known)}}
    seen = [_Seen(one, stands.get(one.model, frozenset()), failing[one.model]) for one in known if _concerns(one)]
    models = tuple(
        _model(name, [one for one in seen if one.incident.model in ("", name)], gone=gone) for name in served
    )
    shown = [one for one in reversed(seen) if (one.incident.resolved_at or now) > now - SHOWN_SECONDS]
    worst: State = max((one.state for one in models), key=_ORDER.index) if models else "operational"
    return Status(context.settings.project, worst, now, models, tuple(_public(one) for one in shown))


class _Seen(NamedTuple):
    """An incident, the alerts of its model that stand, and those that tell of requests that fail."""

    incident: Incident
    stands: frozenset[str]
    failing: frozenset[str]

    @property
    def failed(self) -> bool:
        """Whether requests got no answer."""
        return _shed(self.incident) or not self.failing.isdisjoint(self.incident.alerts)

    @property
    def unanswered(self) -> bool:
        """Whether they get none now."""
        told = self.stands.intersection(self.incident.alerts)
        return not self.failing.isdisjoint(told) or (_shed(self.incident) and LOG_REFUSED in told)

    @property
    def lasts(self) -> bool:
        """Whether it is felt now: it harms, a person says so, or an alert of it stands."""
        one = self.incident
        open_ = one.state in ("open", "acknowledged")
        return open_ and (one.harm_shown or one.by_hand or not self.stands.isdisjoint(one.alerts))

    @property
    def words(self) -> str:
        """As things stand."""
        return public_words(self.incident, failed=self.failed)


def _concerns(incident: Incident) -> bool:
    """Whether it is for everybody to know: it did harm, or it is urgent."""
    return incident.harm_shown or incident.severity in PAGING


def _shed(incident: Incident) -> bool:
    """Whether the log took nothing and requests were turned away for it: only then is it critical."""
    return LOG_REFUSED in incident.alerts and incident.severity == "critical"


def _standing(entries: Sequence[Entry]) -> dict[str, frozenset[str]]:
    """The alerts that stand, by model."""
    of: dict[str, list[Entry]] = {}
    for entry in entries:
        of.setdefault(entry.fact.model, []).append(entry)
    return {model: frozenset(standing(own)) for model, own in of.items()}


def write_status(context: Context) -> Path:
    """Writes page and JSON, each whole or not at all; returns the page's path. Raises `StateError`."""
    found, target = status(context), page_path(context)
    beside = target.with_suffix(".json")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for path, data in ((beside, msgspec.json.encode(found)), (target, page(found).encode())):
            fresh = path.with_name(f".{path.name}.new")
            fresh.write_bytes(data)
            fresh.replace(path)
    except OSError as error:
        raise StateError(f"the status page {target} cannot be written ({error.strerror}): name another") from None
    return target


def page_path(context: Context) -> Path:
    """Where the page lies: as the settings say, or in the home folder."""
    stated = context.settings.incidents.status_page
    return Path(stated) if stated else context.home / "status" / "index.html"


def page(found: Status) -> str:
    """The page as HTML, with no script and nothing to fetch."""
    said = {
        "operational": "Everything works as it should",
        "degraded": "Something is not as it should be",
        "outage": "Some requests are not answered",
    }[found.state]
    rows = "".join(_row(one) for one in found.models) or '<p class="soft">No model is in service.</p>'
    open_ones = [one for one in found.incidents if one.ended_at is None]
    past = [one for one in found.incidents if one.ended_at is not None]
    body = (
        f"<main><h1>{escape(found.title)}: status</h1>"
        f'<p class="soft">As of {_when(found.updated_at)}</p>'
        f'<section class="verdict {_TONES[found.state]}"><b>{_WORDS[found.state]}</b><p>{said}.</p></section>'
        f"{_section('Now', open_ones)}<h2>Models</h2>{rows}{_section('Past 30 days', past)}</main>"
    )
    return document(f"{found.title}: status", _STYLE, body)


def failing_alerts(settings: Settings, model: str | None = None) -> frozenset[str]:
    """The alerts of a model, or (None) of any, that page because requests fail."""
    points = (*watchpoints(settings, model), *stand_ins(settings, model))
    return frozenset(one.key for one in points if one.condition.metric in OUTAGE and one.severity in PAGING)


def _model(name: str, seen: Sequence[_Seen], *, gone: bool) -> ModelStatus:
    """Requests that fail are an outage, whatever the incident's category: slow machines still answer. Every other one
    that lasts degrades."""
    if gone:
        return ModelStatus(name, "outage", None, "Requests are not answered at the moment.")
    lasting = [one for one in seen if one.lasts]
    if not lasting:
        return ModelStatus(name, "operational")
    since = min(_began(one.incident) for one in lasting)
    out = [one for one in lasting if one.unanswered]
    return ModelStatus(name, "outage" if out else "degraded", since, (out or lasting)[0].words)


def _public(seen: _Seen) -> PublicIncident:
    incident = seen.incident
    state: Literal["investigating", "fixing", "watching", "resolved"] = "investigating"
    updates = [(incident.opened_at, "We noticed a problem and are looking into it.")]
    acts = [one for one in incident.actions if not one.failed and one.action != "none"]
    if incident.triage is not None:
        updates.append((incident.triage.at, "We know where to look."))
    if acts:
        state = "fixing"
        updates.append((acts[0].at, "A fix is on its way."))
    if incident.mitigated_at is not None and incident.mitigated_at != incident.resolved_at:
        state = "watching"
        updates.append((incident.mitigated_at, "The fix is in place. We are watching it."))
    if incident.resolved_at is not None:
        state = "resolved"
        updates.append((incident.resolved_at, "This is resolved."))
    return PublicIncident(
        incident.model, state, _began(incident), incident.resolved_at, seen.words, tuple(sorted(updates))
    )


def _began(incident: Incident) -> float:
    """On the journal's clock: an event time of a replayed past would puzzle everybody."""
    began = incident.began_at
    return began if began is not None and 0.0 <= incident.opened_at - began < 7 * 86_400.0 else incident.opened_at


def _row(one: ModelStatus) -> str:
    # What an open incident says stands above; a row says only what no incident does.
    said = f'<p class="soft">{escape(one.message)}</p>' if one.message and one.since is None else ""
    return (
        f'<div class="row {_TONES[one.state]}"><div><b>{escape(one.model)}</b>{said}</div>'
        f'<span class="tag">{_WORDS[one.state]}</span></div>'
    )


def _section(title: str, found: Sequence[PublicIncident]) -> str:
    return f"<h2>{title}</h2>{''.join(map(_article, found))}" if found else ""


def _article(one: PublicIncident) -> str:
    tone = "holds" if one.ended_at is not None else "warning"
    lines = "".join(f"<li><time>{_when(at)}</time><span>{escape(text)}</span></li>" for at, text in one.updates)
    title = f"{escape(one.model or 'All models')}: {one.state}"
    return f'<article class="{tone}"><h3>{title}</h3><p>{escape(one.message)}</p><ol>{lines}</ol></article>'


def _when(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%d %b %Y, %H:%M} UTC"
