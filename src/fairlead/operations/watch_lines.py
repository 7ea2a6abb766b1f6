"""What is watched of a bundle beside its columns one by one: its schema, how its columns go together, what its answers
look like, and its classes and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from fairlead.config.monitoring import WIDEST, Monitoring
from fairlead.core.bundle import HELDOUT, MANIFEST, PROFILE, Manifest
from fairlead.core.contract import Task
from fairlead.core.correlation import LIMITS
from fairlead.core.groups import Rules
from fairlead.core.listing import counted
from fairlead.core.thresholds import DEFAULTS
from fairlead.core.watched import REFUSED
from fairlead.core.watchpoint import Watchpoint
from fairlead.flows.watching.correlations import Bonds
from fairlead.flows.watching.groups import Groups
from fairlead.stats.columns import Column
from fairlead.stats.profile import TableProfile

LadderLayer = Literal["data", "model", "product", "business", "conditions"]


class Watched(Struct, frozen=True):
    """One thing that is watched. `part` is the bundle's file, the settings' key, or the log that it comes from."""

    layer: LadderLayer
    what: str
    how: str
    threshold: str
    part: str


def of_schema(manifest: Manifest, points: Sequence[Watchpoint] = ()) -> Watched:
    """What a request must hold; the conditions of what is refused, among those looked at, say when that is told."""
    features = manifest.contract.features
    needed = sum(not one.nullable for one in features)
    return Watched(
        "data",
        "schema",
        f"{counted(len(features), 'field')} of each request, {needed} never null",
        f"what breaks it is refused, or counted as null where it was served; {_refused(points)}",
        MANIFEST,
    )


def _refused(points: Sequence[Watchpoint]) -> str:
    told = [f"{one.condition.text}: {one.severity}" for one in points if one.condition.metric in REFUSED]
    return ", ".join(told) or "no condition is of what is refused"


def of_columns(monitoring: Monitoring, profile: TableProfile, manifest: Manifest) -> Watched:
    """How the columns go together."""
    asked = monitoring.correlations
    bonds = Bonds(profile, None if HELDOUT not in manifest.files else _nothing, WIDEST[asked])
    said = f"one changed by {LIMITS.warning:g}, critical {LIMITS.critical:g}, and beyond chance"
    pairs = f"{counted(bonds.pairs, 'pair')} of {counted(len(bonds.columns), 'column')}"
    return Watched("data", "correlations", pairs, f"unmeasured: {bonds.why}" if bonds.why else said, HELDOUT)


def _nothing(names: Sequence[str]) -> Sequence[Column]:  # noqa: ARG001 - what a reader of rows takes
    """A plan reads no rows."""
    return ()


def of_answers(task: Task) -> list[Watched]:
    """What the answers themselves are held to."""
    mean, spread = DEFAULTS["prediction_mean"], DEFAULTS["prediction_variance"]
    alike, brier = DEFAULTS["prediction_collapse"], DEFAULTS["brier"]
    limits = (
        f"mean {mean.warning:g} sd away, critical {mean.critical:g}; variance {spread.warning:.0%} off, critical "
        f"{spread.critical:.0%}; {alike.critical:.0%} more alike"
    )
    found = [Watched("model", "drift and collapse of the answers", "the window's profile of them", limits, PROFILE)]
    if task is Task.BINARY:
        worse = f"Brier score {brier.warning:g} worse, critical {brier.critical:g}, beyond its interval"
        found.append(Watched("model", "calibration", "on the same labels", worse, HELDOUT))
    return found


def of_parts(manifest: Manifest, profile: TableProfile, rules: Rules) -> list[Watched]:
    """By class and by group, against the held-out rows; the questions of a window share one alpha."""
    if HELDOUT not in manifest.files:
        return []
    groups, found = Groups(manifest.contract, profile, rules), []
    if groups.classes:
        what = "precision, recall, F1 and share of each class"
        how = f"{counted(len(groups.classes), 'class', 'classes')}, with intervals"
        fall = f"precision or recall {rules.drop:.0%} down, and beyond chance"
        found.append(Watched("model", what, how, fall, HELDOUT))
    if groups.groupings:
        metric = "accuracy" if groups.classes else "mean absolute error"
        count = counted(sum(len(one.names) for one in groups.groupings), "group")
        names = ", ".join(one.column for one in groups.groupings)
        worse = f"{rules.drop:.0%} worse, and beyond chance; undecided below {rules.at_least_labels} labels"
        found.append(Watched("model", f"{metric} of each group", f"{count} of {names}", worse, HELDOUT))
    if groups.protected:
        bounds = (
            f"impact under {rules.impact:.0%}, or rates {rules.rate_gap:.0%} apart; {rules.widening:.0%} wider than on "
            f"the held-out rows, and beyond chance"
        )
        how = f"selection, true and false positive rates by {', '.join(groups.protected)}"
        found.append(Watched("model", "fairness", how, bounds, HELDOUT))
    return found
