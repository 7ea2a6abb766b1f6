"""What the registry's facts are called for the outside: MLflow's webhook events and the data of each."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID, uuid5

from msgspec import Struct

from fairlead.core.event import AliasMoved, Entry, StatusChanged, VersionRegistered

Name = Literal[
    "registered_model.created",
    "model_version.created",
    "model_version_tag.set",
    "model_version_alias.created",
    "model_version_alias.deleted",
]
NAMES: tuple[Name, ...] = Name.__args__  # type: ignore[attr-defined]
KINDS = ("version_registered", "alias_moved", "status_changed")
STATUS_TAG = "fairlead.status"
_SPACE = UUID("6f1f3f5e-3a55-5f6c-9d6a-2f0a8c0b7c11")  # ids of deliveries are of this name space


class RegistryEvent(Struct, frozen=True):
    """One event. `delivery` is the same at each attempt, so that a receiver knows what it had already."""

    name: Name
    data: dict[str, Any]
    at: float  # seconds since 1970, UTC
    seq: int  # of the journal's entry
    delivery: str


def events_of(entry: Entry) -> tuple[RegistryEvent, ...]:
    """The events that an entry of one of `KINDS` stands for, in order; none for any other."""
    return tuple(
        RegistryEvent(name, data, entry.at, entry.seq, str(uuid5(_SPACE, f"{entry.digest}/{name}")))
        for name, data in _said(entry)
    )


def _said(entry: Entry) -> list[tuple[Name, dict[str, Any]]]:
    match entry.fact:
        case VersionRegistered(model=model, version=version, bundle=bundle):
            described = {"tags": {"fairlead.bundle": bundle}, "description": None}
            made = {"name": model, "version": str(version), "source": f"models:/{model}/{version}", "run_id": None}
            first: list[tuple[Name, dict[str, Any]]] = []
            if version == 1:
                first = [("registered_model.created", {"name": model, "tags": {}, "description": None})]
            return [*first, ("model_version.created", made | described)]
        case AliasMoved(model=model, alias=alias, version=None):
            return [("model_version_alias.deleted", {"name": model, "alias": alias})]
        case AliasMoved(model=model, alias=alias, version=version):
            return [("model_version_alias.created", {"name": model, "alias": alias, "version": str(version)})]
        case StatusChanged(model=model, version=version, status=status):
            tag = {"name": model, "version": str(version), "key": STATUS_TAG, "value": status}
            return [("model_version_tag.set", tag)]
        case _:
            return []
