"""The registry's section: whom its events are told, in MLflow's signed form."""

from __future__ import annotations

from hashlib import sha256

from fairlead.config.fields import Secret, Section
from fairlead.config.web_address import host_of
from fairlead.core.registry_event import NAMES, Name
from fairlead.errors import SettingsError


class RegistryWebhook(Section, frozen=True):
    """Who is told of which events (default: all). Without a `secret` they are not signed.

    An address of this machine or of a private network is allowed: receivers often live there. Only http and https are.
    """

    url: Secret = Secret("")
    secret: Secret = Secret("")
    events: tuple[Name, ...] = NAMES
    name: str = ""  # in logs; else the address's host and a digest of the whole

    def __post_init__(self) -> None:
        """Refuses an address that cannot be posted to, without showing it."""
        if not host_of(self.url.reveal()):
            raise SettingsError("the url of a registry webhook is not an http(s) address: write https://host/path")
        if not self.events:
            raise SettingsError(f"a registry webhook has no events: name some of {', '.join(NAMES)}, or leave it out")

    @property
    def shown(self) -> str:
        """A name that tells no secret, and stays the same as long as the address does."""
        url = self.url.reveal()
        return self.name or f"{host_of(url)}-{sha256(url.encode()).hexdigest()[:8]}"


class RegistrySettings(Section, frozen=True):
    """Who is told what happens in the registry."""

    webhooks: tuple[RegistryWebhook, ...] = ()

    def __post_init__(self) -> None:
        """Refuses two receivers of one name: what was told to one would count for the other."""
        names = [hook.shown for hook in self.webhooks]
        for name in names:
            if names.count(name) > 1:
                raise SettingsError(f"registry.webhooks names {name!r} twice: give each a name of its own")
