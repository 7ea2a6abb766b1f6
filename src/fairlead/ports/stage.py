"""Where a candidate is rehearsed: a real served path of its own, and a process that knows nothing of this one."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from msgspec import Struct

from fairlead.core.contract import Contract
from fairlead.core.record import Prediction
from fairlead.core.route import RouteTable


class Stage(Protocol):
    """Gateway workers that serve nobody else. Entering starts them and waits until they answer; leaving stops them.

    Entering raises `StateError` when they do not come up.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def base_url(self) -> str:
        """Where they answer, such as http://127.0.0.1:40123."""
        ...

    def publish(self, table: RouteTable) -> None:
        """Gives them another route table, as the controller would. Its generation must be higher."""
        ...

    def applied_generation(self) -> int:
        """The generation that every worker has. Raises `StateError` when one cannot load what was published."""
        ...

    def peak_memory_mb(self) -> float:
        """The largest resident memory of any worker since its start, in 10^6 bytes."""
        ...

    def memory_mb(self) -> float:
        """The resident memory of all workers now, in 10^6 bytes."""
        ...

    def logged(self) -> tuple[Prediction, ...]:
        """What they wrote to the prediction log since the last call."""
        ...

    def log_bytes(self) -> int:
        """What the prediction log holds on the disk now."""
        ...

    def put_failing(self, contract: Contract) -> str:
        """Puts a bundle where only this stage finds it, and returns its digest: a table may then name it.

        It takes the contract's rows, loads, and fails on each one.
        """
        ...


OpenStage = Callable[[RouteTable], Stage]  # a stage that begins with this table


class CleanRun(Struct, frozen=True):
    """What a clean process found. `problem` says why nothing could be loaded or answered; empty when all went well."""

    problem: str = ""
    rows: int = 0
    largest_difference: float = 0.0
    seconds: float = 0.0
    python: str = ""


class CleanProcess(Protocol):
    """Loads a bundle where nothing is imported yet and the environment is bare."""

    def reproduce(self, digest: str) -> CleanRun:
        """Answers the golden rows with what is served, and compares with the recorded outputs.

        Raises `StateError` when no process could be started.
        """
        ...
