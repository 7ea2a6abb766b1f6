"""alarm -> notice | quiet -> channels: what is told once, repeated, over.

Facts first: where no channels are given, `flows.dispatch` tells people from them, and loses none. With channels the
notices follow at once: a stop in between loses a notice, never a fact, and tells nothing twice, and a channel that
fails is reported and never stops the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from fairlead.core.alarm import runbook_of
from fairlead.core.alert import Alarm, AlertDecision, AlertPolicy, decide, standing
from fairlead.core.alert_evidence import EDITION, evidence_of
from fairlead.core.event import AlertQuieted, AlertRaised, Entry
from fairlead.errors import FairleadError
from fairlead.ports import Notice, Notifier, Resolver

_LOG = logging.getLogger("fairlead.respond")
_OVER_BUDGET = "medium"


class Alerts:
    """One model's alerts. `notifiers` maps each channel to the severities it takes."""

    def __init__(
        self,
        model: str,
        notifiers: Mapping[Notifier, Sequence[str]],
        policy: AlertPolicy,
        edition: int = EDITION,
    ) -> None:
        """`edition` is that of the facts; an earlier one is for deciding again what it has decided."""
        self._model = model
        self._notifiers = notifiers
        self._policy = policy
        self._edition = edition

    def choose(self, known: Sequence[Entry], alarms: Iterable[Alarm], at: float, now: float) -> list[AlertDecision]:
        """Notice or quiet, for each alarm that was not answered before, nor is older than what was. `at` is the alarms'
        instant, `now` the journal's."""
        stands = standing(known, self._model)
        answered = _answered_at(known)
        return [
            replace(decide(stands, alarm, at, self._policy), standing=stands.get(alarm.alert), now=now)
            for alarm in alarms
            if answered.get(alarm.alert, at - 1.0) < at
        ]

    def facts(self, choice: AlertDecision, at: float) -> list[AlertRaised | AlertQuieted]:
        """A notice, the end of a standing alert, or a breach that is held back. All else is nothing new."""
        alarm = choice.alarm
        if choice.notify:
            notice = self.notice(choice, at)
            paged = not choice.over_budget and not alarm.benign
            return [
                AlertRaised(
                    self._model,
                    alarm.alert,
                    alarm.severity,
                    notice.title,
                    notice.reason,
                    notice.owner,
                    notice.runbook,
                    at,
                    paged,
                    alarm.details,
                    alarm.dashboard,
                    alarm.channels,
                    alarm.benign,
                    seen=evidence_of(choice, self._policy, self._edition),
                )
            ]
        if choice.recovered or alarm.verdict.outcome == "breached":
            seen = evidence_of(choice, self._policy, self._edition)
            return [AlertQuieted(self._model, alarm.alert, choice.reason, at, choice.recovered, seen=seen)]
        return []

    def notice(self, choice: AlertDecision, at: float) -> Notice:
        """What a person is told."""
        alarm, policy = choice.alarm, self._policy
        over = choice.over_budget
        return Notice(
            model=self._model,
            alert=alarm.alert,
            severity=_OVER_BUDGET if over else alarm.severity,
            title=alarm.title,
            reason=f"{alarm.verdict.reason} ({over})" if over else alarm.verdict.reason,
            owner=alarm.owner or policy.owner,
            runbook=policy.runbook(alarm.runbook or runbook_of(alarm.alert)),
            at=at,
            link=alarm.dashboard,
            details=alarm.details,
        )

    def tell(self, choices: Sequence[AlertDecision], at: float) -> tuple[tuple[Notice, ...], tuple[str, ...]]:
        """Sends what is to be told, and tells those channels that keep an alert open that it is over. Returns the
        notices that were sent, and the failures."""
        notices: list[Notice] = []
        failures: list[str] = []
        for choice in choices:
            notice = self.notice(choice, at)
            if choice.alarm.benign:
                continue  # on record, and told to nobody
            if choice.notify:
                notices.append(notice)
                failures += self._each(choice, notice, _send)
            elif choice.recovered:
                over = replace(notice, reason=choice.reason)
                failures += self._each(choice, over, _resolve)
        return tuple(notices), tuple(failures)

    def _each(self, choice: AlertDecision, notice: Notice, act: Callable[[Notifier, Notice], None]) -> Iterator[str]:
        only = choice.alarm.channels
        for notifier, severities in self._notifiers.items():
            if (notifier.name not in only) if only else (notice.severity not in severities):
                continue
            try:
                act(notifier, notice)
            except FairleadError as error:
                _LOG.warning("a notice on %s was not delivered: %s", notice.alert, error.line)
                yield error.line
            except Exception as error:  # noqa: BLE001 - whatever one channel does, the others are served
                _LOG.exception("a notice on %s was not delivered", notice.alert)
                yield f"channel {notifier.name}: {type(error).__name__}: {error}"


def _send(notifier: Notifier, notice: Notice) -> None:
    notifier.send(notice)


def _resolve(notifier: Notifier, notice: Notice) -> None:
    if isinstance(notifier, Resolver):
        notifier.resolve(notice)


def _answered_at(known: Sequence[Entry]) -> dict[str, float]:
    """When each alert was last looked at and journalled."""
    found: dict[str, float] = {}
    for entry in known:
        fact = entry.fact
        if isinstance(fact, AlertRaised | AlertQuieted):
            found[fact.alert] = max(found.get(fact.alert, 0.0), fact.event_at or 0.0)
    return found
