from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, structs

from fairlead.config.grammar import guardrail
from fairlead.core.advance import advance, apply_operator
from fairlead.core.event import (
    GENESIS,
    AnyFact,
    Entry,
    EvidenceSeen,
    OperatorAsked,
    RolloutDecided,
    RolloutStarted,
    canonical,
)
from fairlead.core.replay import fold, replay
from fairlead.core.rollout import (
    Baseline,
    Decision,
    Evidence,
    FirstFailures,
    Phase,
    Plan,
    Rollout,
    ShadowPairs,
    ShadowPlan,
    Step,
    Units,
    start,
)
from fairlead.errors import NotFound

Begin = Callable[..., Rollout]
Traffic = Callable[..., Evidence]


def started(rollout: Rollout) -> RolloutStarted:
    raw = Raw(canonical(rollout.baseline))
    return RolloutStarted(rollout.model, rollout.id, rollout.version, "b" * 64, rollout.champion, rollout.plan, raw)


def decided(rollout: Rollout, decision: Decision) -> RolloutDecided:
    return RolloutDecided(rollout.model, rollout.id, Raw(canonical(decision)))


def numbered(facts: Sequence[tuple[float, AnyFact]]) -> list[Entry]:
    return [Entry(i, at, "controller", fact, GENESIS, GENESIS) for i, (at, fact) in enumerate(facts, start=1)]


def journal(rollout: Rollout, traffic: Traffic, verbs: dict[int, str] | None = None, **kind: object) -> list[Entry]:
    """A rollout as the flow journals it: a look a second, and an operator's verbs at some of them."""
    facts: list[tuple[float, AnyFact]] = [(0.0, started(rollout))]
    for second in range(1, 60):
        if rollout.phase in (Phase.PROMOTED, Phase.ROLLED_BACK):
            break
        now = second + 0.123456789
        cause: AnyFact
        if verbs and second in verbs:
            cause = OperatorAsked(rollout.model, verbs[second], "as planned", rollout.id)
            rollout, decision = apply_operator(rollout, verbs[second], now, "as planned")
        else:
            look = traffic(rollout, **kind)
            cause = EvidenceSeen(rollout.model, rollout.id, Raw(canonical(look)))
            rollout, decision = advance(rollout, look, now)
        facts += [(now, cause), (now, decided(rollout, decision))]
    return numbered(facts)


def small_journal() -> list[Entry]:
    """Four looks with something in every field of the evidence."""
    plan = Plan("canary", (Step(0.5, 10.0, 1000),), (guardrail("error_rate <= 1.25 * champion"),))
    rollout = start("r-1", "hotel", 3, 2, plan, Baseline(20.0, (0.5,), (0.5, 0.5)), 0.0)
    look = Evidence(
        {"canary": 21, "champion": 22},
        {"canary": 1, "champion": 2},
        {"canary": 3},
        (FirstFailures("error_rate", 0.5, 2, 1),),
        {"canary": (11, 9)},
        ShadowPairs(4, 1, 123456.12345695495605, 0.125, 1, 2),
        {"version": Units(20, 1, 3)},
    )
    return journal(rollout, lambda _: look)[:9]


def edited(entries: Sequence[Entry], position: int, change: Callable[[bytes], bytes]) -> list[Entry]:
    """The journal with the evidence of one entry changed."""
    entry = entries[position]
    assert isinstance(entry.fact, EvidenceSeen)
    fact = structs.replace(entry.fact, evidence=Raw(change(bytes(entry.fact.evidence))))
    return [*entries[:position], structs.replace(entry, fact=fact), *entries[position + 1 :]]


@pytest.mark.parametrize(
    "kind",
    [{}, {"errors": (0.02, 0.3)}, {"cells": (0.0,) * 9 + (1.0,)}],
    ids=["promoted", "rolled back by errors", "rolled back by scores"],
)
def test_a_rollout_decides_again_what_it_decided(
    begin: Begin, traffic: Traffic, shadow: ShadowPlan, kind: dict[str, object]
) -> None:
    """Every journalled decision comes out byte for byte, from start to end."""
    for rollout in (begin(), begin(shadow=shadow)):
        entries = journal(rollout, traffic, None, **kind)
        result = replay(entries, "r-1")
        assert (result.matches, result.first_difference) == (True, None)
        assert len(result.decisions) == sum(isinstance(entry.fact, RolloutDecided) for entry in entries)
        assert result.final.phase is result.decisions[-1].after
        assert result.digest == replay(entries, "r-1").digest


def test_an_operators_hand_is_replayed_too(begin: Begin, traffic: Traffic) -> None:
    """Pause, resume and promote are facts like the evidence."""
    result = replay(journal(begin(), traffic, {3: "pause", 7: "resume", 9: "promote"}), "r-1")
    assert result.matches
    assert result.final.phase is Phase.PROMOTED


def test_an_edited_count_is_found_and_named(begin: Begin, traffic: Traffic) -> None:
    """One canary request more in the journal than was seen: the first differing field and its entries are named."""
    entries = journal(begin(), traffic)
    look = Evidence(requests={"canary": 1})
    result = replay(edited(entries, 3, lambda _: canonical(look)), "r-1")
    assert not result.matches
    assert result.first_difference is not None
    assert result.first_difference.startswith("the decision in entry 5, from the evidence in entry 4: ")


@given(st.data())
@settings(max_examples=60)
def test_no_edited_byte_of_the_evidence_goes_unseen(data: st.DataObject) -> None:
    """Any other byte anywhere in any evidence: the replay does not match, and never crashes."""
    entries = small_journal()
    looks = [i for i, entry in enumerate(entries) if isinstance(entry.fact, EvidenceSeen)]
    position = data.draw(st.sampled_from(looks))
    fact = entries[position].fact
    assert isinstance(fact, EvidenceSeen)
    content = bytes(fact.evidence)
    at = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(33, 126).filter(lambda byte: byte != content[at]))
    changed = content[:at] + bytes([byte]) + content[at + 1 :]
    result = replay(edited(entries, position, lambda _: changed), "r-1")
    assert not result.matches
    assert result.first_difference


def test_an_edited_decision_is_found(begin: Begin, traffic: Traffic) -> None:
    """A decision that says something else than the evidence does is named with both values."""
    entries = journal(begin(), traffic)
    fact = entries[2].fact
    assert isinstance(fact, RolloutDecided)
    changed = bytes(fact.decision).replace(b'"share":0.05', b'"share":0.5')
    entries[2] = structs.replace(entries[2], fact=structs.replace(fact, decision=Raw(changed)))
    result = replay(entries, "r-1")
    assert result.first_difference == (
        "the decision in entry 3, from the evidence in entry 2: share was 0.5 and comes out as 0.05"
    )


def test_evidence_that_was_dropped_or_never_decided_is_found(begin: Begin, traffic: Traffic) -> None:
    """A missing evidence, a missing decision and an end without one are differences."""
    entries = journal(begin(), traffic)
    assert (
        replay([*entries[:3], *entries[4:]], "r-1").first_difference == "the decision in entry 5 follows from nothing"
    )
    never = "the evidence in entry 4 was never decided"
    assert replay([*entries[:4], *entries[5:]], "r-1").first_difference == never
    assert replay(entries[:4], "r-1").first_difference == never


def test_an_unknown_rollout_is_not_found(begin: Begin, traffic: Traffic) -> None:
    """An id that never started is an error that says where to look."""
    with pytest.raises(NotFound, match="'r-9'"):
        replay(journal(begin(), traffic), "r-9")


def test_other_rollouts_and_open_requests_do_not_disturb(begin: Begin, traffic: Traffic) -> None:
    """Facts of other rollouts, and requests that no rollout has taken up, are passed over."""
    entries = journal(begin(), traffic)
    other = structs.replace(begin(), id="r-0", model="churn")
    noise: list[tuple[float, AnyFact]] = [
        (0.0, started(other)),
        (0.5, OperatorAsked("hotel", "pause")),
        (0.5, OperatorAsked("hotel", "pause", "refused: no", rollout="")),
        (0.6, EvidenceSeen("churn", "r-0", Raw(canonical(Evidence())))),
    ]
    mixed = numbered([(entry.at, entry.fact) for entry in entries[:1]] + noise + [(e.at, e.fact) for e in entries[1:]])
    assert replay(mixed, "r-1").matches
    assert set(fold(mixed, "hotel")) == {"r-1"}


def test_a_restart_knows_what_was_known(begin: Begin, traffic: Traffic) -> None:
    """Folding the journal gives the state that the next look must start from."""
    entries = journal(begin(), traffic, {3: "pause"})
    for length in range(1, len(entries) + 1, 2):
        known = fold(entries[:length], "hotel")["r-1"]
        assert known == replay(entries[:length], "r-1").final


def test_who_asked_is_replayed_too(begin: Begin) -> None:
    """A decision that says who asked follows from the request that says so, and from no other."""
    rollout = begin()
    after, decision = apply_operator(rollout, "pause", 1.0, "it leaks", "the controller")
    asked = OperatorAsked("hotel", "pause", "it leaks", "r-1", by="the controller")
    told: list[tuple[float, AnyFact]] = [(0.0, started(rollout)), (1.0, asked), (1.0, decided(after, decision))]
    assert replay(numbered(told), "r-1").matches
    told[1] = 1.0, structs.replace(asked, by="")
    again = replay(numbered(told), "r-1")
    assert not again.matches
    assert "the controller asked to pause" in str(again.first_difference)


def test_a_request_of_an_operator_is_written_as_before() -> None:
    """Nobody's name is no field: what was journalled before there was one is the same text."""
    assert canonical(OperatorAsked("hotel", "pause")) == b'{"kind":"operator_asked","model":"hotel","verb":"pause"}'


def test_what_was_journalled_stands_after_a_restart(begin: Begin, traffic: Traffic) -> None:
    """Where deciding again would differ, the fold follows what was done: the routes already did."""
    rollout = begin()
    look = traffic(rollout)
    after, _ = advance(rollout, look, 1.0)
    aborted, decision = apply_operator(rollout, "abort", 1.0)
    entries = numbered(
        [
            (0.0, started(rollout)),
            (1.0, EvidenceSeen("hotel", "r-1", Raw(canonical(look)))),
            (1.0, decided(aborted, decision)),
        ]
    )
    assert after.phase is Phase.CANARY
    assert fold(entries, "hotel")["r-1"].phase is Phase.ROLLED_BACK
    assert not replay(entries, "r-1").matches
