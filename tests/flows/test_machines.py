"""What the home's processes take up of what there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.flows.page_desk import Desk

from fairlead.core.condition import Measured
from fairlead.core.event import AlertRaised
from fairlead.flows.machines import Machines, Room
from fairlead.flows.tally import Counts, Queue, Usage, new_timing

GIB = 2**30


def said(worker: int, cpu: float, *, pid: int = 0, gib: float = 1.0, waiting: int = 0) -> Counts:
    """What a process says of itself."""
    usage = Usage(cpu, round(gib * GIB), new_timing())
    queues = [Queue("hotel", "1", waiting, 1)]
    return Counts(worker, pid or worker, 1, [], [], [], {}, 0, 0, [], queues=queues, usage=usage)


def test_memory_and_what_waits_are_those_of_all_processes() -> None:
    """Of the limit, and of one model; nothing is said where nobody says anything."""
    machines = Machines(Room(8 * GIB, 2.0), 300.0)
    assert machines.memory_share().missing
    assert machines.queue_depth("hotel").missing
    machines.take([said(1, 0.0, gib=3.0, waiting=70), said(2, 0.0, gib=4.0, waiting=50)], 0.0)
    assert machines.memory_share().value == 0.875
    assert (machines.queue_depth("hotel").value, machines.queue_depth("taxi").value) == (120.0, 0.0)


def test_a_peak_of_processor_time_is_not_sustained() -> None:
    """The average of the whole window counts, and there is none before it has passed."""
    machines = Machines(Room(GIB, 2.0), 300.0)
    for second in range(0, 200, 10):
        machines.take([said(1, 2.0 * second)], float(second))
    assert "5 minutes" in machines.cpu_share().missing
    for second in range(200, 400, 10):
        machines.take([said(1, 400.0)], float(second))
    value = machines.cpu_share().value
    assert value is not None
    assert 0.3 < value < 0.5


@given(st.lists(st.floats(0.0, 1.0), min_size=31, max_size=60), st.integers(1, 59))
def test_a_process_that_is_replaced_loses_no_time(shares: list[float], dies: int) -> None:
    """Its successor counts from its own start: the share is that of the time in the window."""
    machines, cpu, pid = Machines(Room(GIB, 1.0), 300.0), 0.0, 1
    for step, share in enumerate(shares):
        if step == dies:
            pid, cpu = 2, 0.0
        machines.take([said(1, cpu, pid=pid)], 10.0 * step)
        cpu += 10.0 * share
    value = machines.cpu_share().value
    assert value is not None
    assert 0.0 <= value <= 1.0 + 1e-9


@pytest.mark.parametrize(
    ("waiting", "raised"), [(90, []), (150, ["queue_depth"]), (1200, ["queue_depth", "queue_depth:critical"])]
)
def test_a_queue_is_an_alert_by_the_usual_levels(waiting: int, raised: list[str]) -> None:
    """Where it is asked for by its name."""
    desk = Desk("alerting: {alerts: [{name: queue_depth}]}")
    desk.metrics.machines = Machines(Room(GIB, 1.0), 300.0)
    desk.metrics.machines.take([said(1, 0.0, waiting=waiting)], 0.0)
    desk.look()
    assert [fact.alert for fact in desk.facts(AlertRaised)] == raised


def test_without_a_controller_machines_are_unmeasured() -> None:
    """And say so."""
    desk = Desk("alerting: {alerts: [{name: cpu_share}]}")
    desk.look()
    assert {look.judgement.outcome for look in desk.conditions.looks} == {"unmeasured"}
    assert Measured("cpu_share").value is None
