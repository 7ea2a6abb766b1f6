"""A channel that remembers, and what every channel keeps."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.errors import StateError
from fairlead.ports.notifier import Notice, Notifier

NOTICE = Notice(
    model="hotel",
    alert="harmful-drift",
    severity="critical",
    title="Harmful drift",
    reason="AUROC fell from 0.82 to 0.67",
    owner="revenue",
    runbook="docs/runbooks/harmful-drift.md",
    at=1_454_284_800.0,
)


class MemoryNotifier:
    """Keeps what it was sent, oldest first; refuses everything while `broken`."""

    def __init__(self, name: str = "memory") -> None:
        """Starts empty."""
        self._name = name
        self.broken = False
        self.sent: list[Notice] = []

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._name

    def send(self, notice: Notice) -> None:
        """Keeps the notice. Raises `StateError` while broken."""
        if self.broken:
            raise StateError(f"channel {self._name}: it is down; the notice was not delivered")
        self.sent.append(notice)


def check_notifier(notifier: Notifier, received: Callable[[], str]) -> None:
    """What every channel keeps. `received` gives everything that reached the other side, as text."""
    assert notifier.name
    notifier.send(NOTICE)
    text = received()
    for part in (NOTICE.model, NOTICE.title, NOTICE.reason, NOTICE.owner, NOTICE.runbook):
        assert part in text, f"{part!r} did not arrive"
    assert NOTICE.severity in text.lower()


def check_failure(notifier: Notifier, secrets: tuple[str, ...] = ()) -> None:
    """A channel that cannot deliver says so by name, and gives none of its secrets away."""
    line = _refusal(notifier)
    assert notifier.name in line
    assert not any(secret in line for secret in secrets)


def _refusal(notifier: Notifier) -> str:
    try:
        notifier.send(NOTICE)
    except StateError as error:
        return error.line
    raise AssertionError("the channel cannot deliver, yet it did not raise")
