"""The receivers of the registry's events, as the settings name them."""

from __future__ import annotations

from fairlead.adapters.cursor_file import CursorFile
from fairlead.adapters.signed_webhook import SignedWebhook
from fairlead.flows.registry_events import RegistryEvents
from fairlead.operations.context import Context


def registry_events(context: Context) -> RegistryEvents:
    """Tells each, and remembers in the home how far each was told."""
    hooks = [
        SignedWebhook(hook.shown, hook.url.reveal(), hook.secret.reveal(), hook.events)
        for hook in context.settings.registry.webhooks
    ]
    return RegistryEvents(context.journal, hooks, CursorFile(context.home / "registry" / "webhooks.json"))
