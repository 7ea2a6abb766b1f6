"""The watch over a promoted version: what is allowed, how it is decided, how rarely it is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.core.after import (
    BLOCK_SECONDS,
    AfterState,
    Block,
    Counted,
    PromotionEvidence,
    begin,
    cell_bound,
    threshold,
    watch,
)
from fairlead.core.rollout import (
    Aftercare,
    Baseline,
    Call,
    Evidence,
    Guardrail,
    Plan,
    Rollout,
    Step,
    Units,
    start,
)

CELLS = (0.1,) * 10
EDGES = tuple(n / 10 for n in range(1, 10))
RULES = (
    Guardrail("error_rate <= 1.25 * champion", "error_rate", 1.25, relative=True),
    Guardrail("prediction_psi < 0.25", "prediction_psi", 0.25),
)
NOW = 1_700_000_000.0
DAY = 86_400.0
WEEK = Aftercare(7 * DAY, 90 * DAY)


def rollout(asked: int = 20_000, failed: int = 400, after: Aftercare | None = WEEK) -> Rollout:
    """One in which so many units of both versions were asked."""
    plan = Plan("canary", (Step(0.5), Step(1.0)), RULES, after=after)
    begun = start("r2", "hotel", 2, 1, plan, Baseline(None, EDGES, CELLS), NOW)
    units = {"champion": Units(asked // 2, failed // 2), "version": Units(asked - asked // 2, failed - failed // 2)}
    return replace(begun, seen=Evidence(units=units))


def watched(asked: int = 20_000, failed: int = 400) -> AfterState:
    """The watch that begins now."""
    state = begin(rollout(asked, failed), NOW)
    assert state is not None
    return state


def at(state: AfterState, number: int, **counts: object) -> Block:
    """A block after the promotion."""
    return Block(state.block + number, **counts)  # type: ignore[arg-type]


def test_what_is_allowed_is_never_less_than_what_the_rate_may_be() -> None:
    """The guardrail's multiple where much was seen, the upper bound where little was, 1 % where next to nothing."""
    assert watched(asked=200_000, failed=4000).streams[0].watches[0].allowed == pytest.approx(0.025)
    assert watched(asked=2000, failed=40).streams[0].watches[0].allowed == pytest.approx(0.0289, abs=0.001)
    assert watched(asked=100, failed=2).streams[0].watches[0].allowed == 0.01


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.6])
def test_a_cell_at_its_bound_makes_the_index_reach_it(share: float) -> None:
    """By this one term alone."""
    held = cell_bound(share, 0.25)
    assert (held - share) * np.log(held / share) == pytest.approx(0.25) or held == pytest.approx(1.0)


def test_nothing_is_watched_without_a_plan_or_a_version_to_go_back_to() -> None:
    """A first version has none."""
    assert begin(rollout(after=None), NOW) is None
    assert begin(replace(rollout(), champion=None), NOW) is None


blocks = st.lists(
    st.tuples(st.integers(1, 400), st.integers(0, 60), st.integers(0, 60)),
    min_size=1,
    max_size=25,
    unique_by=lambda b: b[0],
)


@given(blocks, st.integers(0, 25))
def test_where_the_evidence_is_cut_makes_no_difference(found: list[tuple[int, int, int]], cut: int) -> None:
    """One look at all of it, or two: the same state and the same readings."""
    state = watched()
    made = tuple(
        at(state, number, failed=Counted(trials, min(bad, trials)), cells=(trials,) + (0,) * 9)
        for number, trials, bad in sorted(found)
    )
    now = NOW + 5000.0
    whole, once = watch(state, PromotionEvidence(made), now)
    half, _ = watch(state, PromotionEvidence(made[:cut]), now)
    again, twice = watch(half, PromotionEvidence(made[cut:]), now)
    assert again.streams == whole.streams
    assert (twice.call, twice.readings) == (once.call, once.readings) or half.over


def test_what_came_before_is_not_counted_again() -> None:
    """Blocks that are not later than the last change nothing."""
    state = watched()
    evidence = PromotionEvidence((at(state, 3, failed=Counted(50, 1)),))
    after, _ = watch(state, evidence, NOW + 60.0)
    assert watch(after, evidence, NOW + 60.0)[0] == after


def test_another_number_of_cells_is_no_evidence() -> None:
    """Scores on edges of another rollout."""
    state = watched()
    after, _ = watch(state, PromotionEvidence((at(state, 1, cells=(90, 10)),)), NOW + 60.0)
    assert after.streams[1].seen[0] == Counted()


def runs_to_alarm(rng: np.random.Generator, budget: int, most: int, failing: float) -> int:
    """Blocks until the watch alarms, under a budget of so many: 20 units each, even scores, and what was measured in a
    rollout of 20,000 units of which 2 % failed."""
    failed = int(rng.binomial(20_000, 0.02))
    state = begin(rollout(failed=failed, after=Aftercare(10 * most * BLOCK_SECONDS, budget * BLOCK_SECONDS)), NOW)
    assert state is not None
    for number in range(1, most + 1):
        cells = tuple(int(one) for one in rng.multinomial(20, CELLS))
        block = at(state, 1, failed=Counted(20, int(rng.binomial(20, failing))), cells=cells)
        state, decision = watch(state, PromotionEvidence((block,)), NOW + number * BLOCK_SECONDS)
        if decision.call is Call.REGRESS:
            return number
    return most


@pytest.mark.parametrize(("runs", "budget"), [(12, 30), pytest.param(200, 100, marks=pytest.mark.slow)])
def test_an_unchanged_version_is_taken_back_more_seldom_than_stated(runs: int, budget: int) -> None:
    """The whole watch, all metrics together, with a baseline that is itself measured."""
    rng = np.random.default_rng(41)
    found = np.array([runs_to_alarm(rng, budget, 4 * budget, 0.02) for _ in range(runs)])
    assert found.mean() + 3 * found.std() / np.sqrt(runs) >= budget


@pytest.mark.parametrize(("times", "most"), [(2.0, 400), (3.0, 80)])
def test_more_failures_are_found(times: float, most: int) -> None:
    """Two and three times as many, under the budget of 90 days: in blocks of ten seconds, the slowest of three."""
    rng = np.random.default_rng(43)
    assert max(runs_to_alarm(rng, 777_600, most + 1, 0.02 * times) for _ in range(3)) <= most


def test_the_threshold_is_shared_by_all_metrics() -> None:
    """Two guardrails and late labels, 777,600 blocks of ten seconds."""
    assert threshold(watched()) == pytest.approx(np.log(3 * 777_600))
