"""Which rows of a long table a sample holds: one of each of `size` equal blocks, at a place that a hash decides.

Stratified by position, so the sample follows a trend that runs through the table; placed by a hash, so a period in the
rows cannot align with it. The choice depends on the row's number in the table and on nothing else: not on how the table
is split into parts, nor on which worker reads which. The hash is SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).

With one row drawn at random from each block, a share of the sample has at most the variance of a simple random sample,
F (1 - F) / size (Cochran, *Sampling Techniques*, 1977, theorem 5.6, with proportional allocation).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIZE = 1 << 20  # rows up to which a table is its own sample
LONGEST = 2**62 // SIZE  # rows up to which the arithmetic stays within 64 bits: four million million


def chosen(total: int, start: int, rows: int, *, size: int = SIZE, seed: int = 0) -> NDArray[np.int64]:
    """The chosen rows among `rows` that begin at row `start` of a table of `total`: rising places from 0 to `rows` - 1.

    All rows of a table of at most `size`; of a longer one exactly `size` over the whole table. Raises `ValueError` for
    rows that are not within the table, and for a table of more than four million million rows.

    >>> chosen(6, 2, 3).tolist()
    [0, 1, 2]
    >>> [chosen(1000, start, 500, size=4).tolist() for start in (0, 500)]
    [[35, 450], [179, 444]]
    """
    if start < 0 or rows < 0 or start + rows > total:
        raise ValueError(f"rows {start} to {start + rows} are not within a table of {total}")
    if total > LONGEST:
        raise ValueError(f"{total} rows are too many to sample: split the table, and add up the profiles")
    if total <= size:
        return np.arange(rows)
    first, last = start * size // total, (start + rows) * size // total  # blocks that overlap the rows, and a few
    blocks = np.arange(max(first - 1, 0), min(last + 2, size))
    low, high = blocks * total // size, (blocks + 1) * total // size
    drawn = _mixed(blocks.astype(np.uint64) + np.uint64(seed * size)) % (high - low).astype(np.uint64)
    places = low + drawn.astype(np.int64) - start
    return places[(places >= 0) & (places < rows)]


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's output at these places of its sequence."""
    mixed = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
