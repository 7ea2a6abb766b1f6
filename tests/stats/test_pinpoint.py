"""The smallest segment that explains a rise of losses."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.stats.performance import Floats
from fairlead.stats.pinpoint import Cells, Segment, smallest

ROWS = 2_000


def world(seed: int, rows: int = ROWS) -> tuple[Cells, Floats]:
    """Three features of four, five and two cells, and the uniform draws by which rows lose."""
    rng = np.random.default_rng(seed)
    cells = np.stack([rng.integers(0, size, rows) for size in (4, 5, 2)]).astype(np.uint8)
    return cells, rng.random(rows)


def found(cells: Cells, chance: Floats, rate: Floats | float, usual: float = 0.1) -> Segment | None:
    """What explains losses of this rate, where a tenth was usual."""
    return smallest(cells, (chance < rate).astype(np.float64), np.full(cells.shape, usual))


def test_one_cell_is_found() -> None:
    """Losses rose in one of five cells: it, and not a cell within it."""
    cells, chance = world(1)
    one = found(cells, chance, np.where(cells[1] == 3, 0.5, 0.1))
    assert one is not None
    assert (one.features, one.cells) == ((1,), (3,))
    assert one.share > 0.8


def test_a_cell_within_a_cell_is_found() -> None:
    """Losses rose only where both hold; neither cell alone is the smallest."""
    cells, chance = world(2)
    one = found(cells, chance, np.where((cells[0] == 2) & (cells[1] == 0), 0.9, 0.1))
    assert one is not None
    assert (one.features, one.cells) == ((0, 1), (2, 0))


def test_a_rise_everywhere_has_no_segment() -> None:
    """Every row loses more: no part of less than half explains it."""
    cells, chance = world(3)
    assert found(cells, chance, 0.3) is None


def test_a_cell_that_always_lost_more_explains_nothing() -> None:
    """Held-out rows of that cell lost as much: it is not where losses rose."""
    cells, chance = world(4)
    usual = np.where(cells == 3, 0.1, 0.1)
    usual[1] = np.where(cells[1] == 3, 0.5, 0.1)
    rate = np.where(cells[1] == 3, 0.5, np.where(cells[0] == 1, 0.4, 0.1))
    one = smallest(cells, (chance < rate).astype(np.float64), usual)
    assert one is None or one.cells != (3,)


def false_alarms(seeds: range) -> int:
    """How often a stream in which nothing rose has a segment."""
    return sum(found(*world(seed, 600), 0.1) is not None for seed in seeds)


def test_chance_is_rarely_taken_for_a_segment() -> None:
    """Of 200 windows in which nothing rose, hardly one names a segment."""
    assert false_alarms(range(200)) <= 6


@pytest.mark.slow
def test_chance_is_taken_for_a_segment_in_one_of_a_hundred() -> None:
    """The rate over 3,000 windows in which nothing rose is that of the level, or below."""
    assert false_alarms(range(1_000, 4_000)) <= 45


def test_few_rows_have_no_segment() -> None:
    """A segment needs thirty rows; without labelled rows there is none."""
    cells, chance = world(5, 60)
    assert found(cells, chance, np.where(cells[1] == 3, 1.0, 0.0)) is None
    assert smallest(cells[:, :0], np.empty(0), np.empty((3, 0))) is None
