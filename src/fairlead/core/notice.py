"""What a person is told."""

from __future__ import annotations

from msgspec import Struct


class Notice(Struct, frozen=True):
    """What is wrong, how bad, why, whose it is, and what to do."""

    model: str  # empty: several, or none
    alert: str
    severity: str
    title: str
    reason: str
    owner: str
    runbook: str
    at: float
    link: str = ""  # the dashboard
    details: tuple[tuple[str, str], ...] = ()  # in the order in which they are shown
    count: int = 1  # alerts that it speaks of
    notice: str = ""  # its id, the same at each attempt
    thread: str = ""  # that of the first notice on the same trouble: what follows is no second page
