"""Which versions a rollback trigger may take back: those that a rollout gives traffic to, and one that was promoted
lately and still serves. Never one that has served for long: then the trigger speaks of the world, not of a release."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.event import Entry, RolloutDecided, RolloutStarted
from fairlead.core.rollout import Phase

KINDS = ("rollout_started", "rollout_decided")


class Released(Struct, frozen=True):
    """A version in, or after, its rollout. `since` is when it came into its phase (the journal's clock); `champion` the
    version that it would go back to."""

    rollout: str
    version: int
    champion: int | None
    phase: Phase
    since: float


class _Move(Struct, frozen=True):
    before: Phase
    after: Phase


class Releases(Struct, frozen=True):
    """One model's rollouts, folded: the latest of each version."""

    known: dict[str, Released] = {}

    def after(self, entries: Iterable[Entry]) -> Releases:
        """The same with some later facts of the journal."""
        known = dict(self.known)
        for entry in entries:
            fact = entry.fact
            if isinstance(fact, RolloutStarted):
                known[fact.rollout] = Released(fact.rollout, fact.version, fact.champion, Phase.SHADOW, entry.at)
            elif isinstance(fact, RolloutDecided) and fact.rollout in known:
                known = _moved(known, fact, entry.at)
        return Releases(known)

    def takeable(self, now: float, within: float) -> tuple[Released, ...]:
        """Those that may be taken back at an instant, `within` seconds of their promotion at the latest."""
        return tuple(
            one
            for one in self.known.values()
            if one.phase in (Phase.SHADOW, Phase.CANARY, Phase.HELD)
            or (one.phase is Phase.PROMOTED and one.champion is not None and now - one.since <= within)
        )

    @property
    def champion(self) -> int | None:
        """The version that was promoted last, as far as rollouts tell."""
        promoted = [one for one in self.known.values() if one.phase is Phase.PROMOTED]
        return max(promoted, key=lambda one: one.since).version if promoted else None


def _moved(known: dict[str, Released], fact: RolloutDecided, at: float) -> dict[str, Released]:
    move = msgspec.json.decode(fact.decision, type=_Move)
    one = known[fact.rollout]
    if move.after is one.phase:
        return known
    after = {**known, fact.rollout: replace(one, phase=move.after, since=at)}
    if move.after is Phase.PROMOTED:  # who was promoted before serves no more: there is nothing to take back
        return {name: each for name, each in after.items() if name == fact.rollout or each.phase is not Phase.PROMOTED}
    if move.after is Phase.ROLLED_BACK:
        del after[fact.rollout]
    return after
