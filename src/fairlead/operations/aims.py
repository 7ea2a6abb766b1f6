"""Which models the settings' alerts are aimed at, and whether these are there."""

from __future__ import annotations

from difflib import get_close_matches

from msgspec import Struct

from fairlead.config.aim import missed
from fairlead.core.event import VersionRegistered
from fairlead.operations.context import Context


class Aim(Struct, frozen=True):
    """An alert that is of some models only: their names or patterns, and those that no registered model has."""

    alert: str
    models: tuple[str, ...]
    missing: tuple[str, ...]
    said: str  # both in one line


def aims(context: Context) -> tuple[Aim, ...]:
    """The alerts of the settings that are aimed."""
    aimed = [one for one in context.settings.alerting.alerts if one.models is not None]
    if not aimed:
        return ()
    known = registered(context)
    return tuple(_aim(one.name, one.models or (), known) for one in aimed)


def registered(context: Context) -> frozenset[str]:
    """The models that the journal knows a version of."""
    entries = context.journal.read(kinds=("version_registered",))
    return frozenset(entry.fact.model for entry in entries if isinstance(entry.fact, VersionRegistered))


def _aim(alert: str, models: tuple[str, ...], known: frozenset[str]) -> Aim:
    missing = missed(models, known)
    told = "; ".join(_missing(name, known) for name in missing)
    return Aim(alert, models, missing, f"{alert} is aimed at {', '.join(models)}" + (f": {told}" if told else ""))


def _missing(name: str, known: frozenset[str]) -> str:
    close = get_close_matches(name, sorted(known), n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{name} is not registered{hint}"
