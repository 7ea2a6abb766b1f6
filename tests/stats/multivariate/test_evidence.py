from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.multivariate.evidence import POWER_Z, detectable_square


@given(st.floats(0.0, 10.0), st.floats(0.0, 10.0))
def test_the_detectable_distance_solves_its_equation(critical: float, spread: float) -> None:
    """D = critical + z sqrt(s^2 + 2 sqrt(2) s D), and D is at least `critical`."""
    found = detectable_square(critical, spread)
    assert found >= critical
    assert found == pytest.approx(critical + POWER_Z * (spread**2 + 8**0.5 * spread * found) ** 0.5, abs=1e-6)
