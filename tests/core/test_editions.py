"""What was decided is replayed by the rules that it was decided by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fairlead.core.event import Entry, RolloutStarted
from fairlead.core.replay import fold, replay
from fairlead.core.rollout import EDITION, Phase, Plan, Step

RECORDED = Path(__file__).parent / "recorded"
# What the controller that wrote each journal computed, over all decisions of each rollout.
DIGESTS = {
    "r1": "79c25d8b69b6575868f10570e87e9d7f987fe8c1e57ffa73dd494e1f38a720da",
    "r2": "c1865da333b9a84f10bc4d41d7684d08557d725458f6064d02a37d8478030e58",
    "r3": "20ce33ac3cb7b8f78471dddfe3fc8dd24a3493e22d5844f8d627568bfa9f40ac",
    "r-equal": "7ba5fc25a179c958229f4f4af0fb655d5ad547917b632886ed1a8fbc66af697a",
    "r-slower": "2c04ff16d69e5e48566f3709dc6249b60f2001cda3517c7c4807089594336254",
    "r-moved": "d07f474aa3c210e6ad65a0fcf0174ae1a037fb8221c3f755ca0ca03ae93d12a6",
}


def entries(edition: int = 1) -> Iterator[Entry]:
    """A recorded journal's entries about rollouts. The first edition's: a first version, a shadow with a pause, and a
    rollback; the second's: an equal version, one that is slower, and one whose scores moved."""
    recorded = RECORDED / f"edition-{edition}.jsonl"
    return (msgspec.json.decode(line, type=Entry) for line in recorded.read_bytes().splitlines())


@pytest.mark.parametrize("rollout", DIGESTS)
def test_a_journal_of_an_earlier_edition_replays_byte_for_byte(rollout: str) -> None:
    """Decisions of plans that had no events and another forecast, or other tests of latency and scores, come out as
    they were written."""
    found = replay(entries(2 if rollout.startswith("r-") else 1), rollout)
    assert found.matches, found.first_difference
    assert found.digest == DIGESTS[rollout]


def test_its_rollouts_stand_where_they_stood() -> None:
    """Two were promoted, one was rolled back, under plans of the first edition; one and two under the second's."""
    states = fold(entries(), "hotel")
    assert {name: state.phase for name, state in states.items()} == {
        "r1": Phase.PROMOTED,
        "r2": Phase.PROMOTED,
        "r3": Phase.ROLLED_BACK,
    }
    assert {state.plan.edition for state in states.values()} == {1}
    later = fold(entries(2), "hotel")
    assert {name: state.phase for name, state in later.items()} == {
        "r-equal": Phase.PROMOTED,
        "r-slower": Phase.ROLLED_BACK,
        "r-moved": Phase.ROLLED_BACK,
    }
    assert {state.plan.edition for state in later.values()} == {2}


def test_a_plan_that_names_no_edition_is_of_the_first() -> None:
    """Plans were written before there were editions; new ones are of the newest."""
    started = next(entry.fact for entry in entries() if isinstance(entry.fact, RolloutStarted))
    tree = msgspec.to_builtins(started.plan)
    for name in ("edition", "segments"):
        tree.pop(name, None)
    for rule in tree["guardrails"]:
        rule.pop("lower"), rule.pop("margin")
    assert msgspec.convert(tree, Plan) == started.plan
    assert started.plan.edition == 1 < EDITION
    assert Plan("canary", (Step(1.0),), ()).edition == 1
