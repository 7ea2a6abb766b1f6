"""Asking Feast in a process of its own: what goes wrong before Feast is there. What it answers: test_feast_itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fairlead.adapters.features.feast_runner import FeastAsked, plan_of
from fairlead.errors import MissingExtra, StateError, UsageError


def test_what_is_asked_wrongly_starts_nothing(repo: Path, tmp_path: Path) -> None:
    """No repository, nothing named, both named, and no interpreter."""
    for asked, what in (
        (FeastAsked(str(tmp_path), "churn"), "is no Feast repository: it has no feature_store.yaml"),
        (FeastAsked(str(repo)), "name either a feature service or features"),
        (FeastAsked(str(repo), "churn", ("a:b",)), "name either a feature service or features"),
        (FeastAsked(str(repo), "churn", python=str(tmp_path / "none")), "cannot be started .*: see features.python"),
    ):
        with pytest.raises(UsageError, match=what):
            plan_of(asked)


def test_an_interpreter_without_feast_is_told(repo: Path) -> None:
    """With the extra that brings it: this one has none, since Feast pins another pandas."""
    with pytest.raises(MissingExtra, match=r"needs feast, which is not installed: pip install 'fairlead\[feast\]'"):
        plan_of(FeastAsked(str(repo), "churn"))
    with pytest.raises(MissingExtra, match="needs feast"):
        plan_of(FeastAsked(str(repo), "churn", python=sys.executable))


def test_a_process_that_dies_is_told(repo: Path) -> None:
    """By what it said last."""
    with pytest.raises(StateError, match="the process that asks Feast ended with 1"):
        plan_of(FeastAsked(str(repo), "churn", python="/bin/false"))
