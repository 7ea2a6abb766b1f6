"""The many services of the Apprise library: Teams, Telegram, Matrix, ntfy, SMS gateways and a hundred more, each by an
address of its own form.

https://github.com/caronc/apprise/wiki
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

from fairlead.errors import MissingExtra, SettingsError, StateError
from fairlead.ports.notifier import Notice

_TYPES = {"critical": "failure", "high": "failure", "medium": "warning", "low": "info"}


class AppriseNotifier:
    """Sends to one or more of the library's addresses, which are secrets: no error shows more than how many failed."""

    def __init__(self, name: str, urls: Sequence[str]) -> None:
        """Raises `MissingExtra` without the library, `SettingsError` for an address that is none of its."""
        self._name = name
        self._services = [_service(name, place, url) for place, url in enumerate(urls, 1)]
        # The library would write addresses and answers into its own log.
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)

    @property
    def name(self) -> str:
        """The channel's name in the settings."""
        return self._name

    def send(self, notice: Notice) -> None:
        """Sends. Raises `StateError` where a service did not take it."""
        self._notify(notice, notice.severity.upper(), _TYPES[notice.severity])

    def resolve(self, notice: Notice) -> None:
        """Says that it is over. Raises `StateError`."""
        self._notify(notice, "RESOLVED", "success")

    def acknowledge(self, notice: Notice) -> None:
        """Says who works on it. Raises `StateError`."""
        self._notify(notice, "ACKNOWLEDGED", "info")

    def _notify(self, notice: Notice, state: str, kind: str) -> None:
        title = f"{state}: {notice.title}"
        lines = [
            notice.reason,
            f"Model: {notice.model or '(all)'}",
            f"Severity: {notice.severity}",
            f"Owner: {notice.owner}",
            f"Runbook: {notice.runbook}",
            *([f"Dashboard: {notice.link}"] if notice.link else []),
            *(f"{name}: {text}" for name, text in notice.details),
        ]
        sent = [bool(one.notify(title=title, body="\n".join(lines), notify_type=kind)) for one in self._services]
        failed = len(sent) - sum(sent)
        if failed:
            raise StateError(
                f"channel {self._name}: {failed} of its {len(sent)} addresses did not take the notice; it was not "
                "delivered there"
            )


def _service(name: str, place: int, url: str) -> Any:
    with warnings.catch_warnings():  # it uses parts of the standard library that will be gone
        warnings.simplefilter("ignore")
        try:
            import apprise
        except ImportError:
            raise MissingExtra("apprise", "notify", f"the channel {name!r}") from None
        service = apprise.Apprise()
        known = service.add(url)
    if not known:
        raise SettingsError(
            f"address {place} of channel {name!r} is none that Apprise knows: write one as in tgram://TOKEN/CHAT"
        )
    return service
