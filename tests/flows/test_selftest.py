"""self-test: one version's own answers, dealt to it and itself: every rollback is false."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace
from scipy.stats import binom

from fairlead.config.grammar import guardrail
from fairlead.core.record import EventRecord, Prediction
from fairlead.core.rollout import EDITION, Plan, Step
from fairlead.errors import Refused
from fairlead.flows.selftest import Traffic, self_test, traffic_of, with_events
from fairlead.testing.log import make_prediction

RULES = ("error_rate <= 1 * champion", "p99_latency <= 1 * champion", "prediction_psi < 0.25")
PLAN = Plan(
    "canary",
    (Step(0.05, 3600.0, 50), Step(0.5, 3600.0, 50), Step(1.0)),
    tuple(guardrail(text) for text in RULES),
    alpha=0.05,
)
EVEN = tuple(i / 10 for i in range(1, 10)), (0.1,) * 10
AT = 1_700_000_000.0


def logged(count: int, *, users: int = 0, late: float = 1.0, seed: int = 3) -> list[Prediction]:
    """A day of answers, one a second; 3 % fail. With `users` as many ask them all, some far more than others, and who
    fails once always does. Scores are even, to the power of `late`."""
    rng = np.random.default_rng(seed)
    who = rng.zipf(1.3, count) % users if users else np.arange(count)
    luck = rng.random(max(users, count))
    failed = luck[who] < 0.03
    scores, slow = rng.random(count) ** late, np.exp(rng.normal(3.0, 0.3, count))
    return [
        make_prediction(
            f"q{row}",
            unit_id=f"u{who[row]}",
            received_at=AT + row,
            status=500 if failed[row] else 200,
            score=None if failed[row] else float(scores[row]),
            latency_ms=float(slow[row]),
        )
        for row in range(count)
    ]


def traffic(records: list[Prediction]) -> Traffic:
    """Those of version 1, whose held-out scores are even."""
    return traffic_of("hotel", 1, records, EVEN)


@pytest.mark.parametrize("runs", [15, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize("users", [0, 300], ids=["each once", "heavy users"])
def test_a_version_is_not_rolled_back_against_itself(runs: int, users: int) -> None:
    """With guardrails that allow nothing, and with users who fail whenever they come: no more than the budget."""
    tested = self_test(PLAN, traffic(logged(3_000, users=users)), runs)
    assert tested.runs == sum(tested.phases.values()) == runs
    assert binom.sf(tested.rolled_back - 1, runs, PLAN.alpha) >= 0.001
    assert tested.phases["promoted"] > 0
    assert (tested.requests, tested.units) == (2_400, 2_400) if not users else tested.units < 300


def test_scores_that_are_not_those_of_the_held_out_data_are_found_before_a_rollout_is() -> None:
    """What would roll back any version here, however good, rolls this one back against itself; the guardrail is
    named."""
    tested = self_test(PLAN, traffic(logged(3_000, late=4.0)), 5)
    assert (tested.rolled_back, tested.guardrails) == (5, {"prediction_psi < 0.25": 5})


def test_each_run_is_a_draw_of_its_own_and_the_same_again() -> None:
    """Held or promoted, the same every time it is asked; and the progress is told."""
    told: list[tuple[int, int]] = []
    some = traffic(logged(1_000, users=200, late=1.4))
    one = self_test(PLAN, some, 4, lambda *done: told.append(done))
    assert self_test(PLAN, some, 4) == one
    assert told == [(number, 4) for number in range(1, 5)]


def test_what_users_log_is_dealt_with_them() -> None:
    """A conversion that is told a minute later, of one user in five, with a guardrail on it: measured in every run, and
    no version loses against itself."""
    records = logged(3_000)
    some = with_events(traffic(records), bought(records))
    assert some.records[0].received_at <= some.events[0].at < some.events[-1].at
    plan = replace(PLAN, guardrails=(guardrail("bought >= champion - 5%"),), edition=EDITION)
    tested = self_test(plan, some, 6)
    assert tested.rolled_back == 0
    assert "held" not in tested.phases, "it was measured"


def bought(records: list[Prediction]) -> list[EventRecord]:
    """Every fifth user buys, a minute after the answer."""
    return [
        EventRecord(
            f"e{row}", "hotel", record.unit_id, "bought", 1, record.received_at + 60.0, record.received_at + 60.0
        )
        for row, record in enumerate(records)
        if row % 5 == 0
    ]


def test_only_what_callers_got_of_the_version_is_dealt() -> None:
    """Shadows' answers, other versions' and other models' are left out; the first fifth is the past."""
    records = logged(1_000)
    strange = [replace(records[0], arm="shadow"), replace(records[0], model_version=2)]
    found = traffic([*reversed(records), *strange, replace(records[0], model_name="churn")])
    assert (found.past, found.records) == (tuple(records[:200]), tuple(records[200:]))
    assert traffic(records).digest == found.digest != traffic(records[1:]).digest


def test_too_little_traffic_is_refused() -> None:
    """With how much there is, and how much it takes."""
    with pytest.raises(Refused, match=r"holds 699 answers of version 1 of hotel: .* at least 700"):
        traffic(logged(699))


def test_a_flip_deals_nothing() -> None:
    """Both versions never answer side by side."""
    with pytest.raises(Refused, match="nothing to deal by chance"):
        self_test(replace(PLAN, strategy="blue-green", steps=(Step(1.0),)), traffic(logged(700)), 1)
