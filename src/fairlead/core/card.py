"""What a machine can know of a model card."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fairlead.core.bundle import Lineage, ModelCard
from fairlead.core.contract import Contract
from fairlead.core.listing import counted


def fill(card: ModelCard, **known: str) -> ModelCard:
    """The card with its empty fields filled. What its author wrote stands.

    >>> fill(ModelCard(owner="anna"), owner="nobody", date="2026-01-31").owner
    'anna'
    """
    gaps = {name: text for name, text in known.items() if name in card.missing}
    return msgspec.structs.replace(card, **gaps)


def training_text(lineage: Lineage, contract: Contract) -> str:
    """The training data in a sentence."""
    span = f", from {lineage.trained_from} to {lineage.trained_to}" if lineage.trained_from else ""
    return (
        f"{lineage.dataset}: {counted(lineage.rows, 'row')}{span}, {counted(len(contract.features), 'feature')}, "
        f"target {contract.target} (SHA-256 {lineage.dataset_digest[:12]})"
    )


def metrics_text(metrics: Mapping[str, float]) -> str:
    """The held-out metrics in a line.

    >>> metrics_text({"auroc": 0.71234, "brier": 0.2})
    'auroc 0.7123, brier 0.2000'
    """
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())


def subgroups_text(metric: str, groups: Mapping[str, Mapping[str, tuple[int, float]]]) -> str:
    """A metric in each subgroup of each segment.

    >>> subgroups_text("auroc", {"hotel": {"City": (100, 0.7)}})
    'auroc by hotel: City 0.7000 (100 rows)'
    """
    lines = []
    for segment, values in groups.items():
        parts = [f"{name} {value:.4f} ({counted(rows, 'row')})" for name, (rows, value) in values.items()]
        lines.append(f"{metric} by {segment}: {', '.join(parts) or 'no subgroup has enough rows'}")
    return "; ".join(lines)
