"""What is under examination: a verified bundle, with what several checks read of it, each read once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fairlead.core.bundle import GOLDEN, HELDOUT, PROFILE, TRAINING, Golden, Manifest
from fairlead.core.contract import Contract
from fairlead.core.decode import RowDecoder
from fairlead.core.gate import GatePolicy
from fairlead.core.judge_drill import Unattended
from fairlead.core.training import TrainingFacts
from fairlead.errors import BundleError, ContractError
from fairlead.ports.bundles import BundleStore
from fairlead.ports.dataset import Dataset
from fairlead.ports.notifier import Notifier
from fairlead.ports.predictor import Predictor
from fairlead.ports.registry import VersionInfo
from fairlead.stats.profile import TableProfile

T = TypeVar("T")
OpenDataset = Callable[[Path], Dataset]


@dataclass(frozen=True)
class Subject:
    """A candidate, the champion it would replace (None for a first version), and the policy it must measure up to."""

    info: VersionInfo
    champion: VersionInfo | None
    policy: GatePolicy
    bundles: BundleStore
    open_dataset: OpenDataset
    channels: tuple[Notifier, ...] = ()  # that alerts go to
    at: float = 0.0  # when it is examined, seconds since 1970 UTC
    unattended: Unattended | None = None  # None: a person asked for it, and every channel is sent a test notice

    @cached_property
    def manifest(self) -> Manifest:
        """What the bundle says it holds."""
        return self.bundles.manifest(self.info.bundle)

    @cached_property
    def folder(self) -> Path:
        """The bundle's folder."""
        return self.bundles.path(self.info.bundle)

    @property
    def contract(self) -> Contract:
        """The schema contract."""
        return self.manifest.contract

    @cached_property
    def golden(self) -> Golden:
        """The golden set. Raises `BundleError` when it cannot be read."""
        return decode(self.folder / GOLDEN, Golden)

    @cached_property
    def golden_rows(self) -> list[tuple[Any, ...]]:
        """The golden rows as tuples in the contract's order."""
        return [tuple(row.get(name) for name in self.contract.names) for row in self.golden.rows]

    @cached_property
    def good_row(self) -> Mapping[str, Any]:
        """A row that must be answered: the first of the golden set that the contract takes. Raises `BundleError` when
        the set is empty."""
        if not self.golden.rows:
            raise BundleError(f"the golden set of {self.info.bundle[:12]} is empty: register the version again")
        return self._taken(self.golden.rows)[0]

    @cached_property
    def profile(self) -> TableProfile:
        """The reference profile of the training rows. Raises `BundleError` when it cannot be read."""
        return decode(self.folder / PROFILE, TableProfile)

    @cached_property
    def training(self) -> TrainingFacts:
        """What the registration measured of the training rows. Raises `BundleError` for a bundle from before that."""
        return training_of(self.bundles, self.info)

    @cached_property
    def before(self) -> Manifest | None:
        """What the champion's bundle says it holds; None for a first version."""
        return None if self.champion is None else self.bundles.manifest(self.champion.bundle)

    @cached_property
    def profile_before(self) -> TableProfile | None:
        """The profile of the champion's training rows."""
        if self.champion is None:
            return None
        return decode(self.bundles.path(self.champion.bundle) / PROFILE, TableProfile)

    @cached_property
    def training_before(self) -> TrainingFacts:
        """What was measured of the champion's training rows: nothing for a first version, or for an old bundle."""
        try:
            return TrainingFacts() if self.champion is None else training_of(self.bundles, self.champion)
        except BundleError:
            return TrainingFacts()

    @cached_property
    def heldout(self) -> Dataset:
        """The held-out rows: features and target."""
        return self.open_dataset(self.folder / HELDOUT)

    @cached_property
    def served(self) -> Predictor:
        """What would be served, in this process."""
        return self.bundles.load(self.info.bundle)

    def bodies(self, count: int) -> list[bytes]:
        """`count` feature objects in JSON to ask with: the golden rows, then held-out rows, again and again; without
        those that the contract itself refuses, which `check_schema` tells."""
        rows: list[Mapping[str, Any]] = list(self.golden.rows)
        if len(rows) < count and self.heldout.rows:
            names = self.contract.names
            more = self.heldout.tuples(names, slice(0, count - len(rows)))
            rows += [dict(zip(names, values, strict=True)) for values in more]
        if not rows:
            raise BundleError(f"the bundle {self.info.bundle[:12]} has no rows to ask with: register the version again")
        texts = [json.dumps(row, allow_nan=False).encode() for row in self._taken(rows[:count])]
        return [texts[index % len(texts)] for index in range(count)]

    def _taken(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """The rows that the contract answers; all of them where it answers none, so that the refusal is seen."""
        reader = RowDecoder(self.contract)
        return [row for row in rows if _passes(reader, row)] or rows


def _passes(reader: RowDecoder, row: Mapping[str, Any]) -> bool:
    try:
        reader.check(row)
    except ContractError:
        return False
    return True


def spread(table: Dataset, most: int) -> Sequence[int] | slice:
    """At most `most` rows of a table, at equal distances: which to take."""
    return slice(0, table.rows) if table.rows <= most else range(0, table.rows, -(-table.rows // most))


def columns_of(contract: Contract, other: Contract, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows of one contract in the order of another, which must know no other feature.

    Raises `BundleError` naming the features that the rows do not have.
    """
    missing = [name for name in other.names if name not in contract.names]
    if missing:
        raise BundleError(f"the rows have no {', '.join(missing)}")
    places = [contract.names.index(name) for name in other.names]
    return [tuple(row[place] for place in places) for row in rows]


def training_of(bundles: BundleStore, info: VersionInfo) -> TrainingFacts:
    """What a registration measured of its training rows. Raises `BundleError`."""
    path = bundles.path(info.bundle) / TRAINING
    if not path.exists():
        raise BundleError(
            f"the bundle {info.bundle[:12]} is from before training rows were measured: register the version again"
        )
    return decode(path, TrainingFacts)


def decode(path: Path, kind: type[T]) -> T:
    """A JSON file of a bundle. Raises `BundleError` when it is not what it should be."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise BundleError(f"{path.name} of the bundle cannot be read ({error}): register the version again") from None
