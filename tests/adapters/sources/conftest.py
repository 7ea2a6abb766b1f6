from __future__ import annotations

import pyarrow as pa
import pytest


@pytest.fixture
def table() -> pa.Table:
    """What `check_source` wants to find, as an Arrow table."""
    return pa.table(
        {
            "price": pa.array([1.5, None, 4.0, float("inf"), -2.0, 4.0]),
            "meal": ["bb", "hb", None, "bb", "bb", "hb"],
            "void": pa.nulls(6),
        }
    )
