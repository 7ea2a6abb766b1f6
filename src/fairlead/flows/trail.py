"""What a sampled request leaves behind on its way: when each step ended.

Requests that are not sampled have no trail: each step costs them one comparison with None.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from fairlead.core.record import Prediction


class Trail(Struct):
    """Instants are seconds on the monotonic clock, 0 for what was not reached; `at` is `started` since 1970.

    `whole`: the request had been read; `decoded`: its rows had been judged; `predicted`: the model had answered;
    `logged`: the records were written. `trace_id` and `span_id` are empty where the request is only logged.
    """

    at: float
    started: float
    is_logged: bool = False
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    state: str = ""
    whole: float = 0.0
    decoded: float = 0.0
    predicted: float = 0.0
    logged: float = 0.0
    records: Sequence[Prediction] = ()

    def read(self, whole: float, decoded: float) -> None:
        """The request was whole, and then its rows were judged."""
        self.whole, self.decoded = whole, decoded

    @property
    def is_traced(self) -> bool:
        """Whether spans are made of it."""
        return bool(self.span_id)
