"""Ray: this machine's processes, or the cluster that the program is connected to.

A cluster's machines need fairlead installed, and must reach the files by the same paths.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from fairlead.errors import MissingExtra, StateError, UsageError

J = TypeVar("J")
R = TypeVar("R")

_STORE = 1 << 30  # bytes of shared memory that a Ray of our own may take for what travels
_STARTS = 3  # Ray gives itself 30 seconds, which a busy machine may not have
_CLUSTER = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


class RayEngine:
    """One task for each job. A cluster that is connected, or named by `RAY_ADDRESS`, is used; else one starts here."""

    def __init__(self, workers: int | None = None) -> None:
        """`workers` tasks at a time, by default one for each core that Ray knows of.

        Raises `MissingExtra` without ray, `UsageError` for less than one worker, and `StateError` where Ray does not
        start or its cluster does not answer.
        """
        if workers is not None and workers < 1:
            raise UsageError(f"workers is {workers}: at least one has to do the work")
        self._ray = _imported()
        self._started = not self._ray.is_initialized()
        if self._started:
            _start(self._ray, workers)
        self._workers = workers or int(self._ray.cluster_resources().get("CPU", 1)) or 1

    def map(self, work: Callable[[J], R], jobs: Iterable[J]) -> Iterator[R]:
        """As `ports.Engine`. Raises `StateError` where a worker dies."""
        task = self._ray.remote(_do).options(max_retries=2, retry_exceptions=False)
        kept = self._ray.put(work)
        waiting: deque[Any] = deque()
        try:
            for job in jobs:
                waiting.append(task.remote(kept, job))
                if len(waiting) > 2 * self._workers - 1:
                    yield self._result(waiting.popleft())
            while waiting:
                yield self._result(waiting.popleft())
        finally:
            for one in waiting:
                self._ray.cancel(one)

    def _result(self, waiting: Any) -> Any:
        from ray.exceptions import RayError, RayTaskError

        try:
            return self._ray.get(waiting)
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            raise StateError(f"Ray lost a task: {_cause(error)}; see Ray's logs, or use fewer workers") from error

    def close(self) -> None:
        """Stops the Ray that this engine started; a cluster that was there stays."""
        if self._started:
            self._started = False
            self._ray.shutdown()


def _do(work: Callable[[J], R], job: J) -> R:
    return work(job)


def _imported() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "ray", 'engine="ray"') from error
    return ray


def _start(ray: Any, workers: int | None) -> None:
    for patience in range(_STARTS):
        try:
            _init(ray, workers)
        except Exception as error:
            ray.shutdown()
            if patience == _STARTS - 1:
                raise StateError(f"Ray does not start: {_cause(error)}") from error
        else:
            return


def _init(ray: Any, workers: int | None) -> None:
    import logging

    quiet = {"configure_logging": True, "logging_level": logging.ERROR, "log_to_driver": False}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**quiet)
        return
    with _alone():
        ray.init(address="local", num_cpus=workers, include_dashboard=False, object_store_memory=_STORE, **quiet)


def _cause(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


@contextmanager
def _alone() -> Iterator[None]:
    """A Ray that starts here listens on the loopback address only, as it does everywhere but on Linux."""
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER, os.environ.get(_CLUSTER)
    ray_constants.ENABLE_RAY_CLUSTER, os.environ[_CLUSTER] = False, "0"
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before[0]
        if before[1] is None:
            del os.environ[_CLUSTER]
        else:
            os.environ[_CLUSTER] = before[1]
