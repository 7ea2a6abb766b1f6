"""One process a training run, and an empty folder for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.adapters.run_folder import claimed
from fairlead.errors import Refused, UsageError

HOLDER = """
import sys, time
from pathlib import Path
from fairlead.adapters.run_folder import claimed
with claimed(Path(sys.argv[1]), "nightly") as place:
    (place / "half.txt").write_text("written by one that dies")
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_gets_an_empty_folder(tmp_path: Path) -> None:
    """What an earlier try of the same run left behind is gone; other runs' folders stay."""
    with claimed(tmp_path / "runs", "other") as other:
        (other / "model.skops").write_text("dear")
    with claimed(tmp_path / "runs", "nightly") as place:
        (place / "half.txt").write_text("unfinished")
    with claimed(tmp_path / "runs", "nightly") as place:
        assert list(place.iterdir()) == []
    assert (other / "model.skops").read_text() == "dear"


def test_the_folder_stays_when_the_run_is_over(tmp_path: Path) -> None:
    """What was trained on is evidence."""
    with claimed(tmp_path, "nightly") as place:
        (place / "train.parquet").write_text("rows")
    assert (place / "train.parquet").exists()


def test_two_runs_at_once_are_none_of_each_others_business(tmp_path: Path) -> None:
    """Only the same run is refused, and it touches nothing."""
    with claimed(tmp_path, "one") as one, claimed(tmp_path, "two") as two:
        (one / "rows").write_text("kept")
        assert one != two
        with pytest.raises(Refused, match="the run one is under way in another process"), claimed(tmp_path, "one"):
            pass
        assert (one / "rows").read_text() == "kept"


def test_an_error_lets_go(tmp_path: Path) -> None:
    """A run that failed may be tried again."""
    with pytest.raises(RuntimeError, match="no memory"), claimed(tmp_path, "nightly"):
        raise RuntimeError("no memory")
    with claimed(tmp_path, "nightly"):
        pass


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    """While it lives it holds the run; killed, it leaves neither a lock nor its half-made files in the way."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Refused, match="wait for it to finish"), claimed(tmp_path, "nightly"):
            pass
        holder.kill()
    with claimed(tmp_path, "nightly") as place:
        assert list(place.iterdir()) == []


@pytest.mark.parametrize("run", ["..", ".", "", "../bundles", "a/b", "{here}/elsewhere"])
def test_a_run_is_a_plain_name(tmp_path: Path, run: str) -> None:
    """What would leave the folder of runs is refused before anything is removed."""
    runs = tmp_path / "home" / "runs"
    run = run.replace("{here}", str(tmp_path))
    dear = [tmp_path / "home/bundles/model.skops", tmp_path / "elsewhere/notes.txt", runs / "nightly/train.parquet"]
    # An unguarded folder would be removed for good: every case here aims inside the test's own.
    assert (runs / run).resolve().is_relative_to(tmp_path)
    for file in dear:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("dear")
    with pytest.raises(UsageError, match="run"), claimed(runs, run):
        pass
    assert [file.read_text() for file in dear] == ["dear"] * len(dear)
