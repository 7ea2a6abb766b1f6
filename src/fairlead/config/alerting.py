"""Who is told, of what, how often, and where the runbooks are."""

from __future__ import annotations

from typing import Literal

from fairlead.config.conditions import condition
from fairlead.config.fields import Comparison, Duration, Secret, Section
from fairlead.config.severity import Severity
from fairlead.config.watched import check_message, known_metric
from fairlead.core.condition import Condition
from fairlead.errors import SettingsError

ChannelType = Literal["console", "webhook", "pagerduty", "slack", "email"]
# The keys of a channel that only some types take.
_ONLY = {
    "url": ("webhook", "pagerduty"),
    "webhook": ("slack",),
    "routing_key": ("pagerduty",),
    "recipients": ("email",),
    "smtp": ("email",),
    "frequency": ("email",),
}


class SmtpSettings(Section, frozen=True):
    """The server that takes mail. Without a password nobody logs in."""

    host: str = "127.0.0.1"
    port: int = 25
    security: Literal["none", "starttls", "tls"] = "none"
    username: str = ""
    password: Secret = Secret("")
    sender: str = "fairlead@localhost"

    def __post_init__(self) -> None:
        """Refuses what no server has, and a password that would travel in the open."""
        if not 1 <= self.port <= 65_535:
            raise SettingsError(f"smtp.port is {self.port}: write 1 to 65535")
        if self.password and self.security == "none":
            raise SettingsError("smtp.password would travel unencrypted: add security: starttls, or tls")
        if fault := _no_address(self.sender):
            raise SettingsError(f"smtp.sender {fault}")


class Channel(Section, frozen=True):
    """Where notices of some severities go. What a channel's key is for, its type says: `url` webhook, `webhook` slack,
    `routing_key` pagerduty (or PAGERDUTY_ROUTING_KEY in the environment), `recipients` and `smtp` email."""

    name: str
    type: ChannelType
    url: Secret = Secret("")
    webhook: Secret = Secret("")
    routing_key: Secret = Secret("")
    recipients: tuple[str, ...] = ()
    smtp: SmtpSettings | None = None
    frequency: Literal["immediate", "daily"] | None = None  # email: each notice, or one mail a day; left out: each
    severity: tuple[Severity, ...] = ("critical", "high", "medium", "low")

    def __post_init__(self) -> None:
        """Refuses a channel that could reach nobody, and keys that its type does not have."""
        for key, types in _ONLY.items():
            if getattr(self, key) and self.type not in types:
                raise SettingsError(f"channel {self.name!r} is of type {self.type}: {key} is for {' and '.join(types)}")
        if not self.severity:
            raise SettingsError(f"channel {self.name!r} takes no severity: leave `severity` out for all of them")
        if self.type == "slack" and not self.webhook:
            raise SettingsError(f'channel {self.name!r} has no webhook: add `webhook: "${{SLACK_WEBHOOK}}"`')
        if self.type == "email" and not self.recipients:
            raise SettingsError(f"channel {self.name!r} mails nobody: add `recipients: [team@example.com]`")
        for recipient in self.recipients:
            if fault := _no_address(recipient):
                raise SettingsError(f"channel {self.name!r}: recipient {fault}")


class PageBudget(Section, frozen=True):
    """How many notices may page a person (critical or high) in a period: `{pages: 1, per: 30d}`.

    Beyond it a notice that is not critical is told as medium. Critical ones page always, and count.
    """

    pages: int
    per: Duration = Duration(30 * 86400)

    def __post_init__(self) -> None:
        """Refuses what is no budget."""
        if self.pages < 0 or self.per <= 0:
            raise SettingsError("alerting.budget is a number of pages per period: write {pages: 1, per: 30d}")


class AlertSettings(Section, frozen=True):
    """A condition that people are told of, whose it is and what to do. A message may hold {model}, {feature}, {value},
    {metric} and {version}."""

    name: str
    condition: Comparison
    severity: Severity = "medium"
    message: str = ""
    owner: str = ""  # left out: the model's
    runbook: str = ""  # a page's name, or an address; left out: the alert's name

    def __post_init__(self) -> None:
        """Reads condition and message now, so that a wrong one is told at the start."""
        if not self.name or any(letter in self.name for letter in ":/\\") or not self.name.isprintable():
            raise SettingsError(f"{self.name!r} cannot name an alert: write a word, without ':' and '/'")
        known_metric(self.parsed.metric)
        check_message(self.message)

    @property
    def parsed(self) -> Condition:
        """The condition as it is evaluated."""
        return condition(self.condition)


class Alerting(Section, frozen=True):
    """Who is told, of what, how often, and where the runbooks are. `window` is what live metrics are measured over."""

    owner: str = "unassigned"
    runbooks: str = "docs/runbooks"
    repeat_after: Duration = Duration(7 * 86400)
    window: Duration = Duration(300)
    budget: PageBudget | None = None
    channels: tuple[Channel, ...] = (Channel("console", "console"),)
    alerts: tuple[AlertSettings, ...] = ()

    def __post_init__(self) -> None:
        """Refuses two of one name, and a window in which nothing happens."""
        for what, found in (("channels", self.channels), ("alerts", self.alerts)):
            names = [one.name for one in found]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice:
                raise SettingsError(f"alerting.{what} has two of the name {twice!r}: name them apart")
        if not 60.0 <= self.window <= 86_400.0:
            raise SettingsError("alerting.window is what live metrics are measured over: write 1m to 1d")

    def channels_called(self, name: str) -> tuple[str, ...]:
        """The channels that a name means: the one that is called so, else those of that type."""
        exact = tuple(channel.name for channel in self.channels if channel.name == name)
        return exact or tuple(channel.name for channel in self.channels if channel.type == name)


def _no_address(text: str) -> str:
    """Why a text is no mail address; nothing where it may be one."""
    name, at, host = text.partition("@")
    if not (name and at and host) or any(letter.isspace() or not letter.isprintable() for letter in text):
        return f"{text!r} is no mail address: write name@example.com"
    return ""
