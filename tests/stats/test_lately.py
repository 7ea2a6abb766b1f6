"""Labels against those of the last windows."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.stats.exceedance import LossSums, Tolerance, exceedance
from fairlead.stats.lately import MEMORY, PATIENCE, Lately, Past, beyond, counted, dispersion, fallen, pooled


def rates(rng: np.random.Generator, windows: int, spread: float, rate: float = 0.2) -> list[LossSums]:
    """Windows of 1,000 labels whose rates stray by themselves."""
    real = np.clip(rate + spread * rng.normal(size=windows), 0.0, 1.0)
    return [counted(1_000, int(hits)) for hits in rng.binomial(1_000, real)]


@pytest.mark.parametrize("spread", [0.0, 0.02, 0.06])
def test_a_window_like_the_others_is_rarely_beyond_them(spread: float) -> None:
    """At 1 % each: of 1,500 windows after eight, whatever their rates stray by themselves, at most 2 %."""
    rng = np.random.default_rng(round(1_000 * spread))
    found = 0
    for _ in range(1_500):
        *before, now = rates(rng, MEMORY + 1, spread)
        found += beyond(now, before, Tolerance()) <= 0.01
    assert found <= 30


def test_a_fifth_more_errors_are_beyond_what_stood() -> None:
    """From 30 to 38 %, as labels that were turned round in a fifth of the rows make of it."""
    rng = np.random.default_rng(1)
    before = rates(rng, MEMORY, 0.01, 0.3)
    assert beyond(counted(1_000, 380), before, Tolerance()) < 0.005
    assert beyond(counted(1_000, 310), before, Tolerance()) > 0.05


def test_without_more_spread_than_chance_it_is_the_exact_test() -> None:
    """Nothing is thinned; without windows there is no evidence."""
    before = [counted(1_000, hits) for hits in (100, 101, 99, 100)]
    assert dispersion(before) == 1.0
    assert beyond(counted(1_000, 130), before, Tolerance()) == exceedance(
        counted(1_000, 130), counted(4_000, 400), Tolerance()
    )
    assert beyond(counted(10, 9), [], Tolerance()) == 1.0
    assert pooled([]).count == 0


def test_what_is_unusual_is_learnt_once_it_has_lasted() -> None:
    """Three windows wait, the fourth is what is normal; no more than eight are remembered."""
    one = Past(counted(10, 1))
    known = Lately((one,) * MEMORY)
    for waited in range(1, PATIENCE + 1):
        known = known.follow(Past(counted(10, 9)), unusual=True)
        assert (known.skipped, known.windows) == (waited, (one,) * MEMORY)
    known = known.follow(Past(counted(10, 9)), unusual=True)
    assert (known.skipped, len(known.windows), known.windows[-1].losses.total) == (0, MEMORY, 9.0)


@pytest.mark.parametrize("spread", [0.0, 0.02])
def test_a_metric_like_the_last_ones_rarely_seems_to_have_fallen(spread: float) -> None:
    """At 1 %: of 2,000 windows after eight whose AUROC strays by its own error and more, at most 2 %; one that falls by
    .12, six of its errors, is nearly always seen."""
    rng = np.random.default_rng(11)
    false = found = 0
    for _ in range(2_000):
        values = 0.8 + np.hypot(0.02, spread) * rng.normal(size=MEMORY + 1)
        before = [(value, 0.02) for value in values[:-1].tolist()]
        false += fallen((float(values[-1]), 0.02), before) <= 0.01
        found += fallen((float(values[-1]) - 0.12, 0.02), before) <= 0.01
    assert false <= 40
    assert found >= 1_500
    assert fallen((0.1, 0.02), [(0.8, 0.02)]) == 1.0
