"""Outcomes joined to the arms of a rollout: which answers count, and that the order of reading does not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.config.grammar import guardrail
from fairlead.core.guard_outcome import pair_share
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.rollout import Baseline, Plan, Rollout, Step, ValueCounts, start
from fairlead.flows.evidence_outcomes import OutcomeCollector, loss

RULES = ("accuracy >= champion - 2%", "auroc >= 0.98 * champion", "brier <= 1.1 * champion")
BINARY = Baseline(None, (), (), positive="1")


def rollout(*rules: str, baseline: Baseline = BINARY, edition: int = 3) -> Rollout:
    """One that began at 0 s."""
    plan = Plan("canary", (Step(0.5), Step(1.0)), tuple(guardrail(rule) for rule in rules), edition=edition)
    return start("r2", "hotel", 2, 1, plan, baseline, 0.0)


def answer(unit: str, at: float, *, canary: bool, score: float = 0.5, status: int = 200) -> Prediction:
    """An answer, whose request is named after its unit and time."""
    said = int(score >= 0.5) if status == 200 else None
    return Prediction(
        f"{unit}@{at:g}", "hotel", 2 if canary else 1, "canary" if canary else "champion", unit, 0.5, at, at,
        Raw(b"{}"), said, score if status == 200 else None, 1.0, status=status, rollout="r2",
    )  # fmt: skip


def truth(unit: str, at: float, outcome: float | str, told: float) -> OutcomeRecord:
    """What became of that."""
    return OutcomeRecord(f"{unit}@{at:g}", outcome, told, told)


def fed(*read: Prediction | OutcomeRecord, share: float = 0.5, **changes: object) -> dict[str, ValueCounts]:
    """What a collector that read these in this order has, by metric."""
    collector = OutcomeCollector(rollout(*RULES, **changes))  # type: ignore[arg-type]
    for one in read:
        if isinstance(one, Prediction):
            collector.expose(one, share, canary=one.arm == "canary")
        else:
            collector.add([one])
    return {one.metric: one for one in collector.total()}


def test_a_unit_counts_by_its_first_answer_once_its_outcome_is_known() -> None:
    """Neither by a later one, nor without an outcome, nor for the outcome of a request that nobody made."""
    found = fed(
        answer("a", 1.0, canary=True, score=0.9),
        answer("a", 2.0, canary=True, score=0.1),
        answer("b", 3.0, canary=False, score=0.2),
        truth("a", 1.0, 1, 10.0),
        truth("a", 2.0, 1, 10.0),
        truth("nobody", 1.0, 1, 10.0),
    )
    assert found["accuracy"] == ValueCounts("accuracy", 0.5, (), ((1.0, 1),))
    assert found["brier"].canary == ((1 / 128, 1),)
    assert "auroc" not in found


def test_the_first_word_on_an_answer_counts() -> None:
    """By when it was told, not by when it was read."""
    found = fed(answer("a", 1.0, canary=True), truth("a", 1.0, 0, 20.0), truth("a", 1.0, 1, 10.0))
    assert found["accuracy"].canary == ((1.0, 1),)


def test_answers_that_failed_and_units_that_were_not_dealt_count_nothing() -> None:
    """A failure is no wrong answer; a share of all traffic deals nothing."""
    assert fed(answer("a", 1.0, canary=True, status=500), truth("a", 1.0, 1, 2.0)) == {}
    assert fed(answer("a", 1.0, canary=True), truth("a", 1.0, 1, 2.0), share=1.0) == {}


def test_pairs_are_formed_in_the_order_of_telling_whoever_is_in_them() -> None:
    """The first that came true with the first that did not; one across the arms says nothing."""
    read: list[Prediction | OutcomeRecord] = []
    for place, (canary, score, outcome) in enumerate(
        [
            (True, 0.9, 1), (True, 0.4, 0),  # the canary's, the right way round
            (True, 0.3, 1), (False, 0.2, 0),  # across
            (False, 0.3, 1), (False, 0.6, 0),  # the champion's, the wrong way round
            (False, 0.5, 1), (False, 0.5, 0),  # a tie
            (True, 0.5, 1),  # waits
        ]
    ):  # fmt: skip
        read += [answer(f"u{place}", place + 1.0, canary=canary, score=score)]
        read += [truth(f"u{place}", place + 1.0, outcome, 100.0 + place)]
    found = fed(*read)["auroc"]
    assert found == ValueCounts("auroc", pair_share(0.5), ((0.0, 1), (0.5, 1)), ((1.0, 1),))


@pytest.mark.parametrize(
    ("name", "said", "score", "outcome", "value"),
    [
        ("accuracy", "yes", 0.9, "yes", 1.0),
        ("accuracy", 1, 0.9, 1.0, 1.0),
        ("accuracy", 1, 0.9, "0", 0.0),
        ("accuracy", 3.5, 3.5, 3.5, None),  # a number is not right or wrong
        ("accuracy", None, None, 1, None),
        ("brier", 1, None, 1, None),
        ("brier", 1, 7.0, 1, None),
        ("mae", 2.0, 2.0, 4.5, 2.5),
        ("mae", 2.0, 2.0, "four", None),
        ("mae", 2.0, 2.0, float("inf"), None),
        ("mae", 1, 0.9, 1, None),  # of a class
    ],
)
def test_what_an_outcome_makes_of_an_answer(
    name: str, said: float | str | None, score: float | None, outcome: float | str, value: float | None
) -> None:
    """Nothing where the metric is not of such answers."""
    assert loss(name, said, score, outcome, "1") == value


def test_older_plans_collect_nothing_and_models_without_two_classes_no_ranking() -> None:
    """Their guardrails say why."""
    read = (
        answer("a", 1.0, canary=True),
        truth("a", 1.0, 1, 2.0),
        answer("b", 1.0, canary=True),
        truth("b", 1.0, 0, 2.0),
    )
    assert set(fed(*read)) == {"accuracy", "auroc", "brier"}
    assert set(fed(*read, baseline=Baseline(None, (), ()))) == {"accuracy"}
    assert fed(*read, edition=2) == {}


def world(seed: int) -> list[Prediction | OutcomeRecord]:
    """Units that come once or twice, on the arm that they were dealt, with outcomes told once or twice or never."""
    rng = np.random.default_rng(seed)
    read: list[Prediction | OutcomeRecord] = []
    for number in range(25):
        unit, canary = f"u{number}", bool(rng.random() < 0.5)
        for at in rng.choice(100, int(rng.integers(1, 3)), replace=False):
            read.append(answer(unit, float(at), canary=canary, score=round(float(rng.random()), 2)))
            told = 100.0 + rng.choice(100, int(rng.integers(0, 3)), replace=False)
            read += [truth(unit, float(at), int(rng.integers(0, 2)), float(one)) for one in told]
    return read


@given(st.integers(0, 10_000), st.integers(0, 10_000))
@settings(max_examples=60)
def test_the_order_of_reading_does_not_matter(seed: int, order: int) -> None:
    """Outcomes before their answers, later answers before earlier ones, pairs out of turn."""
    read = world(seed)
    assert fed(*(read[place] for place in np.random.default_rng(order).permutation(len(read)))) == fed(*read)


@given(st.integers(0, 10_000), st.integers(1, 80))
@settings(max_examples=40)
def test_a_pair_that_was_formed_stays(seed: int, cut: int) -> None:
    """What is read later, in the order of telling, adds pairs and takes none away."""
    read = [one for one in world(seed) if isinstance(one, Prediction)]
    firsts = {one.request_id: one for one in reversed(read)}
    told = sorted(
        (one for one in world(seed) if isinstance(one, OutcomeRecord)),
        key=lambda one: (one.received_at, one.request_id),
    )
    early, late = fed(*firsts.values(), *told[:cut]).get("auroc"), fed(*firsts.values(), *told).get("auroc")
    for side in ("champion", "canary"):
        before = dict(getattr(early, side)) if early is not None else {}
        after = dict(getattr(late, side)) if late is not None else {}
        assert all(after.get(value, 0) >= count for value, count in before.items())
