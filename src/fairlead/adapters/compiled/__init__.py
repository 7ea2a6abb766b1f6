"""The compiled counting loop, where the installation has it. Results are those of the array code to the last bit.

`count.c` is built when fairlead is installed from source on a machine with a C compiler, and ships in built wheels;
without it everything works, and counting takes two to three times as long.
"""

from __future__ import annotations

import ctypes
from functools import cache
from math import ldexp
from pathlib import Path

import numpy as np

from fairlead.stats.exact import Floats
from fairlead.stats.tally import Counts, Lookup, Scratch, Tally

LIBRARY = Path(__file__).with_name("count.native")


class _Lookup(ctypes.Structure):
    _fields_ = (
        ("origin", ctypes.c_double),
        ("unit", ctypes.c_double),
        *((name, ctypes.c_int64) for name in ("base", "shift", "buckets", "cells")),
        *((name, ctypes.c_void_p) for name in ("table", "whole", "cuts")),
    )


def scratch() -> Scratch:
    """Room for one thread that counts, with the compiled loop where there is one."""
    return Scratch(_loop if _library() else None)


def _loop(values: Floats, ready: Lookup, edges: Counts, tally: Tally) -> None:
    library = _library()
    assert library is not None
    assert ready.table is not None
    held = _Lookup(
        ready.origin,
        ldexp(1.0, ready.exponent),
        ready.base,
        ready.shift,
        ready.table.size,
        ready.cells,
        ready.table.ctypes.data,
        None if ready.whole is None else ready.whole.ctypes.data,
        ready.cuts.ctypes.data,
    )
    results = (tally.counts, tally.high, tally.low, tally.halves, tally.ends, tally.infinite, tally.taken)
    places = [ctypes.c_void_p(array.ctypes.data) for array in (values, np.asarray(edges, np.int64), *results)]
    library.fairlead_count(ctypes.byref(held), places[0], places[1], ctypes.c_int64(edges.size - 1), *places[2:])


@cache
def _library() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(LIBRARY))
    except OSError:  # not built, or built for another machine
        return None
