"""Types that several threads decode, made known while there is one thread.

msgspec looks at a type when it first decodes it, and two threads that do so at once end the process (SIGSEGV, seen with
0.21): a worker that loads two bundles in threads, a controller whose threads read the same decisions.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from fairlead.core.bundle import Golden, Manifest
from fairlead.core.route import RouteTable
from fairlead.flows.tally import Counts
from fairlead.ports import WorkerState

IN_WORKER: tuple[Any, ...] = (Manifest, Golden, RouteTable, WorkerState, Counts)


@cache
def learn(types: tuple[Any, ...]) -> None:
    """Lets msgspec look at types. Call it before the threads begin that decode them."""
    for one in types:
        msgspec.json.Decoder(one)
