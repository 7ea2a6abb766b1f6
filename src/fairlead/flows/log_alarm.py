"""trouble with the log -> notice, and the end of it. A disk that takes no more is nobody's model's: `model` is empty.

Unlike a model's alerts this one cannot wait for the journal, which may lie on the same disk: people are told first, and
the fact is written as soon as it can be.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from fairlead.core.alarm import LOG_REFUSED
from fairlead.core.alert import Alarm, AlertPolicy, Standing, decide, standing
from fairlead.core.event import AlertQuieted, AlertRaised, AnyFact
from fairlead.core.verdict import Outcome, Verdict
from fairlead.errors import FairleadError
from fairlead.ports import Clock, Journal, Notice, Notifier

_LOG = logging.getLogger("fairlead.alert")
_KINDS = ("alert_raised", "alert_quieted")
TITLE = "The prediction log takes no records"
ACTOR = "log"


class LogAlarm:
    """Tells when the log begins to refuse records, again while it goes on, and when it is over."""

    def __init__(
        self, journal: Journal, notifiers: Mapping[Notifier, Sequence[str]], clock: Clock, policy: AlertPolicy
    ) -> None:
        """`notifiers` maps each channel to the severities it takes."""
        self._journal = journal
        self._notifiers = notifiers
        self._clock = clock
        self._policy = policy
        self._standing: dict[str, Standing] | None = None  # None: the journal has not been read
        self._unwritten: list[tuple[float, AnyFact]] = []

    def look(self, trouble: str, severity: str = "critical") -> None:
        """`trouble`: why the log takes nothing, empty when it does. Cheap where nothing has changed. Raises nothing
        that the journal or a channel fails with."""
        now = self._clock.now()
        if self._standing is None:
            self._standing = self._known()
        outcome = Outcome.BREACHED if trouble else Outcome.HOLDS
        alarm = Alarm("", LOG_REFUSED, severity, TITLE, Verdict(outcome, trouble or "the log takes records again"))
        choice = decide(self._standing, alarm, now, self._policy)
        if choice.notify:
            self._standing[LOG_REFUSED] = Standing(severity, now)
            notice = self._notice(trouble, severity, now)
            self._tell(notice)
            raised = AlertRaised(
                "", LOG_REFUSED, severity, TITLE, trouble, notice.owner, notice.runbook, event_at=now
            )  # fmt: skip
            self._unwritten.append((now, raised))
        elif choice.recovered:
            del self._standing[LOG_REFUSED]
            self._unwritten.append((now, AlertQuieted("", LOG_REFUSED, choice.reason, now, recovered=True)))
        self._write()

    def _known(self) -> dict[str, Standing]:
        """What stood when an earlier controller left. A journal that cannot be read costs a repeated notice at most."""
        try:
            return standing(self._journal.read(kinds=_KINDS), "")
        except FairleadError as error:
            _LOG.warning("whether the log's alert stands is not known: %s", error.line)
            return {}

    def _notice(self, trouble: str, severity: str, now: float) -> Notice:
        runbook = self._policy.runbook(LOG_REFUSED)
        return Notice("", LOG_REFUSED, severity, TITLE, trouble, self._policy.owner, runbook, now)

    def _tell(self, notice: Notice) -> None:
        for notifier, severities in self._notifiers.items():
            if notice.severity not in severities:
                continue
            try:
                notifier.send(notice)
            except Exception as error:  # noqa: BLE001 - whatever one channel does, the others are served
                _LOG.warning("a notice on %s was not delivered: %s", notice.alert, error)

    def _write(self) -> None:
        """Journals what is not in the journal yet."""
        try:
            while self._unwritten:
                at, fact = self._unwritten[0]
                self._journal.append([fact], actor=ACTOR, at=at)
                del self._unwritten[0]
        except FairleadError:
            return  # the same disk, most likely: tried again at the next look
