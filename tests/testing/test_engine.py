"""The serial engine and the source in memory."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.errors import TableError
from fairlead.ports.engine import SLAB
from fairlead.stats.columns import NumericColumn
from fairlead.testing.engine import TABLE, MemorySource, SerialEngine, check_engine, check_source


def test_the_fakes_keep_the_ports() -> None:
    """It is an engine, it is a source, however its rows are cut."""
    engine = SerialEngine()
    check_engine(engine)
    assert engine.closed
    check_source(MemorySource(TABLE))
    check_source(MemorySource(TABLE, cuts=(1, 1, 4)))


def test_a_broken_part_fails_when_it_is_read() -> None:
    """Listing it does not."""
    source = MemorySource(TABLE, cuts=(2,))
    source.broken = 1
    one, two = source.parts()
    assert sum(column.rows for column in one.read(["price"])) == 2
    with pytest.raises(TableError, match="rows 2 to 5 cannot be read"):
        list(two.read(["price"]))


def test_long_columns_come_in_slabs() -> None:
    """No piece is longer than a slab; a column that is not there is null."""
    source = MemorySource([NumericColumn("x", np.zeros(SLAB + 5))])
    (part,) = source.parts()
    assert [one.rows for one in part.read(["x"])] == [SLAB, 5]
    assert all(one.empty for one in part.read(["y"]))
