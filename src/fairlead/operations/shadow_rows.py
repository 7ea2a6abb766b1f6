"""The overview with the shadow pairs that differ most: they are in notes in the home, not in the journal."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from fairlead.operations.overview import Overview, RolloutView
from fairlead.operations.shadow_report import worst_pairs


def with_worst_pairs(home: Path, overview: Overview) -> Overview:
    """Each rollout whose shadow has answered, with the pairs that its controller left a note of."""
    models = tuple(
        replace(model, rollouts=tuple(_told(home, one) for one in model.rollouts)) for model in overview.models
    )
    return replace(overview, models=models)


def _told(home: Path, rollout: RolloutView) -> RolloutView:
    if rollout.shadowed is None:
        return rollout
    return replace(rollout, shadowed=replace(rollout.shadowed, worst=worst_pairs(home, rollout.id)))
