"""Models: register a version, find one, list them, and show where one comes from and what happened to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec import Struct

from fairlead.adapters.arrow_dataset import ArrowDataset
from fairlead.adapters.card_file import as_card, read_card
from fairlead.adapters.mlflow_models import SCHEMES, fetch
from fairlead.adapters.mlflow_registry import RESERVED
from fairlead.adapters.predictors.reader import ModelFiles
from fairlead.adapters.predictors.recalibrated import RecalibratedReader
from fairlead.adapters.provenance import code_commit, environment
from fairlead.adapters.reference import Reference, open_reference
from fairlead.core.amend import Amendments
from fairlead.core.bundle import CARD, Lineage, Manifest, ModelCard, Recalibration
from fairlead.core.card import fill
from fairlead.core.contract import Task
from fairlead.core.event import AliasMoved, VersionRegistered
from fairlead.core.history import Happened, VersionHappened, history, model_history
from fairlead.core.listing import counted
from fairlead.core.training import SplitKind
from fairlead.errors import BundleError, NotFound, StateError, UsageError
from fairlead.flows.candidate import THRESHOLD, Candidate, Rows
from fairlead.flows.register import Workshop
from fairlead.flows.register import register as register_candidate
from fairlead.operations.context import Context
from fairlead.operations.feature_code import with_code
from fairlead.ports import VersionInfo

HELDOUT_SHARE = 0.2
FEWEST_ROWS = 10
MOST_OF_A_TAG = 5_000
_TAG = re.compile(r"[\w./-][\w ./-]{0,249}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


class Registration(Struct, frozen=True):
    """What a user says of a new version.

    `model` is a file (.skops, .onnx; pickles only with `trust`), or an MLflow address. Without `heldout` the last
    fifth of the reference is held out: the latest by `time_column`, where one is named, else the last rows as they
    stand; it is then no part of the reference profile. `features` are needed only where the model does not name its
    own and the reference has more columns.
    """

    name: str
    model: str
    reference: Path
    target: str
    heldout: Path | None = None
    task: Task | None = None
    unit: str | None = None
    features: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    time_column: str | None = None
    card: Path | ModelCard | Mapping[str, str] | None = None
    dataset_version: str = ""
    parent: int | None = None
    trust: tuple[str, ...] = ()
    tags: Mapping[str, str] = {}  # the user's own, such as hyper-parameters
    feature_code: str = ""  # FILE.py:FUNCTION, which computes what the model sees of a request's fields
    threshold: float = THRESHOLD  # binary: probability of the last class from which it is predicted
    recalibration: Recalibration | None = None


class ModelView(Struct, frozen=True):
    """A model and all its versions, oldest first."""

    name: str
    champion: int | None
    challenger: int | None
    versions: tuple[VersionInfo, ...]


class VersionView(Struct, frozen=True):
    """A version: what the registry says, what its bundle holds, and what happened to it, oldest first."""

    info: VersionInfo
    manifest: Manifest
    card: ModelCard
    history: tuple[Happened, ...]

    @property
    def lineage(self) -> Lineage:
        """Where it comes from."""
        return self.manifest.lineage


def register(context: Context, asked: Registration) -> VersionInfo:
    """Builds the bundle, records version, lineage and status; the version is the new challenger, in no environment yet.

    Raises `UsageError` for what was asked wrongly and `UntrustedFormat` for a model that would run code; nothing is
    left behind then.
    """
    if not _NAME.fullmatch(asked.name):
        raise UsageError(
            f"{asked.name!r} cannot be a model's name: use at most 64 of a-z, 0-9, '_', '.' and '-', "
            "beginning with a letter or digit"
        )
    check_tags(asked.tags)
    _check_numbering(context, asked.name)
    source = open_reference(asked.reference)
    rows = _rows(asked, source)
    trust = (*asked.trust, *context.settings.trust)
    shop = Workshop(
        reader=ModelFiles(trust),
        bundles=context.bundles,
        registry=context.registry,
        journal=context.journal,
        clock=context.clock,
        folder=context.home / "bundles",
    )
    with TemporaryDirectory(prefix="fairlead-model-") as downloads:
        model = _model_path(context, asked.model, Path(downloads))
        candidate = _candidate(context, asked, model, (source, rows))
        if asked.feature_code:
            candidate, reader = with_code(asked.feature_code, candidate, rows, shop.reader, trust)
            shop = replace(shop, reader=reader)
        if asked.recalibration is not None:
            shop = replace(shop, reader=RecalibratedReader(shop.reader, asked.recalibration))
        info = register_candidate(candidate, rows, shop, context.actor)
    if asked.tags:
        context.registry.set_tags(info.model, info.version, asked.tags)
    return msgspec.structs.replace(info, tags=dict(asked.tags))


def check_tags(tags: Mapping[str, str]) -> None:
    """Raises `UsageError` for a tag that no registry keeps, or that is not the user's to set."""
    for key, value in tags.items():
        if not _TAG.fullmatch(key) or key.startswith(RESERVED):
            raise UsageError(
                f"{key!r} cannot be a tag: use at most 250 of letters, digits, '_', '.', '/', '-' and ' ', and none of "
                f"the prefixes {' and '.join(RESERVED)}"
            )
        if len(value) > MOST_OF_A_TAG:
            raise UsageError(f"the tag {key} has {len(value):,} characters: at most {MOST_OF_A_TAG:,} are kept")


def _model_path(context: Context, model: str, downloads: Path) -> Path:
    if not model.startswith(SCHEMES):
        return Path(model)
    tracking = context.settings.tracking_uri or f"sqlite:///{context.home}/registry/mlflow.db"
    return fetch(model, tracking, downloads)


def _candidate(context: Context, asked: Registration, model: Path, read: tuple[Reference, Rows]) -> Candidate:
    source, rows = read
    known = context.settings.models.get(asked.name)
    first, last = _span(asked, rows)
    lineage = Lineage(
        dataset=asked.dataset_version or source.name,
        dataset_digest=source.digest,
        rows=rows.reference.rows,
        trained_from=first,
        trained_to=last,
        code_commit=code_commit(Path.cwd()),
        run_id=asked.model.split("/")[1] if asked.model.startswith("runs:/") else None,
        parent=asked.parent,
        environment=environment(),
    )
    owner = context.settings.owner_of(asked.name)
    return Candidate(
        name=asked.name,
        model=model,
        target=asked.target,
        lineage=lineage,
        date=datetime.fromtimestamp(context.clock.now(), UTC).date().isoformat(),
        task=asked.task or (known.task if known else None),
        unit=asked.unit or (known.unit if known else None),
        features=asked.features,
        ignored=() if asked.time_column is None else (asked.time_column,),
        segments=asked.segments,
        card=fill(_card(asked), owner="" if owner == "unassigned" else owner),
        amendments=known.contract if known else Amendments(),
        time_column=asked.time_column or "",
        dataset_named=bool(asked.dataset_version) or source.pinned,
        threshold=asked.threshold,
        recalibration=asked.recalibration,
    )


def _card(asked: Registration) -> ModelCard:
    if isinstance(asked.card, Path):
        return read_card(asked.card)
    if isinstance(asked.card, Mapping):
        return as_card(asked.card)
    return asked.card or ModelCard()


def _rows(asked: Registration, source: Reference) -> Rows:
    reference = source.data
    if asked.target not in reference.names:
        raise UsageError(
            f"{asked.reference} has no target column {asked.target!r}: it has {', '.join(reference.names)}"
        )
    if asked.heldout is not None:
        held_out = open_reference(asked.heldout)
        heldout = _labelled(held_out.data, asked.target, asked.heldout)
        if held_out.digest == source.digest:
            raise UsageError(f"{asked.heldout} is the reference itself: hold out rows that the model has not seen")
        return Rows(_enough(reference, asked.reference), heldout, reference)
    if asked.time_column is not None:
        reference = reference.by_time(asked.time_column)
    trained, held = _enough(reference, asked.reference).split(HELDOUT_SHARE)
    split: SplitKind = "last" if asked.time_column is None else "time"
    return Rows(trained, _labelled(held, asked.target, asked.reference), reference, split)


def _enough(data: ArrowDataset, source: Path) -> ArrowDataset:
    if data.rows < FEWEST_ROWS:
        raise UsageError(f"{source} has {counted(data.rows, 'row')}: a reference needs at least {FEWEST_ROWS}")
    return data


def _labelled(data: ArrowDataset, target: str, source: Path) -> ArrowDataset:
    """The held-out rows whose outcome is known."""
    if target not in data.names:
        raise UsageError(f"{source} has no target column {target!r}: it has {', '.join(data.names)}")
    known = data.labelled(target)
    if not known.rows:
        raise UsageError(f"the held-out rows of {source} have no value in the target {target!r}: give labelled rows")
    return known


def _span(asked: Registration, rows: Rows) -> tuple[str | None, str | None]:
    if asked.time_column is None or not isinstance(rows.reference, ArrowDataset):
        return None, None
    return rows.reference.span(asked.time_column)


def parse_version(text: str) -> tuple[str, int | str]:
    """A model's name, and a version's number or alias.

    >>> parse_version("hotel@3"), parse_version("hotel@champion")
    (('hotel', 3), ('hotel', 'champion'))
    """
    name, _, which = text.partition("@")
    if not name or not which:
        raise UsageError(f"{text!r} names no version: write NAME@3 or NAME@champion")
    return name, int(which) if which.isascii() and which.isdigit() else which


def resolve(context: Context, reference: str) -> VersionInfo:
    """The version that `name@3` or `name@champion` means. Raises `NotFound` saying what there is."""
    name, which = parse_version(reference)
    versions = context.registry.versions(name)
    # The journal decides who holds an alias; the registry follows it within a second, or later if it is away.
    if isinstance(which, str):
        which = _holder(context, name, which) or which
    for info in versions:
        if which == info.version or which in info.aliases:
            return _as_registered(context, info)
    there = [str(info.version) for info in versions[-5:]]
    there += sorted({alias for info in versions for alias in info.aliases})
    raise NotFound(f"{name} has no version {which!s}: there are {', '.join(there)}")


def _bundles(context: Context, name: str) -> dict[int, str]:
    """Each version's bundle, as the journal first knew it."""
    known: dict[int, str] = {}
    for entry in context.journal.read(model=name, kinds=["version_registered"]):
        if isinstance(entry.fact, VersionRegistered):
            known.setdefault(entry.fact.version, entry.fact.bundle)
    return known


def _as_registered(context: Context, info: VersionInfo) -> VersionInfo:
    """The version, if registry and journal agree on what it is: a registry's tags can be edited, the journal's not."""
    journalled = _bundles(context, info.model).get(info.version)
    if journalled is not None and journalled != info.bundle:
        raise BundleError(
            f"{info.model}@{info.version} is bundle {info.bundle[:12]} in the registry, but {journalled[:12]} was "
            "registered: mend the registry's tag, or register the version again"
        )
    return info


def _check_numbering(context: Context, name: str) -> None:
    """A registry that was lost would count from 1 again, and give a new bundle a gated version's number."""
    journalled = max(_bundles(context, name), default=0)
    try:
        known = context.registry.versions(name)[-1].version
    except NotFound:
        known = 0
    if known < journalled:
        raise StateError(
            f"the journal knows {name}@{journalled}, the registry only {counted(known, 'version')}: "
            f"point tracking_uri to the "
            "registry that this home was begun with, or begin a new home"
        )


def _holder(context: Context, name: str, alias: str) -> int | None:
    """The version to which the journal last moved an alias."""
    moved = [entry.fact for entry in context.journal.read(model=name, kinds=["alias_moved"])]
    held = [fact.version for fact in moved if isinstance(fact, AliasMoved) and fact.alias == alias]
    return held[-1] if held else None


def models(context: Context, name: str | None = None) -> tuple[ModelView, ...]:
    """All models with their versions, or one. Raises `NotFound`."""
    registry = context.registry
    return tuple(_view(found, registry.versions(found)) for found in ([name] if name else registry.models()))


def _view(name: str, versions: tuple[VersionInfo, ...]) -> ModelView:
    holders = {alias: info.version for info in versions for alias in info.aliases}
    return ModelView(name, holders.get("champion"), holders.get("challenger"), versions)


def happened(context: Context, name: str) -> tuple[VersionHappened, ...]:
    """Every alias, status, gate and rollout of a model, oldest first, by whom and why. Raises `NotFound`."""
    found = model_history(context.journal.read(model=name))
    if not found:
        raise NotFound(f"there is no model {name!r}: see `fairlead models`, or register it first")
    return found


def show(context: Context, reference: str) -> VersionView:
    """Everything that is known of one version."""
    info = resolve(context, reference)
    manifest = context.bundles.manifest(info.bundle)
    try:
        card = msgspec.json.decode((context.bundles.path(info.bundle) / CARD).read_bytes(), type=ModelCard)
    except (OSError, msgspec.MsgspecError) as error:
        raise BundleError(f"the card of {reference} cannot be read ({error}): register the version again") from error
    happened = history(context.journal.read(model=info.model), info.version)
    return VersionView(info, manifest, msgspec.structs.replace(card, version=str(info.version)), happened)
