"""Channels are told what they take: by severity, by name, and that an alert is over."""

from __future__ import annotations

from fairlead.core.alert import Alarm, AlertPolicy
from fairlead.core.event import AlertRaised
from fairlead.core.verdict import Outcome, Verdict
from fairlead.flows.notify import Alerts
from fairlead.ports import Notice, Notifier
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.notifier import MemoryNotifier

ALL = ("critical", "high", "medium", "low")


class Pager(MemoryNotifier):
    """A channel that keeps an alert open until it is over."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.over: list[Notice] = []

    def resolve(self, notice: Notice) -> None:
        """Closes it."""
        self.over.append(notice)


def alarm(outcome: Outcome, *, severity: str = "high", **named: object) -> Alarm:
    """A look at one condition."""
    made = Alarm("shop", "errors", severity, "It fails", Verdict(outcome, f"it {outcome.value}"))
    return made if not named else Alarm(**{field: getattr(made, field) for field in made.__struct_fields__} | named)


class Desk:
    """One model's alerts over a journal."""

    def __init__(self, **policy: object) -> None:
        self.journal = MemoryJournal()
        self.pager, self.team = Pager("pager"), MemoryNotifier("team")
        channels: dict[Notifier, tuple[str, ...]] = {self.pager: ("critical", "high"), self.team: ALL}
        self.alerts = Alerts("shop", channels, AlertPolicy("ana", **policy))  # type: ignore[arg-type]

    def tell(self, at: float, *alarms: Alarm) -> tuple[str, ...]:
        """Answers alarms; the failures."""
        known = tuple(self.journal.read())
        choices = self.alerts.choose(known, alarms, at, at)
        facts = [fact for choice in choices for fact in self.alerts.facts(choice, at)]
        if facts:
            self.journal.append(facts, actor="respond", at=at)
        return self.alerts.tell(choices, at)[1]


def test_a_channel_that_keeps_alerts_open_is_told_of_their_end() -> None:
    """Once, with how it ended; a channel that only tells is not."""
    desk = Desk()
    desk.tell(1.0, alarm(Outcome.BREACHED))
    desk.tell(2.0, alarm(Outcome.HOLDS))
    desk.tell(3.0, alarm(Outcome.HOLDS))
    assert [notice.reason for notice in desk.pager.over] == ["it holds"]
    assert len(desk.team.sent) == len(desk.pager.sent) == 1


def test_a_named_channel_is_told_whatever_it_takes() -> None:
    """And no other."""
    desk = Desk()
    desk.tell(1.0, alarm(Outcome.BREACHED, severity="low", channels=("pager",)))
    assert (len(desk.pager.sent), len(desk.team.sent)) == (1, 0)


def test_an_alarms_own_owner_and_runbook_go_before_the_policys() -> None:
    """A word is a page of the runbooks, an address stays one."""
    desk = Desk(runbooks="https://example.com/runbooks/")
    desk.tell(1.0, alarm(Outcome.BREACHED, owner="serving", runbook="why"))
    desk.tell(2.0, alarm(Outcome.BREACHED, alert="other", runbook="https://wiki.example.com/x"))
    assert [(notice.owner, notice.runbook) for notice in desk.team.sent] == [
        ("serving", "https://example.com/runbooks/why.md"),
        ("ana", "https://wiki.example.com/x"),
    ]


def test_alerts_know_no_budget_of_pages() -> None:
    """It is one of notices: whatever a policy of an earlier edition states, each alert is raised as grave as it is."""
    desk = Desk(pages=0)
    desk.tell(1.0, alarm(Outcome.BREACHED), alarm(Outcome.BREACHED, alert="other"))
    assert [(notice.alert, notice.severity) for notice in desk.team.sent] == [("errors", "high"), ("other", "high")]
    paged = [entry.fact.paged for entry in desk.journal.read() if isinstance(entry.fact, AlertRaised)]
    assert paged == [True, True]


def test_one_channel_that_fails_stops_no_other() -> None:
    """The failure is returned, at the notice and at its end."""
    desk = Desk()
    desk.pager.broken = True
    assert desk.tell(1.0, alarm(Outcome.BREACHED)) == ("channel pager: it is down; the notice was not delivered",)
    assert len(desk.team.sent) == 1


def test_a_look_that_was_answered_is_not_answered_again() -> None:
    """Nor one that is older than what was."""
    desk = Desk()
    desk.tell(5.0, alarm(Outcome.BREACHED))
    desk.tell(5.0, alarm(Outcome.HOLDS))
    desk.tell(4.0, alarm(Outcome.HOLDS))
    assert desk.pager.over == []
