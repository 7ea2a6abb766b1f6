"""How much the evidence of each running rollout weighs, as the controller saw it last."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from fairlead.core.rollout import Decision


class Weighed(Struct, frozen=True):
    """One guardrail of one rollout: the natural logarithm of its e-value against the threshold at which it counts as
    broken, `at` an instant (seconds since 1970, UTC)."""

    model_name: str
    rollout: str
    guardrail: str
    log_e: float
    threshold_log_e: float
    at: float


def weighed(decisions: Iterable[tuple[str, Decision]]) -> list[Weighed]:
    """By model and what `advance` says of it now."""
    return [
        Weighed(model, decision.rollout, one.guardrail, one.log_e, one.threshold_log_e, decision.at)
        for model, decision in decisions
        for one in decision.readings
    ]
