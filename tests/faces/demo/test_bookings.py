"""Two years of bookings as live traffic: each once, in order, with its outcome told once."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from fairlead.faces.demo.bookings import Bookings, Day
from fairlead.faces.demo.train import FEATURES, TARGET

DAY = 86_400.0


@pytest.fixture(scope="module", params=[7, 20])
def bookings(request: pytest.FixtureRequest) -> Bookings:
    """Every seventh, or every twentieth, booking."""
    return Bookings(request.param)


@pytest.fixture(scope="module")
def days(bookings: Bookings) -> list[Day]:
    """All days of traffic."""
    return [day for month in bookings.months for day in bookings.days(month)]


@pytest.fixture(scope="module")
def told(bookings: Bookings, days: list[Day]) -> list[dict[str, Any]]:
    """All outcomes, in the order in which they are told."""
    live = [outcome for day in days for outcome in day.outcomes]
    return [*bookings.outcomes_before(), *live, *bookings.outcomes_after()]


@pytest.fixture(scope="module")
def asked(days: list[Day]) -> list[dict[str, Any]]:
    """All requests' bodies, in order."""
    return [json.loads(body) for day in days for _, body in day.requests]


def test_every_booking_is_asked_for_once(bookings: Bookings, asked: list[dict[str, Any]]) -> None:
    """With all features as they stand in the archive, and nothing of its outcome."""
    assert len(asked) == bookings.requests
    rows = {f"booking-{row['booking_id']}": row for row in bookings.live.to_pylist()}
    assert {body["request_id"] for body in asked} == set(rows)
    for body in asked:
        row = rows[body["request_id"]]
        assert body["unit_id"] == body["request_id"]
        assert body["features"] == {name: row[name] for name in FEATURES}
    assert TARGET not in FEATURES


def test_every_outcome_is_told_exactly_once(bookings: Bookings, told: list[dict[str, Any]]) -> None:
    """Before, during and after the live days together: none is lost, none is told twice, each is the booking's own."""
    truth = {f"booking-{row['booking_id']}": row[TARGET] for row in bookings.live.to_pylist()}
    assert set(Counter(outcome["request_id"] for outcome in told).values()) == {1}
    assert {outcome["request_id"]: outcome["outcome"] for outcome in told} == truth


def test_requests_come_in_order_of_event_time(asked: list[dict[str, Any]], days: list[Day]) -> None:
    """Strictly, and within their own day."""
    instants = [body["timestamp"] for body in asked]
    assert all(earlier < later for earlier, later in pairwise(instants))
    for day in days:
        start = day.date.timestamp()
        for name, body in day.requests:
            assert json.loads(body)["request_id"] == name
            assert start < json.loads(body)["timestamp"] < start + DAY


def test_an_outcome_is_told_on_the_day_it_became_known(bookings: Bookings, days: list[Day]) -> None:
    """Not before: what is told on a day was known by that day's end, and is dated so."""
    known = {f"booking-{row['booking_id']}": row["known_at"] for row in bookings.live.to_pylist()}
    for day in days:
        for outcome in day.outcomes:
            assert known[outcome["request_id"]].replace(tzinfo=UTC) == day.date
            assert outcome["observed_at"] == day.date.timestamp() + DAY - 1.0


def test_days_follow_each_other_without_a_gap(bookings: Bookings, days: list[Day]) -> None:
    """From the first live month's first day to the last month's last."""
    assert (bookings.months[0], bookings.months[-1], len(bookings.months)) == ("2015-11", "2017-08", 22)
    first = datetime(2015, 11, 1, tzinfo=UTC)
    assert [day.date for day in days] == [first + timedelta(days=n) for n in range(len(days))]
    assert days[-1].date == datetime(2017, 8, 31, tzinfo=UTC)


def test_what_is_trained_on_was_known_then() -> None:
    """`known` holds arrivals of the span whose outcome did not lie in its future; `arrivals` excludes its end."""
    bookings = Bookings()
    span = ("2015-07-01", "2015-11-01")
    arrivals, known = bookings.arrivals(*span), bookings.known(*span)
    end = datetime(2015, 11, 1)  # noqa: DTZ001  # the archive's days have no zone
    assert 0 < known.num_rows < arrivals.num_rows
    assert max(arrivals["arrival_date"].to_pylist()) < end
    assert max(known["known_at"].to_pylist()) < end
    assert set(known["booking_id"].to_pylist()) <= set(arrivals["booking_id"].to_pylist())


def test_the_live_months_share_nothing_with_the_first_training_data() -> None:
    """No booking is both trained on at the start and replayed."""
    bookings = Bookings()
    first = set(bookings.known("2015-07-01", "2015-11-01")["booking_id"].to_pylist())
    assert first.isdisjoint(bookings.live["booking_id"].to_pylist())


def test_a_stride_takes_every_nth() -> None:
    """Of the live months; the training data stay whole."""
    every, some = Bookings(1), Bookings(5)
    assert some.live["booking_id"].to_pylist() == every.live["booking_id"].to_pylist()[::5]
    assert some.known("2015-07-01", "2015-11-01").equals(every.known("2015-07-01", "2015-11-01"))
