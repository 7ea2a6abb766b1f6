"""Replay: the journal's evidence, decided again.

`advance` is pure, so folding the journalled evidence through it must give every journalled decision again, byte for
byte. Each decision carries a digest of the evidence it was taken on, so no edit of the evidence can go unseen.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct, structs

from fairlead.core.advance import advance, apply_operator
from fairlead.core.after import AfterState, PromotionDecision, PromotionEvidence, begin, watch
from fairlead.core.difference import first_difference
from fairlead.core.event import (
    Entry,
    EvidenceSeen,
    OperatorAsked,
    PromotionDecided,
    PromotionSeen,
    RolloutDecided,
    RolloutStarted,
    canonical,
)
from fairlead.core.rollout import Baseline, Decision, Evidence, Phase, Rollout, start
from fairlead.errors import FairleadError, NotFound, StateError


class Replay(Struct, frozen=True):
    """A rollout decided again. `digest` is the SHA-256 of the recomputed decisions, each with a line end: those of the
    rollout, then those of the watch over its promotion."""

    decisions: tuple[Decision, ...]
    matches: bool
    first_difference: str | None
    final: Rollout
    digest: str
    promotion: tuple[PromotionDecision, ...] = ()
    watched: AfterState | None = None


def replay(entries: Iterable[Entry], rollout_id: str) -> Replay:
    """Decides a rollout again from its facts among `entries` (in order). Raises `NotFound` where it never started."""
    run: _Run | None = None
    for entry in entries:
        run = _taken(run, entry, rollout_id)
    if run is None:
        raise NotFound(f"no rollout {rollout_id!r} was started in this journal: list them with `fairlead rollout`")
    if run.cause is not None:
        run.differs(f"{_name(run.cause)} was never decided")
    again = [*run.decisions, *run.promotion]
    digest = sha256(b"".join(canonical(decision) + b"\n" for decision in again)).hexdigest()
    matches = run.difference is None
    promotion = tuple(run.promotion)
    return Replay(tuple(run.decisions), matches, run.difference, run.state, digest, promotion, run.after)


def fold(entries: Iterable[Entry], model: str) -> dict[str, Rollout]:
    """Every rollout of a model as it stands, by id: what a controller knows after a restart.

    What was journalled is what was done, so its phase and step stand, even where deciding again differs.
    """
    runs: dict[str, _Run] = {}
    for entry in entries:
        fact = entry.fact
        if fact.model != model or not isinstance(fact, _FACTS) or not fact.rollout:
            continue
        run = _taken(runs.get(fact.rollout), entry, fact.rollout)
        if run is None:
            continue
        runs[fact.rollout] = run
        if isinstance(fact, RolloutDecided):
            run.follow(_read(fact.decision, Decision, entry), entry.at)
    return {rollout: run.state for rollout, run in runs.items()}


_T = TypeVar("_T")
_FACTS = (RolloutStarted, EvidenceSeen, OperatorAsked, RolloutDecided, PromotionSeen, PromotionDecided)


class _Run:
    """One rollout being decided again: its state, and the fact that the next decision answers."""

    def __init__(self, state: Rollout) -> None:
        self.state = state
        self.cause: Entry | None = None
        self.decisions: list[Decision] = []
        self.promotion: list[PromotionDecision] = []
        self.after: AfterState | None = None
        self.difference: str | None = None

    def differs(self, difference: str) -> None:
        """Notes a difference; only the first is kept."""
        self.difference = self.difference or difference

    def asks(self, entry: Entry) -> None:
        """Takes in what a decision will follow from."""
        if self.cause is not None:
            self.differs(f"{_name(self.cause)} was never decided")
        self.cause = entry

    def decides(self, entry: Entry, journalled: Raw) -> None:
        """Decides again, and compares."""
        cause, self.cause = self.cause, None
        if cause is None:
            self.differs(f"{_name(entry)} follows from nothing")
            return
        if isinstance(cause.fact, PromotionSeen):
            self.differs(f"{_name(cause)} was decided as a rollout's")
            return
        try:
            self.state, decision = _again(self.state, cause, entry.at)
        except FairleadError as error:
            self.differs(f"{_name(cause)} cannot be decided: {error.line}")
            return
        self.decisions.append(decision)
        again = canonical(decision)
        if again != bytes(journalled):
            self.differs(f"{_name(entry)}, from {_name(cause)}: {first_difference(bytes(journalled), again)}")
        if self.after is None and self.state.phase is Phase.PROMOTED:
            self.after = begin(self.state, entry.at)

    def decides_after(self, entry: Entry, journalled: Raw) -> None:
        """Decides again what the watch over a promotion did, and compares."""
        cause, self.cause = self.cause, None
        if cause is None or not isinstance(cause.fact, PromotionSeen) or self.after is None:
            self.differs(f"{_name(entry)} follows from no watch over a promotion")
            return
        evidence = _read(cause.fact.evidence, PromotionEvidence, cause)
        if canonical(evidence) != bytes(cause.fact.evidence):
            raise StateError(f"{_name(cause)} is not in canonical form: it was edited after it was written")
        self.after, decision = watch(self.after, evidence, entry.at)
        self.promotion.append(decision)
        again = canonical(decision)
        if again != bytes(journalled):
            self.differs(f"{_name(entry)}, from {_name(cause)}: {first_difference(bytes(journalled), again)}")

    def follow(self, decision: Decision, at: float) -> None:
        """Goes where the journalled decision went."""
        if (self.state.phase, self.state.step) != (decision.after, decision.step):
            self.state = structs.replace(
                self.state, phase=decision.after, step=decision.step, phase_at=at, step_requests=0
            )


def _taken(run: _Run | None, entry: Entry, rollout_id: str) -> _Run | None:
    fact = entry.fact
    if not isinstance(fact, _FACTS) or fact.rollout != rollout_id:
        return run
    if isinstance(fact, RolloutStarted):
        return _Run(_started(fact, entry))
    if run is None:
        return None
    if isinstance(fact, RolloutDecided):
        run.decides(entry, fact.decision)
    elif isinstance(fact, PromotionDecided):
        run.decides_after(entry, fact.decision)
    else:
        run.asks(entry)
    return run


def _started(fact: RolloutStarted, entry: Entry) -> Rollout:
    baseline = _read(fact.baseline, Baseline, entry)
    return start(fact.rollout, fact.model, fact.version, fact.champion, fact.plan, baseline, entry.at)


def _again(state: Rollout, cause: Entry, now: float) -> tuple[Rollout, Decision]:
    fact = cause.fact
    if isinstance(fact, OperatorAsked):
        return apply_operator(state, fact.verb, now, fact.reason, fact.by)
    assert isinstance(fact, EvidenceSeen)
    evidence = _read(fact.evidence, Evidence, cause)
    # Two texts can decode to one number: only the canonical one can have been written.
    if canonical(evidence) != bytes(fact.evidence):
        raise StateError(f"{_name(cause)} is not in canonical form: it was edited after it was written")
    return advance(state, evidence, now)


def _read(raw: Raw, kind: type[_T], entry: Entry) -> _T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(f"{_name(entry)} cannot be read: {error}") from error


def _name(entry: Entry) -> str:
    what = {RolloutStarted: "start", EvidenceSeen: "evidence", OperatorAsked: "request", RolloutDecided: "decision"}
    what |= {PromotionSeen: "evidence", PromotionDecided: "decision"}
    return f"the {what.get(type(entry.fact), 'fact')} in entry {entry.seq}"
