"""How many runs the guarantee tests spend."""

from __future__ import annotations

import pytest


@pytest.fixture(params=[200, pytest.param(2000, marks=pytest.mark.slow)])
def runs(request: pytest.FixtureRequest) -> int:
    """Replications: a few in the quick suite, enough to see a doubled error rate in the slow one."""
    count: int = request.param
    return count
