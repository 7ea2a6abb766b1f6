"""A stage with a real gateway worker."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from time import sleep

import pytest
from msgspec.structs import replace

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.worker_stage import WorkerStage, stages
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import StateError
from fairlead.testing.candidate import CONTRACT, Parts, formula_onnx, write_candidate
from fairlead.testing.stage import check_stage

ROW = {"age": 44.0, "nights": 3, "city": "berlin"}


def put(root: Path, parts: Parts) -> str:
    """A bundle's digest."""
    draft = root.parent / f"draft-{parts.seed}"
    draft.mkdir()
    return BundleFolder(root).put(draft, write_candidate(draft, parts))


def routed(*digests: str, to: int = 1, generation: int = 1) -> RouteTable:
    """Versions 1, 2, … of one model, with all traffic on one of them."""
    bundles = dict(enumerate(digests, 1))
    return RouteTable(generation, {"stay": ModelRoute((Arm("champion", to, 1.0),), bundles)})


def wait_for(stage: WorkerStage, generation: int) -> None:
    """Returns once the stage has it."""
    while stage.applied_generation() < generation:
        sleep(0.01)


def test_a_real_worker_keeps_the_contract(root: Path) -> None:
    """It answers, logs, swaps and stops."""
    check_stage(stages(root), routed(put(root, Parts(portable=formula_onnx()))), "stay", CONTRACT, ROW)


def test_without_onnx_its_failing_model_is_one_of_scikit_learn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same contract: it is loaded without trust, a caller gets a 500, and the log says why."""
    digest = put(root, Parts(portable=formula_onnx()))
    monkeypatch.setitem(sys.modules, "onnx", None)
    check_stage(stages(root), routed(digest), "stay", CONTRACT, ROW)


def test_its_home_goes_with_it(root: Path) -> None:
    """Nothing is left: no process, no folder; the bundles stay."""
    digest = put(root, Parts(portable=formula_onnx()))
    with WorkerStage(root, routed(digest)) as stage:
        process, home = stage._process, stage._home
        assert process is not None
        assert (home / "bundles" / digest).is_dir()
        assert 20.0 < stage.peak_memory_mb() < 1000.0
    assert process.poll() is not None
    assert not home.exists()
    assert (root / digest).is_dir()


def test_a_bundle_that_does_not_load_opens_no_stage(root: Path) -> None:
    """The worker's own reason is the error, and nothing is left behind."""
    stage = WorkerStage(root, routed(put(root, Parts())))
    with pytest.raises(StateError, match=r"cannot serve this: .*ONNX Runtime cannot load the model"), stage:
        pass
    assert stage._process is None
    assert not stage._home.exists()


def test_a_pickle_is_served_only_where_pickles_are_trusted(root: Path, pickled: str) -> None:
    """The worker is told what is trusted; without it, it says what to allow."""
    check_stage(stages(root, ("pickle",)), routed(pickled), "stay", CONTRACT, ROW)
    with pytest.raises(StateError, match="--trust pickle"), WorkerStage(root, routed(pickled)):
        pass


def test_a_later_table_that_does_not_load_is_told(root: Path) -> None:
    """What was served goes on being served, but the stage says what is wrong."""
    good = put(root, Parts(portable=formula_onnx()))
    bad = put(root, Parts(seed=1))
    with WorkerStage(root, routed(good)) as stage:
        stage.publish(routed(good, bad, to=2, generation=2))
        with pytest.raises(StateError, match="cannot serve this"):
            wait_for(stage, 2)


def test_a_worker_that_died_is_told(root: Path) -> None:
    """A killed worker is not waited for."""
    with WorkerStage(root, routed(put(root, Parts(portable=formula_onnx())))) as stage:
        assert stage._process is not None
        os.kill(stage._process.pid, signal.SIGKILL)
        stage._process.wait()
        with pytest.raises(StateError, match="the stage's worker ended"):
            stage.applied_generation()


def test_a_worker_that_is_not_ready_in_time_is_stopped(root: Path) -> None:
    """It is given up, with what it said."""
    stage = WorkerStage(root, routed(put(root, Parts(portable=formula_onnx()))), start_seconds=0.0)
    with pytest.raises(StateError, match="not ready within 0 s"), stage:
        pass
    assert stage._process is None


def test_an_older_table_is_refused(root: Path) -> None:
    """As the controller's would be."""
    table = routed(put(root, Parts(portable=formula_onnx())), generation=5)
    with WorkerStage(root, table) as stage, pytest.raises(StateError, match="raise its generation"):
        stage.publish(replace(table, generation=4, models={}))
