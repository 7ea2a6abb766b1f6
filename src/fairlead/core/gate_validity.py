"""Whether a gate's report still lets a version through: of this bundle, in time, against this champion and policy."""

from __future__ import annotations

from msgspec import Struct

from fairlead.core.gate import DAY_SECONDS, CheckName, GatePolicy, GateReport
from fairlead.core.listing import first_of

# Of a figure: whether less of it asks for more. What stands in neither is only compared.
_LESS_IS_STRICTER = frozenset(
    [
        "p99_ms",
        "peak_memory_mb",
        "strange_share",
        "parity_tolerance",
        "margin",
        "rollback_seconds",
        "memory_growth_mb",
        "recovery_seconds",
        "logged_apart_ms",
        "null_share",
        "null_growth",
        "unlabelled_share",
        "range_times",
        "leak_score",
        "twins_excess",
        "fresh_loss",
        "heldout_reuse",
        "split_gap",
        "overfitting",
        "slice_loss",
        "rate_gap",
        "known_null",
        "calibration",
        "idle_share",
        "robust_loss",
    ]
)
_MORE_IS_STRICTER = frozenset(
    [
        "compare_rows",
        "requests",
        "warm_up",
        "predictions",
        "expected_rate",
        "load_seconds",
        "load_connections",
        "spike_times",
        "spike_seconds",
        "log_days",
        "fewest_rows",
        "rows_kept",
        "impact",
        "useful",
    ]
)
# Told apart: what is required by its outcomes, the age by the report's own, the comparison by its words.
_APART = frozenset({"required", "max_age_days", "against_champion"})


class Now(Struct, frozen=True):
    """How things stand when a report is asked for: the policy of its environment, and the champion's version and bundle
    (None where there is none, or where the version itself is the champion)."""

    at: float
    policy: GatePolicy
    champion: int | None = None
    champion_bundle: str | None = None


def why_invalid(report: GateReport, bundle: str, now: float | Now) -> str | None:
    """Why a report lets nothing through. None when it does.

    Foreign, failed, from the future, expired; and, where `now` says how things stand, against another champion than
    today's, or by a policy that asked for less.
    """
    if report.bundle == bundle and not report.passed:
        return f"failed: {', '.join(report.failed)}"
    stale = why_stale(report, bundle, now)
    if stale is not None or not isinstance(now, Now):
        return stale
    missing = missing_in(report, now.policy)
    if not missing:
        return None
    return f"{report.environment} asks for {first_of(missing)} since, and that does not hold in its report"


def why_stale(report: GateReport, bundle: str, now: float | Now) -> str | None:
    """Why nothing that a report says counts any more, whether it passed or not. None when it does."""
    at = now.at if isinstance(now, Now) else now
    days = min(report.policy.max_age_days, now.policy.max_age_days) if isinstance(now, Now) else None
    if report.bundle != bundle:
        return f"its gate was measured on another bundle ({report.bundle[:12]}, not {bundle[:12]})"
    if at < report.measured_at:
        return "its gate was measured in the future: set the clock right"
    return _too_old(report, at, days) or (_overtaken(report, now) if isinstance(now, Now) else None)


def valid_for(report: GateReport, bundle: str, now: float | Now) -> bool:
    """Whether a report lets this bundle be deployed at this instant."""
    return why_invalid(report, bundle, now) is None


def _too_old(report: GateReport, at: float, days: float | None) -> str | None:
    lasts = report.policy.max_age_days if days is None else days
    age = (at - report.measured_at) / DAY_SECONDS
    # The instant itself is compared as `expires_at` has it: a quotient may round to the other side.
    if at < report.measured_at + lasts * DAY_SECONDS:
        return None
    return f"its gate expired: it is {age:.1f} days old, and counts for {lasts:g}"


def _overtaken(report: GateReport, now: Now) -> str | None:
    if now.champion_bundle is not None and now.champion_bundle != report.champion_bundle:
        compared = "nothing" if report.champion is None else f"version {report.champion}"
        return f"it was compared with {compared}, and version {now.champion} is the champion since"
    said = stricter(report.policy, now.policy)
    return f"the policy of {report.environment} is stricter since: {first_of(said, 3)}" if said else None


def missing_in(report: GateReport, policy: GatePolicy) -> tuple[CheckName, ...]:
    """What a policy requires and a report does not show to hold, or to be waived."""
    counting = {check.name for check in report.checks if check.counts}
    broken = {check.name for check in report.checks if not check.counts}
    return tuple(name for name in policy.required if name in broken or name not in counting)


def stricter(measured: GatePolicy, now: GatePolicy) -> tuple[str, ...]:
    """The bounds by which a policy asks for more than the one that was measured by, in words."""
    said = []
    for name in GatePolicy.__struct_fields__:
        before, after = getattr(measured, name), getattr(now, name)
        if name not in _APART and before != after and _asks_more(name, before, after):
            said.append(f"{name} {_word(after)}, was {_word(before)}")
    if (measured.against_champion, now.against_champion) == ("not_worse", "better"):
        said.append("a version must be better than the champion, was not worse")
    return tuple(said)


def _asks_more(name: str, before: object, after: object) -> bool:
    """Of a bound that changed. What has no known direction asks for more by any change."""
    if isinstance(before, float | int) and isinstance(after, float | int):
        if name in _LESS_IS_STRICTER:
            return after < before
        if name in _MORE_IS_STRICTER:
            return after > before
    return True


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value}"
