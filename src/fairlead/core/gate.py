"""The readiness gate's values: each check is a measurement, kept with its evidence; a report counts for one bundle."""

from __future__ import annotations

from hashlib import sha256
from math import isfinite
from typing import Any, Literal, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

from fairlead.core.event import GateMeasured, canonical
from fairlead.core.verdict import Outcome

CheckName = Literal[
    "digest_holds",
    "model_card_complete",
    "schema_equals_training",
    "loads_in_clean_process",
    "portable_agrees",
    "schema_compatible",
    "dataset_pinned",
    "null_rates",
    "ranges_plausible",
    "categories_known",
    "row_count",
    "rules_hold",
    "missing_strategy",
    "no_leakage",
    "no_duplicates",
    "temporal_order",
    "split_documented",
    "heldout_locked",
    "personal_data",
    "better_than_champion",
    "simpler_not_better",
    "overfitting_gap",
    "slices_hold",
    "fairness_holds",
    "calibrated",
    "features_useful",
    "robust_to_bad_input",
    "latency_and_memory",
    "golden_over_http",
    "edge_cases_answered",
    "logging_proven",
    "memory_stable",
    "load_sustained",
    "load_spike",
    "errors_logged",
    "log_volume",
    "monitors_alive",
    "rollback_rehearsed",
]
CHECKS: tuple[CheckName, ...] = get_args(CheckName)
# What every report was measured by before policies said what they require.
CHECKS_AT_FIRST: tuple[CheckName, ...] = (
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
)

Figure = float | int | str | bool
DAY_SECONDS = 86_400.0


class GatePolicy(Struct, frozen=True):
    """What a version must measure up to. MB are 10^6 bytes. All checks are made; those of `required` must hold."""

    required: tuple[CheckName, ...] = CHECKS
    p99_ms: float = 50.0
    peak_memory_mb: float = 1000.0
    strange_share: float = 0.05  # of held-out rows that may hold values which training did not show
    parity_tolerance: float = 1e-5  # of an answer, absolute, and relative to answers beyond 1
    against_champion: Literal["better", "not_worse"] = "better"
    margin: float = 0.01  # not_worse: how much of the metric may be lost
    compare_rows: int = 200  # fewer labelled rows decide nothing
    requests: int = 400  # of the latency measurement, after the warm-up
    warm_up: int = 40
    rollback_seconds: float = 1.0
    predictions: int = 10_000  # over which memory must be stable
    memory_growth_mb: float = 2.0  # that 10,000 predictions may leave behind
    expected_rate: float = 10.0  # requests a second in the busiest hour
    load_seconds: float = 4.0  # for which the expected rate is asked
    load_connections: int = 8
    spike_times: float = 4.0  # the expected rate
    spike_seconds: float = 2.0
    recovery_seconds: float = 5.0  # after a spike, until answers are as before
    logged_apart_ms: float = 5.0  # how far the logged latency may lie from the caller's, in the median
    log_days: float = 7.0  # for how long records are kept
    null_share: float = 0.9  # of a feature's training rows that may be null
    null_shares: dict[str, float] = {}  # other bounds than that, by feature
    null_growth: float = 5.0  # times the champion's share of nulls
    unlabelled_share: float = 0.05  # of the training rows that may have no outcome
    range_times: float = 10.0  # the champion's range: by how much a feature's may be wider, narrower or away
    fewest_rows: int = 100  # of training
    rows_kept: float = 0.2  # of the champion's training rows: fewer are a drop
    leak_score: float = 0.98  # AUROC, or R2, of a single feature
    known_late: tuple[str, ...] = ()  # columns that are known only after the prediction
    twins_excess: float = 0.01  # share of held-out rows in training, beyond what equal rows make by nature
    fresh_loss: float = 0.05  # share of the quality that may be owed to held-out rows seen in training
    heldout_reuse: float = 0.5  # share of the held-out rows that the champion may have been trained on
    split_gap: float = 0.05  # of the target's share between training and rows cut off a table's end
    personal_allowed: tuple[str, ...] = ()  # features that may look like personal data
    breaking_schema: bool = False  # whether the champion's callers may be let down
    overfitting: float = 0.2  # of AUROC, accuracy or R2, from training to held-out rows
    slice_loss: float = 0.2  # share of the accuracy by which a group may be served worse than all others
    known_null: float = 0.01  # share of nulls in the champion's training from which callers count on being answered
    protected: tuple[str, ...] = ()  # columns of groups that must be treated alike
    impact: float = 0.8  # least selection rate of a group, as a share of the greatest (the four-fifths rule)
    rate_gap: float = 0.1  # between groups' true, and false, positive rates
    calibration: float = 0.05  # expected calibration error
    useful: float = 0.0005  # quality that shuffling a feature must cost for it to count as useful
    idle_share: float = 0.5  # of the features that may be without effect
    robust_loss: float = 0.2  # share of the quality that disturbed rows may lose
    max_age_days: float = 30.0


class Waived(Struct, frozen=True):
    """Who answers for a check that does not hold, until when (seconds since 1970, UTC), and why."""

    by: str
    until: float
    reason: str


class Given(Struct, frozen=True):
    """What a check was judged from: the judge's name, and what it was given beside the policy, as JSON keeps it."""

    judge: str
    values: dict[str, Any]


class Check(Struct, frozen=True):
    """One check: what was measured, what was required, and a sentence with the figures."""

    name: CheckName
    outcome: Outcome
    reason: str
    measured: dict[str, Figure]
    required: str
    seconds: float = 0.0  # wall time that measuring took
    waived: Waived | None = None  # as it stood when the report was made; the journal says how it stands now
    given: Given | UnsetType = UNSET  # on its way into the evidence; no report holds it

    @property
    def holds(self) -> bool:
        """Whether it was measured and found good: undecided and unmeasured were not."""
        return self.outcome is Outcome.HOLDS

    @property
    def applies(self) -> bool:
        """Whether there was anything to measure: one that does not apply lets through, and proves nothing."""
        return not self.reason.startswith("Does not apply")

    @property
    def counts(self) -> bool:
        """Whether it lets a version through: it holds, or somebody answers for it."""
        return self.holds or self.waived is not None

    @property
    def state(self) -> str:
        """holds | waived | undecided | unmeasured | breached."""
        return "waived" if self.waived is not None and not self.holds else self.outcome.value


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
    evidence: str | UnsetType = UNSET  # SHA-256 of what its checks were judged from; older reports kept none

    @property
    def failed(self) -> tuple[CheckName, ...]:
        """Of what is required: what neither holds nor is waived, and what was never made."""
        counting = {check.name for check in self.checks if check.counts}
        broken = {check.name for check in self.checks if not check.counts}
        missing = {name for name in self.policy.required if name in broken or name not in counting}
        return tuple(name for name in CHECKS if name in missing)

    @property
    def passed(self) -> bool:
        """Whether every required check was made and holds, or is waived."""
        return not self.failed

    @property
    def waived(self) -> tuple[CheckName, ...]:
        """The checks that somebody answers for."""
        return tuple(check.name for check in self.checks if check.state == "waived")

    @property
    def outcome(self) -> Outcome:
        """Of the whole: breached where a required check is, unmeasured or undecided where none is worse."""
        made = {check.name: check.outcome for check in self.checks}
        bad = [made.get(name, Outcome.UNMEASURED) for name in self.failed]
        worst_first = (Outcome.BREACHED, Outcome.UNMEASURED, Outcome.UNDECIDED)
        return next((outcome for outcome in worst_first if outcome in bad), Outcome.HOLDS)

    @property
    def expires_at(self) -> float:
        """From when on it counts no longer."""
        return self.measured_at + self.policy.max_age_days * DAY_SECONDS

    @property
    def reason(self) -> str:
        """One sentence: all hold, or how many do not, and the first of the worst of them."""
        asked = len(self.policy.required)
        if self.passed:
            answered = [name for name in self.waived if name in self.policy.required]
            if not answered:
                return f"All {asked} readiness checks hold."
            return f"{asked - len(answered)} of {asked} readiness checks hold, waived: {', '.join(answered)}."
        worst = next((name for name in self.failed if self._breached(name)), self.failed[0])
        found = self.check(worst)
        said = found.reason if found else "It was never made."
        return f"{len(self.failed)} of {asked} readiness checks do not hold; {worst}: {said}"

    def _breached(self, name: CheckName) -> bool:
        found = self.check(name)
        return found is not None and found.outcome is Outcome.BREACHED

    def check(self, name: CheckName) -> Check | None:
        """The check of that name."""
        return next((check for check in self.checks if check.name == name), None)

    @property
    def fact(self) -> GateMeasured:
        """What the journal keeps of it."""
        digest = digest_of_report(self)
        return GateMeasured(self.model, self.version, self.bundle, self.passed, self.failed, digest, self.environment)


def digest_of_report(report: GateReport) -> str:
    """The SHA-256 of the report's canonical bytes: the name it is stored under."""
    return sha256(canonical(report)).hexdigest()


def read_report(text: bytes) -> GateReport:
    """A stored report. Raises `msgspec.MsgspecError` for anything else.

    One from before policies said what they require was measured by the ten checks that there were.
    """
    report = msgspec.json.decode(text, type=GateReport)
    if msgspec.json.decode(text, type=_Kept).policy.required is not None:
        return report
    return msgspec.structs.replace(report, policy=msgspec.structs.replace(report.policy, required=CHECKS_AT_FIRST))


class _KeptPolicy(Struct, frozen=True):
    required: tuple[str, ...] | None = None


class _Kept(Struct, frozen=True):
    policy: _KeptPolicy


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
