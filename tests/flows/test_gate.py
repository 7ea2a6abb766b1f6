"""The whole gate over a scripted bundle and a stage in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.core.agreement import agreement
from fairlead.core.bundle import HELDOUT
from fairlead.core.gate import CHECKS, Check, GatePolicy, GateReport
from fairlead.core.route import RouteTable
from fairlead.core.verdict import Outcome
from fairlead.errors import StateError
from fairlead.flows.gate import GatePorts, run_gate
from fairlead.flows.gate_checks.book import SERVED
from fairlead.ports.registry import VersionInfo
from fairlead.ports.stage import CleanRun, Stage
from fairlead.testing.bundles import ScriptedBundles
from fairlead.testing.candidate import Parts, StayPredictor, write_candidate
from fairlead.testing.clock import ManualClock
from fairlead.testing.stage import LocalStage

POLICY = GatePolicy(
    p99_ms=5000,
    requests=100,
    warm_up=2,
    predictions=400,
    memory_growth_mb=50,
    load_seconds=0.5,
    load_connections=2,
    spike_times=2,
    spike_seconds=0.2,
)
STAGED = tuple(name for name in CHECKS if name in SERVED)


class Rig:
    """A store, a stage and a clean process over the formula's model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundles = ScriptedBundles(folder / "bundles", StayPredictor())
        self.stages: list[LocalStage] = []
        self.clean_error: Exception | None = None

    def put(self, parts: Parts | None = None) -> str:
        """A bundle's digest."""
        draft = self.folder / "draft"
        draft.mkdir()
        return self.bundles.put(draft, write_candidate(draft, parts))

    def open_stage(self, table: RouteTable) -> Stage:
        """Remembers its stages."""
        self.stages.append(LocalStage(self.bundles, table))
        return self.stages[-1]

    def reproduce(self, digest: str) -> CleanRun:
        """The clean process."""
        if self.clean_error is not None:
            raise self.clean_error
        found = agreement([[0.5]], [[0.5]], 0.0)
        return CleanRun("", found.rows, found.largest_difference, 0.1, "3.11")

    def ports(self, open_stage: Callable[[RouteTable], Stage] | None = None) -> GatePorts:
        """The gate's ports."""
        return GatePorts(self.bundles, open_dataset, open_stage or self.open_stage, self, ManualClock(1000.0))

    def run(
        self, bundle: str, champion: str | None = None, on_check: Callable[[Check], None] = lambda _: None
    ) -> GateReport:
        """Version 2 of a bundle, against version 1."""
        before = None if champion is None else VersionInfo("stay", 1, champion)
        return run_gate(self.ports(), VersionInfo("stay", 2, bundle), before, POLICY, "staging", on_check)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Everything in place."""
    return Rig(tmp_path)


def outcomes(report: GateReport) -> dict[str, Outcome]:
    """By name."""
    return {check.name: check.outcome for check in report.checks}


def test_a_good_version_passes_every_check(rig: Rig) -> None:
    """All checks are made, in their order, and each was heard once as it was made."""
    heard: list[str] = []
    report = rig.run(rig.put(), on_check=lambda check: heard.append(check.name))
    assert report.passed, report.reason
    assert tuple(check.name for check in report.checks) == CHECKS
    assert sorted(heard) == sorted(CHECKS)
    assert (report.model, report.version, report.environment) == ("stay", 2, "staging")
    assert (report.measured_at, report.champion) == (1000.0, None)
    assert report.machine["python"]


def test_a_better_version_than_the_champion_passes(rig: Rig) -> None:
    """The champion stands in the report, and in the rehearsal."""
    champion = rig.put(Parts(seed=50))
    rig.bundles.script(champion, StayPredictor(blur=0.8))
    report = rig.run(rig.put(), champion)
    assert report.passed, report.reason
    assert (report.champion, report.champion_bundle) == (1, champion)
    rehearsed = report.check("rollback_rehearsed")
    assert rehearsed is not None
    assert rehearsed.measured["stand_in"] is False


def test_nothing_of_a_tampered_bundle_is_run(rig: Rig) -> None:
    """When the digest breaks, every other check is unmeasured and no stage is opened."""
    digest = rig.put()
    (rig.bundles.path(digest) / HELDOUT).write_bytes(b"other rows")
    report = rig.run(digest)
    assert outcomes(report) == {**dict.fromkeys(CHECKS, Outcome.UNMEASURED), "digest_holds": Outcome.BREACHED}
    assert HELDOUT in report.reason
    assert rig.stages == []


def test_a_stage_that_does_not_open_leaves_its_checks_unmeasured(rig: Rig) -> None:
    """The other checks are made all the same, and the error is the reason."""

    def closed(table: RouteTable) -> Stage:
        raise StateError("no worker could be started")

    report = run_gate(rig.ports(closed), VersionInfo("stay", 2, rig.put()), None, POLICY)
    assert report.failed == STAGED
    assert {outcomes(report)[name] for name in STAGED} == {Outcome.UNMEASURED}
    assert "no worker could be started" in report.reason


def test_an_error_of_our_own_is_unmeasured(rig: Rig) -> None:
    """A check that breaks never passes, and does not end the gate."""
    rig.clean_error = ZeroDivisionError("by our own hand")
    report = rig.run(rig.put())
    assert report.failed == ("loads_in_clean_process",)
    assert outcomes(report)["loads_in_clean_process"] is Outcome.UNMEASURED
    assert "ZeroDivisionError: by our own hand" in report.reason


def test_a_model_that_fails_on_every_row_passes_nothing_that_asks_it(rig: Rig) -> None:
    """Whatever a model raises is in the report."""

    class Broken:
        def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
            raise RuntimeError("out of order")

    digest = rig.put()
    rig.bundles.script(digest, Broken())
    report = rig.run(digest)
    assert set(report.failed) == {
        "portable_agrees",
        "better_than_champion",
        "calibrated",
        "robust_to_bad_input",
        "monitors_alive",
        *STAGED,
    }


def test_the_stage_is_left_even_when_nobody_listens_any_more(rig: Rig) -> None:
    """An error in `on_check` ends the gate and its server."""

    def interrupt(check: Check) -> None:
        if check.name == "model_card_complete":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rig.run(rig.put(), on_check=interrupt)
    (stage,) = rig.stages
    assert stage._server is not None
    assert stage._server.socket.fileno() == -1


def test_several_failures_are_all_told(rig: Rig) -> None:
    """A failing check does not hide the others."""
    champion = rig.put(Parts(seed=50))
    digest = rig.put(Parts(golden_shift=0.05, heldout_rows=50))
    report = rig.run(digest, champion)
    assert set(report.failed) == {
        "better_than_champion",
        "calibrated",
        "golden_over_http",
        "edge_cases_answered",
        "monitors_alive",
    }
