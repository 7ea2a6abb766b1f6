from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairlead.stats.fdr import benjamini_hochberg


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_adjusted_values_equal_scipys(p_values: list[float]) -> None:
    """The adjustment is the published one, in the order given."""
    assert np.allclose(benjamini_hochberg(p_values), stats.false_discovery_control(p_values), rtol=1e-12)


def test_nothing_tested_is_nothing_adjusted() -> None:
    """No p-value gives none back; one that is no probability is refused."""
    assert benjamini_hochberg([]) == ()
    for wrong in (1.1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            benjamini_hochberg([0.5, wrong])
