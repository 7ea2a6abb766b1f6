"""The control port's application, composed for one home."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

from starlette.applications import Starlette

from fairlead.core.incident import Incident
from fairlead.errors import NotFound
from fairlead.faces.api.app import build_control_app
from fairlead.faces.api.versions import Versions
from fairlead.faces.console.runbooks import RunbookPages, runbook_routes
from fairlead.operations import alerts, checklists, experiment_facts, incidents, readiness, rollouts
from fairlead.operations.context import Context
from fairlead.operations.diff import diff
from fairlead.operations.drift_model import model_drift
from fairlead.operations.feature_shape import feature_shape
from fairlead.operations.overview import LiveOverview
from fairlead.operations.runbooks import rehearsed, runbook_text, runbooks
from fairlead.operations.shadow_rows import with_worst_pairs
from fairlead.operations.unseen import unseen_views


def build(context: Context) -> Starlette:
    """The console and the control API over one home. An operator's wish goes to the journal like any other fact."""
    live = LiveOverview(context.journal, context.board, context.clock, partial(unseen_views, context.home))

    def ask(model: str, verb: str, reason: str, *, actor: str) -> None:
        known = next((one for one in rollouts.VERBS if one == verb), None)
        if known is None:
            raise NotFound(f"there is no verb {verb!r}: use one of {', '.join(rollouts.VERBS)}")
        rollouts.operate(context, model, known, reason, actor=actor)

    def postmortem(incident: str) -> str | None:
        try:
            return incidents.read_postmortem(context, incident)
        except NotFound:
            return None

    def handled(incident: str) -> Incident | None:
        try:
            return incidents.show_incident(context, incident)
        except NotFound:
            return None

    versions = Versions(
        partial(readiness.readiness, context),
        partial(checklists.checklist, context),
        partial(diff, context),
        partial(experiment_facts.listed, context),
        partial(experiment_facts.last_reading, context),
        partial(alerts.alerts, context),
        partial(feature_shape, context),
        partial(model_drift, context),
        handled=handled,
    )
    app = build_control_app(
        lambda: with_worst_pairs(context.home, live.read()),
        live.entries,
        ask,
        postmortem=postmortem,
        versions=versions,
        version=version("fairlead"),
    )
    pages = RunbookPages(partial(runbooks, context), partial(runbook_text, context), partial(rehearsed, context))
    app.router.routes[-1:-1] = runbook_routes(live.read, pages)  # before the console, which has all that is left
    return app
