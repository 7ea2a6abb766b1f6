"""Training by a command: real processes, in a real folder."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from fairlead.adapters.command_trainer import CommandTrainer
from fairlead.errors import SettingsError, StateError
from fairlead.testing.trainer import CopyTrainer, check_failing_trainer, check_trainer

TRAIN = """
import pathlib, sys
data, output = sys.argv[sys.argv.index("--data") + 1], pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
assert pathlib.Path(data).read_text() == "rows"
output.joinpath("nested").mkdir()
output.joinpath("nested", "model.skops").write_text("a model trained by " + sys.executable)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project folder with a data set and a script."""
    (tmp_path / "data.parquet").write_text("rows")
    (tmp_path / "train.py").write_text(TRAIN)
    return tmp_path


def script(code: str) -> str:
    """A command that runs some Python."""
    return f"python -c {shlex.quote(code)} {{dataset}} {{output}}"


def test_the_command_trains(folder: Path) -> None:
    """The script finds its data, runs in the given folder under our interpreter, and its one model comes back."""
    trainer = CommandTrainer("python train.py --data {dataset} --out={output} --out {output}", folder)
    check_trainer(trainer, folder / "data.parquet", folder / "run 1; $(touch hacked)")
    model = next(folder.glob("run 1*/nested/model.skops"))
    assert model.read_text().endswith(sys.executable)
    assert not list(folder.glob("**/hacked"))


def test_a_failure_passes_on_what_was_printed(folder: Path) -> None:
    """The end of the output, on one line, with the exit code."""
    failing = CommandTrainer(script("import sys; print('x' * 9000); print('no such column'); sys.exit(3)"), folder)
    check_failing_trainer(failing, folder / "data.parquet", folder / "run", "no such column")
    with pytest.raises(StateError, match=r"ended with 3: x+ \| no such column") as caught:
        failing.train(folder / "data.parquet", folder / "run-2")
    assert len(caught.value.line) < 2_200


def test_silence_is_told_too(folder: Path) -> None:
    """A command that fails without a word says so."""
    with pytest.raises(StateError, match="ended with 1: it printed nothing"):
        CommandTrainer(script("raise SystemExit(1)"), folder).train(folder / "data.parquet", folder / "run")


def test_a_timeout_ends_the_command_and_its_children(folder: Path) -> None:
    """What runs too long is ended together with what it started, and what it said is passed on."""
    command = "sh -c 'echo started; sleep 600 & wait' {dataset} {output}"  # a shell has said it long before a second
    with pytest.raises(StateError, match=r"training took longer than 1 s and was ended: started"):
        CommandTrainer(command, folder, 1.0).train(folder / "data.parquet", folder / "run")


def test_one_model_is_expected(folder: Path) -> None:
    """No model, two models and an output folder that is in use are errors; a folder `model/` is a model."""
    data = folder / "data.parquet"
    with pytest.raises(StateError, match="left no model"):
        CommandTrainer(script("pass"), folder).train(data, folder / "none")
    two = "import sys, pathlib; [pathlib.Path(sys.argv[2], n).write_text('m') for n in ('a.onnx', 'b.skops')]"
    with pytest.raises(StateError, match=r"left 2 models \(a.onnx, b.skops\)"):
        CommandTrainer(script(two), folder).train(data, folder / "two")
    with pytest.raises(StateError, match="is not empty"):
        CommandTrainer(script("pass"), folder).train(data, folder / "two")
    saved = "import sys, pathlib; p = pathlib.Path(sys.argv[2], 'model'); p.mkdir(); p.joinpath('MLmodel').touch()"
    assert CommandTrainer(script(saved), folder).train(data, folder / "flow").name == "model"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("", "is empty"),
        ("python train.py --data {dataset}", "lacks {output}"),
        ("python train.py {output}", "lacks {dataset}"),
        ("python train.py {dataset} {output} {window}", "{window} in the training command is unknown"),
        ("python 'train.py {dataset} {output}", "cannot be read"),
    ],
)
def test_a_command_that_cannot_work_is_refused(command: str, says: str) -> None:
    """Mistakes in the command are found when the settings are read."""
    with pytest.raises(SettingsError, match=says):
        CommandTrainer(command, Path())


def test_a_program_that_is_not_there_is_told(folder: Path) -> None:
    """A missing program is an error that names it."""
    trainer = CommandTrainer("no-such-trainer {dataset} {output}", folder)
    with pytest.raises(StateError, match="'no-such-trainer' cannot be started: No such file"):
        trainer.train(folder / "data.parquet", folder / "run")


def test_the_fake_keeps_the_contract(folder: Path) -> None:
    """The trainer that copies passes the checks of a real one."""
    model = folder / "old.skops"
    model.write_text("a model")
    check_trainer(CopyTrainer(model), folder / "data.parquet", folder / "run")
    check_failing_trainer(CopyTrainer(model, "no rows"), folder / "data.parquet", folder / "run-2", "no rows")
