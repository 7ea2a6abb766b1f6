"""What a stream may hold, for every test that takes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from fairlead.stats.sequential.betting import LossWatch, update
from fairlead.stats.sequential.capital import MeanWatch
from fairlead.stats.sequential.divergence import ScoreWatch
from fairlead.stats.sequential.edetector import ChangeWatch
from fairlead.stats.sequential.failures import FailureWatch
from fairlead.stats.sequential.latency import LatencyWatch
from fairlead.stats.sequential.mean_difference import DifferenceWatch, RiseWatch
from fairlead.stats.sequential.means import BernsteinWatch, NormalWatch
from fairlead.stats.sequential.observations import cells, closed_shares, finite, marks, open_shares, zero_one
from fairlead.stats.sequential.quantiles import QuantileWatch
from fairlead.stats.sequential.rates import RateWatch
from fairlead.stats.sequential.sample_ratio import RatioWatch
from fairlead.stats.shadow import PairWatch

N = 700
RNG = np.random.default_rng(81)
SHARE = np.repeat((0.05, 0.25, 0.5, 0.5), N // 4 + 1)[:N]
CANARY = (RNG.random(N) < SHARE).astype(float)
HITS = (RNG.random(N) < 0.2).astype(float)
VALUES = RNG.random(N)
CELLS = RNG.integers(0, 4, N)


class Case(NamedTuple):
    """A state at its start, its update, and observations for it."""

    start: Any
    update: Callable[..., Any]
    data: tuple[np.ndarray, ...]


def fed(state: Any, *batch: Any) -> Any:
    return state.update(*batch)


CASES = {
    "failures": Case(FailureWatch(0.25), fed, (SHARE, CANARY)),
    "rates": Case(RateWatch(0.15), fed, (HITS,)),
    "latency": Case(
        LatencyWatch(), fed, (SHARE, np.where(VALUES < 0.3, CANARY, -1.0), np.where(VALUES > 0.5, HITS, -1.0))
    ),
    "divergence": Case(ScoreWatch((0.4, 0.3, 0.2, 0.1), 0.1), fed, (CELLS,)),
    "rise": Case(RiseWatch(0.01), fed, (VALUES, CANARY, SHARE)),
    "difference": Case(DifferenceWatch(0.05), fed, (VALUES, CANARY, SHARE)),
    "Bernstein": Case(BernsteinWatch(0.05), fed, (VALUES,)),
    "normal": Case(NormalWatch(0.05), fed, (VALUES,)),
    "betting mean": Case(MeanWatch(0.05), fed, (VALUES,)),
    "quantile": Case(QuantileWatch((0.2, 0.4, 0.6, 0.8), 0.5, 0.05), fed, (VALUES,)),
    "sample ratio": Case(RatioWatch((0.6, 0.2, 0.1, 0.1)), fed, (CELLS,)),
    "harm": Case(LossWatch(0.2), update, (VALUES,)),
    "change": Case(ChangeWatch(0.4, 0.01), fed, (VALUES,)),
    "pairs": Case(PairWatch(), fed, (HITS, CANARY)),
}
every = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def numbers(state: Any) -> list[float]:
    """All numbers of a state, in their order, those of nested values included."""
    found: list[float] = []
    for value in state if isinstance(state, tuple) else msgspec.structs.astuple(state):
        if isinstance(value, tuple | msgspec.Struct):
            found += numbers(value)
        elif isinstance(value, int | float):
            found.append(float(value))
    return found


def runs_of(case: Case, *cuts: int) -> Any:
    """The state after the case's data, cut at these places."""
    state = case.start
    for start, stop in zip((0, *cuts), (*cuts, N), strict=True):
        state = case.update(state, *(column[start:stop] for column in case.data))
    return state


@every
@pytest.mark.parametrize("cuts", [(1,), (350,), (699,), (0, 10, 10, 300, 555)])
def test_batches_may_be_cut_anywhere(case: Case, cuts: tuple[int, ...]) -> None:
    """A state after any batches is the state after one, whatever their sizes, empty ones included."""
    assert numbers(runs_of(case, *cuts)) == pytest.approx(numbers(runs_of(case)), rel=1e-9, abs=1e-9)


@every
def test_one_observation_at_a_time_is_a_batch(case: Case) -> None:
    """The same for batches of one."""
    assert numbers(runs_of(case, *range(1, N))) == pytest.approx(numbers(runs_of(case)), rel=1e-9, abs=1e-9)


@every
def test_an_empty_batch_changes_nothing(case: Case) -> None:
    """No observation, no evidence: before the first and after some."""
    empty = [np.empty(0, dtype=column.dtype) for column in case.data]
    assert case.update(case.start, *empty) == case.start
    after = runs_of(case)
    assert case.update(after, *empty) == after


@every
def test_a_state_is_small_and_can_be_journalled(case: Case) -> None:
    """JSON and back gives the same state; it does not grow with the observations."""
    after = runs_of(case)
    text = msgspec.json.encode(after)
    assert msgspec.json.decode(text, type=type(after)) == after
    longer = case.update(after, *(np.tile(column, 4) for column in case.data))
    assert len(msgspec.json.encode(longer)) < 1.3 * len(text) + 200


@every
def test_nan_is_refused_not_passed_over(case: Case) -> None:
    """A missing value in any column is an error, and says where."""
    for place, column in enumerate(case.data):
        broken = [one.astype(float).copy() for one in case.data]
        broken[place][3] = np.nan
        if column.dtype == CELLS.dtype:
            continue
        batch = [broken[i] if i == place else one for i, one in enumerate(case.data)]
        with pytest.raises(ValueError, match=r"3 .*is nan|3 of the canary is nan"):
            case.update(case.start, *batch)


@every
def test_what_is_outside_its_range_is_refused(case: Case) -> None:
    """A value far outside (-7) is an error in every column that has a range."""
    unbounded = {id(CASES[name].data[0]) for name in ("normal", "difference", "quantile")}
    for place, column in enumerate(case.data):
        if id(column) in unbounded and type(case.start) in (NormalWatch, DifferenceWatch, QuantileWatch):
            continue
        batch = [one.copy() for one in case.data]
        batch[place][5] = -7
        with pytest.raises(ValueError, match=r"5 .*is -7"):
            case.update(case.start, *batch)


def test_infinite_values_are_refused_where_any_value_may_come() -> None:
    """Means and quantiles of unbounded values refuse an infinity."""
    for start in (NormalWatch(0.05), QuantileWatch((0.5,), 0.5, 0.05)):
        with pytest.raises(ValueError, match="inf"):
            start.update([1.0, np.inf])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_one_arm_alone_is_refused_where_arms_are_compared_and_nothing_where_failures_are(share: float) -> None:
    """A share of 0 or 1 compares nothing: means refuse it; first failures pass it over, as counts do."""
    for compared in (RiseWatch(), DifferenceWatch(0.05)):
        with pytest.raises(ValueError, match="leave that time out"):
            compared.update([0, 1], [0, 1], share)
    assert FailureWatch().update(share, [0, 1, 1]).evidence.log_e == 0.0
    with pytest.raises(ValueError, match="outside 0 to 1"):
        FailureWatch().update(1.5, [0, 1, 1])


def test_lengths_that_differ_are_refused() -> None:
    """One share for each observation, or one for all; one arm for each value."""
    with pytest.raises(ValueError, match="2 shares for 3 observations"):
        FailureWatch().update([0.1, 0.2], [0, 1, 1])
    with pytest.raises(ValueError, match="one arm for each"):
        RiseWatch().update([0.1, 0.2], [0], 0.5)
    with pytest.raises(ValueError, match="one each"):
        LatencyWatch().update(0.5, [0, 1], [0])
    with pytest.raises(ValueError, match="both answers to one request"):
        PairWatch().update([0, 1], [0])


def test_what_comes_as_booleans_integers_or_lists_is_the_same() -> None:
    """Array-likes of any type with the right values."""
    assert zero_one([True, False]).tolist() == zero_one(np.array([1, 0], dtype=np.int8)).tolist() == [1.0, 0.0]
    assert marks([1, 0, -1]).tolist() == [1.0, 0.0, -1.0]
    assert cells([0, 2], 3).tolist() == [0, 2]
    assert finite([-1e300]).tolist() == [-1e300]
    assert open_shares(0.5, np.zeros((2, 3))).shape == closed_shares(1, np.zeros((2, 3))).shape == (2, 3)
    with pytest.raises(ValueError, match="an integer"):
        cells([0.5], 3)
    with pytest.raises(ValueError, match="3 cells, counted from 0"):
        cells([3], 3)


@pytest.mark.parametrize("alpha", [0.0, 1.0, float("nan")])
def test_a_state_with_an_impossible_level_is_refused_when_fed(alpha: float) -> None:
    """A level outside (0, 1) bounds nothing."""
    for start in (MeanWatch(alpha), BernsteinWatch(alpha), QuantileWatch((0.5,), 0.5, alpha)):
        with pytest.raises(ValueError, match="alpha is"):
            start.update([0.5])
    for compared in (RiseWatch(alpha=alpha), DifferenceWatch(alpha)):
        with pytest.raises(ValueError, match="alpha is"):
            (compared.update(np.arange(400) % 2, np.arange(400) % 2, 0.5)).interval()  # type: ignore[union-attr]


def test_grids_and_margins_that_test_nothing_are_refused() -> None:
    """One cell has no candidate inside; two means in [0, 1] cannot differ by 1 or more."""
    with pytest.raises(ValueError, match="two or more"):
        MeanWatch(0.05, cells=1).update([0.5])
    for margin in (1.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="between -1 and 1"):
            RiseWatch(margin).update([0.5], [1], 0.5)
