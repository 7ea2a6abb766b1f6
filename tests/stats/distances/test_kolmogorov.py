from __future__ import annotations

from math import gcd

import numpy as np
import pytest
from scipy import stats

from fairlead.stats.distances.kolmogorov import EXACT_ROWS, exact_p_value, p_values


@pytest.mark.parametrize(("n", "m"), [(1, 1), (4, 4), (5, 8), (30, 77), (50, 100), (100, 100)])
def test_the_exact_law_is_scipys(n: int, m: int) -> None:
    """For samples without ties, to 1e-12, at every distance seen."""
    rng = np.random.default_rng(n * m)
    for shift in (0.0, 0.2, 1.0):
        found = stats.ks_2samp(rng.normal(size=n), rng.normal(shift, 1, m), method="exact")
        steps = round(found.statistic * (n * m // gcd(n, m)))
        assert exact_p_value(steps, n, m) == pytest.approx(found.pvalue, abs=1e-12)
        mine = p_values(np.array([found.statistic]), np.array([float(n)]), np.array([float(m)]))
        assert mine[0] == pytest.approx(found.pvalue, abs=1e-12)


def test_large_samples_take_the_limit_law() -> None:
    """Above the exact law's reach the p-value is Kolmogorov's at nm / (n + m)."""
    n = float(EXACT_ROWS + 1)
    expected = stats.kstwobign.sf(0.1 * np.sqrt(n / 2))
    assert p_values(np.array([0.1]), np.array([n]), np.array([n]))[0] == pytest.approx(expected, rel=1e-9)


def test_too_many_paths_are_refused() -> None:
    """Where their number is no float, the caller is told which law to take."""
    with pytest.raises(ValueError, match="use the limit law"):
        exact_p_value(3, 501, 5)
