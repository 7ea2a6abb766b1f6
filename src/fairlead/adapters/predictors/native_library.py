"""A library's compiled code, without its Python package: that would bring pandas and scikit-learn into each worker."""

from __future__ import annotations

from ctypes import CDLL
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fairlead.errors import MissingExtra

_SUFFIXES = (".so", ".dylib", ".dll")


def check_installed(package: str, purpose: str) -> Path:
    """The folder of a package that is not imported. Raises `MissingExtra`; the extra has the package's name."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise MissingExtra(package, package, purpose)
    return Path(next(iter(found.submodule_search_locations)))


@cache
def library(package: str, stem: str) -> CDLL:
    """The shared library in a package's `lib` folder. Raises `MissingExtra` where there is none."""
    purpose = f"reading a {package} model"
    folder = check_installed(package, purpose) / "lib"
    for suffix in _SUFFIXES:
        if (folder / (stem + suffix)).is_file():
            return CDLL(str(folder / (stem + suffix)))
    raise MissingExtra(f"{package} with its {stem}", package, purpose)
