"""The threads of this process. Reading and counting release the interpreter's lock, so threads use every core."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from fairlead.errors import UsageError

J = TypeVar("J")
R = TypeVar("R")


class LocalEngine:
    """Threads, each with one job at a time, and one job waiting for each."""

    def __init__(self, workers: int | None = None) -> None:
        """`workers` threads, by default one for each core. Raises `UsageError` for less than one."""
        if workers is not None and workers < 1:
            raise UsageError(f"workers is {workers}: at least one has to do the work")
        self._workers = workers or os.cpu_count() or 1

    def map(self, work: Callable[[J], R], jobs: Iterable[J]) -> Iterator[R]:
        """As `ports.Engine`."""
        waiting: deque[Future[R]] = deque()
        with ThreadPoolExecutor(max_workers=self._workers) as pool:
            try:
                for job in jobs:
                    waiting.append(pool.submit(work, job))
                    if len(waiting) > 2 * self._workers - 1:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for one in waiting:
                    one.cancel()

    def close(self) -> None:
        """Nothing is held between two calls of `map`."""
