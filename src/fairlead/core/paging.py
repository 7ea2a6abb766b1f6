"""How alerts become notices: what is told together, what waits, who is told next. All spans are in seconds."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

GroupBy = Literal["model", "alert", "severity", "owner"]


class Outlet(Struct, frozen=True):
    """A channel, as far as one must know it to decide what it is told."""

    name: str
    severities: tuple[str, ...]
    ends: bool = False  # it is told that an alert is over
    acknowledges: bool = False  # it is told that somebody works on it
    changes: bool = False  # it is told of rollouts and promotions
    every: float = 0.0  # what it is told waits for the end of such a span of UTC; 0: each by itself
    daily: tuple[str, ...] = ()  # severities that wait for the end of the day, whatever the others do

    def collects(self, severity: str) -> float:
        """The span whose end a notice of a severity waits for, in seconds; 0 where it goes out by itself."""
        return 86_400.0 if severity in self.daily else self.every


class Escalation(Struct, frozen=True):
    """Who is told of a page that nobody acknowledged, and after how long."""

    after: float
    to: tuple[str, ...]


class Inhibition(Struct, frozen=True):
    """While an alert that matches `when` stands, those of the same model that match `mutes` are held back."""

    when: str
    mutes: str


class PagingPlan(Struct, frozen=True):
    """What the settings say of notices.

    `wait`: how long the first alert of a group waits for others. `interval`: the least between two notices of a group.
    `join`: a group's new alerts belong to the page before for so long; later they are a page of their own. `storm`:
    more new groups than that at once are one notice.
    """

    outlets: tuple[Outlet, ...]
    group_by: tuple[GroupBy, ...] = ("model",)
    wait: float = 30.0
    interval: float = 300.0
    join: float = 3600.0
    storm: int = 5
    throttle: int | None = None  # notices in `throttle_seconds`; what is critical is never held back
    throttle_seconds: float = 3600.0
    escalation: tuple[Escalation, ...] = ()
    dead_after: float = 300.0  # a channel that takes nothing for so long is dead: others are told
    give_up: float = 86_400.0
    backoff: tuple[float, ...] = (1.0, 5.0, 30.0, 120.0, 600.0)
    inhibit: tuple[Inhibition, ...] = ()
    dashboard: str = ""
    pages: int | None = None  # notices that may page, in `pages_seconds`
    pages_seconds: float = 30 * 86_400.0
    each: bool = False  # `pages` are each model's; else those of all models together

    def outlet(self, name: str) -> Outlet | None:
        """The channel of a name."""
        return next((one for one in self.outlets if one.name == name), None)

    def waits(self, severity: str) -> float:
        """How long a new group of a severity waits for others."""
        return min(self.wait, 5.0) if severity == "critical" else self.wait

    def pause(self, attempts: int) -> float:
        """How long until a channel that failed is tried again.

        >>> plan = PagingPlan(())
        >>> [plan.pause(attempts) for attempts in (1, 2, 5, 50)]
        [1.0, 5.0, 600.0, 600.0]
        """
        return self.backoff[min(attempts, len(self.backoff)) - 1]
