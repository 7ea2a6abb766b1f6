"""The readiness gate's values: each check is a measurement, kept with its evidence; a report counts for one bundle."""

from __future__ import annotations

from hashlib import sha256
from math import isfinite
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from fairlead.core.event import GateMeasured, canonical
from fairlead.core.verdict import Outcome

CheckName = Literal[
    "digest_holds",
    "model_card_complete",
    "schema_equals_training",
    "loads_in_clean_process",
    "portable_agrees",
    "better_than_champion",
    "latency_and_memory",
    "edge_cases_answered",
    "logging_proven",
    "rollback_rehearsed",
]
CHECKS: tuple[CheckName, ...] = get_args(CheckName)

Figure = float | int | str | bool
DAY_SECONDS = 86_400.0


class GatePolicy(Struct, frozen=True):
    """What a version must measure up to. MB are 10^6 bytes."""

    p99_ms: float = 50.0
    peak_memory_mb: float = 1024.0
    strange_share: float = 0.05  # of held-out rows that may hold values which training did not show
    parity_tolerance: float = 1e-5  # of an answer, absolute, and relative to answers beyond 1
    against_champion: Literal["better", "not_worse"] = "better"
    margin: float = 0.01  # not_worse: how much of the metric may be lost
    compare_rows: int = 200  # fewer labelled rows decide nothing
    requests: int = 400  # of the latency measurement, after the warm-up
    warm_up: int = 40
    rollback_seconds: float = 1.0
    max_age_days: float = 30.0


class Check(Struct, frozen=True):
    """One check: what was measured, what was required, and a sentence with the figures."""

    name: CheckName
    outcome: Outcome
    reason: str
    measured: dict[str, Figure]
    required: str
    seconds: float = 0.0  # wall time that measuring took

    @property
    def holds(self) -> bool:
        """Whether it passes: undecided and unmeasured do not."""
        return self.outcome is Outcome.HOLDS


class GateReport(Struct, frozen=True):
    """One run of the gate over one bundle. `champion` is the version it was compared to, if there was one."""

    model: str
    version: int
    bundle: str
    environment: str  # dev | staging | production
    measured_at: float
    seconds: float  # wall time of the whole run
    checks: tuple[Check, ...]
    policy: GatePolicy
    champion: int | None = None
    champion_bundle: str | None = None
    machine: dict[str, str] = {}  # what it was measured on

    @property
    def failed(self) -> tuple[CheckName, ...]:
        """The checks that do not hold, and those that were never made."""
        holding = {check.name for check in self.checks if check.holds}
        broken = {check.name for check in self.checks if not check.holds}
        return tuple(name for name in CHECKS if name in broken or name not in holding)

    @property
    def passed(self) -> bool:
        """Whether every check was made and holds."""
        return not self.failed

    @property
    def expires_at(self) -> float:
        """From when on it counts no longer."""
        return self.measured_at + self.policy.max_age_days * DAY_SECONDS

    @property
    def reason(self) -> str:
        """One sentence: all hold, or the worst of what does not."""
        if self.passed:
            return f"All {len(self.checks)} readiness checks hold."
        first = self.check(self.failed[0])
        said = first.reason if first else "It was never made."
        return f"{len(self.failed)} of {len(CHECKS)} readiness checks do not hold; {self.failed[0]}: {said}"

    def check(self, name: CheckName) -> Check | None:
        """The check of that name."""
        return next((check for check in self.checks if check.name == name), None)

    @property
    def fact(self) -> GateMeasured:
        """What the journal keeps of it."""
        return GateMeasured(self.model, self.version, self.bundle, self.passed, self.failed, digest_of_report(self))


def digest_of_report(report: GateReport) -> str:
    """The SHA-256 of the report's canonical bytes: the name it is stored under."""
    return sha256(canonical(report)).hexdigest()


def read_report(text: bytes) -> GateReport:
    """A stored report. Raises `msgspec.MsgspecError` for anything else."""
    return msgspec.json.decode(text, type=GateReport)


def why_invalid(report: GateReport, bundle: str, now: float) -> str | None:
    """Why a report lets nothing through: foreign, failed, from the future or expired. None when it does."""
    if report.bundle != bundle:
        return f"its gate was measured on another bundle ({report.bundle[:12]}, not {bundle[:12]})"
    if not report.passed:
        return f"failed: {', '.join(report.failed)}"
    if now < report.measured_at:
        return "its gate was measured in the future: set the clock right"
    if now >= report.expires_at:
        age = (now - report.measured_at) / DAY_SECONDS
        return f"its gate expired: it is {age:.1f} days old, and counts for {report.policy.max_age_days:g}"
    return None


def valid_for(report: GateReport, bundle: str, now: float) -> bool:
    """Whether a report lets this bundle be deployed at this instant."""
    return why_invalid(report, bundle, now) is None


def unmeasured(name: CheckName, reason: str) -> Check:
    """A check that could not be made. It does not pass."""
    return Check(name, Outcome.UNMEASURED, reason, {}, "a measurement")


def figures(**values: Figure | None) -> dict[str, Figure]:
    """Measurements by name, without those that have no value (None, NaN, infinity): JSON has no word for them."""
    return {
        name: value
        for name, value in values.items()
        if value is not None and not (isinstance(value, float) and not isfinite(value))
    }
