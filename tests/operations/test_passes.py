from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from fairlead.adapters.engines.local import LocalEngine
from fairlead.errors import TableError
from fairlead.operations import passes
from fairlead.operations.passes import Passes, split
from fairlead.ports.engine import Engine
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.drift import Level, compare
from fairlead.stats.grid import BUCKETS, CategoryGrid, NumericGrid
from fairlead.stats.profile import CategoryProfile, NumericProfile, TableProfile, profile, profile_column
from fairlead.testing.engine import MemorySource, SerialEngine

ROWS, SIZE, SLAB = 6_000, 1_000, 700


def table(rows: int = ROWS) -> list[Column]:
    """Ties, nulls, infinities, text."""
    rng = np.random.default_rng(3)
    wide = rng.uniform(-1e6, 1e6, rows)
    holes = np.where(rng.random(rows) < 0.3, np.nan, rng.poisson(4, rows))
    tailed = rng.standard_t(1.5, rows)
    tailed[:2] = np.inf, -np.inf
    return [
        NumericColumn("wide", wide),
        NumericColumn("holes", holes),
        NumericColumn("tailed", tailed),
        NumericColumn("void", np.full(rows, np.nan)),
        CategoricalColumn("city", rng.integers(-1, 40, rows).astype(np.int32), tuple(f"c{i}" for i in range(40))),
        CategoricalColumn("none", np.full(rows, -1, dtype=np.int32), ()),
    ]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample of a thousand rows and jobs of 700, so that a small table is a large one."""
    monkeypatch.setattr(passes, "SIZE", SIZE)
    monkeypatch.setattr(passes, "SLAB", SLAB)


def reference(columns: list[Column], cuts: Any = (), engine: Engine | None = None) -> TableProfile:
    """The profile that a table fixes itself."""
    source = MemorySource(columns, cuts)
    return Passes(engine or SerialEngine()).reference(source, [column.name for column in columns])


@cache
def uncut() -> bytes:
    """The profile of the table in one part, beyond the sample."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "SIZE", SIZE)
        return encoded(reference(table()))


def encoded(found: TableProfile) -> bytes:
    """All of it."""
    return msgspec.json.encode(found)


@given(st.lists(st.integers(0, 900), max_size=8))
@settings(max_examples=15, deadline=None)
def test_a_table_that_is_its_own_sample_has_the_profile_of_memory(cuts: list[int]) -> None:
    """Byte for byte, however it is cut."""
    columns = table(900)
    assert encoded(reference(columns, sorted(cuts))) == encoded(profile(columns))


@given(st.lists(st.integers(0, ROWS), max_size=12))
@settings(max_examples=25, deadline=None)
def test_a_longer_table_has_one_profile_however_it_is_cut(cuts: list[int]) -> None:
    """Byte for byte: the sample depends on the rows' numbers alone, and merging is exact."""
    columns = table()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "SIZE", SIZE)
        patch.setattr(passes, "SLAB", SLAB)
        assert encoded(reference(columns, sorted(cuts))) == uncut()


def test_counts_of_a_longer_table_are_exact(small: None) -> None:
    """On the sampled grid a column is counted as it would be in memory; categories do not even depend on a sample."""
    columns = table()
    found = reference(columns, range(500, ROWS, 500))
    assert encoded(found) == encoded(profile(columns, found.grids))
    assert found.rows == ROWS
    assert found.columns[4] == profile_column(columns[4])
    assert found.columns[5] == profile_column(columns[5])


def test_nothing_lies_outside_a_sampled_grid(small: None) -> None:
    """The ends of all rows are cuts, also where the sample missed them; only infinities are beyond."""
    columns = table()
    found = reference(columns)
    for place, beyond in ((0, 0), (2, 1)):
        one = found.columns[place]
        assert isinstance(one, NumericProfile)
        assert (one.counts[0], one.counts[-1]) == (beyond, beyond)
        assert isinstance(one.grid, NumericGrid)
        assert one.grid.cuts[-1] == one.maximum
    holes = found.columns[1]
    assert isinstance(holes, NumericProfile)
    assert isinstance(holes.grid, NumericGrid)
    assert set(holes.grid.cuts) >= set(range(10)), "values that repeat are atoms"


def test_the_scale_is_that_of_all_rows(small: None) -> None:
    """A standard deviation does not need a sample; of a heavy tail the sample's interquartile range is kept."""
    columns = table()
    wide, _, tailed = reference(columns).columns[:3]
    assert isinstance(columns[0], NumericColumn)
    assert isinstance(wide.grid, NumericGrid)
    assert isinstance(tailed.grid, NumericGrid)
    assert wide.grid.scale == pytest.approx(columns[0].values.std(), rel=1e-9)
    assert tailed.grid.scale == pytest.approx(1.294, rel=0.15)


def test_a_sampled_cell_holds_its_share(small: None) -> None:
    """A thousand rows sampled: the largest cell of a column without ties holds little more than a thousandth."""
    one = reference(table()).columns[0]
    assert max(one.counts) / ROWS < 0.015


@pytest.mark.slow
def test_a_sampled_grid_keeps_the_false_alarm_rate_and_the_power(small: None) -> None:
    """p < 0.05 in at most 5 % of unchanged columns; a shift of a fifth of a deviation is found every time."""
    runs, alarms, found, compared = 200, 0, 0, 0
    for seed in range(runs):
        rng = np.random.default_rng([9, seed])
        one, two = ([rng.normal(size=n), np.round(rng.lognormal(size=n), 1)] for n in (4_000, 3_000))
        left = [NumericColumn(str(place), values) for place, values in enumerate(one)]
        same = [NumericColumn(str(place), values) for place, values in enumerate(two)]
        moved = [NumericColumn("0", two[0] + 0.2)]
        known = reference([*left], range(700, 4_000, 700))
        for column in compare(known, profile(same, known.grids)):
            compared += 1
            alarms += (column.p_value or 0.0) < 0.05
        found += compare(known, profile(moved, known.grids[:1]))[0].level is not Level.NONE
    assert binom.sf(alarms - 1, compared, 0.05) > 0.001
    assert found == runs


def test_an_open_vocabulary_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 10,000 categories are counted in buckets, as in memory."""
    size = 10_500
    names = tuple(f"id-{i}" for i in range(size))
    column = CategoricalColumn("id", np.arange(size, dtype=np.int32), names)
    found = reference([column], range(0, size, 1_000)).columns[0]
    assert isinstance(found, CategoryProfile)
    assert found.grid == CategoryGrid("id", (), hashed=True)
    assert len(found.buckets) == BUCKETS
    assert found == profile_column(column)


def test_the_engine_does_not_change_a_byte(small: None) -> None:
    """One after the other, or threads: the same parts are added in the same order."""
    columns = table()
    cuts = range(400, ROWS, 400)
    for engine in (LocalEngine(1), LocalEngine(3)):
        assert encoded(reference(columns, cuts, engine)) == encoded(reference(columns, cuts))


def test_many_columns_are_sampled_in_groups(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the samples in memory have a bound; text is read in the first pass only."""
    monkeypatch.setattr(passes, "TOGETHER", 2)
    columns = table()
    steps: list[tuple[int, int]] = []
    runner = Passes(SerialEngine(), lambda done, total: steps.append((done, total)))
    found = runner.reference(MemorySource(columns, range(600, ROWS, 600)), [column.name for column in columns])
    assert encoded(found) == encoded(reference(columns))
    assert steps[-1] == (40, 40)
    assert [done for done, _ in steps] == list(range(1, 41))


def test_a_table_of_text_needs_one_pass(small: None) -> None:
    """There is no number to sample."""
    engine = SerialEngine()
    columns = table()[4:5]
    assert reference(columns, range(600, ROWS, 600), engine).columns[0] == profile_column(columns[0])
    assert engine.done == 10


def test_short_parts_are_one_job(small: None) -> None:
    """As many as make a slab; a job knows where it begins."""
    jobs = list(split(MemorySource(table(), range(100, ROWS, 100))))
    assert {len(job.parts) for job in jobs[:-1]} == {7}
    assert [job.first for job in jobs] == list(range(0, ROWS, 700))
    assert sum(part.rows for job in jobs for part in job.parts) == ROWS


def test_a_part_that_fails_is_named(small: None) -> None:
    """In both passes, and where a column holds another kind than its grid."""
    source = MemorySource(table(), range(700, ROWS, 700))
    grids = profile(table()).grids
    source.broken = 3
    with pytest.raises(TableError, match="rows 2100 to 2799 cannot be read"):
        Passes(LocalEngine(2)).reference(source, ["wide"])
    with pytest.raises(TableError, match="rows 2100 to 2799 cannot be read"):
        Passes(LocalEngine(2)).on_grids(source, grids)
    words = CategoricalColumn("wide", np.zeros(5, dtype=np.int32), ("x",))
    with pytest.raises(TableError, match="rows 0 to 4: column 'wide' holds categories, its reference holds numbers"):
        Passes(SerialEngine()).on_grids(MemorySource([words]), grids[:1])


def test_no_row_is_no_profile() -> None:
    """Neither of a reference nor of what is compared with it."""
    columns: list[Column] = [NumericColumn("x", np.empty(0))]
    with pytest.raises(TableError, match="has no rows"):
        reference(columns)
    with pytest.raises(TableError, match="has no rows"):
        Passes(SerialEngine()).on_grids(MemorySource(columns), profile(table()).grids)
