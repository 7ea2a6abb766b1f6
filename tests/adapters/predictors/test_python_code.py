"""Plain Python functions as models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairlead.adapters.predictors.python_code import split_call
from fairlead.adapters.predictors.reader import ModelFiles
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.errors import BundleError, UntrustedFormat, UsageError
from fairlead.testing.model_reader import check_model_reader

CONTRACT = Contract(
    (Feature("nights", Kind.INTEGER), Feature("meal", Kind.CATEGORY, nullable=True)), Task.BINARY, "y", ("no", "yes")
)
ROWS = [(3, "bb"), (9, None), (0, "hb")]
TRUSTED = ModelFiles(("python",))


def saved(folder: Path, code: str, name: str = "scorer.py") -> Path:
    """A file of code."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    return path


@pytest.mark.parametrize(
    "code",
    [
        "def predict(records): return [min(row['nights'], 10) / 10 for row in records]",
        "def predict(rows): return [[1 - min(n, 10) / 10, min(n, 10) / 10] for n, _ in rows]",
        (
            "FEATURES = ['nights', 'meal']\nCLASSES = ['no', 'yes']\n"
            "def predict(records): return [{'yes': r['nights'] / 10, 'no': 1 - r['nights'] / 10} for r in records]"
        ),
        "class Model:\n    def __call__(self, rows): return [n / 10 for n, _ in rows]\npredict = Model()",
    ],
)
def test_a_function_is_a_model(code: str, tmp_path: Path) -> None:
    """It takes dicts, or tuples where its parameter is called rows; what it says of itself is believed."""
    path = saved(tmp_path, code)
    call = path.with_name("scorer.py:predict")
    check_model_reader(TRUSTED, call, CONTRACT, ROWS)
    opened = TRUSTED.open(call)
    np.testing.assert_allclose(opened.predictor(CONTRACT).predict(ROWS)[:, 1], [0.3, 0.9, 0.0])
    assert (opened.facts.format, opened.facts.source, opened.facts.call) == ("python", path, "predict")
    assert opened.facts.names == (("nights", "meal") if "FEATURES" in code else ())


def test_a_package_brings_its_modules_and_files(tmp_path: Path) -> None:
    """Its modules import each other relatively, and find the files beside them; nothing is written there."""
    package = saved(tmp_path, "", "scoring/__init__.py").parent
    saved(package, "0.5", "data/weight.txt")
    saved(package, "def share(n): return min(n, 10) / 10", "steps.py")
    saved(
        package,
        "from pathlib import Path\nfrom .steps import share\n"
        "WEIGHT = float((Path(__file__).parent / 'data/weight.txt').read_text())\n"
        "def predict(rows): return [WEIGHT * share(n) for n, _ in rows]",
        "serve.py",
    )
    found = TRUSTED.open(tmp_path / "scoring:serve.predict")
    np.testing.assert_allclose(found.predictor(CONTRACT).predict(ROWS)[:, 1], [0.15, 0.45, 0.0])
    assert sorted(path.name for path in package.rglob("*")) == [
        "__init__.py", "data", "serve.py", "steps.py", "weight.txt",
    ]  # fmt: skip


def test_two_versions_live_side_by_side(tmp_path: Path) -> None:
    """The same file changed is another module: the first one's answers stay what they were."""
    path = saved(tmp_path, "def predict(rows): return [0.25 for _ in rows]").with_name("scorer.py:predict")
    first = TRUSTED.open(path).predictor(CONTRACT)
    saved(tmp_path, "def predict(rows): return [0.75 for _ in rows]")
    second = TRUSTED.open(path).predictor(CONTRACT)
    assert (first.predict(ROWS)[0, 1], second.predict(ROWS)[0, 1]) == (0.25, 0.75)


def test_code_runs_only_when_it_is_trusted(tmp_path: Path) -> None:
    """Nothing of it is imported before, and trust in pickles is none in code."""
    mark = tmp_path / "ran"
    path = saved(tmp_path, f"open({str(mark)!r}, 'w').close()\ndef predict(rows): return [0.5 for _ in rows]")
    for trust in ((), ("pickle", "pyfunc")):
        with pytest.raises(UntrustedFormat, match="--trust python"):
            ModelFiles(trust).open(path.with_name("scorer.py:predict"))
    assert not mark.exists()
    TRUSTED.open(path.with_name("scorer.py:predict"))
    assert mark.exists()


@pytest.mark.parametrize(
    ("code", "call", "what"),
    [
        ("x = 1", "predict", "has no function predict"),
        ("predict = 3", "predict", "has no function predict"),
        ("def broken(:", "broken", "cannot be imported .SyntaxError"),
        ("import nothing_of_this_name", "predict", "cannot be imported .ModuleNotFoundError"),
        ("raise RuntimeError('no\\nmore')", "predict", "cannot be imported .RuntimeError: no.: import it by itself"),
    ],
)
def test_broken_code_is_told_in_a_line(code: str, call: str, what: str, tmp_path: Path) -> None:
    """What does not import, or does not have the function, is an error of one line."""
    saved(tmp_path, code)
    with pytest.raises(BundleError, match=what) as caught:
        TRUSTED.open(tmp_path / f"scorer.py:{call}")
    assert caught.value.line == str(caught.value)


def test_what_is_no_function_is_told(tmp_path: Path) -> None:
    """A file without its function's name, a folder that is no package, and a file that is not there."""
    saved(tmp_path, "def predict(rows): ...")
    (tmp_path / "folder").mkdir()
    for name, what in (
        ("scorer.py", "name its function, as in scorer.py:predict"),
        ("folder:predict", "neither a Python file nor a package"),
        ("other.py:predict", "does not exist"),
    ):
        with pytest.raises(UsageError, match=what):
            TRUSTED.open(tmp_path / name)


def test_a_colon_in_a_files_name_is_no_call(tmp_path: Path) -> None:
    """A path that is there is that path."""
    path = saved(tmp_path, "", "a:b")
    assert split_call(path) == (path, "")
    assert split_call(tmp_path / "a:c") == (tmp_path / "a", "c")
