"""Unfit replicas: what workers say of the versions they serve, and what that asks for.

What it asks for is a fact that the release loop performs like an operator's wish, under the controller's name. A
version in a rollout is aborted, one that was promoted lately goes back to its predecessor; where there is nothing to go
back to, the fact alone is journalled and people are told (`flows.golden_alarm`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fairlead.core.advance import CONTROLLER
from fairlead.core.event import AnyFact, Entry, GoldenTested, OperatorAsked
from fairlead.core.rollout import Phase
from fairlead.flows.release_state import ModelState, Track
from fairlead.flows.vital_signs import VitalSigns
from fairlead.ports import WorkerState

LOAD_SECONDS = 5.0  # a worker that still reports an error this long after a table was published will not get over it
TAKE_BACK_SECONDS = 7 * 86_400.0  # after its promotion a version may be taken back, where its plan does not say

Models = Mapping[str, ModelState]
_Tested = tuple[str, int, int]  # model, version, worker


class Replicas:
    """Folds what the journal says of replicas, and says what is to be written next."""

    def __init__(self, signs: VitalSigns | None = None) -> None:
        """Without `signs` nothing is known of what processes take and how they end."""
        self._signs = signs
        self._wrong: set[_Tested] = set()  # journalled as answering golden rows otherwise
        self._asked: set[tuple[str, str]] = set()  # verb and rollout: asked for in the journal

    def fold(self, entry: Entry) -> None:
        """Takes one fact of the journal in."""
        fact = entry.fact
        if self._signs is not None:
            self._signs.fold(entry)
        if isinstance(fact, GoldenTested):
            place = fact.model, fact.version, fact.worker
            self._wrong = self._wrong - {place} if fact.holds else self._wrong | {place}
        elif isinstance(fact, OperatorAsked) and fact.rollout is None:
            self._asked.add((fact.verb, fact.seen))

    def tested(self, models: Models, workers: Sequence[WorkerState]) -> list[AnyFact]:
        """What changed in the golden tests since the journal was told. Workers of one number on several machines are
        told of together: wrong where one of them is."""
        found: dict[_Tested, str] = {}
        for state in workers:
            for one in state.golden:
                place = one.model, one.version, state.worker
                found[place] = found.get(place, "") or ("" if one.holds else one.reason)
        return [
            GoldenTested(model, version, worker, not reason, reason)
            for (model, version, worker), reason in sorted(found.items())
            if bool(reason) is not ((model, version, worker) in self._wrong) and model in models
        ]

    def asks(self, models: Models, workers: Sequence[WorkerState], now: float) -> list[OperatorAsked]:
        """The rollouts that are to end, each asked for once; of a model one after the other."""
        asked = []
        reasons = self._signs.reasons(models, now) if self._signs is not None else {}
        for name, model in models.items():
            if model.requests:
                continue
            found = (*_unloadable(name, model, workers, now), *_unfit(name, model, workers, reasons, now))
            asked += [one for one in found if (one.verb, one.seen) not in self._asked][:1]
        return asked


def _unloadable(name: str, model: ModelState, workers: Sequence[WorkerState], now: float) -> Iterator[OperatorAsked]:
    """Of a version that a worker cannot load: traffic that cannot reach it proves nothing."""
    rollout = model.running
    failing = next((state for state in workers if name in state.errors), None)
    if rollout is None or failing is None or now - rollout.phase_at < LOAD_SECONDS:
        return
    reason = f"worker {failing.worker} cannot serve {name} as routed: {failing.errors[name]}"
    among = rollout.plan.among
    yield OperatorAsked(name, "abort", reason, seen=rollout.id if among is None else among.group, by=CONTROLLER)


def _unfit(
    name: str, model: ModelState, workers: Sequence[WorkerState], reasons: Mapping[str, str], now: float
) -> Iterator[OperatorAsked]:
    """Of a version that answers its golden rows otherwise than it was registered with, or harms its processes."""
    wrong = wrong_of(name, workers)
    for track in model.tracks:
        version = track.rollout.version
        reason = wrong.get(version) or reasons.get(track.rollout.id)
        if reason and (verb := _verb(model, track, wrong, now)):
            yield OperatorAsked(name, verb, reason, seen=track.rollout.id, by=CONTROLLER)


def _verb(model: ModelState, track: Track, wrong: Mapping[int, str], now: float) -> str:
    """What ends a version's traffic; nothing where it has none, or nobody is better."""
    rollout = track.rollout
    if track.runs:
        return "abort"
    serves = rollout.phase is Phase.PROMOTED and model.champion == rollout.version
    after = rollout.plan.after
    lately = now - rollout.phase_at <= (TAKE_BACK_SECONDS if after is None else after.seconds)
    return "rollback" if serves and lately and rollout.champion not in (None, *wrong) else ""


def wrong_of(name: str, workers: Sequence[WorkerState]) -> dict[int, str]:
    """The versions of a model whose golden rows some worker finds answered otherwise, with one reason each."""
    return {
        one.version: f"version {one.version} of {name} fails its golden set on worker {state.worker}: {one.reason}"
        for state in workers
        for one in state.golden
        if one.model == name and not one.holds
    }
