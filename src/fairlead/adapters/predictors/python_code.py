"""A plain Python function as a model: a file, or a package's folder, imported from bytes whose digests were checked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import decode_source, spec_from_loader
from inspect import signature
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from fairlead.adapters.predictors.answers import understood
from fairlead.adapters.predictors.rows import Floats, Row
from fairlead.core.contract import Contract
from fairlead.errors import BundleError, UsageError
from fairlead.ports.model_reader import LEFT_OUT, ModelFacts

_PREFIX = "fairlead_model_"
INIT = "__init__.py"
_TUPLES = "rows"  # a parameter of this name is given tuples; any other, dicts


def split_call(path: Path) -> tuple[Path, str]:
    """`scorer.py:predict` -> the path and the function; no function where the path itself is there.

    >>> split_call(Path("models/scorer.py:predict"))[1]
    'predict'
    """
    stem, colon, call = path.name.rpartition(":")
    if not colon or path.exists():
        return path, ""
    return path.with_name(stem), call


def sources(path: Path) -> dict[str, bytes]:
    """The files of a Python file or package, by their path in it. Raises `UsageError`."""
    if path.is_file():
        return {INIT: path.read_bytes()}
    if not (path / INIT).is_file():
        raise UsageError(f"the model {path} is neither a Python file nor a package: give it an {INIT}")
    kept = (file for file in sorted(path.rglob("*")) if file.is_file() and not _left_out(file.relative_to(path)))
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in kept}


def _left_out(path: Path) -> bool:
    return any(Path(part).match(pattern) for part in path.parts for pattern in LEFT_OUT)


class PythonModel:
    """A function, imported. It is trusted by name before it comes here."""

    def __init__(self, path: Path, files: Mapping[str, bytes], call: str) -> None:
        """`path` is where the files lie, so that the code finds what lies beside it. Raises `BundleError`."""
        self.function, module = imported_function(path, files, call)
        self.tuples = next(iter(signature(self.function).parameters), "") == _TUPLES
        names, classes = (tuple(map(str, getattr(module, name, ()))) for name in ("FEATURES", "CLASSES"))
        self.facts = ModelFacts(
            "python", names, len(names) or None, classes, True if classes else None, source=path, call=call
        )

    def predictor(self, contract: Contract) -> PythonPredictor:
        """Answers rows."""
        return PythonPredictor(self, contract)


class PythonPredictor:
    """Answers rows by a function of somebody's own."""

    def __init__(self, model: PythonModel, contract: Contract) -> None:
        self._function = model.function
        self._tuples = model.tuples
        self._contract = contract
        self._names = contract.names

    def predict(self, rows: Sequence[Row]) -> Floats:
        """(n, k) class probabilities, or (n, 1) values. Raises what the function does."""
        if not rows:
            return np.empty((0, len(self._contract.classes) or 1))
        given: list[Any] = list(rows) if self._tuples else [dict(zip(self._names, row, strict=True)) for row in rows]
        return understood(self._function(given), self._contract, len(rows))


def imported_function(path: Path, files: Mapping[str, bytes], call: str) -> tuple[Callable[[Any], Any], ModuleType]:
    """A function of checked code, and its module. `path` is where the files lie. Raises `BundleError`."""
    module = _imported(path, files, call)
    return _function(module, path.name, call), module


def _function(module: ModuleType, name: str, call: str) -> Callable[[Any], Any]:
    function = getattr(module, call.rpartition(".")[2], None)
    if not callable(function):
        raise BundleError(f"{name} has no function {call}: name one as FILE.py:FUNCTION or FOLDER:MODULE.FUNCTION")
    found: Callable[[Any], Any] = function
    return found


def _imported(path: Path, files: Mapping[str, bytes], call: str) -> ModuleType:
    """The module of the function. Two versions of a package get names of their own, so that both can be loaded.

    Raises `BundleError` when the code fails, on one line.
    """
    digest = sha256(b"".join(name.encode() + b"\0" + data for name, data in sorted(files.items()))).hexdigest()[:16]
    root = f"{_PREFIX}{digest}"
    module, _, _ = call.rpartition(".")
    name = f"{root}.{module}" if module else root
    _Finder.install(root, path, files)
    try:
        __import__(name)
    except Exception as error:  # it is somebody's own code: it may fail in any way
        text = str(error).strip().partition("\n")[0].replace(root, path.stem)
        raise BundleError(
            f"{path.name} cannot be imported ({type(error).__name__}: {text}): import it by itself first, and a "
            "package's own modules relatively (from . import …)"
        ) from error
    return sys.modules[name]


class _Finder(MetaPathFinder):
    """Finds the modules of one package among checked bytes."""

    def __init__(self, root: str, path: Path, files: Mapping[str, bytes]) -> None:
        self.root = root
        self._path = path
        self._files = dict(files)

    @classmethod
    def install(cls, root: str, path: Path, files: Mapping[str, bytes]) -> None:
        """Makes a package importable under its name, once."""
        if not any(isinstance(finder, cls) and finder.root == root for finder in sys.meta_path):
            sys.meta_path.append(cls(root, path, files))

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        """The module of that name, if it is one of this package's."""
        if fullname != self.root and not fullname.startswith(self.root + "."):
            return None
        at = fullname.removeprefix(self.root).lstrip(".").replace(".", "/")
        names = (f"{at}/{INIT}", f"{at}.py") if at else (INIT,)
        file = next((name for name in names if name in self._files), None)
        if file is None:
            return None
        where = self._path if self._path.suffix == ".py" else self._path / file
        loader = _Source(str(where), self._files[file])
        return spec_from_loader(fullname, loader, is_package=file.endswith(INIT))


class _Source(InspectLoader):
    """Runs a module's checked source. It writes no bytecode: a bundle stays as it is."""

    def __init__(self, where: str, source: bytes) -> None:
        self._where = where
        self._source = source

    def get_source(self, fullname: str) -> str:  # noqa: ARG002  # the loader's signature
        """Its text."""
        return decode_source(self._source)

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002  # the loader's signature
        """Its code, under the name of the file, which is what a traceback shows."""
        return self.source_to_code(self._source, self._where)

    def exec_module(self, module: ModuleType) -> None:
        """Runs it; it finds what lies beside it by its __file__."""
        module.__file__ = self._where
        super().exec_module(module)
