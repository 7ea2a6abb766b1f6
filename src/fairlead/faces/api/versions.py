"""What the API tells of versions: gates, checklists, what one has otherwise, and the experiments between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from fairlead.core.gate import GateReport
from fairlead.core.incident import Incident
from fairlead.core.test_score import MlTestScore
from fairlead.core.verdict import Outcome, Verdict
from fairlead.core.version_diff import VersionDiff
from fairlead.errors import NotFound, UsageError
from fairlead.faces.console.app import Shape
from fairlead.operations.alerts import AlertsView
from fairlead.operations.checklists import Checklist
from fairlead.operations.drift_model import Asked, ModelDrift
from fairlead.operations.experiment_facts import LastReading, Summary
from fairlead.operations.gate_html import Readiness
from fairlead.stats.drift import ColumnDrift

Gate = Callable[[str, str], Readiness]  # of `name@version`, by the policy of an environment
List = Callable[[str, str, str], Checklist]  # of `name@version`, of a phase, in an environment

Diff = Callable[[str, str], VersionDiff]  # of two versions of one model, each as `name@version`
Drift = Callable[[str, Asked], ModelDrift]  # of `name`
Experiments = Callable[[str | None], tuple[Summary, ...]]  # of one model, or of all
Reading = Callable[[str], LastReading]  # of an experiment's id


class GateAnswer(Struct, frozen=True):
    """The last gate of a version as it stands now: with the waivers that count, and the ML Test Score."""

    passed: bool
    outcome: Outcome
    failed: tuple[str, ...]
    waived: tuple[str, ...]
    reason: str
    report: GateReport
    ml_test_score: MlTestScore


def nowhere(*_: Any) -> Any:
    """Where no versions are read. Raises `NotFound`."""
    raise NotFound("no versions are read here: ask the control port of `fairlead up`")


class DriftAnswer(Struct, frozen=True):
    """What moved in a span of a version's answers, column by column, worst first. Instants are seconds since 1970."""

    model: str
    version: int
    starts_at: float
    ends_at: float
    segment: str
    against: str  # what it is compared with
    slots: int
    rows: int
    late: int  # of these rows, those that came after their windows had been judged
    notes: tuple[str, ...]
    verdict: Verdict
    alpha: float
    columns: tuple[ColumnDrift, ...]


class Versions(Struct, frozen=True):
    """Where the answers come from; called from threads."""

    gate: Gate
    checklist: List
    diff: Diff = nowhere
    experiments: Experiments = nowhere
    experiment: Reading = nowhere
    alerts: Callable[[], AlertsView] = nowhere
    shape: Shape | None = None  # of a feature in a window: the console's
    drift: Drift = nowhere
    handled: Callable[[str], Incident | None] | None = (
        None  # what was found, done and said of an incident: the console's
    )


class VersionAnswers:
    """The endpoints' functions."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    async def gate(self, request: Request) -> GateAnswer:
        """The last gate run by an environment's policy."""
        found = await run_in_threadpool(self._versions.gate, _reference(request), _word(request, "environment"))
        report = found.report
        return GateAnswer(
            report.passed, report.outcome, report.failed, report.waived, report.reason, report, found.score
        )

    async def checklist(self, request: Request) -> Checklist:
        """The items of one checklist, or of all."""
        words = _word(request, "phase"), _word(request, "environment")
        return await run_in_threadpool(self._versions.checklist, _reference(request), *words)

    async def diff(self, request: Request) -> VersionDiff:
        """What one version has otherwise than another."""
        name = request.path_params["name"]
        sides = [f"{name}@{_named(request, side)}" for side in ("before", "after")]
        return await run_in_threadpool(self._versions.diff, *sides)

    async def experiments(self, request: Request) -> tuple[Summary, ...]:
        """The experiments that were started."""
        return await run_in_threadpool(self._versions.experiments, _word(request, "model") or None)

    async def experiment(self, request: Request) -> LastReading:
        """One experiment, with its last reading."""
        return await run_in_threadpool(self._versions.experiment, request.path_params["id"])

    async def alerts(self, _request: Request) -> AlertsView:
        """What stands, what is held back or not delivered, and the budgets."""
        return await run_in_threadpool(self._versions.alerts)

    async def drift(self, request: Request) -> DriftAnswer:
        """A span of a model's answers against a reference, from slots alone."""
        asked = Asked(
            _word(request, "window") or None,
            _word(request, "segment"),
            _word(request, "reference") or "training",
            _word(request, "from") or None,
            _word(request, "to") or None,
            at_once=True,
        )
        found = await run_in_threadpool(self._versions.drift, request.path_params["name"], asked)
        counts = (found.slots, found.rows, found.late, found.notes)
        which = (found.model, found.version, found.starts_at, found.ends_at, found.segment, found.against)
        return DriftAnswer(*which, *counts, found.verdict, found.report.alpha, found.report.columns)


def _named(request: Request, side: str) -> str:
    """A version's number or alias in the query. Raises `UsageError` without one."""
    found = _word(request, side)
    if not found:
        raise UsageError(f"the query parameter {side} is missing: give a version, as in ?before=1&after=2")
    return found


def _word(request: Request, name: str) -> str:
    return str(request.query_params.get(name, ""))


def _reference(request: Request) -> str:
    """`name@version` of the path. Raises `UsageError` for what is no number."""
    name, version = request.path_params["name"], request.path_params["version"]
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise UsageError(f"the version is {version!r}: give its number, as in /models/{name}/versions/3")
    return f"{name}@{int(version)}"
