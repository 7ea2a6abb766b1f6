"""Frees the disk of bundles that nothing needs any more."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.core.event import BundleRemoved
from fairlead.core.retention import Kept, Retained, Rules, Spare, retained
from fairlead.core.standing import standing
from fairlead.errors import NotFound, UsageError
from fairlead.operations.context import Context

KEEP = 3  # the newest versions of each model that stay whatever they are
DAY_SECONDS = 86_400.0
# What could make a bundle needed again: who writes one of these meanwhile is asked to look again.
_RESTS_ON = (
    "version_registered",
    "alias_moved",
    "status_changed",
    "gate_measured",
    "environment_entered",
    "deploy_asked",
    "rollout_started",
    "operator_asked",
)


class Pruned(Struct, frozen=True):
    """What was removed (or, in a dry run, would be), what stays and why, and how many bytes that frees."""

    removed: tuple[Spare, ...]
    kept: tuple[Kept, ...]
    freed_bytes: int
    dry_run: bool


def prune(context: Context, name: str | None = None, keep: int = KEEP, *, dry_run: bool = False) -> Pruned:
    """Removes the bundles that nothing needs, of one model or of all; registry, journal and gate reports stay.

    Raises `UsageError` for `keep` below 1, `NotFound` for an unknown model, and `Refused` where a model changed
    meanwhile: then nothing of that model is removed.
    """
    if keep < 1:
        raise UsageError(f"keep is {keep}: at least the newest version of each model stays")
    entries = list(context.journal.read())
    if name is not None and all(entry.fact.model != name for entry in entries):
        raise NotFound(f"there is no model {name!r}: see `fairlead models`")
    of = _of(name, retained(entries, _rules(context, keep)))
    store = BundleFolder(context.home / "bundles")
    there = tuple(one for one in of.spare if _there(store, one.bundle))
    freed = sum(_size(store.path(bundle)) for bundle in {one.bundle for one in there})
    if not dry_run:
        for model in sorted({one.model for one in there}):
            mine = [one for one in there if one.model == model]
            facts = [BundleRemoved(one.model, one.version, one.bundle, "nothing needs it") for one in mine]
            # A bundle goes only after the journal says so, and only while nothing asked for one in between.
            rests = standing(entries, model, _RESTS_ON)
            context.journal.append(facts, actor=context.actor, at=context.clock.now(), expected=rests)
            for one in mine:
                store.remove(one.bundle)
    return Pruned(there, of.kept, freed, dry_run)


def _rules(context: Context, keep: int) -> Rules:
    days = max(context.settings.gates.policy(one).max_age_days for one in ("dev", "staging", "production"))
    routes = context.board.current().models.values()
    routed = frozenset(bundle for route in routes for bundle in route.bundles.values())
    return Rules(keep, days * DAY_SECONDS, context.clock.now(), routed)


def _of(name: str | None, found: Retained) -> Retained:
    if name is None:
        return found
    return Retained(
        tuple(one for one in found.kept if one.model == name), tuple(one for one in found.spare if one.model == name)
    )


def _there(store: BundleFolder, bundle: str) -> bool:
    try:
        store.path(bundle)
    except NotFound:
        return False
    return True


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
