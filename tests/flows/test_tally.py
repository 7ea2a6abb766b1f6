"""What a worker counts."""

from __future__ import annotations

import msgspec

from fairlead.flows.tally import BUCKETS, ROW_BUCKETS, Counts, Queue, Tally, Usage, new_timing


def test_a_snapshot_holds_everything_and_survives_json() -> None:
    """Workers hand their counters to each other as JSON."""
    tally = Tally()
    tally.answered("hotel", 2, "canary", 200, 0.003, times=4)
    tally.answered("hotel", 2, "canary", 500, 0.003)
    tally.refused("", 0, "", 404)
    tally.strange("hotel", 2, "adr", "out_of_range")
    tally.shadow_dropped["queue_full"] += 2
    tally.opened("hotel", 2)
    tally.ran("hotel", 2, 64, 0.02)
    snapshot = tally.snapshot(1, 77, 5, [("hotel", "2", "canary", 0.25)])
    snapshot.queues, snapshot.usage = [Queue("hotel", "2", 3, 1)], Usage(1.5, 2**20, new_timing())
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=Counts) == snapshot
    assert [(one.model_version, one.code, one.count) for one in snapshot.requests] == [
        ("2", 200, 4),
        ("2", 500, 1),
        ("", 404, 1),
    ]
    (duration,) = snapshot.durations
    assert (sum(duration.timing.cells), duration.timing.total_seconds) == (5, 0.015)


def test_a_latency_falls_into_the_first_bucket_that_holds_it() -> None:
    """A bound belongs to its own bucket; what exceeds all bounds has a cell too."""
    tally = Tally()
    for seconds in (0.0, BUCKETS[3], BUCKETS[-1] * 2):
        tally.answered("hotel", 1, "champion", 200, seconds)
    cells = tally.snapshot(0, 1, 1, []).durations[0].timing.cells
    assert [index for index, count in enumerate(cells) if count] == [0, 3, len(BUCKETS)]


def test_batches_are_counted_by_rows_and_requests_by_why_they_were_shed() -> None:
    """A bound belongs to its own bucket; what exceeds all bounds has a cell too."""
    tally = Tally()
    for rows in (1, 2, 3, ROW_BUCKETS[-1], ROW_BUCKETS[-1] + 1):
        tally.ran("hotel", 1, rows, 0.5)
    tally.opened("hotel", 1)
    for reason in ("too_late", "hung_up", "too_late"):
        tally.shed("hotel", 1, reason)
    counts = tally.snapshot(0, 1, 1, [])
    (ran,) = counts.ran
    assert [index for index, count in enumerate(ran.sizes) if count] == [0, 1, 2, 10, 11]
    assert (ran.rows, sum(ran.timing.cells), ran.timing.total_seconds) == (6 + 2 * ROW_BUCKETS[-1] + 1, 5, 2.5)
    assert {one.reason: one.count for one in counts.shed} == {
        "queue_full": 0,
        "too_late": 2,
        "timed_out": 0,
        "hung_up": 1,
    }
