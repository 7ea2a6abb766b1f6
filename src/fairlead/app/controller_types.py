"""The types that a controller's threads decode. Apart from the workers', who would load scipy with them for nothing."""

from __future__ import annotations

from typing import Any

from fairlead.app.known_types import IN_WORKER
from fairlead.core.after import PromotionDecision, PromotionEvidence
from fairlead.core.event import AnyFact
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.rollout import Baseline, Decision, Evidence

IN_CONTROLLER: tuple[Any, ...] = (
    *IN_WORKER,
    AnyFact,
    Prediction,
    OutcomeRecord,
    Decision,
    Evidence,
    Baseline,
    PromotionEvidence,
    PromotionDecision,
)
