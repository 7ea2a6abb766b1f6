"""Who was told of a window: its incidents, its alerts, and the incidents that stand open of other windows.

Windows lie in event time, and so does what belongs to them: the wall clock of an old log that is replayed says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.core.impact import ImpactReport
from fairlead.operations.overview_values import AlertView, IncidentView, ModelView, WindowView

MOST_TOLD = 5
_SEVERITIES = ("critical", "high", "medium", "low")


def incidents_of(view: ModelView, span: WindowView | ImpactReport | None) -> tuple[IncidentView, ...]:
    """Incidents of the window: those that it opened, then those whose notes name it, then those of no window that began
    in it."""
    if span is None:
        return ()
    found = [(place, one) for one in view.incidents if (place := _place(one, span)) is not None]
    return tuple(one for _, one in sorted(found, key=lambda each: each[0])[:MOST_TOLD])


def open_elsewhere(view: ModelView, own: Sequence[IncidentView]) -> tuple[IncidentView, ...]:
    """Incidents that are open, and of other windows."""
    names = {one.id for one in own}
    return tuple(one for one in view.open_incidents if one.id not in names)[:MOST_TOLD]


def alerts_of(view: ModelView, span: WindowView | ImpactReport | None) -> tuple[AlertView, ...]:
    """Alerts of the window, the most severe first: those that name it, and those of no window that went out, in event
    time, once it was over and before the next one was."""
    if span is None:
        return ()
    known = [one for one in view.told if one.severity in _SEVERITIES and _is_of(one, span)]
    return tuple(sorted(known, key=lambda one: (_SEVERITIES.index(one.severity), -one.at))[:MOST_TOLD])


def name_of(span: WindowView | ImpactReport) -> str:
    """The window's name."""
    return span.name if isinstance(span, WindowView) else span.window


def _place(incident: IncidentView, span: WindowView | ImpactReport) -> int | None:
    name = name_of(span)
    if incident.window == name:
        return 0
    if any(f"in window {name}: " in f"{note.title} {note.reason}" for note in incident.timeline if _is_own(note.kind)):
        return 1
    began = incident.opened_at if incident.began_at is None else incident.began_at
    return 2 if not incident.window and span.starts_at <= began < span.ends_at else None


def _is_own(kind: str) -> bool:
    return kind.startswith("incident_")


def _is_of(alert: AlertView, span: WindowView | ImpactReport) -> bool:
    if alert.window:
        return alert.window == name_of(span)
    length = span.ends_at - span.starts_at
    return alert.event_at is not None and 0.0 <= alert.event_at - span.ends_at < length
