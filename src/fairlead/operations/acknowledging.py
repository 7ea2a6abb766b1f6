"""Somebody works on a trouble: said of an alert or of its incident, it holds for both."""

from __future__ import annotations

from fairlead.core.alert import standing
from fairlead.core.event import IncidentNoted
from fairlead.core.facts_act import AlertAcknowledged
from fairlead.core.incident import KINDS, Incident, incidents
from fairlead.core.opening import belongs
from fairlead.operations.context import Context

_KINDS = ("alert_raised", "alert_quieted")


def of_alerts(context: Context, incident: Incident, note: str) -> list[AlertAcknowledged]:
    """The same of each alert of an incident that stands, so that its page calls nobody else."""
    known = standing(context.journal.read(model=incident.model, kinds=_KINDS), incident.model)
    return [AlertAcknowledged(incident.model, alert, note) for alert in known if belongs(alert, incident)]


def of_incidents(context: Context, model: str, alert: str, note: str) -> list[IncidentNoted]:
    """The same of each open incident of an alert, so that its clock stops."""
    said = note or f"{context.actor} works on its alert {alert}"
    found = incidents(context.journal.read(model=model, kinds=KINDS))
    return [
        IncidentNoted(model, one.id, said, "acknowledged")
        for one in found
        if one.model == model and one.state == "open" and belongs(alert, one)
    ]
