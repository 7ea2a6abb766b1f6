from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.experiment import (
    Action,
    Benefit,
    Decision,
    Evidence,
    Health,
    decide,
    guard,
    mismatch,
    overall,
    places,
)
from fairlead.core.verdict import Outcome, Verdict
from fairlead.stats.experiment.splits import by_place

BETTER, FLAT, WORSE = Benefit(0.02, 0.01, 0.03), Benefit(0.0, -0.01, 0.01), Benefit(-0.02, -0.03, -0.01)


def evidence(benefit: Benefit | None, *health: Health, **more: object) -> Evidence:
    guardrails = tuple((f"g{place}", one) for place, one in enumerate(health))
    return Evidence("b", "conversion", benefit, guardrails=guardrails, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "action", "outcome", "said"),
    [
        (evidence(None, missing="no units"), Action.FIX, Outcome.UNMEASURED, "no units"),
        (evidence(BETTER, complete=False, missing="900 of 1,000"), Action.EXTEND, Outcome.UNDECIDED, "900 of 1,000"),
        (evidence(BETTER), Action.SHIP, Outcome.HOLDS, "no guardrail was set"),
        (evidence(BETTER, Health.HELD, Health.HELD), Action.SHIP, Outcome.HOLDS, "g0 and g1 held"),
        (evidence(BETTER, Health.HELD, Health.DEGRADED), Action.INVESTIGATE, Outcome.BREACHED, "g1 degraded"),
        (evidence(BETTER, Health.OPEN, Health.DEGRADED), Action.INVESTIGATE, Outcome.BREACHED, "g1 degraded"),
        (evidence(BETTER, Health.HELD, Health.OPEN), Action.EXTEND, Outcome.UNDECIDED, "whether g1 held"),
        (evidence(FLAT, Health.DEGRADED), Action.STOP, Outcome.BREACHED, "g0 degraded"),
        (evidence(FLAT, worthwhile=0.005), Action.EXTEND, Outcome.UNDECIDED, "more units may tell"),
        (evidence(FLAT, worthwhile=0.02), Action.ITERATE, Outcome.UNDECIDED, "planned for is excluded"),
        (evidence(FLAT, planned_reached=True), Action.ITERATE, Outcome.UNDECIDED, "planned units have come"),
        (evidence(FLAT, planned_reached=False), Action.EXTEND, Outcome.UNDECIDED, "more units may tell"),
        (evidence(FLAT, tolerance=0.02), Action.SHIP, Outcome.HOLDS, "not inferior"),
        (evidence(WORSE, tolerance=0.005), Action.STOP, Outcome.BREACHED, "worse"),
        (evidence(WORSE), Action.STOP, Outcome.BREACHED, "worse"),
        (evidence(WORSE, Health.HELD), Action.STOP, Outcome.BREACHED, "worse"),
    ],
)
def test_the_decision_table(found: Evidence, action: Action, outcome: Outcome, said: str) -> None:
    """Each row of the table, with its reason."""
    decision = decide(found)
    assert (decision.action, decision.verdict.outcome) == (action, outcome)
    assert said in decision.verdict.reason


def test_a_broken_sample_ratio_is_to_be_fixed() -> None:
    """Nothing else is read."""
    assert mismatch("60 % where 50 % was planned") == Decision(
        "", Action.FIX, Verdict(Outcome.BREACHED, "60 % where 50 % was planned")
    )


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 0.5))
def test_a_guardrail_is_held_degraded_or_open(value: float, below: float, above: float, margin: float) -> None:
    """Exactly one, by where its interval lies against the margin."""
    benefit = Benefit(value, value - below, value + above)
    found = guard(benefit, margin)
    assert (found is Health.HELD) == (benefit.low > -margin)
    assert (found is Health.DEGRADED) == (benefit.high < -margin)


def decision(action: Action) -> Decision:
    return Decision(action.value, action, Verdict(Outcome.UNDECIDED, ""))


def test_of_several_treatments_one_decides() -> None:
    """What ships goes first; stopping is said only where nothing else is left; no decision is an error."""
    everything = [decision(action) for action in (Action.STOP, Action.ITERATE, Action.EXTEND, Action.INVESTIGATE)]
    assert overall(everything).action is Action.INVESTIGATE
    assert overall([*everything, decision(Action.SHIP)]).action is Action.SHIP
    assert overall([decision(Action.STOP)]).action is Action.STOP
    with pytest.raises(ValueError, match="at least one"):
        overall([])


def test_an_experiment_places_units_as_the_route_table_does() -> None:
    """Salted hashes: stable, uniform enough, another order under another salt, and 1 % stays inside 5 %."""
    names = [f"user-{place}" for place in range(20_000)]
    at, other = np.array(places("one", names)), np.array(places("two", names))
    assert places("one", names[:3]) == at[:3].tolist()
    assert abs(float(np.corrcoef(at, other)[0, 1])) < 0.03
    few, many = by_place(at, [0.01], full=[0.5]) == 1, by_place(at, [0.05], full=[0.5]) == 1
    assert abs(float(many.mean()) - 0.05) < 0.005
    assert not (few & ~many).any()
