"""What each feature's cells cost on the held-out rows: the basis on which shifts are ranked by harm."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct, field
from msgspec.structs import asdict, replace

from fairlead.core.bundle import HELDOUT
from fairlead.core.contract import Task
from fairlead.core.cost import CostMatrix
from fairlead.core.groups import Rules
from fairlead.core.harm import HarmPolicy
from fairlead.core.ranking import Cost
from fairlead.flows.watching.correlations import MOST, bonds_of
from fairlead.flows.watching.features import on_grid
from fairlead.flows.watching.groups import groups_of
from fairlead.flows.watching.reference import Reference, Rows, answers, importances, load_reference
from fairlead.ports import BundleStore, Predictor
from fairlead.ports.dataset import Dataset
from fairlead.stats.attribution import Attribution, CellLosses, attribute, attribute_auroc, cell_losses
from fairlead.stats.coarse import coarse
from fairlead.stats.drift import compare
from fairlead.stats.performance import Floats
from fairlead.stats.profile import ColumnProfile
from fairlead.stats.symptoms import symptom_of

_LOG = logging.getLogger("fairlead.watch")


def _none() -> Floats:
    return np.empty(0)


class Basis(Struct, frozen=True, eq=False):
    """One feature's held-out losses by cell, and its costs where a cost matrix is set."""

    loss: CellLosses
    cost: CellLosses | None = None


class Informed(Reference, frozen=True, eq=False):
    """A reference that also knows what each feature's cells cost. Empty where no held-out row is labelled.

    `truth` and `score` are of the labelled held-out rows, (n,), in the order of the cells.
    """

    truth: Floats = field(default_factory=_none)
    score: Floats = field(default_factory=_none)
    bases: dict[str, Basis] = field(default_factory=dict)


class Light(Reference, frozen=True, eq=False):
    """A reference that reads what shifts cost only once a column has moved: most windows are calm, and most of what
    there is to read is this. `read` gives it, `kept` holds it from then on."""

    read: Callable[[], Informed] | None = None
    kept: list[Reference] = field(default_factory=list)

    def informed(self) -> Reference:
        """The same, with what each feature's cells cost; without, where that cannot be read or its model raises."""
        if not self.kept and self.read is not None:
            try:
                self.kept.append(self.read())
            except Exception:  # noqa: BLE001 - a model may raise anything: shifts are told all the same, without what they cost
                _LOG.exception("what shifts cost version %d cannot be told", self.version)
                self.kept.append(self)
        return self.kept[0] if self.kept else self


def load_light(
    bundles: BundleStore,
    digest: str,
    version: int,
    open_dataset: Callable[[Path], Dataset],
    policy: HarmPolicy,
    widest: int = MOST,
    rules: Rules = Rules(),  # noqa: B008 - a frozen value
) -> Light:
    """Reads a bundle as `load_informed` does, but importances and losses by cell later. Correlations are watched of at
    most so many numbers, groups by the rules. Raises `BundleError`."""
    opened: dict[Path, Dataset] = {}

    def once(path: Path) -> Dataset:
        if path not in opened:
            opened[path] = open_dataset(path)
        return opened[path]

    known = load_reference(bundles, digest, version, once, policy, weighed=False)

    def read() -> Informed:
        return _informed_of(known, bundles, digest, open_dataset, policy)

    bonds = bonds_of(bundles.path(digest), open_dataset, known.profile, widest)
    groups = groups_of(bundles.path(digest), open_dataset, (known.contract, known.profile, known.answered), rules)
    light = Light(**{**asdict(known), "bonds": bonds, "groups": groups, "answered": None}, read=read)
    _make_ready(light, opened)
    return light


def _make_ready(light: Light, opened: Mapping[Path, Dataset]) -> None:
    """Computes here what the first windows would otherwise wait for, all models' in the same tick."""
    light.frame()
    fine, few = light.profile, coarse(light.profile)
    compare(few, few)
    for column in fine.columns:
        symptom_of(column, column)
    for data in opened.values():
        if light.bonds is not None:
            light.bonds.ready(data)


def load_informed(
    bundles: BundleStore,
    digest: str,
    version: int,
    open_dataset: Callable[[Path], Dataset],
    policy: HarmPolicy,
) -> Informed:
    """Reads a bundle as `load_reference` does, and its held-out rows once more for their losses by cell."""
    reference = load_reference(bundles, digest, version, open_dataset, policy, weighed=False)
    return _informed_of(reference, bundles, digest, open_dataset, policy)


def _informed_of(
    known: Reference,
    bundles: BundleStore,
    digest: str,
    open_dataset: Callable[[Path], Dataset],
    policy: HarmPolicy,
) -> Informed:
    """What else a bundle tells of a reference: its features' importances, and its losses by cell."""
    manifest = bundles.manifest(digest)
    if HELDOUT not in manifest.files:
        return Informed(**asdict(known))
    data = open_dataset(bundles.path(digest) / HELDOUT)
    rows = data.tuples(manifest.contract.names, slice(None))
    outcomes = [row[0] for row in data.tuples([manifest.contract.target], slice(None))]
    predictor = bundles.load(digest)
    found = informed(known, (rows, outcomes), predictor, policy.cost)
    if not found.truth.size:
        return found
    labelled = [row for row, outcome in zip(rows, outcomes, strict=True) if known.truth_of(outcome) is not None]
    return replace(found, importances=importances(known, predictor, labelled, found.truth))


def informed(
    reference: Reference, labelled: tuple[Rows, Sequence[Any]], predictor: Predictor, cost: CostMatrix | None
) -> Informed:
    """The reference with the losses (0/1, or the scaled absolute error) of its labelled held-out rows by cell.

    A cost matrix counts for binary decisions only.
    """
    truths = [reference.truth_of(outcome) for outcome in labelled[1]]
    rows = [row for row, truth in zip(labelled[0], truths, strict=True) if truth is not None]
    bare = Informed(**asdict(reference))
    if not rows:
        return bare
    truth = np.array([known for known in truths if known is not None])
    score, decided = answers(reference, predictor, rows)
    losses = reference.losses(truth, decided)
    priced = cost if cost is not None and reference.contract.task is Task.BINARY else None
    costs = (
        None
        if priced is None
        else np.array([priced.of(y, d) for y, d in zip(truth.tolist(), decided.tolist(), strict=True)])
    )
    grids = {grid.name: grid for grid in reference.profile.grids}
    bases: dict[str, Basis] = {}
    for place, name in enumerate(reference.contract.names):
        grid = grids.get(name)
        column = None if grid is None else on_grid(grid, [row[place] for row in rows])
        known = None if column is None or grid is None else cell_losses(column, grid, losses)
        if column is not None and grid is not None and known is not None:
            bases[name] = Basis(known, None if costs is None else cell_losses(column, grid, costs))
    return Informed(**{**asdict(bare), "bases": bases, "truth": truth, "score": score})


def cost_of(reference: Informed, name: str, current: ColumnProfile) -> Cost | None:
    """What a column's current profile accounts for; None where its cells, or the rows, are not known."""
    basis = reference.bases.get(name)
    loss = None if basis is None else attribute(basis.loss, current)
    if basis is None or loss is None:
        return None
    metric: Attribution | None = loss
    if reference.contract.task is Task.BINARY:
        metric = attribute_auroc(basis.loss, reference.truth, reference.score, current)
    elif reference.contract.task is Task.REGRESSION:
        metric = _scaled(loss, reference.loss_scale)
    return Cost(metric or loss, loss, None if basis.cost is None else attribute(basis.cost, current))


def _scaled(one: Attribution, scale: float) -> Attribution:
    """A loss that is a share of a scale, in the target's units."""
    return replace(one, change=one.change * scale, low=one.low * scale, high=one.high * scale)
