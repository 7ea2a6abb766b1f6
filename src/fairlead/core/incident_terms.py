"""The terms on which incidents are worked on: what may be done without asking, who must answer by when, who is told.

Light on purpose: settings are read by every process, workers among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

Action = Literal["rollback", "threshold", "recalibrate", "retrain", "fix_data", "scale", "none"]
ACTIONS: tuple[Action, ...] = ("rollback", "threshold", "recalibrate", "retrain", "fix_data", "scale", "none")
ACKNOWLEDGE: Mapping[str, float] = MappingProxyType(
    {"critical": 300.0, "high": 900.0, "medium": 3600.0, "low": 86_400.0}
)


class Approvals(Struct, frozen=True):
    """What may be done without asking. `threshold` is the band in which a decision threshold may move."""

    rollback: bool = True
    threshold: tuple[float, float] | None = None
    recalibrate: bool = False
    retrain: bool = True

    def allows(self, action: Action) -> bool:
        """Whether it may be done without asking. Asking people to mend data asks nobody for permission."""
        if action == "threshold":
            return self.threshold is not None
        return {"rollback": self.rollback, "recalibrate": self.recalibrate, "retrain": self.retrain}.get(
            action, action in ("fix_data", "none")
        )


class Escalation(Struct, frozen=True):
    """Who is told next, so long after the time to acknowledge has passed: channels by name, none for all."""

    after_seconds: float = 0.0
    to: tuple[str, ...] = ()


class Handling(Struct, frozen=True):
    """How incidents are worked on. `by_itself`: triage and approved actions need nobody. `resolve_seconds`: so long an
    incident must be calm after what helped. `trains`: a run that was asked for is done, so that it is waited for."""

    approvals: Approvals = Approvals()
    by_itself: bool = True
    acknowledge: Mapping[str, float] = ACKNOWLEDGE
    escalations: tuple[Escalation, ...] = (Escalation(),)
    resolve_seconds: float = 600.0
    trains: bool = True
    pages_escalate: bool = False  # a page that nobody acknowledges is passed on by itself: incidents that page are not


class Audience(Struct, frozen=True):
    """Who is told, within so many seconds of the opening, by which channel, and what it is that they want to know."""

    name: str
    within_seconds: float
    channel: str
    content: str


AUDIENCES: tuple[Audience, ...] = (
    Audience("engineering", 0.0, "incident channel", "technical details, status"),
    Audience("product", 1800.0, "e-mail or chat", "impact, estimated time of resolution"),
    Audience("users", 3600.0, "status page", "plain-language description, workarounds"),
    Audience("leadership", 86_400.0, "e-mail", "impact, root cause, action items"),
)
