"""Readiness as a whole: the gate's report, the ML Test Score and the checklists on one evidence, and their page."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from fairlead.core.checklist import stands
from fairlead.core.checklist_items import ITEMS
from fairlead.core.environment import Environment
from fairlead.core.event import GateMeasured
from fairlead.core.gate import GateReport
from fairlead.core.test_score import score
from fairlead.operations.checklists import evidence_of
from fairlead.operations.context import Context
from fairlead.operations.gate_html import Readiness, page
from fairlead.operations.gates import OnCheck, environment_of, gate, history, last_report, store_of
from fairlead.operations.models import resolve
from fairlead.operations.report_output import written
from fairlead.ports import VersionInfo


class Kept(Struct, frozen=True):
    """A gate run of a version: when, by whose policy, how it ended, and where its report lies."""

    at: float
    environment: str
    passed: bool
    failed: tuple[str, ...]
    report: str  # SHA-256
    path: str  # relative to the home folder


def measure(context: Context, reference: str, environment: str = "", on_check: OnCheck = lambda _: None) -> Readiness:
    """Runs the gate and judges everything by it; keeps the page beside the bundle."""
    found = _judged(context, gate(context, reference, environment, on_check))
    store_of(context).page_beside(found.report, page(found))
    return found


def readiness(context: Context, reference: str, environment: str = "") -> Readiness:
    """The same by the last run, as it stands now. Raises `NotFound` for a version that was never measured."""
    return _judged(context, last_report(context, reference, environment_of(context, environment)))


def save_page(found: Readiness, path: str | Path) -> Path:
    """Writes the page. Raises `UsageError` where it cannot."""
    return written(path, page(found))


def kept(context: Context, reference: str) -> tuple[Kept, ...]:
    """Every gate run of `name@version`, oldest first."""
    info = resolve(context, reference)
    runs = [(entry.at, entry.fact) for entry in history(context, info.model)]
    return tuple(
        Kept(at, fact.environment, fact.passed, fact.failed, fact.report, _path(context.home, fact))
        for at, fact in runs
        if isinstance(fact, GateMeasured) and fact.version == info.version
    )


def _path(home: Path, fact: GateMeasured) -> str:
    """Beside the bundle, or where the reports of before lie alone."""
    beside = f"bundles-evidence/{fact.bundle}/{fact.report}.json"
    return beside if (home / beside).is_file() else f"gates/{fact.report}.json"


def _judged(context: Context, report: GateReport) -> Readiness:
    environment: Environment = environment_of(context, report.environment)
    info: VersionInfo = resolve(context, f"{report.model}@{report.version}")
    evidence = evidence_of(context, info, environment)
    return Readiness(report, score(evidence), tuple(stands(item, evidence) for item in ITEMS))
