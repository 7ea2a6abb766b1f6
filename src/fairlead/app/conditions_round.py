"""The controller's minute: what the settings' conditions say of each model, told and acted upon."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from fairlead.adapters.note_folder import NoteFolder
from fairlead.adapters.segment_reader import SpanTail
from fairlead.app.drift_round import DriftRound
from fairlead.app.home_round import HomeRound
from fairlead.config.alert_names import of_settings, why_unstated
from fairlead.config.watchpoints import rollback_watchpoint, stand_ins, watchpoints
from fairlead.core.alert import Alarm, standing
from fairlead.core.drift_tests import DriftWindow, TestVerdict
from fairlead.core.event import AlertQuieted, AlertRaised, Entry
from fairlead.core.genai import tokens_of
from fairlead.core.record import Prediction
from fairlead.core.verdict import Outcome
from fairlead.core.watched import HOME, TOKENS
from fairlead.core.watchpoint import Watchpoint
from fairlead.errors import StateError
from fairlead.flows.conditions import Conditions, Look, Rollback
from fairlead.flows.live import Live
from fairlead.flows.metrics_now import MetricsNow, Prices
from fairlead.flows.refusals import Asked
from fairlead.flows.respond import Responder
from fairlead.flows.telling import Telling
from fairlead.flows.unstated import alarms_of_unstated
from fairlead.flows.watch import Watch
from fairlead.operations.aims import aims
from fairlead.operations.alerts import FOLDER, NAME, ConditionState
from fairlead.operations.context import Context
from fairlead.operations.page_budget import grants

_SPANS = 10_000
_ALERTS = ("alert_raised", "alert_quieted")
_NOTE_SECONDS = 1.0  # between two notes of what all models' conditions say
_LOG = logging.getLogger("fairlead.conditions")


class ConditionsRound:
    """Every model's conditions. `watch` and `responder` give a model's, as the follow-up keeps them."""

    def __init__(
        self, context: Context, watch: Callable[[str], Watch], responder: Callable[[str], Responder], folder: Path
    ) -> None:
        """`folder` is where the settings lie."""
        self._context = context
        self._watch = watch
        self._responder = responder
        settings = context.settings
        points = (*watchpoints(settings), *stand_ins(settings))
        self._points = _of_models(points)  # of any of them
        self._home = HomeRound(context, responder, points)
        for aim in aims(context):
            if aim.missing:
                _LOG.warning("%s", aim.said)
        pipeline = settings.pipeline.rollback
        point = rollback_watchpoint(settings)
        self._rollback = None if point is None else Rollback(point, float(pipeline.within), pipeline.automatic)
        self._drift = DriftRound(context, responder, folder)
        self._notes = NoteFolder(context.home / FOLDER)
        self._seen: dict[str, list[ConditionState]] = {}
        self._tested: dict[str, list[ConditionState]] = {}  # what drift tests found last
        self._telling = Telling(_LOG)
        self._stands: dict[str, set[str]] = {}  # the alerts of each model that stand
        self._settled = False  # whether those that the settings no longer state were ended
        self._stale, self._next_note = False, 0.0  # whether the note is, and when it may be written again
        self._metrics: dict[str, MetricsNow] = {}
        self._conditions: dict[str, Conditions] = {}
        self._due: dict[str, float] = {}
        counted = any(point.condition.metric in TOKENS for point in self._points)
        self._spans = SpanTail(context.home / "log") if counted else None

    @property
    def wanted(self) -> bool:
        """Whether the settings state any condition."""
        triggers = self._context.settings.retraining.triggers
        stated = bool(self._points) or self._rollback is not None or any(one.schedule for one in triggers)
        return stated or self._home.wanted or self._drift.wanted

    def observe(self, predictions: Sequence[Prediction]) -> None:
        """Takes in the log's records."""
        if not self.wanted:
            return
        now = self._context.clock.now()
        for name, records in _by_model(predictions).items():
            self._of(name).observe(records, now)
            if self._drift.wanted:
                self._drift.observe(name, records)

    def look_at_home(self) -> bool:
        """Looks at workers and machines; whether it did."""
        self._settle(self._context.clock.now())
        looked = self._home.look()
        if looked and self._home.looks:
            self._seen[""] = [_state("", look) for look in self._home.looks]
            self._stale = True
        return looked

    def refusals(self) -> list[Asked]:
        """What workers counted of each model's requests since this was asked last."""
        return self._home.refusals.fresh()

    def due(self, name: str) -> bool:
        """Whether a model's minute has come."""
        return time.monotonic() >= self._due.get(name, 0.0) and self.wanted

    def look(self, name: str) -> bool:
        """Looks at a model's conditions, tells people, and asks for the rollbacks that are triggered."""
        self._of(name)
        self._count_tokens()
        now = self._context.clock.now()
        event_now = self._watch(name).event_now(now)
        self._tell(name, self._conditions[name].look(now, event_now), now)
        self._responder(name).on_schedule()
        if self._drift.wanted and (window := self._drift.judge(name, event_now)) is not None:
            self._tested[name] = [_tested(name, window, verdict) for verdict in window.verdicts]
        self._seen[name] = [*map(partial(_state, name), self._conditions[name].looks), *self._tested.get(name, [])]
        self._stale = True
        self._due[name] = time.monotonic() + self._conditions[name].pause(now)
        return True

    def _tell(self, name: str, alarms: Sequence[Alarm], now: float) -> None:
        """Answers the alarms. Where nothing is breached and nothing that stood is over there is no answer, and a
        thousand calm models cost no reading of their past each minute."""
        self._settle(now)
        stands = self._stands.setdefault(name, set())
        said = {(one.verdict.outcome, one.alert in stands) for one in alarms}
        if not said & {(Outcome.BREACHED, True), (Outcome.BREACHED, False), (Outcome.HOLDS, True)}:
            return
        self._answer(name, alarms, now, stands)

    def _answer(self, name: str, alarms: Sequence[Alarm], now: float, stands: set[str]) -> None:
        for entry in self._responder(name).on_alarms(alarms, now).facts:
            if isinstance(entry.fact, AlertRaised):
                stands.add(entry.fact.alert)
            elif isinstance(entry.fact, AlertQuieted):
                stands.discard(entry.fact.alert)

    def _settle(self, now: float) -> None:
        """Once: learns what stands, and ends what the settings no longer state, also of models that nobody asks."""
        if self._settled:
            return
        known: dict[str, list[Entry]] = {}
        for entry in self._context.journal.read(kinds=_ALERTS):
            known.setdefault(entry.fact.model, []).append(entry)
        for name, entries in known.items():
            stands = self._stands[name] = set(standing(entries, name))
            why = partial(why_unstated, self._context.settings, name)
            if stands and (over := alarms_of_unstated(entries, name, why, of_settings)):
                self._answer(name, over, now, stands)
        self._settled = True

    def _count_tokens(self) -> None:
        """Reads what applications told of their language models; whose it is, a trace does not say."""
        if self._spans is None:
            return
        while spans := self._spans.poll(_SPANS):
            for span in spans:
                tokens = tokens_of(span.attributes)
                for metrics in self._metrics.values() if tokens else ():
                    metrics.tokens(span.ended_at, tokens)

    def note(self) -> None:
        """Writes down what was seen, for those who ask; once a second at most. A disk that refuses is told of once, and
        changes nothing."""
        if not self._stale or time.monotonic() < self._next_note:
            return
        self._stale, self._next_note = False, time.monotonic() + _NOTE_SECONDS
        try:
            self._notes.write(NAME, msgspec.json.encode([one for seen in self._seen.values() for one in seen]))
        except StateError as error:
            self._telling.wrong("the note of the conditions", error.line)
        else:
            self._telling.right("the note of the conditions")

    def _of(self, name: str) -> MetricsNow:
        found = self._metrics.get(name)
        if found is None:
            settings = self._context.settings
            known = settings.models.get(name)
            cost = known.cost if known is not None else None
            prices = Prices() if cost is None else Prices(cost.matrix, cost.budget)
            alpha = grants(self._context, name).conditions
            live = Live(float(settings.alerting.window), alpha)
            found = self._metrics[name] = MetricsNow(name, live, prices, alpha)
            found.machines, found.refusals = self._home.machines, self._home.refusals
            unasked = stand_ins(settings, name)
            points = _of_models((*watchpoints(settings, name), *unasked))
            self._conditions[name] = Conditions(
                name, points, found, self._context.journal, self._rollback, frozenset(one.key for one in unasked)
            )
            self._watch(name).on_label = found.label
        return found


def _of_models(points: Sequence[Watchpoint]) -> tuple[Watchpoint, ...]:
    return tuple(point for point in points if point.condition.metric not in HOME)


def _state(name: str, look: Look) -> ConditionState:
    """A look, as it is shown."""
    judgement = look.judgement
    return ConditionState(
        name, look.point.key, look.point.condition.text, judgement.outcome, judgement.reason, look.at, look.version
    )


def _tested(name: str, window: DriftWindow, verdict: TestVerdict) -> ConditionState:
    """A drift test's verdict, as it is shown among the conditions."""
    test = verdict.found.test
    stated = f"{test.method} beyond {test.least:g} at p < {test.level:g}"
    return ConditionState(name, test.name, stated, verdict.outcome, verdict.reason, window.ends_at, window.version)


def _by_model(predictions: Iterable[Prediction]) -> Mapping[str, list[Prediction]]:
    found: dict[str, list[Prediction]] = {}
    for record in predictions:
        found.setdefault(record.model_name, []).append(record)
    return found
