"""The settings by which a model's answers are told apart by group, as the watch takes them."""

from __future__ import annotations

from fairlead.config.settings import Settings
from fairlead.core.groups import Rules
from fairlead.core.thresholds import DEFAULTS


def group_rules(settings: Settings, model: str, alpha: float) -> Rules:
    """A model's segments, and what its gates ask of protected groups in production; all questions share `alpha`."""
    known, policy = settings.models.get(model), settings.gates.policy("production")
    return Rules(
        segments=known.segments if known else (),
        protected=policy.protected,
        drop=DEFAULTS["drop"].critical,
        impact=policy.impact,
        rate_gap=policy.rate_gap,
        alpha=alpha,
    )
