"""A reference made of logged answers: what a table's earlier rows say of the later ones, where there is no bundle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import asdict, replace

from fairlead.core.contract import Contract, Task
from fairlead.core.groups import Rules
from fairlead.core.harm import HarmPolicy
from fairlead.core.report import SCORE
from fairlead.flows.backtest_rows import Rows
from fairlead.flows.watching.correlations import Bonds
from fairlead.flows.watching.groups import Groups
from fairlead.flows.watching.harms import Basis, Informed
from fairlead.flows.watching.reference import Reference, classes_of, error_curves, loss_bound
from fairlead.stats.attribution import cell_losses
from fairlead.stats.columns import Column, NumericColumn
from fairlead.stats.estimate import heldout
from fairlead.stats.exceedance import sums_of
from fairlead.stats.performance import Floats
from fairlead.stats.profile import TableProfile, profile

LABELLED_ROWS = 50_000  # of a reference that are looked at one by one


def reference_of(rows: Rows, contract: Contract, threshold: float, policy: HarmPolicy) -> Informed:
    """Its profile is of all rows; its metrics, the calibration and the losses by cell are of at most 50,000 labelled
    ones, evenly spaced, and so are its correlations, labelled or not. Its labels count whenever they came."""
    columns = [*rows.features.values(), NumericColumn(SCORE, rows.score)]
    known = profile([one for one in columns if not one.empty])
    some = rows.every(max(1, -(-rows.size // LABELLED_ROWS))).features
    found = informed_by(known, rows, contract, threshold, policy)
    return replace(found, bonds=Bonds(known, lambda names: [some[name] for name in names]))


def informed_by(known: TableProfile, rows: Rows, contract: Contract, threshold: float, policy: HarmPolicy) -> Informed:
    """The same where the profile is known already."""
    bare = Reference(0, contract, threshold, known, {}, {})
    usable = np.flatnonzero(~(np.isnan(rows.truth) | np.isnan(rows.decided)))
    if contract.task is Task.BINARY:
        usable = usable[~np.isnan(rows.score[usable])]
    if not usable.size:
        return Informed(**asdict(bare))
    held = rows.take(usable[:: -(-usable.size // LABELLED_ROWS)])
    scored = replace(bare, loss_scale=_scale(held, contract.task))
    losses = scored.losses(held.truth, held.decided)
    by_score = not np.isnan(held.score).any()
    full = replace(
        scored,
        measures=scored.card(held.truth, held.score, held.decided),
        known=heldout(held.truth, held.score) if contract.task is Task.BINARY else None,
        sure=heldout(held.decided == held.truth, held.score) if contract.task is Task.MULTICLASS and by_score else None,
        errors=error_curves(held.truth, held.decided) if contract.task is Task.REGRESSION else {},
        loss_bound=loss_bound(losses, scored, policy),
        held=sums_of(losses),
        classes=classes_of(held.truth, contract),
    )
    bases = {}
    for grid in known.grids:
        column = held.features.get(grid.name)
        cells = None if column is None else cell_losses(column, grid, losses)
        if cells is not None:
            bases[grid.name] = Basis(cells)
    return Informed(**{**asdict(full), "bases": bases, "truth": held.truth, "score": held.score})


def with_groups(known: Informed, rows: Rows, rules: Rules) -> Informed:
    """The same, which also knows what became of its classes and groups, of at most 50,000 rows, evenly spaced."""
    some = rows.every(max(1, -(-rows.size // LABELLED_ROWS)))
    labelled = not (np.isnan(some.truth) | np.isnan(some.decided)).all()

    def read(names: Sequence[str]) -> tuple[Sequence[Column], Floats, Floats]:
        return [some.features[name] for name in names], some.truth, some.decided

    return replace(known, groups=Groups(known.contract, known.profile, rules, read if labelled else None))


def _scale(held: Rows, task: Task) -> float:
    """As the watch scales absolute errors: twice their 99 % quantile."""
    if task is not Task.REGRESSION:
        return 1.0
    return 2.0 * float(np.quantile(np.abs(held.decided - held.truth), 0.99)) or 1.0
