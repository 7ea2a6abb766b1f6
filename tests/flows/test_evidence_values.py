"""Events joined to the arms of a rollout by unit."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, structs
from scipy.stats import binom

from fairlead.config.grammar import guardrail
from fairlead.core.evidence import less, merge
from fairlead.core.guardrail import judge
from fairlead.core.metrics import SINCE_3
from fairlead.core.record import EventRecord, Prediction
from fairlead.core.rollout import Baseline, Call, Evidence, Phase, Plan, Rollout, ShadowPlan, Step, ValueCounts, start
from fairlead.core.route import place
from fairlead.core.split import By, Split
from fairlead.flows.evidence import Collector
from fairlead.flows.evidence_values import ValueCollector, grain

STEPS = (Step(0.1), Step(0.5), Step(1.0))
RULES = ("conversion >= champion - 1%", "revenue >= 0.9 * champion")


def begun(*rules: str, shadow: ShadowPlan | None = None, alpha: float = 0.01, **plan: object) -> Rollout:
    """A rollout of version 2 over version 1 that began at instant 100."""
    made = Plan("canary", STEPS, tuple(guardrail(rule) for rule in rules), shadow, alpha, edition=2)
    return start("r", "hotel", 2, 1, structs.replace(made, **plan), Baseline(None, (), ()), 100.0)


def answer(unit: str, at: float, share: float, *, canary: bool, request: str = "", **more: object) -> Prediction:
    """An answer to a unit while the canary held a share."""
    arm, version, propensity = ("canary", 2, share) if canary else ("champion", 1, 1.0 - share)
    record = Prediction(
        request or f"{unit}/{at}", "hotel", version, arm, unit, propensity, at, at, Raw(b"{}"), 0, 0.5, 1.0, rollout="r"
    )
    return structs.replace(record, **more)


def event(unit: str, at: float, value: float | str = 1.0, name: str = "conversion") -> EventRecord:
    """What a unit logged."""
    return EventRecord(f"{unit}/{name}/{at}", "hotel", unit, name, value, at, at)


def values(rollout: Rollout, answers: Sequence[Prediction], events: Sequence[EventRecord]) -> tuple[ValueCounts, ...]:
    """What a collector makes of them."""
    collector = Collector(rollout)
    collector.add(answers)
    collector.add_events(events)
    found = collector.total().values
    return found or ()


def test_the_first_value_after_the_answer_counts() -> None:
    """What came before the answer followed from something else; a second purchase is the same unit's."""
    answers = [answer("a", 110.0, 0.1, canary=True), answer("b", 110.0, 0.1, canary=False)]
    events = [event("a", 105.0, 7.0), event("a", 130.0, 9.0), event("a", 120.0, 3.0), event("b", 90.0, 5.0)]
    assert values(begun(RULES[0]), answers, events) == (ValueCounts("conversion", 0.1, ((0.0, 1),), ((3.0, 1),)),)


@pytest.mark.parametrize("name", SINCE_3)
def test_an_earlier_plans_event_is_collected_by_its_name(name: str) -> None:
    """A rollout that runs over an upgrade goes on with its event, though the table has that name since; one that began
    after it measures the table's metric, and takes no event for it."""
    answers = [answer("a", 110.0, 0.1, canary=True), answer("b", 110.0, 0.1, canary=False)]
    events = [event("a", 120.0, 1.0, name), event("b", 120.0, 2.0, name)]
    rule = structs.replace(guardrail(RULES[0]), text=f"{name} >= champion - 1%", metric=name)
    older = structs.replace(begun().plan, guardrails=(rule,))
    rollouts = [structs.replace(begun(), plan=structs.replace(older, edition=edition)) for edition in (2, 3)]
    found = [values(rollout, answers, events) for rollout in rollouts]
    assert found == [(ValueCounts(name, 0.1, ((2.0, 1),), ((1.0, 1),)),), ()]
    seen = [merge(Evidence(), Evidence(values=one)) for one in found]
    judged = [judge(structs.replace(rollout, seen=one))[0] for rollout, one in zip(rollouts, seen, strict=True)]
    assert (judged[0].reading.champion, judged[0].reading.canary) == (2.0, 1.0)
    assert judged[1].reading.canary is None


def test_a_heavy_user_is_one_unit() -> None:
    """A thousand requests and purchases of one unit are one trial with one value."""
    answers = [answer("a", 110.0 + n, 0.1, canary=True) for n in range(1000)]
    events = [event("a", 110.5 + n, float(n + 1)) for n in range(1000)]
    assert values(begun(RULES[0]), answers, events) == (ValueCounts("conversion", 0.1, (), ((1.0, 1),)),)


def test_a_unit_that_comes_back_at_a_larger_share_is_dealt_anew() -> None:
    """Of what 10 % left to the champion, 50 % takes 4 in 9; each trial has the value logged while it lasted."""
    answers = [
        answer("a", 110.0, 0.1, canary=False),
        answer("a", 210.0, 0.5, canary=True),
        answer("b", 110.0, 0.1, canary=True),
        answer("b", 210.0, 0.5, canary=True),
    ]
    events = [event("a", 120.0, 2.0), event("a", 220.0, 4.0), event("b", 220.0, 8.0)]
    found = values(begun(RULES[0]), answers, events)
    assert found == (
        ValueCounts("conversion", 0.1, ((2.0, 1),), ((0.0, 1),)),
        ValueCounts("conversion", round(4 / 9, 12), (), ((4.0, 1),)),
    )


def test_requests_that_are_dealt_one_by_one_keep_their_odds() -> None:
    """Under a split by request a unit's earlier arm says nothing of the next."""
    answers = [answer("a", 110.0, 0.25, canary=True), answer("a", 210.0, 0.5, canary=False)]
    found = values(begun(RULES[0], split=Split(By.REQUEST)), answers, [event("a", 220.0)])
    assert [(one.share, one.champion, one.canary) for one in found] == [
        (0.25, (), ((0.0, 1),)),
        (0.5, ((1.0, 1),), ()),
    ]


def test_who_met_nothing_that_was_drawn_is_no_evidence() -> None:
    """Shadow answers, those of the shadow phase, of all traffic on one arm, of another rollout or a pinned version."""
    rollout = begun(RULES[0], shadow=ShadowPlan(1.0, 1))
    answers = [
        answer("a", 110.0, 0.0, canary=False),
        answer("a", 110.0, 1.0, canary=False, arm="shadow", model_version=2),
        answer("b", 110.0, 1.0, canary=True),
        answer("c", 110.0, 0.1, canary=True, rollout="other"),
        answer("d", 110.0, 0.1, canary=True, model_version=7),
    ]
    assert values(rollout, answers, [event(unit, 120.0) for unit in "abcd"]) == ()


def test_texts_and_what_is_no_number_are_passed_over() -> None:
    """A unit that logs a word has logged no value; one that logs nan neither."""
    answers = [answer("a", 110.0, 0.1, canary=True)]
    strange = [event("a", 120.0, "yes"), event("a", 121.0, float("nan")), event("a", 122.0, float("inf"))]
    assert values(begun(RULES[0]), answers, strange) == (ValueCounts("conversion", 0.1, (), ((0.0, 1),)),)


def test_each_event_that_a_guardrail_names_is_counted() -> None:
    """And no other; a plan of the first edition counts none."""
    answers = [answer("a", 110.0, 0.1, canary=True)]
    events = [event("a", 120.0), event("a", 120.0, 30.0, "revenue"), event("a", 120.0, 5.0, "visit")]
    found = values(begun(*RULES), answers, events)
    assert [(one.metric, one.canary) for one in found] == [("conversion", ((1.0, 1),)), ("revenue", ((30.0, 1),))]
    assert values(begun(*RULES, edition=1), answers, events) == ()
    assert ValueCollector(begun("error_rate <= 5%")).metrics == ()


moments = st.integers(100, 120).map(float)
units = st.sampled_from("abc")
some_answers = st.lists(
    st.builds(
        lambda unit, at, share, request: answer(
            unit, at, share, canary=place("r", unit) < share, request=f"q{request}"
        ),
        units,
        moments,
        st.sampled_from([0.1, 0.5]),
        st.integers(0, 3),
    ),
    max_size=12,
)
some_events = st.lists(st.builds(event, units, moments, st.integers(-3, 3).map(float)), max_size=12)


@given(some_answers, some_events, st.randoms(use_true_random=False), st.integers(0, 12))
@settings(max_examples=150, deadline=None)
def test_the_order_of_reading_does_not_matter(
    answers: list[Prediction], events: list[EventRecord], shuffled: Random, cut: int
) -> None:
    """Whatever is read first, twice, or after a look in between: the total is the same, and less gives the rest."""
    whole = values(begun(*RULES), answers, events)
    collector, seen = Collector(begun(*RULES)), Evidence()
    mixed: list[Prediction | EventRecord] = [*answers, *events]
    shuffled.shuffle(mixed)
    for number, one in enumerate(mixed):
        if isinstance(one, Prediction):
            collector.add([one])
        else:
            collector.add_events([one, one])
        if number == cut:
            seen = collector.total()
    assert (collector.total().values or ()) == whole
    assert merge(seen, less(collector.total(), seen)) == collector.total()


@given(st.floats(-1e12, 1e12))
def test_a_value_keeps_its_first_digits(value: float) -> None:
    """Within 0.8 %, sign included; what has few digits stays what it was."""
    assert grain(value) == pytest.approx(value, rel=1 / 128)
    assert grain(grain(value)) == grain(value)
    assert grain(float(round(value) % 129)) == float(round(value) % 129)


class Crowd:
    """Users of whom some ask a hundred times as often, and who buy as often as they are who they are."""

    def __init__(self, seed: int, users: int = 600) -> None:
        self.rng = np.random.default_rng(seed)
        self.weights = 1.0 / np.arange(1.0, users + 1.0)
        self.weights /= self.weights.sum()
        self.likes = self.rng.beta(0.5, 1.5, users)
        self.places = self.rng.random(users)

    def verdict(self, rollout: Rollout, requests: int, drop: float) -> Call:
        """The rollout's verdict after 1,200 or more requests at 10 % and 50 %, looked at after each fiftieth; in the
        middle of each step nobody can buy and every request fails."""
        collector, peaks = Collector(rollout), 0.0
        for number in range(requests):
            share = 0.1 if number < requests // 3 else 0.5
            user, at = int(self.rng.choice(self.weights.size, p=self.weights)), 101.0 + number
            canary = bool(self.places[user] < share)
            out = number % (requests // 2) < requests // 10
            record = answer(str(user), at, share, canary=canary, status=500 if out else 200)
            collector.add([record])
            if not out and self.rng.random() < self.likes[user] * (1.0 - drop * canary):
                collector.add_events([event(str(user), at + 0.5)])
            if number % 50 == 49:
                seen = structs.replace(rollout, seen=collector.total(), phase=Phase.CANARY, step=1)
                reading = judge(seen)[0].reading
                peaks = max(peaks, reading.log_e)
        return Call.REGRESS if peaks >= reading.threshold_log_e else reading.call


def regressed(runs: int, requests: int, drop: float, alpha: float) -> int:
    """Rollouts of a version that sells as well (or as much less) that were called worse."""
    rollout = begun("conversion >= 0.999 * champion", alpha=alpha)
    return sum(Crowd(seed).verdict(rollout, requests, drop) is Call.REGRESS for seed in range(runs))


def test_heavy_users_and_an_outage_of_both_arms_blame_nobody() -> None:
    """Equal versions, a fifth of the requests by a dozen users, and two outages: no more false calls than alpha."""
    assert regressed(40, 1200, 0.0, 0.1) <= binom.ppf(0.999, 40, 0.1)


@pytest.mark.slow
def test_heavy_users_and_an_outage_of_both_arms_blame_nobody_in_many_runs() -> None:
    """The same over a thousand rollouts, at 5 %."""
    assert regressed(1000, 1500, 0.0, 0.05) <= binom.ppf(0.999, 1000, 0.05)


def test_a_version_that_sells_nothing_is_seen_among_heavy_users() -> None:
    """Most of the time within three thousand requests, at 1 %."""
    assert regressed(6, 3000, 1.0, 0.01) >= 5
