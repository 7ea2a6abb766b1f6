"""Which versions a rollback trigger may take back, as the journal tells."""

from __future__ import annotations

import msgspec

from fairlead.core.event import AnyFact, RolloutDecided, RolloutStarted, canonical
from fairlead.core.rollout import Call, Decision, Phase, Plan
from fairlead.core.takeback import Releases
from fairlead.testing.journal import MemoryJournal

DAY = 86_400.0


def started(rollout: str, version: int, champion: int | None) -> RolloutStarted:
    """A rollout began."""
    return RolloutStarted("hotel", rollout, version, "b", champion, Plan("canary", (), ()), msgspec.Raw(b"{}"))


def moved(rollout: str, before: Phase, after: Phase) -> RolloutDecided:
    """It went from one phase to another."""
    decision = Decision(rollout, 0.0, Call.SAFE, before, after, 0, 0.5, (), None, "", "")
    return RolloutDecided("hotel", rollout, msgspec.Raw(canonical(decision)))


def after(*facts: tuple[float, AnyFact]) -> Releases:
    """What the journal tells, fact by fact."""
    journal, found = MemoryJournal(), Releases()
    for at, fact in facts:
        found = found.after(journal.append([fact], actor="controller", at=at))
    return found


FIRST = ((0.0, started("r1", 1, None)), (1.0, moved("r1", Phase.CANARY, Phase.PROMOTED)))
SECOND = ((10.0, started("r2", 2, 1)), (20.0, moved("r2", Phase.CANARY, Phase.PROMOTED)))


def versions(found: Releases, now: float, within: float = DAY) -> list[int]:
    """The versions that may be taken back."""
    return [one.version for one in found.takeable(now, within)]


def test_a_rollout_may_be_taken_back_in_every_phase_before_its_end() -> None:
    """Seen, unseen, or held."""
    assert versions(after(*FIRST, SECOND[0]), 11.0) == [2]
    assert versions(after(*FIRST, SECOND[0], (12.0, moved("r2", Phase.CANARY, Phase.HELD))), 10 * DAY) == [2]
    assert versions(after(*FIRST, SECOND[0], (12.0, moved("r2", Phase.CANARY, Phase.ROLLED_BACK))), 13.0) == []


def test_a_promoted_one_only_for_a_while_and_only_where_there_is_a_way_back() -> None:
    """The first version has none."""
    assert versions(after(*FIRST), 2.0) == []
    assert versions(after(*FIRST, *SECOND), 20.0 + DAY) == [2]
    assert versions(after(*FIRST, *SECOND), 21.0 + DAY) == []


def test_who_was_promoted_before_serves_no_more() -> None:
    """Two promotions within the window: only the last can be taken back."""
    third = ((30.0, started("r3", 3, 2)), (40.0, moved("r3", Phase.CANARY, Phase.PROMOTED)))
    assert versions(after(*FIRST, *SECOND, *third), 41.0) == [3]


def test_looks_that_change_nothing_change_nothing() -> None:
    """The promotion's instant stays, and a rollout that began before the journal was read is passed over."""
    look = moved("r2", Phase.PROMOTED, Phase.PROMOTED)
    assert versions(after(*FIRST, *SECOND, (DAY, look)), 30.0 + DAY) == []
    assert after((0.0, look)).known == {}
