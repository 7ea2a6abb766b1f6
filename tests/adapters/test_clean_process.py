"""A fresh interpreter loads what is served."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.clean_process import CleanInterpreter, Request, reproduce
from fairlead.core.bundle import PORTABLE
from fairlead.errors import StateError
from fairlead.ports.stage import CleanRun
from fairlead.testing.candidate import Parts, formula_onnx, write_candidate


def put(root: Path, parts: Parts | None = None) -> str:
    """A bundle with a real portable model."""
    draft = root.parent / "draft"
    draft.mkdir()
    return BundleFolder(root).put(draft, write_candidate(draft, parts or Parts(portable=formula_onnx())))


def test_the_golden_outputs_are_reproduced_there(root: Path) -> None:
    """Every golden row is answered, within the rounding of float32."""
    found = CleanInterpreter(root).reproduce(put(root))
    assert found.problem == ""
    assert found.rows == 40
    assert 0.0 < found.largest_difference < 1e-6
    assert found.python == ".".join(map(str, sys.version_info[:3]))


def test_a_difference_is_measured_not_judged(root: Path) -> None:
    """Another answer than the recorded one comes back as a figure."""
    found = CleanInterpreter(root).reproduce(put(root, Parts(portable=formula_onnx(), golden_shift=0.25)))
    assert found.problem == ""
    assert found.largest_difference == pytest.approx(0.25, abs=1e-5)


def test_nothing_of_this_environment_is_there(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A module that only this environment would find breaks nothing there: its search path is not handed on."""
    (tmp_path / "msgspec.py").write_text("raise RuntimeError('the wrong msgspec')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert CleanInterpreter(root).reproduce(put(root)).problem == ""


def test_a_model_that_does_not_load_says_why(root: Path) -> None:
    """The loader's own words, on one line."""
    found = CleanInterpreter(root).reproduce(put(root, Parts()))
    assert "does not load in a fresh interpreter" in found.problem
    assert "ONNX Runtime cannot load the model" in found.problem


def test_a_pickle_is_opened_only_when_trusted(root: Path, pickled: str) -> None:
    """The fresh interpreter trusts what this one was told to, and nothing else."""
    found = CleanInterpreter(root, ("pickle",)).reproduce(pickled)
    assert (found.problem, found.rows, found.largest_difference) == ("", 40, 0.0)
    assert "--trust pickle" in CleanInterpreter(root).reproduce(pickled).problem


def test_a_tampered_model_is_not_loaded(root: Path) -> None:
    """The digest is checked there too."""
    digest = put(root)
    model = root / digest / PORTABLE
    model.chmod(0o644)
    model.write_bytes(formula_onnx() + b" ")
    assert "is not what was registered" in CleanInterpreter(root).reproduce(digest).problem


def test_a_bundle_that_is_not_there_says_so(root: Path) -> None:
    """An unknown digest is a finding, not a crash."""
    assert "there is no bundle" in CleanInterpreter(root).reproduce("0" * 64).problem


def test_an_interpreter_that_dies_is_a_finding(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends without an answer: its exit status and last words."""
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\necho 'Segmentation fault' >&2\nexit 139\n")
    dying.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dying))
    found = CleanInterpreter(root).reproduce("0" * 64)
    assert found.problem == "A fresh interpreter ended with 139 instead of an answer: Segmentation fault"


def test_an_interpreter_that_hangs_is_a_finding(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after its time."""
    hanging = tmp_path / "python"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))
    assert "within 0.2 s" in CleanInterpreter(root, timeout_seconds=0.2).reproduce("0" * 64).problem


def test_no_interpreter_at_all_is_an_error(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is our own trouble, not the bundle's."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(StateError, match="no fresh interpreter could be started"):
        CleanInterpreter(root).reproduce("0" * 64)


def test_the_child_is_light(root: Path) -> None:
    """It imports no statistics: what it measures is the bundle's own start."""
    code = "import sys, fairlead.adapters.clean_process; print('scipy' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.split() == ["False", "False"]


def test_in_this_process_it_measures_the_same(root: Path) -> None:
    """The child's own function."""
    found = reproduce(Request(str(root), put(root)))
    assert isinstance(found, CleanRun)
    assert (found.problem, found.rows) == ("", 40)
