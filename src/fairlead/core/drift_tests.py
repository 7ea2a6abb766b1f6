"""Drift tests that a user asked for by name: what they found in a window, and the alarm that comes of it.

A test finds drift by significance and effect: its p-value, adjusted over the tests of the window (Benjamini, Hochberg),
is below its threshold, and its distance exceeds the least that counts (KS 0.05, Cramer's V 0.05, PSI 0.10, MMD 0.05
where nothing else is stated). Where a test is of PSI its threshold is of the distance, and the p-value is held against
0.01.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from fairlead.core.alert import Alarm
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome, Verdict
from fairlead.stats.fdr import benjamini_hochberg

KEY = "drift-tests"
RUNBOOK = "harmful-drift"
EFFECTS = {"ks": 0.05, "chi_squared": 0.05, "psi": 0.10, "mmd": 0.05}
PSI_LEVEL = 0.01


class DriftTest(Struct, frozen=True):
    """One test: its method (ks, chi_squared, mmd, psi), columns, threshold, and the least effect that counts."""

    name: str
    method: str
    columns: tuple[str, ...]
    threshold: float = 0.05
    effect: float | None = None

    @property
    def least(self) -> float:
        """The distance that must be exceeded."""
        if self.method == "psi" and self.effect is None:
            return self.threshold
        return EFFECTS[self.method] if self.effect is None else self.effect

    @property
    def level(self) -> float:
        """What the adjusted p-value must fall below."""
        return PSI_LEVEL if self.method == "psi" else self.threshold


class Found(Struct, frozen=True):
    """What a test saw in one column (or, for MMD, in its columns together): a p-value and a bias-corrected distance.
    Where it could not look, `missing` says why."""

    test: DriftTest
    column: str
    p_value: float | None = None
    effect: float = 0.0
    rows: int = 0
    missing: str = ""


class TestVerdict(Struct, frozen=True):
    """The verdict of one test on one column."""

    __test__ = False

    found: Found
    outcome: Outcome
    reason: str


class DriftWindow(Struct, frozen=True):
    """All tests of one window of event time."""

    name: str
    starts_at: float
    ends_at: float
    version: int
    verdicts: tuple[TestVerdict, ...]

    @property
    def drifted(self) -> tuple[TestVerdict, ...]:
        """Those that found drift."""
        return tuple(one for one in self.verdicts if one.outcome is Outcome.BREACHED)

    @property
    def verdict(self) -> Verdict:
        """One sentence over all of them: drift, then what could not be looked at."""
        drifted = self.drifted
        if drifted:
            return Verdict(Outcome.BREACHED, f"window {self.name}: {'; '.join(one.reason for one in drifted)}")
        blind = [one.reason for one in self.verdicts if one.outcome is Outcome.UNMEASURED]
        if blind and len(blind) == len(self.verdicts):
            return Verdict(Outcome.UNMEASURED, f"window {self.name}: {'; '.join(blind)}")
        seen = counted(len(self.verdicts) - len(blind), "test")
        more = f"; not measured: {'; '.join(blind)}" if blind else ""
        return Verdict(Outcome.HOLDS, f"window {self.name}: {seen} found no drift{more}")


def judge_tests(found: Sequence[Found]) -> tuple[TestVerdict, ...]:
    """The verdicts of a window's tests together, in their order."""
    measured = [one.p_value for one in found if one.p_value is not None]
    adjusted = iter(benjamini_hochberg(measured))
    return tuple(_verdict(one, None if one.p_value is None else next(adjusted)) for one in found)


def alarm_of_tests(model: str, window: DriftWindow, channels: tuple[str, ...] = (), owner: str = "") -> Alarm:
    """One alarm for all of them: it names the columns, and is over in a window where none drifts."""
    verdict = window.verdict
    columns = ", ".join(dict.fromkeys(one.found.column for one in window.drifted))
    outcome = Outcome.UNDECIDED if verdict.outcome is Outcome.UNMEASURED else verdict.outcome
    return Alarm(
        model=model,
        alert=KEY,
        severity="medium",
        title=f"Data drift detected in {columns}" if columns else f"Drift tests of {model}",
        verdict=Verdict(outcome, verdict.reason),
        owner=owner,
        runbook=RUNBOOK,
        channels=channels,
    )


def _verdict(found: Found, q_value: float | None) -> TestVerdict:
    test = found.test
    named = f"{test.name} ({test.method} of {found.column})"
    if q_value is None or found.p_value is None:
        return TestVerdict(found, Outcome.UNMEASURED, f"{named} is not measured: {found.missing}")
    figures = f"distance {found.effect:.3g}, p {found.p_value:.2g} (adjusted {q_value:.2g}), {found.rows:,} rows"
    if q_value < test.level and found.effect > test.least:
        bounds = f"beyond {test.least:g} at p < {test.level:g}"
        return TestVerdict(found, Outcome.BREACHED, f"{named}: {figures}, {bounds}")
    return TestVerdict(found, Outcome.HOLDS, f"{named}: {figures}")
