"""Who is told, of what, how often, and where the runbooks are."""

from __future__ import annotations

import re
from typing import Literal

from msgspec.structs import replace

from fairlead.config.aim import check_aim
from fairlead.config.conditions import condition
from fairlead.config.fields import Comparison, Duration, Secret, Section, Span
from fairlead.config.names import nearest
from fairlead.config.paging import Escalate, Inhibit, QuietHours, Throttle
from fairlead.config.severity import Severity
from fairlead.config.usual_alerts import USUAL
from fairlead.config.watched import check_message, metric_or_event
from fairlead.config.web_address import host_of
from fairlead.core.condition import Condition
from fairlead.core.paging import GroupBy
from fairlead.errors import SettingsError

ChannelType = Literal["console", "webhook", "pagerduty", "slack", "email", "alertmanager", "apprise"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")
# What a channel takes that states nothing: who is called, who reads along, who reads once a day.
_BY_TYPE: dict[str, tuple[Severity, ...]] = {
    "pagerduty": ("critical",),
    "slack": ("critical", "high", "medium"),
    "email": ("high", "low"),
}
_SERVICE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S")
# The keys of a channel that only some types take.
_ONLY = {
    "url": ("webhook", "pagerduty", "alertmanager"),
    "urls": ("apprise",),
    "changes": ("pagerduty",),
    "webhook": ("slack",),
    "routing_key": ("pagerduty",),
    "recipients": ("email",),
    "smtp": ("email",),
    "frequency": ("console", "webhook", "slack", "email", "apprise"),
}


# What a type cannot do without, and what is said where it is not there.
_NEEDS = {
    "webhook": ("url", "is a webhook without a url: add `url:` to it"),
    "slack": ("webhook", 'has no webhook: add `webhook: "${SLACK_WEBHOOK}"`'),
    "email": ("recipients", "mails nobody: add `recipients: [team@example.com]`"),
    "alertmanager": ("url", "has no url: add Alertmanager's, such as http://127.0.0.1:9093"),
    "apprise": ("urls", "has no urls: add Apprise's, such as [tgram://TOKEN/CHAT]"),
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
    """Where notices of some severities go. What a channel's key is for, its type says: `url` webhook and alertmanager,
    `webhook` slack, `routing_key` pagerduty (or PAGERDUTY_ROUTING_KEY in the environment), `recipients` and `smtp`
    email, `urls` apprise. `changes`: rollouts and promotions are shown there too."""

    name: str
    type: ChannelType
    url: Secret = Secret("")
    webhook: Secret = Secret("")
    routing_key: Secret = Secret("")
    recipients: tuple[str, ...] = ()
    smtp: SmtpSettings | None = None
    frequency: Literal["immediate", "hourly", "daily"] | None = None  # left out: each notice by itself
    urls: tuple[Secret, ...] = ()
    changes: bool = False
    severity: tuple[Severity, ...] | None = None  # left out: by its type, and what no other channel takes

    def __post_init__(self) -> None:
        """Refuses a channel that could reach nobody, and keys that its type does not have."""
        for key, types in _ONLY.items():
            if getattr(self, key) and self.type not in types:
                raise SettingsError(f"channel {self.name!r} is of type {self.type}: {key} is for {' and '.join(types)}")
        if self.severity is not None and not self.severity:
            raise SettingsError(f"channel {self.name!r} takes no severity: leave `severity` out for all of them")
        key, fault = _NEEDS.get(self.type, ("name", ""))
        if not getattr(self, key):
            raise SettingsError(f"channel {self.name!r} {fault}")
        self._check_addresses()
        for recipient in self.recipients:
            if fault := _no_address(recipient):
                raise SettingsError(f"channel {self.name!r}: recipient {fault}")

    def _check_addresses(self) -> None:
        """Refuses what nothing could be sent to; no address is told, since a key may be part of it."""
        for key in ("url", "webhook"):
            stated: Secret = getattr(self, key)
            if stated and not host_of(stated.reveal()):
                raise SettingsError(f"channel {self.name!r}: {key} is no address: write https://HOST/PATH")
        for number, one in enumerate(self.urls, 1):
            if not _SERVICE.match(one.reveal()):
                raise SettingsError(f"channel {self.name!r}: urls[{number}] is none of Apprise's: write SCHEME://…")


class PageBudget(Section, frozen=True):
    """How many notices may page a person (critical or high) in a period: `{pages: 1, per: 30d}`, or `1/30d`.

    Beyond it a notice that is not critical, and tells of no harm, is told as medium. The others page always, and count.
    It is each model's, or (`across: all`) that of all together. It is also what monitors may raise where nothing is
    wrong, in all of a model's windows, features and segments together.
    """

    pages: int
    per: Span = Span(30 * 86400)
    across: Literal["model", "all"] = "model"

    def __post_init__(self) -> None:
        """Refuses what is no budget."""
        if self.pages < 0 or self.per <= 0:
            raise SettingsError("alerting.budget is a number of pages per period: write {pages: 1, per: 30d}")


class AlertSettings(Section, frozen=True):
    """A condition that people are told of, whose it is and what to do. A message may hold {model}, {feature}, {value},
    {metric} and {version}.

    `critical` is a second condition on the same metric, of severity critical: while it is met, the first is not told.
    `recovery` says where what was met is over, such as `error_rate < 3%`; left out: a tenth of the way back. Without a
    condition the name is a metric's, with its usual levels. `models` are those that it is aimed at, by names or
    patterns such as `taxi-*`.
    """

    name: str
    condition: Comparison | None = None
    severity: Severity = "medium"
    message: str = ""
    owner: str = ""  # left out: the model's
    runbook: str = ""  # a page's name, or an address; left out: the alert's name
    critical: Comparison | None = None
    recovery: Comparison | None = None
    models: tuple[str, ...] | None = None  # left out: all of them

    def __post_init__(self) -> None:
        """Reads conditions, message and aim now, so that a wrong one is told at the start."""
        if not self.name or any(letter in self.name for letter in ":/\\") or not self.name.isprintable():
            raise SettingsError(f"{self.name!r} cannot name an alert: write a word, without ':' and '/'")
        if self.condition is None and self.name not in USUAL:
            names = ", ".join(USUAL)
            raise SettingsError(
                f"the alert {self.name!r} has no condition, and is no metric with usual levels: {names}"
            )
        metric_or_event(self.parsed.metric)
        check_message(self.message)
        self._check_levels()
        if self.models is not None:
            check_aim(self.name, self.models, self.parsed.metric)

    def _check_levels(self) -> None:
        first, graver = self.stated, self.parsed_critical
        if graver is not None and (graver.metric, graver.above) != (first.metric, first.above):
            raise SettingsError(
                f"{graver.text!r} is not the graver level of {first.text!r}: write the same metric and sign"
            )
        if graver is not None and graver.of == first.of:
            ahead = (graver.factor, graver.offset) if first.above else (first.factor, first.offset)
            behind = (first.factor, first.offset) if first.above else (graver.factor, graver.offset)
            if ahead <= behind:
                raise SettingsError(
                    f"{graver.text!r} is met before {first.text!r} is: write the graver level in critical"
                )
        if self.recovery is None:
            return
        back = condition(self.recovery, first.metric)
        if back.of or first.of or back.above is first.above or (back.factor < first.factor) is not first.above:
            raise SettingsError(
                f"{back.text!r} is no recovery of {first.text!r}: write a number on the calm side of its number"
            )

    @property
    def stated(self) -> Condition:
        """The first condition, as it is written."""
        return condition(self.condition or USUAL[self.name][0])

    @property
    def parsed(self) -> Condition:
        """The first condition as it is evaluated."""
        first = self.stated
        return first if self.recovery is None else replace(first, over=condition(self.recovery, first.metric).factor)

    @property
    def parsed_critical(self) -> Condition | None:
        """The second one."""
        text = self.critical or (USUAL[self.name][1] if self.condition is None else None)
        return None if text is None else condition(text)


class Alerting(Section, frozen=True):
    """Who is told, of what, how often, and where the runbooks are. `window` is what live metrics are measured over."""

    owner: str = "unassigned"
    runbooks: str = ""  # a folder, or an address; left out: the console's own pages
    repeat_after: Span = Span(7 * 86400)
    window: Span = Span(300)
    budget: PageBudget | None = None  # left out: one page a month of each model, of notices alone
    channels: tuple[Channel, ...] = (Channel("console", "console"),)
    alerts: tuple[AlertSettings, ...] = ()
    defaults: bool = True  # failing requests, slow ones and absent workers raise alerts though none is stated
    # How alerts become notices.
    group_by: tuple[GroupBy, ...] = ("model",)
    group_wait: Duration = Duration(30)  # what a group's first alert waits for others; a critical one 5 s at most
    group_interval: Span = Span(300)  # the least between two notices of one group
    group_for: Span = Span(3600)  # so long a group's new alerts belong to the page before
    storm: int = 5  # more new groups than that at once are one notice
    throttle: Throttle | None = None
    inhibit: tuple[Inhibit, ...] = (Inhibit("harmful-drift", "degraded-performance"),)
    quiet_hours: tuple[QuietHours, ...] = ()
    escalation: tuple[Escalate, ...] = ()
    dead_after: Span = Span(300)  # a channel that takes nothing for so long: others are told
    dashboard: str = (
        ""  # where people reach the console, such as https://fairlead.example.com; left out: on this machine
    )

    def __post_init__(self) -> None:
        """Refuses two of one name, what nobody would be told by, and a window in which nothing happens."""
        for what, found in (("channels", self.channels), ("alerts", self.alerts)):
            names = [one.name for one in found]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice:
                raise SettingsError(f"alerting.{what} has two of the name {twice!r}: name them apart")
        if not 60.0 <= self.window <= 86_400.0:
            raise SettingsError("alerting.window is what live metrics are measured over: write 1m to 1d")
        self._check_paging()

    def _check_paging(self) -> None:
        known = {channel.name for channel in self.channels}
        for name in (name for step in self.escalation for name in step.to):
            if name not in known:
                raise SettingsError(
                    f"alerting.escalation tells {name!r}, which is no channel: {nearest(name, sorted(known))}"
                )
        after = [float(step.after) for step in self.escalation]
        if after != sorted(after):
            raise SettingsError("alerting.escalation: write its steps in order, each after a longer time")
        for name, most in (("group_wait", 3600.0), ("group_interval", 86_400.0), ("group_for", 7 * 86_400.0)):
            if getattr(self, name) > most:
                raise SettingsError(f"alerting.{name} is {getattr(self, name):g} s: write at most {most:g}")
        if self.storm < 1 or self.dead_after <= 0:
            raise SettingsError("alerting.storm and alerting.dead_after are above 0")
        if self.dashboard and "://" not in self.dashboard:
            raise SettingsError(f"alerting.dashboard is {self.dashboard!r}: write an address, http://HOST:8081")

    def takes(self, channel: Channel) -> tuple[Severity, ...]:
        """The severities that a channel is told of: those that it states, else those of its type, and those that would
        be told to nobody."""
        if channel.severity is not None:
            return channel.severity
        covered = {one for each in self.channels for one in _usually(each)}
        return tuple(one for one in SEVERITIES if one in _usually(channel) or one not in covered)

    def channels_called(self, name: str) -> tuple[str, ...]:
        """The channels that a name means: the one that is called so, else those of that type."""
        exact = tuple(channel.name for channel in self.channels if channel.name == name)
        return exact or tuple(channel.name for channel in self.channels if channel.type == name)


def _usually(channel: Channel) -> tuple[Severity, ...]:
    return channel.severity if channel.severity is not None else _BY_TYPE.get(channel.type, SEVERITIES)


def _no_address(text: str) -> str:
    """Why a text is no mail address; nothing where it may be one."""
    name, at, host = text.partition("@")
    if not (name and at and host) or any(letter.isspace() or not letter.isprintable() for letter in text):
        return f"{text!r} is no mail address: write name@example.com"
    return ""
