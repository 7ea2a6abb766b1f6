"""The examples in docstrings are true, in every module."""

from __future__ import annotations

import doctest
from importlib import import_module
from pkgutil import walk_packages

import pytest

import fairlead

# Importing it runs the console script.
MODULES = [
    "fairlead",
    *(one.name for one in walk_packages(fairlead.__path__, "fairlead.") if "__main__" not in one.name),
]


@pytest.mark.parametrize("name", MODULES)
def test_every_example_gives_what_it_says(name: str) -> None:
    """Each `>>>` is followed by what it prints."""
    found = doctest.testmod(import_module(name), report=True)
    assert found.failed == 0


def test_there_are_examples() -> None:
    """The finder looks where the examples are."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [test for name in MODULES for test in finder.find(import_module(name)) if test.examples]
    assert len(MODULES) > 150
    assert len(examples) > 50
