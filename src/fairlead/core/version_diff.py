"""Two versions of a model side by side: where they come from, what they saw, promise, weigh and say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot

import msgspec
from msgspec import Struct

from fairlead.core.bundle import HELDOUT, Manifest, ModelCard
from fairlead.core.check import judge_drift
from fairlead.core.contract_diff import Change, changed, of_contracts
from fairlead.core.report import SCORE
from fairlead.core.training import QUALITY, Spread, TrainingFacts
from fairlead.core.verdict import Outcome, Verdict
from fairlead.stats.drift import ColumnDrift, compare, ranked
from fairlead.stats.profile import ColumnProfile, TableProfile
from fairlead.stats.regrid import on_one_grid

ALPHA = 0.01  # the share of false flags among the flagged columns
ANSWERS = "the model's answers"  # the name under which the held-out scores are compared
_NO_QUALITY = frozenset({"portable_speedup"})  # a time on the machine that registered it


class Side(Struct, frozen=True):
    """One of the two, as the registry knows it. `registered_at` is in seconds since 1970, UTC."""

    version: int
    bundle: str
    status: str = "none"
    aliases: tuple[str, ...] = ()
    registered_at: float = 0.0


class Known(Struct, frozen=True):
    """What a bundle holds of one side."""

    side: Side
    manifest: Manifest
    profile: TableProfile
    card: ModelCard
    training: TrainingFacts


class DataDiff(Struct, frozen=True):
    """The training sets, column by column, worst first, and the answers to the held-out rows; the first version's is
    the reference. `only_before` and `only_after` are features of one side alone."""

    verdict: Verdict
    rows_before: int
    rows_after: int
    columns: tuple[ColumnDrift, ...] = ()
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()


class MetricShift(Struct, frozen=True):
    """A held-out metric of both; None where one has none."""

    name: str
    before: float | None
    after: float | None
    difference: float | None


class QualityShift(Struct, frozen=True):
    """The one figure with intervals: AUROC, accuracy or R2 on each side's own held-out rows. `low` and `high` bound the
    difference at 95 %, as if the rows were drawn apart: where they are the same, it is narrower in truth."""

    metric: str
    before: Spread
    after: Spread
    difference: float
    low: float
    high: float
    same_rows: bool
    verdict: Verdict


class Weight(Struct, frozen=True):
    """What shuffling a feature costs of the quality, on each side; None where it was not measured, or is no feature."""

    feature: str
    before: float | None
    after: float | None
    difference: float | None


class VersionDiff(Struct, frozen=True):
    """`lineage` lists every line, the others only what differs. `unmeasured` says why a part is empty."""

    model: str
    before: Side
    after: Side
    same_dataset: bool
    lineage: tuple[Change, ...]
    data: DataDiff
    metrics: tuple[MetricShift, ...]
    quality: QualityShift | None
    schema: tuple[Change, ...]
    importances: tuple[Weight, ...]
    card: tuple[Change, ...]
    environment: tuple[Change, ...]
    unmeasured: dict[str, str] = {}


def difference(one: Known, two: Known) -> VersionDiff:
    """What the second version has otherwise than the first."""
    before, after = one.manifest, two.manifest
    weights, reason = _weights(one, two)
    quality, why = _quality(one, two)
    told = {"importances": reason, "quality": why}
    return VersionDiff(
        model=before.name,
        before=one.side,
        after=two.side,
        same_dataset=before.lineage.dataset_digest == after.lineage.dataset_digest,
        lineage=_lineage(before, after),
        data=_data(one.profile, two.profile),
        metrics=_metrics(before.metrics, after.metrics),
        quality=quality,
        schema=of_contracts(before.contract, after.contract),
        importances=weights,
        card=_card(one.card, two.card),
        environment=_packages(before.lineage.environment, after.lineage.environment),
        unmeasured={part: said for part, said in told.items() if said},
    )


def _lineage(before: Manifest, after: Manifest) -> tuple[Change, ...]:
    one, two = _origin(before), _origin(after)
    return tuple(Change(what, one[what], two[what]) for what in one if one[what] or two[what])


def _origin(of: Manifest) -> dict[str, str]:
    lineage = of.lineage
    span = f"{lineage.trained_from} to {lineage.trained_to}" if lineage.trained_from else ""
    return {
        "dataset": lineage.dataset,
        "dataset digest": lineage.dataset_digest,
        "rows": f"{lineage.rows:,}",
        "training window": span,
        "code commit": lineage.code_commit or "",
        "run": lineage.run_id or "",
        "made to replace": "" if lineage.parent is None else f"version {lineage.parent}",
        "model format": of.model_format,
        "served": f"{of.served} ({of.format_of(of.served)})",
        "threshold": f"{of.threshold:g}",
        "feature code": of.features.call if of.features else "",
    }


def aligned(one: TableProfile, two: TableProfile) -> dict[str, tuple[ColumnProfile, ColumnProfile]]:
    """The columns that both have, by name, each side's profile on the grid of the first."""
    other = {column.grid.name: column for column in two.columns}
    return {
        _shown(column.grid.name): on_one_grid(column, other[column.grid.name])
        for column in one.columns
        if column.grid.name in other
    }


def _shown(name: str) -> str:
    return ANSWERS if name == SCORE else name


def _data(one: TableProfile, two: TableProfile) -> DataDiff:
    pairs = aligned(one, two).values()
    left = TableProfile(one.rows, tuple(pair[0] for pair in pairs))
    right = TableProfile(two.rows, tuple(pair[1] for pair in pairs))
    named = tuple(
        msgspec.structs.replace(column, name=_shown(column.name)) for column in compare(left, right, alpha=ALPHA)
    )
    known, there = set(two.names), set(one.names)
    return DataDiff(
        verdict=judge_drift(named),
        rows_before=one.rows,
        rows_after=two.rows,
        columns=ranked(named),
        only_before=tuple(name for name in one.names if name not in known),
        only_after=tuple(name for name in two.names if name not in there),
    )


def _metrics(one: Mapping[str, float], two: Mapping[str, float]) -> tuple[MetricShift, ...]:
    names = [name for name in dict.fromkeys([*sorted(one), *sorted(two)]) if name not in _NO_QUALITY]
    return tuple(MetricShift(name, one.get(name), two.get(name), _less(two.get(name), one.get(name))) for name in names)


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _quality(one: Known, two: Known) -> tuple[QualityShift | None, str]:
    if one.side.bundle == two.side.bundle:
        return None, "the two are one bundle"
    before, after = one.training.heldout_quality, two.training.heldout_quality
    metric = QUALITY[two.manifest.contract.task]
    if one.manifest.contract.task is not two.manifest.contract.task:
        return None, "the two versions do not have one task"
    if not isinstance(before, Spread) or not isinstance(after, Spread):
        return None, f"{_without(one, two, before)} holds no {metric} with an interval"
    step = after.value - before.value
    low = step - hypot(after.value - after.low, before.high - before.value)
    high = step + hypot(after.high - after.value, before.value - before.low)
    same = one.manifest.files.get(HELDOUT) == two.manifest.files.get(HELDOUT)
    return QualityShift(metric, before, after, step, low, high, same, _better(metric, low, high)), ""


def _better(metric: str, low: float, high: float) -> Verdict:
    if low > 0:
        return Verdict(Outcome.HOLDS, f"{metric} is higher by {low:.4f} to {high:.4f}")
    if high < 0:
        return Verdict(Outcome.BREACHED, f"{metric} is lower by {-high:.4f} to {-low:.4f}")
    return Verdict(Outcome.UNDECIDED, f"{metric} of the two cannot be told apart: {low:+.4f} to {high:+.4f}")


def _weights(one: Known, two: Known) -> tuple[tuple[Weight, ...], str]:
    before, after = one.training.importances, two.training.importances
    if not isinstance(before, dict) or not isinstance(after, dict):
        return (), f"{_without(one, two, before)} holds no importances"
    found = [
        Weight(name, before.get(name), after.get(name), _less(after.get(name), before.get(name)))
        for name in dict.fromkeys([*before, *after])
    ]
    return tuple(sorted(found, key=lambda one: (-max(abs(one.before or 0), abs(one.after or 0)), one.feature))), ""


def _without(one: Known, two: Known, before: object) -> str:
    """The side that lacks something, the first where both do."""
    side = one.side if not isinstance(before, Spread | dict) else two.side
    return f"the bundle of version {side.version}"


def _card(one: ModelCard, two: ModelCard) -> tuple[Change, ...]:
    fields = (name for name in one.__struct_fields__ if name != "version")
    lines = (Change(name.replace("_", " "), getattr(one, name), getattr(two, name)) for name in fields)
    return changed(lines)


def _packages(one: Mapping[str, str], two: Mapping[str, str]) -> tuple[Change, ...]:
    return changed(Change(name, one.get(name, ""), two.get(name, "")) for name in sorted({*one, *two}))
