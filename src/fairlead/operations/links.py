"""Where the links of notices lead: to the console, and to its runbooks, unless the settings name other places."""

from __future__ import annotations

from pathlib import Path

from fairlead.operations.context import Context


def console_of(context: Context) -> str:
    """The address of the console, as people reach it: what the settings say, or the control port on this machine."""
    stated = context.settings.alerting.dashboard
    port = context.control_port or context.settings.serving.control_port
    return (stated or f"http://127.0.0.1:{port}").rstrip("/")


def runbooks_of(context: Context) -> str:
    """What comes before a runbook's name: what the settings say, or the console's pages."""
    return context.settings.alerting.runbooks or f"{console_of(context)}/runbooks"


def folder_of(context: Context) -> Path:
    """Where the runbooks lie as files."""
    stated = context.settings.incidents.runbooks
    return Path(stated) if stated else context.home / "runbooks"
