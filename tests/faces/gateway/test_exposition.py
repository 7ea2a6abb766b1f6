"""Counters as Prometheus text."""

from __future__ import annotations

import re

from fairlead.faces.gateway.exposition import exposition
from fairlead.flows.tally import BUCKETS, Queue, Tally, Usage, new_timing

SAMPLE = re.compile(r'[a-z_]+(\{[a-z_]+="(?:[^"\\\n]|\\.)*"(,[a-z_]+="(?:[^"\\\n]|\\.)*")*\})? [0-9.e+-]+(inf)?')


def test_every_line_is_a_sample_or_a_comment() -> None:
    """Whatever a model is called."""
    tally = Tally()
    tally.answered('odd "name"\\\n', 1, "champion", 200, 0.001)
    tally.strange("hotel", 1, "lead time", "unseen")
    text = exposition([tally.snapshot(0, 1, 2, [("hotel", "1", "champion", 1.0)])]).decode()
    assert text.endswith("\n")
    for line in text.splitlines():
        assert line.startswith("# ") or SAMPLE.fullmatch(line), line


def test_each_family_is_named_once_and_workers_are_told_apart() -> None:
    """The format allows one TYPE a family; a worker's restart must not look like the sum's."""
    tallies = [Tally(), Tally()]
    for tally in tallies:
        tally.answered("hotel", 1, "champion", 200, 0.001, times=3)
    text = exposition([tally.snapshot(number, 1, 2, []) for number, tally in enumerate(tallies)]).decode()
    types = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(types) == len(set(types)) > 15
    for worker in (0, 1):
        labels = f'model_name="hotel",model_version="1",arm="champion",code="200",worker="{worker}"'
        assert f"fairlead_inference_requests_total{{{labels}}} 3" in text


def test_a_histogram_is_cumulative() -> None:
    """Each bucket holds all that is at or below its bound, +Inf holds all, sum and count agree."""
    tally = Tally()
    for seconds in (BUCKETS[0], BUCKETS[0] * 1.5, 100.0):
        tally.answered("hotel", 1, "champion", 200, seconds)
    text = exposition([tally.snapshot(0, 1, 2, [])]).decode()
    counts = [int(line.rsplit(" ", 1)[1]) for line in text.splitlines() if "_bucket{" in line]
    assert counts == [1, *([2] * (len(BUCKETS) - 1)), 3]
    assert 'le="0.00025"} 1' in text
    assert re.search(r"_sum\{[^}]*\} 100\.000625", text)
    assert re.search(r"_count\{[^}]*\} 3", text)


def test_lanes_and_the_worker_itself_are_told() -> None:
    """Queues, what was shed and why, batches by rows and time, CPU, memory and the event loop's lag."""
    tally = Tally()
    tally.opened("hotel", 2)
    tally.shed("hotel", 2, "queue_full")
    tally.ran("hotel", 2, 5, 0.02)
    counts = tally.snapshot(1, 1, 2, [])
    lag = new_timing()
    lag.add(0.003, 4)
    counts.queues = [Queue("hotel", "2", 7, 1)]
    counts.usage = Usage(12.5, 2**20, lag)
    text = exposition([counts]).decode()
    version = 'model_name="hotel",model_version="2"'
    for line in (
        f'fairlead_queue_depth{{{version},worker="1"}} 7',
        f'fairlead_batches_in_flight{{{version},worker="1"}} 1',
        f'fairlead_requests_shed_total{{{version},reason="queue_full",worker="1"}} 1',
        f'fairlead_batch_rows_bucket{{{version},worker="1",le="4"}} 0',
        f'fairlead_batch_rows_bucket{{{version},worker="1",le="8"}} 1',
        f'fairlead_batch_rows_sum{{{version},worker="1"}} 5',
        f'fairlead_model_duration_seconds_sum{{{version},worker="1"}} 0.02',
        'process_cpu_seconds_total{worker="1"} 12.5',
        'process_resident_memory_bytes{worker="1"} 1048576',
        'fairlead_event_loop_lag_seconds_count{worker="1"} 4',
    ):
        assert line in text.splitlines()
