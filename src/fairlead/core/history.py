"""What happened to one version: a fold over the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from fairlead.core.event import (
    AliasMoved,
    AnyFact,
    BundleRemoved,
    Entry,
    EnvironmentEntered,
    GateMeasured,
    GateWaived,
    ItemAttested,
    RolloutStarted,
    StatusChanged,
    VersionRegistered,
)


class Happened(Struct, frozen=True):
    """One line of a version's history. `at` is in seconds since 1970, UTC."""

    at: float
    actor: str
    what: str
    reason: str


def _where(fact: GateMeasured | GateWaived) -> str:
    return "" if fact.environment == "production" else f" of {fact.environment}"


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


# What a fact says of its version, and why it came to be.
_SAID: dict[type, Callable[[Any], tuple[str, str]]] = {
    VersionRegistered: lambda fact: (f"registered from {fact.dataset}", fact.reason),
    StatusChanged: lambda fact: (f"status {fact.status}", fact.reason),
    AliasMoved: lambda fact: (f"became {fact.alias}", fact.reason),
    GateMeasured: lambda fact: (
        f"{'passed' if fact.passed else 'failed'} its gate{_where(fact)}",
        ", ".join(fact.failed),
    ),
    GateWaived: lambda fact: (f"{fact.check} waived until {_day(fact.until)}{_where(fact)}", fact.reason),
    ItemAttested: lambda fact: (f"{fact.item} attested: {fact.answer}", f"{fact.owner} {fact.link}".strip()),
    EnvironmentEntered: lambda fact: (f"entered {fact.environment}", fact.reason),
    BundleRemoved: lambda fact: ("bundle removed", fact.reason),
    RolloutStarted: lambda fact: (f"rollout {fact.rollout} started", fact.plan.strategy),
}


def history(entries: Iterable[Entry], version: int) -> tuple[Happened, ...]:
    """What the entries of one model say of one version, in their order."""
    return tuple(
        Happened(entry.at, entry.actor, *said) for entry in entries if (said := _said(entry.fact, version)) is not None
    )


class VersionHappened(Struct, frozen=True):
    """One line of a model's history: what happened to which of its versions."""

    at: float
    actor: str
    version: int
    what: str
    reason: str


def model_history(entries: Iterable[Entry]) -> tuple[VersionHappened, ...]:
    """What the entries of one model say of all its versions, in their order."""
    return tuple(
        VersionHappened(entry.at, entry.actor, version, *said)
        for entry in entries
        for version in _named(entry.fact)
        if (said := _said(entry.fact, version)) is not None
    )


def _named(fact: AnyFact) -> list[int]:
    """The versions that a fact speaks of; of an alias that moved the one that lost it first."""
    named = [getattr(fact, "previous", None), getattr(fact, "version", None)]
    return list(dict.fromkeys(version for version in named if isinstance(version, int)))


def _said(fact: AnyFact, version: int) -> tuple[str, str] | None:
    if isinstance(fact, AliasMoved) and fact.previous == version != fact.version:
        return f"is no longer {fact.alias}", fact.reason
    tell = _SAID.get(type(fact))
    return tell(fact) if tell and getattr(fact, "version", None) == version else None
