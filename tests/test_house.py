"""What holds for the whole tree: what an import costs, what the wheel holds, how long a file may be."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pathspec
import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "fairlead"
MODULES = sorted(SOURCE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
MOST_LINES, MOST_FUNCTION_LINES = 400, 60
FRAMES = ("pandas", "polars", "mlflow", "pyarrow", "matplotlib", "sklearn", "onnxruntime")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def name_of(path: Path) -> str:
    """A file as a test's name."""
    return str(path.relative_to(ROOT))


def definitions(tree: ast.AST) -> Iterator[Definition]:
    """Every class and function, at any depth."""
    return (node for node in ast.walk(tree) if isinstance(node, Definition))


def loaded(statement: str) -> set[str]:
    """The top-level packages that a fresh interpreter holds after a statement."""
    program = f"import sys\n{statement}\nprint('loaded:', *{{name.split('.')[0] for name in sys.modules}})"
    environment = {**os.environ, "FAIRLEAD_HOME": os.devnull}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    return set(done.stdout.rpartition("loaded:")[2].split())


def test_importing_the_library_is_light() -> None:
    """`import fairlead` loads no numbers, no frames and no registry."""
    assert loaded("import fairlead") & {"numpy", "scipy", *FRAMES} == set()


def test_help_is_light() -> None:
    """`fairlead --help` loads no frame, no registry and no model library."""
    statement = "\n".join(
        [
            "from fairlead.app.main import main",
            "try:",
            "    main(['--help'])",
            "except SystemExit as end:",
            "    assert not end.code",
        ]
    )
    assert loaded(statement) & set(FRAMES) == set()


def test_a_gateway_worker_is_light() -> None:
    """What each gateway process loads before it knows its models holds no frame and no registry."""
    assert loaded("import fairlead.app.worker") & (set(FRAMES) - {"onnxruntime"}) == set()


# -- the wheel -----------------------------------------------------------------------------------------------------

DATA = (
    "py.typed",
    "adapters/compiled/count.c",
    "adapters/sql/*.sql",
    "adapters/sql/migrations/*.sql",
    "adapters/sql/postgres/*.sql",
    "adapters/sql/postgres/migrations/*.sql",
    "config/fairlead.schema.json",
    "faces/console/templates/*.html",
    "faces/console/assets/*",
    "faces/demo/data/*",
)


def wheel_files() -> set[str]:
    """What hatchling puts into the wheel: the files of the packages that the project names, unless git ignores them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    ignored = pathspec.GitIgnoreSpec.from_lines((ROOT / ".gitignore").read_text().splitlines())
    packages = [ROOT / package for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]
    files = [path for package in packages for path in package.rglob("*") if path.is_file()]
    kept = [path for path in files if not ignored.match_file(path.relative_to(ROOT))]
    return {path.relative_to(packages[0].parent).as_posix() for path in kept}


@pytest.mark.parametrize("pattern", DATA)
def test_the_wheel_holds_what_is_read_at_run_time(pattern: str) -> None:
    """Templates, assets, SQL, the demo's data and the typing marker are among the wheel's files."""
    wanted = [path.relative_to(SOURCE.parent).as_posix() for path in SOURCE.glob(pattern) if path.suffix != ".pyc"]
    wanted = [path for path in wanted if "__pycache__" not in path]
    assert wanted
    assert set(wanted) <= wheel_files()


def test_the_wheel_holds_every_module_and_no_rubbish() -> None:
    """All of the source, and no bytecode, state or hidden file."""
    files = wheel_files()
    assert {path.relative_to(SOURCE.parent).as_posix() for path in MODULES} <= files
    kinds = {".py", ".c", ".json", ".html", ".css", ".js", ".svg", ".sql", ".md", ".parquet", ".typed"}
    assert [name for name in files if Path(name).suffix not in kinds] == []
    assert [name for name in files if Path(name).name.startswith(".")] == []


def test_the_wheel_is_typed_licensed_and_has_its_script() -> None:
    """The metadata name the licence, the readme and the console script, and their files are there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"fairlead": "fairlead.app.main:main"}
    assert (ROOT / project["readme"]).is_file()
    assert all(list(ROOT.glob(pattern)) for pattern in project["license-files"])


# -- the source ----------------------------------------------------------------------------------------------------


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Public names without a docstring: the module, its classes, their methods, its functions."""
    if ast.get_docstring(tree) is None:
        yield "the module"
    waiting: list[ast.Module | ast.ClassDef] = [tree]
    while waiting:
        holder = waiting.pop()
        for node in holder.body:
            if not isinstance(node, Definition) or node.name.startswith("_") or is_overload(node):
                continue
            if ast.get_docstring(node) is None:
                yield f"{node.name} (line {node.lineno})"
            if isinstance(node, ast.ClassDef):
                waiting.append(node)


def is_overload(node: Definition) -> bool:
    """Whether a definition only tells the type checker something."""
    return any(isinstance(one, ast.Name) and one.id == "overload" for one in node.decorator_list)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_everything_public_is_documented(path: Path) -> None:
    """Every public module, class, method and function has a docstring."""
    assert list(undocumented(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_and_functions_stay_short(path: Path) -> None:
    """A file has at most 400 lines, a function at most 60."""
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    functions = [node for node in definitions(ast.parse(text)) if not isinstance(node, ast.ClassDef)]
    assert [f.name for f in functions if (f.end_lineno or 0) - f.lineno >= MOST_FUNCTION_LINES] == []


def private_imports(path: Path) -> Iterator[str]:
    """Names with an underscore that a file takes from another package of the project."""
    package = ".".join(path.relative_to(SOURCE.parent).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("fairlead"):
            continue
        names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        if any(name.startswith("_") for name in names) and node.module != package:
            yield f"{node.module}: {', '.join(alias.name for alias in node.names)}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_takes_a_private_name_of_another(path: Path) -> None:
    """What begins with an underscore stays where it is."""
    assert list(private_imports(path)) == []


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_every_test_says_what_it_proves(path: Path) -> None:
    """A test's docstring is the sentence it proves; no test is skipped."""
    tree = ast.parse(path.read_text())
    tests = [node for node in definitions(tree) if node.name.startswith("test_")]
    assert tests
    assert [node.name for node in tests if not ast.get_docstring(node)] == []
    marks = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert marks & {"skip", "skipif", "xfail", "importorskip"} == set()
