"""Two years of real hotel bookings, as training data and as live traffic. See data/NOTICE.md for the credit.

Event time is the day of arrival, because the archive only holds arrivals inside its period: ordering by the day of
booking would invent a drift. The outcome is told on the day it really became known, so a departure's label comes days
after its prediction, and an early cancellation's before it: the log keeps it until its prediction arrives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fairlead.faces.demo.train import FEATURES, TARGET

SOURCE = Path(__file__).parent / "data" / "hotel_bookings.parquet"
_DAY = 86_400.0


@dataclass(frozen=True)
class Day:
    """One day of traffic: predict requests as (request id, body), and the outcomes that became known."""

    date: datetime
    requests: list[tuple[str, bytes]]
    outcomes: list[dict[str, Any]]


class Bookings:
    """The archive. `stride` takes every n-th booking of the live months."""

    def __init__(self, stride: int = 1) -> None:
        self.table = pq.read_table(SOURCE)
        self._stride = stride

    def arrivals(self, start: str, end: str) -> pa.Table:
        """The bookings that arrive from `start` up to, not including, `end` (dates)."""
        arrival = self.table["arrival_date"]
        return self.table.filter(pc.and_(pc.greater_equal(arrival, _date(start)), pc.less(arrival, _date(end))))

    def known(self, start: str, end: str) -> pa.Table:
        """The same, but only those whose outcome was known before `end`."""
        rows = self.arrivals(start, end)
        return rows.filter(pc.less(rows["known_at"], _date(end)))

    @cached_property
    def live(self) -> pa.Table:
        """What is replayed: arrivals from November 2015 on."""
        rows = self.arrivals("2015-11-01", "2017-09-01")
        return rows.take(np.arange(0, rows.num_rows, self._stride))

    @cached_property
    def months(self) -> tuple[str, ...]:
        """The live months, as 2015-11."""
        return tuple(sorted(set(pc.strftime(self.live["arrival_date"], format="%Y-%m").to_pylist())))

    @property
    def requests(self) -> int:
        """How many predictions the live months ask for."""
        return int(self.live.num_rows)

    def days(self, month: str) -> Iterator[Day]:
        """The days of a live month in order."""
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
        day = first
        while day.month == first.month:
            yield Day(day, self._requests(day), self._outcomes(day))
            day += timedelta(days=1)

    def outcomes_before(self) -> list[dict[str, Any]]:
        """The outcomes that became known before the first live arrival: early cancellations."""
        start = min(self._arrivals_by_day)
        return [self._outcome(row) for day, rows in sorted(self._known_by_day.items()) if day < start for row in rows]

    def outcomes_after(self) -> list[dict[str, Any]]:
        """The outcomes that became known after the last arrival: the last departures."""
        end = max(self._arrivals_by_day)
        return [self._outcome(row) for day, rows in sorted(self._known_by_day.items()) if day > end for row in rows]

    def _requests(self, day: datetime) -> list[tuple[str, bytes]]:
        rows = self._arrivals_by_day.get(int(day.timestamp()), [])
        step = _DAY / (len(rows) + 1)
        requests = []
        for place, row in enumerate(rows):
            name = f"booking-{self._ids[row]}"
            body = {
                "request_id": name,
                "unit_id": name,
                "timestamp": day.timestamp() + step * (place + 1),
                "features": self._features[row],
            }
            requests.append((name, msgspec.json.encode(body)))
        return requests

    def _outcomes(self, day: datetime) -> list[dict[str, Any]]:
        return [self._outcome(row) for row in self._known_by_day.get(int(day.timestamp()), [])]

    def _outcome(self, row: int) -> dict[str, Any]:
        return {
            "request_id": f"booking-{self._ids[row]}",
            "outcome": self._targets[row],
            "observed_at": float(self._known[row]) + _DAY - 1.0,
        }

    @cached_property
    def _ids(self) -> list[int]:
        ids: list[int] = self.live["booking_id"].to_pylist()
        return ids

    @cached_property
    def _targets(self) -> list[int]:
        targets: list[int] = self.live[TARGET].to_pylist()
        return targets

    @cached_property
    def _features(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.live.select(list(FEATURES)).to_pylist()
        return rows

    @cached_property
    def _known(self) -> list[int]:
        return _seconds(self.live["known_at"])

    @cached_property
    def _arrivals_by_day(self) -> dict[int, list[int]]:
        return _by_day(_seconds(self.live["arrival_date"]))

    @cached_property
    def _known_by_day(self) -> dict[int, list[int]]:
        return _by_day(self._known)


def _date(text: str) -> pa.Scalar:
    return pa.scalar(datetime.fromisoformat(text), type=pa.timestamp("us"))


def _seconds(column: pa.ChunkedArray) -> list[int]:
    seconds: list[int] = pc.cast(pc.divide(pc.cast(column, pa.int64()), 1_000_000), pa.int64()).to_pylist()
    return seconds


def _by_day(seconds: list[int]) -> dict[int, list[int]]:
    days: dict[int, list[int]] = {}
    for row, at in enumerate(seconds):
        days.setdefault(at, []).append(row)
    return days
