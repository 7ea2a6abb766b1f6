from __future__ import annotations

import threading

import pytest

from fairlead.adapters.engines.local import LocalEngine
from fairlead.errors import UsageError
from fairlead.testing.engine import check_engine


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_keeps_the_port(workers: int | None) -> None:
    """With any number of threads it is an engine."""
    check_engine(LocalEngine(workers))


def test_threads_work_at_the_same_time() -> None:
    """Two workers do two jobs at once: each waits here for the other."""
    both = threading.Barrier(2, timeout=30)
    assert len(list(LocalEngine(2).map(lambda job: both.wait() >= 0, range(4)))) == 4


def test_jobs_do_not_pile_up() -> None:
    """A source is read no further ahead than one job waiting for each worker."""
    taken: list[int] = []

    def jobs() -> object:
        for number in range(100):
            taken.append(number)
            yield number

    for place, _ in enumerate(LocalEngine(2).map(lambda job: job, jobs())):  # type: ignore[arg-type]
        assert len(taken) <= place + 5


def test_no_worker_is_no_engine() -> None:
    """Somebody has to do the work."""
    with pytest.raises(UsageError, match="workers is 0"):
        LocalEngine(0)
