"""Units of both arms by their first latency and score, with the odds that they were dealt at."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, structs

from fairlead.config.grammar import guardrail
from fairlead.core.evidence import less, merge
from fairlead.core.record import Prediction
from fairlead.core.rollout import Baseline, Dealt, Evidence, Plan, Rollout, ShadowPlan, Step, start
from fairlead.core.route import place
from fairlead.core.split import By, Split
from fairlead.flows import evidence_dealt
from fairlead.flows.evidence import Collector
from fairlead.stats.sequential.scaled_latency import latency_cell

STEPS = (Step(0.1), Step(0.5), Step(1.0))
LATENCY, SHIFT = "p99_latency <= 2 * champion", "score_shift <= 20%"
BASE = Baseline(20.0, (0.4, 0.6), (0.3, 0.4, 0.3))
FAST, SLOW = latency_cell(10.0), latency_cell(40.0)


def begun(*rules: str, **plan: object) -> Rollout:
    """A rollout of version 2 over version 1 that began at instant 100."""
    made = Plan("canary", STEPS, tuple(guardrail(rule) for rule in rules), edition=3)
    return start("r", "hotel", 2, 1, structs.replace(made, **plan), BASE, 100.0)


def answer(unit: str, at: float, share: float, *, canary: bool, request: str = "", **more: object) -> Prediction:
    """An answer in 10 ms with a score of 0.5, while the canary held a share."""
    arm, version, chance = ("canary", 2, share) if canary else ("champion", 1, 1.0 - share)
    name = request or f"{unit}/{at}"
    record = Prediction(name, "hotel", version, arm, unit, chance, at, at, Raw(b"{}"), 0, 0.5, 10.0, rollout="r")
    return structs.replace(record, **more)


def dealt(rollout: Rollout, answers: Sequence[Prediction]) -> tuple[Dealt, ...]:
    """What a collector makes of them."""
    collector = Collector(rollout)
    collector.add(answers)
    return collector.total().dealt or ()


def test_units_are_counted_by_their_first_answer() -> None:
    """A heavy user is one unit; the canary's latency is divided by what the bound allows."""
    answers = [answer("a", 110.0 + n, 0.1, canary=True, latency_ms=80.0 if n == 0 else 1.0) for n in range(1000)]
    answers.append(answer("b", 110.0, 0.1, canary=False, latency_ms=40.0))
    block = 4
    assert dealt(begun(LATENCY), answers) == (Dealt("p99_latency", block, 0.1, ((SLOW, 1),), ((SLOW, 1),)),)


def test_scores_are_counted_on_the_versions_cells_on_both_arms() -> None:
    """By the first answer that has one: a failed answer has none, and is no second draw."""
    answers = [
        answer("a", 110.0, 0.1, canary=True, status=500, score=None),
        answer("a", 111.0, 0.1, canary=True, score=0.9),
        answer("a", 112.0, 0.1, canary=True, score=0.1),
        answer("b", 110.0, 0.1, canary=False, score=0.4),
    ]
    assert dealt(begun(SHIFT), answers) == (Dealt("score_shift", 0, 0.1, ((1, 1),), ((2, 1),)),)


def test_a_unit_that_comes_back_at_a_larger_share_is_dealt_anew() -> None:
    """Of what 10 % left to the champion 50 % takes 4 in 9; who had the version keeps it, which compares nothing, also
    where it had no score at first."""
    answers = [
        answer("a", 110.0, 0.1, canary=False),
        answer("a", 210.0, 0.5, canary=True),
        answer("b", 110.0, 0.1, canary=True, status=500, score=None),
        answer("b", 210.0, 0.5, canary=True),
    ]
    found = dealt(begun(SHIFT), answers)
    assert found == (
        Dealt("score_shift", 0, 0.1, ((1, 1),)),
        Dealt("score_shift", 0, round(4 / 9, 12), (), ((1, 1),)),
    )


def test_requests_that_are_dealt_one_by_one_keep_their_odds() -> None:
    """Under a split by request a unit's earlier arm says nothing of the next."""
    answers = [answer("a", 110.0, 0.1, canary=True), answer("a", 210.0, 0.5, canary=False)]
    found = dealt(begun(SHIFT, split=Split(By.REQUEST)), answers)
    assert [(one.share, one.champion, one.canary) for one in found] == [(0.1, (), ((1, 1),)), (0.5, ((1, 1),), ())]


def test_what_the_champion_answers_while_the_version_is_unseen_helps_to_know_it() -> None:
    """Its latency is kept with a share of 0, which compares nothing; shadow answers are nobody's."""
    rollout = begun(LATENCY, SHIFT, shadow=ShadowPlan(1.0, 1))
    answers = [
        answer("a", 100.5, 0.0, canary=False),
        answer("a", 100.5, 1.0, canary=False, arm="shadow", model_version=2),
    ]
    assert dealt(rollout, answers) == (Dealt("p99_latency", 0, 0.0, ((FAST, 1),)),)


@pytest.mark.parametrize("changes", [{"rollout": "other"}, {"model_version": 7}, {"arm": "pinned"}])
def test_what_was_not_dealt_by_the_rollout_is_no_evidence(changes: dict[str, Any]) -> None:
    """Of another rollout, of a pinned version, under another arm."""
    assert dealt(begun(LATENCY, SHIFT), [answer("a", 110.0, 0.1, canary=True, **changes)]) == ()


@pytest.mark.parametrize(
    ("rules", "plan"),
    [
        ((LATENCY, SHIFT), {"edition": 2}),
        (("p99_latency <= 200ms", "error_rate <= 5%"), {}),
        ((LATENCY,), {"steps": (Step(1.0),)}),
    ],
)
def test_plans_that_do_not_need_it_keep_none(rules: tuple[str, ...], plan: dict[str, object]) -> None:
    """Those of earlier editions, with a bound in milliseconds, without a champion beside the version."""
    assert dealt(begun(*rules, **plan), [answer("a", 110.0, 0.1, canary=True)]) == ()


def test_what_is_remembered_of_units_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many units a new one is not counted; a known one is."""
    monkeypatch.setattr(evidence_dealt, "_UNITS", 2)
    answers = [answer(unit, 110.0, 0.1, canary=True) for unit in "abc"]
    answers.append(answer("a", 105.0, 0.1, canary=True, score=0.9))
    assert dealt(begun(SHIFT), answers) == (Dealt("score_shift", 0, 0.1, (), ((1, 1), (2, 1))),)


some_answers = st.lists(
    st.builds(
        lambda unit, at, share, request, took, score: answer(
            unit,
            float(at),
            share,
            canary=place("r", unit) < share,
            request=f"q{request}",
            latency_ms=took,
            score=score,
            status=200 if score is not None else 500,
        ),
        st.sampled_from("abc"),
        st.integers(95, 130),
        st.sampled_from([0.0, 0.1, 0.5, 1.0]),
        st.integers(0, 3),
        st.sampled_from([0.0, 10.0, 40.0]),
        st.sampled_from([None, 0.1, 0.5, 0.9]),
    ),
    max_size=14,
)


@given(some_answers, st.randoms(use_true_random=False), st.integers(0, 14))
@settings(max_examples=200, deadline=None)
def test_the_order_of_reading_does_not_matter(answers: list[Prediction], shuffled: Random, cut: int) -> None:
    """Whatever is read first, or after a look in between: the total is the same, and less gives the rest."""
    whole = dealt(begun(LATENCY, SHIFT), answers)
    collector, seen = Collector(begun(LATENCY, SHIFT)), Evidence()
    mixed = list(answers)
    shuffled.shuffle(mixed)
    for number, one in enumerate(mixed):
        collector.add([one])
        if number == cut:
            seen = collector.total()
    assert (collector.total().dealt or ()) == whole
    assert merge(seen, less(collector.total(), seen)).dealt == collector.total().dealt
    assert less(collector.total(), collector.total()).dealt == Evidence().dealt
