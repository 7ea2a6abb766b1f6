"""From a trained model and its data to a version: measure, write the bundle, put it away, record it.

Everything is measured before anything is recorded. A failure leaves no version, no fact and no unfinished folder.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import msgspec

from fairlead.core.bundle import Manifest
from fairlead.core.event import AliasMoved, StatusChanged, VersionRegistered
from fairlead.errors import NotFound, StateError
from fairlead.flows.bundle_files import card_of, manifest_of, write
from fairlead.flows.candidate import Candidate, Rows, measure
from fairlead.ports import BundleStore, Clock, Journal, Registry, VersionInfo
from fairlead.ports.model_reader import ModelReader

NEW, CHALLENGER, CHAMPION = "none", "challenger", "champion"  # in no environment yet: it is measured first


@dataclass(frozen=True)
class Workshop:
    """The neighbours that a registration works with. `folder` is where the bundle is built: beside the store, so that
    moving it in is a rename."""

    reader: ModelReader
    bundles: BundleStore
    registry: Registry
    journal: Journal
    clock: Clock
    folder: Path


def register(candidate: Candidate, rows: Rows, shop: Workshop, actor: str) -> VersionInfo:
    """Makes a version: in no environment yet, and the new challenger.

    Raises `UsageError` where model and data do not fit, `UntrustedFormat` for a model that would run code.
    """
    known = _known(shop.registry, candidate.name)
    model = shop.reader.open(candidate.model)
    measured = measure(candidate, rows, model, shop.reader, shop.clock)
    if model.facts.source is not None:  # a folder's one file, or a function's: that is what the bundle holds
        candidate = msgspec.structs.replace(candidate, model=model.facts.source)
    # Two registrations of one model at once would both write this number on their cards; the registry's number counts.
    card = card_of(candidate, rows, measured, known[-1].version + 1 if known else 1)
    lineage = candidate.lineage
    if lineage.parent is None:
        lineage = msgspec.structs.replace(lineage, parent=_holder(known, CHAMPION))
    folder = _new_folder(shop.folder)
    try:
        write(folder, candidate, rows, measured, card)
        manifest = manifest_of(folder, candidate, model.facts, measured, lineage)
        digest = shop.bundles.put(folder, manifest)
    except OSError as error:
        raise StateError(f"the bundle of {candidate.name} cannot be written to {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _record(shop, manifest, digest, actor, measured.served)


def _known(registry: Registry, name: str) -> tuple[VersionInfo, ...]:
    """The versions so far. Asking first tells of a registry that is down before any work is done."""
    try:
        return registry.versions(name)
    except NotFound:
        return ()


def _holder(known: tuple[VersionInfo, ...], alias: str) -> int | None:
    return next((info.version for info in known if alias in info.aliases), None)


def _new_folder(parent: Path) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return Path(mkdtemp(prefix=".register-", dir=parent))
    except OSError as error:
        raise StateError(f"cannot create a folder in {parent}: {error.strerror}") from error


def _record(shop: Workshop, manifest: Manifest, digest: str, actor: str, served: str) -> VersionInfo:
    name = manifest.name
    previous = _holder(_known(shop.registry, name), CHALLENGER)
    info = shop.registry.register(manifest, digest, shop.bundles.path(digest))
    shop.registry.set_status(name, info.version, NEW)
    shop.registry.set_alias(name, CHALLENGER, info.version)
    reason = "registered"
    shop.journal.append(
        [
            VersionRegistered(name, info.version, digest, manifest.lineage.dataset, served),
            StatusChanged(name, info.version, NEW, reason),
            AliasMoved(name, CHALLENGER, info.version, previous, reason),
        ],
        actor=actor,
        at=shop.clock.now(),
    )
    return next(version for version in shop.registry.versions(name) if version.version == info.version)
