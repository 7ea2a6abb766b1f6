"""A condition is met by significance and effect, over with some distance, and never quietly false."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.conditions import condition
from fairlead.core.condition import RECOVERY, SEEN, Measured, bound_of, evaluate
from fairlead.core.verdict import Outcome

ERRORS = condition("error_rate > 5%")
FELL = condition("auroc < champion - 5%")
TWICE = condition("p99_latency > 2 * champion")
NUMBERS = st.floats(-1e6, 1e6)
OPERATORS = st.sampled_from(["<", "<=", ">", ">="])


@given(operator=OPERATORS, bound=st.floats(0.0, 1e6), value=NUMBERS)
def test_without_an_interval_it_is_the_comparison_itself(operator: str, bound: float, value: float) -> None:
    """Breached where it is true; else it holds, or is undecided within the recovery level."""
    found = evaluate(condition(f"volume {operator} {bound:.6f}"), [Measured("volume", value)])
    limit = round(bound, 6)
    true = {"<": value < limit, "<=": value <= limit, ">": value > limit, ">=": value >= limit}[operator]
    assert (found.outcome is Outcome.BREACHED) is true
    if not true:
        near = abs(value - limit) < RECOVERY * abs(limit)
        assert found.outcome is (Outcome.UNDECIDED if near else Outcome.HOLDS)


@given(value=st.floats(0.0, 1.0), width=st.floats(0.0, 0.3))
def test_an_interval_only_ever_holds_it_back(value: float, width: float) -> None:
    """What is met with an interval is met without one."""
    sure = evaluate(ERRORS, [Measured("error_rate", value, max(value - width, 0.0), value + width)])
    plain = evaluate(ERRORS, [Measured("error_rate", value)])
    if sure.outcome is Outcome.BREACHED:
        assert plain.outcome is Outcome.BREACHED
    assert (sure.outcome is Outcome.HOLDS) is (plain.outcome is Outcome.HOLDS)


@pytest.mark.parametrize(
    ("low", "outcome"), [(0.06, Outcome.BREACHED), (0.05, Outcome.UNDECIDED), (0.02, Outcome.UNDECIDED)]
)
def test_a_number_must_lie_outside_the_interval(low: float, outcome: Outcome) -> None:
    """An error rate of 8 % that may be 5 % is not decided."""
    assert evaluate(ERRORS, [Measured("error_rate", 0.08, low, 0.12)]).outcome is outcome


@pytest.mark.parametrize(
    ("value", "high", "outcome"),
    [
        (0.78, 0.80, Outcome.BREACHED),  # six points below, and the champion's value is excluded
        (0.78, 0.85, Outcome.UNDECIDED),  # it may be the champion's
        (0.80, 0.81, Outcome.HOLDS),  # surely below, by less than five points
        (0.792, 0.81, Outcome.UNDECIDED),  # not yet over
    ],
)
def test_for_a_comparison_the_other_value_must_lie_outside(value: float, high: float, outcome: Outcome) -> None:
    """The bound is the effect, the champion is what chance is measured from."""
    measured = Measured("auroc", value, value - 0.02, high, others={"champion": 0.84})
    assert evaluate(FELL, [measured]).outcome is outcome


def test_sentences_have_figures() -> None:
    """Value, interval, rows, bound, and what it comes from."""
    found = evaluate(TWICE, [Measured("p99_latency", 95.4, 81.0, 120.0, 800, others={"champion": 40.0})])
    assert found.reason == "p99_latency is 95 ms (81 ms to 120 ms, of 800), where 80 ms (champion 40 ms) is the bound"
    fell = evaluate(FELL, [Measured("auroc", 0.7, others={"champion": 0.84})])
    assert fell.reason == "auroc is 0.7, where 0.79 (champion 0.84) is the bound"


def test_features_are_counted_and_named() -> None:
    """As many as it takes; the clearest first; those that chance explains are none."""
    drift = condition("psi > 0.25")
    features = [
        Measured("psi", 0.3, feature="age", sure=True),
        Measured("psi", 0.9, feature="price", sure=True),
        Measured("psi", 0.4, feature="plan", sure=False),
        Measured("psi", feature="city", missing="all null"),
    ]
    found = evaluate(drift, features, at_least=2)
    assert (found.outcome, found.features, found.value) == (Outcome.BREACHED, ("price", "age"), 0.9)
    assert evaluate(drift, features, at_least=3).outcome is Outcome.HOLDS
    assert "2 features of the 3 that it takes" in evaluate(drift, features, at_least=3).reason


def test_what_is_not_known_is_unmeasured() -> None:
    """No value, no measurement at all, nothing to compare with; each says which."""
    assert evaluate(ERRORS, []).outcome is Outcome.UNMEASURED
    silent = evaluate(ERRORS, [Measured("error_rate", missing="no traffic")])
    assert (silent.outcome, silent.reason) == (Outcome.UNMEASURED, "error_rate is not measured: no traffic")
    alone = evaluate(FELL, [Measured("auroc", 0.8)])
    assert (alone.outcome, alone.reason) == (
        Outcome.UNMEASURED,
        "auroc is not measured: no champion to compare with is known",
    )


def test_where_nothing_could_meet_it_it_holds() -> None:
    """Beside the champion nobody answers."""
    void = Measured("p99_latency", missing="only the champion answers", void=True)
    assert evaluate(TWICE, [void]).outcome is Outcome.HOLDS


@given(factor=st.floats(0.01, 100.0), other=st.floats(-1e3, 1e3), step=st.floats(0.0, 1e3))
def test_the_bound_is_what_is_written(factor: float, other: float, step: float) -> None:
    """factor * other - step, to the last digit that was written."""
    text = f"volume > {factor:.4f} * champion - {step:.4f}"
    bound = bound_of(condition(text), Measured("volume", 1.0, others={"champion": other}))
    assert bound == pytest.approx(round(factor, 4) * other - round(step, 4), rel=1e-12, abs=1e-9)


@pytest.mark.parametrize(
    ("seen", "said"),
    [(0.264, "usual 0.26 ms, counted as 20 ms"), (12.4, "usual 12 ms, counted as 20 ms"), (20.0, "usual 20 ms")],
)
def test_what_counts_as_more_than_it_is_is_told_as_it_is(seen: float, said: str) -> None:
    """The bound follows from what it counts as; the reader is told both."""
    slow = condition("p99_latency > 2 * usual")
    others = {"usual": 20.0, SEEN.format("usual"): seen}
    found = evaluate(slow, [Measured("p99_latency", 94.0, rows=500, others=others)])
    assert found.outcome is Outcome.BREACHED
    assert found.reason == f"p99_latency is 94 ms (of 500), where 40 ms ({said}) is the bound"
