"""How incidents are worked on: what may be done without asking, who must answer by when, and where it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import field

from fairlead.config.fields import Section, Span
from fairlead.config.severity import Severity
from fairlead.core.incident_terms import ACKNOWLEDGE, AUDIENCES, Approvals, Audience, Escalation, Handling
from fairlead.errors import SettingsError


class Band(Section, frozen=True):
    """The band in which a decision threshold may move without asking: `{low: 0.4, high: 0.6}`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuses what is no band."""
        if not 0.0 < self.low < self.high < 1.0:
            raise SettingsError("incidents.approve.threshold is a band between 0 and 1: write {low: 0.4, high: 0.6}")


class Approve(Section, frozen=True):
    """What may be done about an incident without asking. A threshold only within its band; without one, not at all."""

    rollback: bool = True
    threshold: Band | None = None
    recalibrate: bool = False
    retrain: bool = True


class EscalationSettings(Section, frozen=True):
    """Who is told when nobody has acknowledged an incident: `after` so long beyond its time, `to` these channels (left
    out: all that take its severity)."""

    after: Span = Span(0)
    to: tuple[str, ...] = ()


class AudienceSettings(Section, frozen=True):
    """Somebody to be told of an incident: `within` so long of its opening, by a channel that people agree on."""

    audience: str
    within: Span
    channel: str = ""

    def __post_init__(self) -> None:
        """Refuses an audience for whom there are no words."""
        if self.audience not in {one.name for one in AUDIENCES}:
            names = ", ".join(one.name for one in AUDIENCES)
            raise SettingsError(f"incidents.tell names the audience {self.audience!r}: use one of {names}")


class Incidents(Section, frozen=True):
    """How incidents are worked on. `automatic`: triage, and what `approve` allows, need nobody. `resolve_after`: so
    long all must be calm once traffic is back. `status_page` and `runbooks` are paths; left out, `status` and
    `runbooks` in the home folder."""

    automatic: bool = True
    approve: Approve = Approve()
    acknowledge: Mapping[Severity, Span] = field(default_factory=dict)
    escalate: tuple[EscalationSettings, ...] = (EscalationSettings(),)
    tell: tuple[AudienceSettings, ...] = ()
    resolve_after: Span = Span(600)
    status_page: str = ""
    runbooks: str = ""

    def __post_init__(self) -> None:
        """Refuses an audience that is told twice."""
        names = [one.audience for one in self.tell]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise SettingsError(f"incidents.tell names the audience {twice!r} twice: keep one")

    @property
    def handling(self) -> Handling:
        """The same, as decisions take it."""
        band, approve = self.approve.threshold, self.approve
        times: dict[str, float] = {severity: float(seconds) for severity, seconds in self.acknowledge.items()}
        return Handling(
            Approvals(
                approve.rollback,
                None if band is None else (float(band.low), float(band.high)),
                approve.recalibrate,
                approve.retrain,
            ),
            self.automatic,
            MappingProxyType({**ACKNOWLEDGE, **times}),
            tuple(Escalation(float(one.after), one.to) for one in self.escalate),
            float(self.resolve_after),
        )

    @property
    def audiences(self) -> tuple[Audience, ...]:
        """Who is told, by when: the settings' word over the defaults."""
        stated = {one.audience: one for one in self.tell}
        return tuple(
            Audience(one.name, float(stated[one.name].within), stated[one.name].channel, one.content)
            if one.name in stated
            else one
            for one in AUDIENCES
        )
