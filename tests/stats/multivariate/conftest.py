"""What the guarantee tests share: counts that would refute a guarantee."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scipy.stats import binom

Within = Callable[[int, int, float], None]


@pytest.fixture
def within() -> Within:
    """Fails only when so many false alarms would come with probability below 0.001 if the guarantee held."""

    def check(alarms: int, runs: int, alpha: float) -> None:
        chance = float(binom.sf(alarms - 1, runs, alpha))
        assert chance >= 0.001, f"{alarms} false alarms in {runs} runs at alpha {alpha}: chance {chance:.1g}"

    return check
