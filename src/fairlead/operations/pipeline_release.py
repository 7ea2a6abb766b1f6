"""A pipeline's hand over its rollout: deploy, watch, let on, promote, take back.

The rollout is the controller's. This asks for it, reads what the controller journalled, and lets it on where a step is
left by hand; a pipeline that dies leaves a rollout that stands still, under the controller's guard.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from contextlib import suppress

from msgspec.structs import replace

from fairlead.config.fields import Share, Span
from fairlead.config.rollout import StepSettings
from fairlead.config.watchpoints import ROLLBACK
from fairlead.core.event import DeployRefused
from fairlead.core.listing import counted
from fairlead.core.pipeline import Done, Kind, PlannedStep, asked_by, ladder, top_share
from fairlead.core.pipeline_rollout import KINDS, Own
from fairlead.core.rollout import Phase
from fairlead.core.verdict import Outcome
from fairlead.errors import Refused, UsageError
from fairlead.operations.alerts import read_note
from fairlead.operations.context import Context
from fairlead.operations.environments import entered, promote_to
from fairlead.operations.models import resolve
from fairlead.operations.rollouts import Verb, deploy, operate

_BY = "the pipeline"
_LOOK_SECONDS = 0.2
_BEGIN_SECONDS = 5.0  # for the controller to begin what it was asked for
_BACK_SECONDS = 30.0  # for the controller to perform what was asked, and for every worker to have the route


class PipelineRelease:
    """The rollout of one run. `timeout` is how long a step waits beyond the holds of the plan."""

    def __init__(self, context: Context, run: str, version: tuple[str, int], steps: tuple[PlannedStep, ...]) -> None:
        self._context = context
        self._run = run
        self._model, self._version = version
        self._steps = steps
        self._timeout = float(context.settings.pipeline.timeout)
        self._own = Own()
        self._read = 0
        self._begun = context.clock.now()

    # -- what is known -------------------------------------------------------------------------------------------

    def look(self) -> Own:
        """The rollout as the journal has it now."""
        for entry in self._context.journal.read(self._read, model=self._model, kinds=KINDS):
            self._read = entry.seq
            self._own = self._own.after(entry.fact, self._run, self._version)
        return self._own

    def harm(self) -> str:
        """Why the run must not go on; empty while nothing speaks against its version."""
        own = self.look()
        if own.phase is Phase.ROLLED_BACK:
            return f"{own.id} was rolled back: {own.reason}"
        if not own.id or own.phase is None:
            return ""
        for seen in read_note(self._context.home)[0]:
            ours = (seen.name, seen.model, seen.version) == (ROLLBACK, self._model, self._version)
            if ours and seen.at >= self._begun and seen.outcome is Outcome.BREACHED:
                return f"pipeline.rollback.trigger is met: {seen.reason}"
        return ""

    # -- steps ---------------------------------------------------------------------------------------------------

    def perform(self, step: PlannedStep, since: float) -> Done:
        """Does one of the deploying steps."""
        match step.kind:
            case Kind.CANARY:
                return self._canary(step)
            case Kind.MONITOR:
                return self._monitor(step, since)
            case Kind.GRADUAL:
                return self._gradual()
            case Kind.FULL:
                return self._full(step)
            case _:
                return self._back()

    def _canary(self, step: PlannedStep) -> Done:
        if not self.look().id:
            self._ask(step, self._laddered())
        if self.look().share < step.amount:
            self._let_on()
        return self._until(lambda own: own.share >= step.amount and own.applied, step.amount)

    def _gradual(self) -> Done:
        plan = self._mine().plan
        assert plan is not None, "what was asked for has its plan"
        top = top_share(plan.steps)

        def there(own: Own) -> bool:
            if own.phase is Phase.PROMOTED:
                return own.applied
            return own.share >= top and own.by_hand

        if not there(self.look()):
            self._let_on()
        return self._until(there, top)

    def _full(self, step: PlannedStep) -> Done:
        if not self.look().id:
            self._ask(step, self._context)
        self._let_on()
        return self._until(lambda own: own.phase is Phase.PROMOTED and own.applied, 1.0)

    def _monitor(self, step: PlannedStep, since: float) -> Done:
        """Until its time is over. Time alone is no success: the rollout must have had what its step asks for."""
        self._mine()
        harm = self.harm()
        while not harm and self._context.clock.now() < since + step.amount:
            time.sleep(_LOOK_SECONDS)
            harm = self.harm()
        own = self.look()
        if harm:
            return Done(Outcome.BREACHED, harm)
        if own.phase is Phase.PROMOTED:
            return Done(Outcome.HOLDS, f"{own.id} is promoted, and nothing took it back in {step.amount:g} s")
        if not own.by_hand or own.decision is None:
            return Done(Outcome.UNDECIDED, f"{own.id} after {step.amount:g} s: {own.reason}")
        answered = counted(own.decision.requests.get("canary", 0), "request")
        return Done(Outcome.HOLDS, f"{own.id} answered {answered} at {own.share:.0%}, and no guardrail was broken")

    def _back(self) -> Done:
        self._mine()
        said = self.undo("a step of the pipeline")
        return Done(Outcome.HOLDS, said or "nothing of this run is rolled out")

    def undo(self, reason: str) -> str:
        """Takes the version's traffic away, waits until every worker has that, and says so; empty where it has none."""
        own = self.look()
        if not own.id or (own.refused and not own.started):
            return ""
        first = own.started and own.champion is None
        if first and own.phase is Phase.PROMOTED:
            return f"{self._name} is the first version: there is nothing to go back to"
        if own.phase is not Phase.ROLLED_BACK:
            verb: Verb = "rollback" if own.champion is not None else "abort"
            with suppress(Refused):  # it has ended just now
                operate(self._context, self._model, verb, f"{asked_by(self._run)}: {reason}", by=_BY)
        return self._backed()

    def cancel(self, reason: str) -> Done:
        """As `undo`, also of a rollout that has not begun: then nobody begins it any more. Holds where nothing of the
        run is before callers afterwards."""
        own = self._seen(lambda own: not own.id or own.started or bool(own.refused), _BEGIN_SECONDS)
        if own.id and not own.started and not own.refused:
            refused = DeployRefused(self._model, own.id, self._version, f"{asked_by(self._run)}: {reason}")
            self._context.journal.append([refused], actor=self._context.actor, at=self._context.clock.now())
            if not self._seen(lambda own: own.started, 5 * _LOOK_SECONDS).started:  # it may just have begun
                return Done(Outcome.HOLDS, f"{own.id} had not begun, and will not")
        said = self.undo(reason)
        own = self.look()
        if not said or (own.phase is Phase.ROLLED_BACK and own.applied):
            return Done(Outcome.HOLDS, said or "nothing of this run is rolled out")
        return Done(
            Outcome.BREACHED if own.phase is Phase.PROMOTED and own.champion is None else Outcome.UNDECIDED, said
        )

    def _seen(self, there: Callable[[Own], bool], seconds: float) -> Own:
        """The rollout once it is there, or after so long."""
        deadline = time.monotonic() + seconds
        own = self.look()
        while not there(own) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            own = self.look()
        return own

    def _backed(self) -> str:
        own = self._seen(lambda own: own.phase is Phase.ROLLED_BACK and own.applied, _BACK_SECONDS)
        if own.phase is not Phase.ROLLED_BACK:
            return f"{self._name}: its rollback was asked for, and nobody performed it yet: is `fairlead up` running?"
        if not own.applied:
            return f"{self._name} was rolled back; not every worker has confirmed that yet"
        return f"{self._name} was rolled back: version {own.champion} answers everything"

    # -- asking --------------------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return f"{self._model}@{self._version}"

    def _mine(self) -> Own:
        own = self.look()
        if not own.id:
            raise UsageError(f"run {self._run} has deployed nothing yet: run the stage that deploys first")
        return own

    def _laddered(self) -> Context:
        """The same home, whose rollouts take the pipeline's steps."""
        settings = self._context.settings
        steps = tuple(
            StepSettings(Share(step.traffic), Span(step.hold_seconds), step.at_least, step.manual)
            for step in ladder(settings.rollout.plan("canary").steps, self._steps)
        )
        settings = replace(settings, rollout=replace(settings.rollout, steps=steps))
        return dataclasses.replace(self._context, settings=settings, open_registry=lambda: self._context.registry)

    def _ask(self, step: PlannedStep, context: Context) -> None:
        """Asks for the rollout, once; into an environment that asks for it, the version is let in first."""
        environment = context.settings.environment
        lets_in = context.settings.gates.stepwise and environment != "dev"
        if lets_in and not entered(context, resolve(context, self._name), environment):
            promote_to(context, self._name, environment, reason=asked_by(self._run))
        deploy(context, self._name, step.strategy, asked_by(self._run))

    def _let_on(self) -> None:
        """Resumes a rollout that had what its step asks for; any other waits for its evidence, or for a person."""
        own = self.look()
        if own.by_hand and not own.asked:
            operate(self._context, self._model, "resume", asked_by(self._run), by=_BY)

    def _until(self, there: Callable[[Own], bool], share: float) -> Done:
        """Waits for a place in the rollout; what a person has to decide, or takes too long, is not decided."""
        begun = time.monotonic()
        while True:
            own = self.look()
            if own.refused:
                return Done(Outcome.BREACHED, f"{own.id} was refused: {own.refused}")
            if harm := self.harm():
                return Done(Outcome.BREACHED, harm)
            if there(own):
                return Done(Outcome.HOLDS, f"{self._name} answers {own.share:.0%} of the requests ({own.id})")
            if own.for_a_person:
                return Done(Outcome.UNDECIDED, f"{own.id} is held: {own.reason}")
            if time.monotonic() >= begun + self._allowance(own):
                return Done(Outcome.UNDECIDED, f"{own.id} has not come to {share:.0%}: {own.reason}")
            time.sleep(_LOOK_SECONDS)

    def _allowance(self, own: Own) -> float:
        """Seconds for one step: the settings' time, and what the plan's phases are held once it has begun."""
        plan = own.plan
        if plan is None or not own.started:
            return self._timeout
        shadow = 0.0 if plan.shadow is None else plan.shadow.seconds
        return self._timeout + shadow + sum(step.hold_seconds for step in plan.steps)
