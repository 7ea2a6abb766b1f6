"""A quarantine in memory, and what every quarantine keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from fairlead.core.quarantine import DROPS, TOO_MANY, Quarantined
from fairlead.ports.quarantine import Quarantine

ROW = Quarantined("r", "hotel", 2, "canary", "guest-7", 1.0, 2.0, "features.age: expected a number", b'{"age": \xff')
MANY = 10_000


class MemoryQuarantine:
    """Keeps up to `most` rows, oldest first."""

    def __init__(self, most: int = 1_000) -> None:
        """Starts empty."""
        self._most = most
        self._dropped = 0
        self.rows: list[Quarantined] = []

    def keep(self, row: Quarantined) -> None:
        """Takes a row, or drops it."""
        if len(self.rows) < self._most:
            self.rows.append(row)
        else:
            self._dropped += 1

    def counts(self) -> dict[str, int]:
        """How many rows were kept, and dropped."""
        return {"kept": len(self.rows), **dict.fromkeys(DROPS, 0), TOO_MANY: self._dropped}

    def close(self) -> None:
        """Nothing is open."""


def check_quarantine(quarantine: Quarantine, kept: Callable[[], Sequence[Quarantined]]) -> None:
    """What every quarantine keeps, given an empty one and what reads it: rows as they came, in their order; within
    bounds, whatever comes; every row kept or counted as dropped."""
    quarantine.keep(ROW)
    quarantine.keep(replace(ROW, request_id="s", what="wrong_type", field="age"))
    for number in range(MANY):
        quarantine.keep(replace(ROW, request_id=f"r{number}"))
    quarantine.close()
    rows, counts = kept(), quarantine.counts()
    assert rows[0] == ROW, "a row is kept as it came"
    assert rows[1].request_id == "s", "rows keep their order"
    assert counts["kept"] == len(rows), "what is kept is counted"
    assert sum(counts.values()) == MANY + 2, "a row is kept or dropped, once"
    assert counts["kept"] < MANY, "a flood is bounded"
    assert set(counts) == {"kept", *DROPS}, "every reason is told, also where it is 0"
