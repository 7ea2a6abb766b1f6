from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from importlib.metadata import version

import pytest

import fairlead
from fairlead.operations.drift import drift, profile
from fairlead.operations.drift_report import DriftReport
from fairlead.operations.multivariate import MultivariateReport, multivariate_drift
from fairlead.operations.performance import PerformanceReport, performance


def test_what_the_package_promises_is_there() -> None:
    """The names of the library's front door are the verbs themselves."""
    assert fairlead.drift is drift
    assert fairlead.profile is profile
    assert fairlead.DriftReport is DriftReport
    assert fairlead.performance is performance
    assert fairlead.PerformanceReport is PerformanceReport
    assert fairlead.multivariate_drift is multivariate_drift
    assert fairlead.MultivariateReport is MultivariateReport
    assert fairlead.__version__ == version("fairlead")
    assert {"Client", "drift", "profile"} <= set(dir(fairlead))


def test_a_wrong_name_is_an_attribute_error() -> None:
    """A misspelt verb fails as on any module."""
    with pytest.raises(AttributeError, match="module 'fairlead' has no attribute 'drfit'"):
        fairlead.drfit  # noqa: B018 - reading the attribute is the test


def test_importing_the_package_loads_nothing_heavy() -> None:
    """`import fairlead` brings in no array, table or validation library."""
    heavy = ("numpy", "pandas", "pyarrow", "msgspec", "scipy", "typing")
    code = f"import sys, fairlead; print(*(name for name in {heavy} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    "module",
    ["stats.profile", "stats.fdr", "core.check", "operations.drift"],
)
def test_the_examples_in_docstrings_are_true(module: str) -> None:
    """What a docstring shows is what happens."""
    result = doctest.testmod(importlib.import_module(f"fairlead.{module}"))
    assert (result.attempted > 0, result.failed) == (True, 0)
