"""How much a process told of itself, and how much it could not."""

from __future__ import annotations

from msgspec import Struct


class Told(Struct):
    """`lines_dropped` and `spans_dropped` by why: queue_full, write_failed, rate_limited; queue_full, refused,
    unreached. `spans_sent` is None where nothing is traced."""

    lines_dropped: dict[str, int] = {}
    spans_dropped: dict[str, int] = {}
    spans_sent: int | None = None
