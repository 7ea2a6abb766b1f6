"""The five steps of a triage, by what each is shown."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fairlead.core.recommend import Signs
from fairlead.core.report import FeatureShift
from fairlead.core.triage import (
    Changed,
    GoldenSeen,
    Machinery,
    WorkerSeen,
    classified,
    golden,
    infrastructure,
    panels,
    timeline,
)
from fairlead.core.verdict import Outcome
from fairlead.testing.reports import benign_report, harmful_report, window_report

WELL = Machinery((WorkerSeen(0, 7, 0.2), WorkerSeen(1, 7, 0.1)), 7, asked=1_000, failed=2)


def test_machines_that_are_well() -> None:
    """Workers there, at the route, and requests answered: it holds; without traffic nobody knows."""
    assert infrastructure(WELL).outcome is Outcome.HOLDS
    assert infrastructure(replace(WELL, asked=0)).outcome is Outcome.UNDECIDED


def test_machines_that_are_not() -> None:
    """No worker, a silent one, one behind, one with an error, a full log, failing requests: each says which."""
    silent, behind = WorkerSeen(1, 7, 60.0), WorkerSeen(1, 6, 0.1)
    cases = {
        "no worker is running": replace(WELL, workers=()),
        "worker 1 has said nothing": replace(WELL, workers=(WELL.workers[0], silent)),
        "worker 1 is not at route 7": replace(WELL, workers=(WELL.workers[0], behind)),
        "worker 0: no memory": replace(WELL, workers=(WorkerSeen(0, 7, 0.1, "no memory"),)),
        "the log takes no records: disk full": replace(WELL, log="disk full"),
        "60 of 1,000 requests failed": replace(WELL, failed=60),
        "p99 is 2 s": replace(WELL, alerts=("p99 is 2 s",)),
    }
    for said, seen in cases.items():
        found = infrastructure(seen)
        assert found.outcome is Outcome.BREACHED, said
        assert said in found.reason


def test_panels() -> None:
    """No window is unmeasured, a calm one holds, drift without a verdict is undecided, harm and broken data breach."""
    assert panels([]).outcome is Outcome.UNMEASURED
    assert panels([window_report()]).outcome is Outcome.HOLDS
    assert panels([benign_report()]).outcome is Outcome.UNDECIDED
    harm = panels([window_report(0), harmful_report(1)])
    assert harm.outcome is Outcome.BREACHED
    assert dict(harm.evidence)["suspects"].startswith("market_segment")
    nulls = FeatureShift("adr", "critical", broken="adr is null in 50 % of the rows")
    broken = panels([window_report(0, drift=(nulls,))])
    assert broken.outcome is Outcome.BREACHED
    assert dict(broken.evidence)["broken"] == "adr"


def test_golden_rows() -> None:
    """Asked and right holds; not asked is unmeasured; wrong here, or on a worker, breaches and says where."""
    assert golden(GoldenSeen(3, 200)).outcome is Outcome.HOLDS
    assert golden(GoldenSeen(3, None, reason="no bundle")).outcome is Outcome.UNMEASURED
    assert golden(GoldenSeen(3, 200, 1, "row 4 differs")).outcome is Outcome.BREACHED
    worker = golden(GoldenSeen(3, 200, workers=((1, "row 2 differs"), (2, "row 2 differs"))))
    assert worker.outcome is Outcome.BREACHED
    assert "on worker 1 (and 1 other worker)" in worker.reason


def test_a_timeline_names_the_nearest_change() -> None:
    """Without a beginning it is unmeasured; without changes it holds; else the nearest change is named."""
    assert timeline([], None).outcome is Outcome.UNMEASURED
    assert timeline([], 100.0).outcome is Outcome.HOLDS
    changes = [Changed(10.0, "deploy", "version 2 serves"), Changed(95.0, "upstream", "crm: new currency")]
    found = timeline(changes, 100.0)
    assert found.outcome is Outcome.BREACHED
    assert "nearest, 5 s before it began: crm: new currency" in found.reason


def test_what_pages_nobody_is_no_fault_of_the_machines() -> None:
    """A mild alert is told and leaves it undecided; slow answers that page breach, and are told apart from faults."""
    mild = infrastructure(replace(WELL, mild=("p99_latency is 265 ms (medium)",)))
    assert (mild.outcome, mild.reason) == (Outcome.UNDECIDED, "p99_latency is 265 ms (medium)")
    slow = replace(WELL, slow=("p99 is 2 s",), mild=("p50 is 9 ms (low)",))
    assert infrastructure(slow).outcome is Outcome.BREACHED
    assert infrastructure(slow).reason == "p99 is 2 s; p50 is 9 ms (low)"
    assert slow.faults == ()


CATEGORIES: list[tuple[Signs, str, str]] = [
    (Signs(), "business", "business"),
    (Signs(machines="no worker"), "model", "infrastructure"),
    (Signs(machines="no worker"), "integration", "integration"),
    (Signs(slow="p99 is 2 s"), "model", "infrastructure"),
    (Signs(slow="p99 is 2 s", harmful=True), "model", "model"),
    (Signs(machines="no worker", harmful=True), "model", "infrastructure"),
    (Signs(broken=("adr",), harmful=True), "model", "data"),
    (Signs(golden_wrong=True, machines="no worker"), "data", "model"),
    (Signs(harmful=True), "data", "model"),
    (Signs(harmful=True), "infrastructure", "model"),
    (Signs(harmful=True), "business", "business"),
]


@pytest.mark.parametrize(("signs", "opened_as", "category"), CATEGORIES)
def test_the_first_breach_says_where_the_trouble_lies(signs: Signs, opened_as: str, category: str) -> None:
    """Machines that may explain it before data before the model; nothing breached leaves what it was opened as."""
    assert classified(signs, opened_as) == category
