"""Waivers: somebody answers for a check that does not hold, until a day; and takes it back."""

from __future__ import annotations

from difflib import get_close_matches

from msgspec import Struct

from fairlead.core.event import GateWaived
from fairlead.core.gate import CHECKS, DAY_SECONDS, CheckName, GateReport, Waived
from fairlead.core.gate_sections import NEVER_WAIVED
from fairlead.errors import NotFound, Refused, UsageError
from fairlead.operations.context import Context
from fairlead.operations.gates import environment_of, last_report, waived
from fairlead.operations.models import resolve


class Standing(Struct, frozen=True):
    """The waivers of a version that count now, in one environment."""

    model: str
    version: int
    environment: str
    waived: dict[str, Waived]


def waive(context: Context, reference: str, check: str, until: float, reason: str, environment: str = "") -> GateReport:
    """Answers for a check that does not hold, in the actor's name, for this bundle in one environment, until an instant
    (seconds since 1970, UTC). Returns the report as it stands with it.

    Raises `Refused` for what may not be waived, holds, or was never measured; `UsageError` for an instant that is past
    or too far off, or without a reason.
    """
    now, wanted = context.clock.now(), environment_of(context, environment)
    name = _check_named(check)
    if name in NEVER_WAIVED:
        raise Refused(f"{name} can never be waived: mend what it found, and run `fairlead gate {reference}`")
    if not reason.strip():
        raise UsageError(f"a waiver of {name} needs a reason: say why with --reason")
    _check_until(until, now, float(context.settings.gates.longest_waiver))
    info = resolve(context, reference)
    report = _report(context, reference, wanted)
    found = report.check(name)
    if found is None or report.bundle != info.bundle:
        raise Refused(f"{name} was not measured of {reference}: run `fairlead gate {reference}` first")
    if found.holds:
        raise Refused(f"{name} holds for {reference}: there is nothing to waive")
    fact = GateWaived(info.model, info.version, info.bundle, wanted, name, until, reason.strip())
    context.journal.append([fact], actor=context.actor, at=now)
    return last_report(context, reference, wanted)


def revoke(context: Context, reference: str, check: str, reason: str = "", environment: str = "") -> GateReport:
    """Takes a waiver back: it counts no longer from now on. Raises `NotFound` where there is none."""
    now, wanted = context.clock.now(), environment_of(context, environment)
    name, info = _check_named(check), resolve(context, reference)
    if name not in waived(context, info, wanted, now):
        raise NotFound(
            f"{reference} has no waiver of {name} for {wanted}: `fairlead gate {reference}` shows what counts"
        )
    fact = GateWaived(info.model, info.version, info.bundle, wanted, name, now, reason.strip() or "taken back")
    context.journal.append([fact], actor=context.actor, at=now)
    return _report(context, reference, wanted)


def standing(context: Context, reference: str, environment: str = "") -> Standing:
    """What is waived of `name@version` now."""
    info, wanted = resolve(context, reference), environment_of(context, environment)
    return Standing(info.model, info.version, wanted, waived(context, info, wanted, context.clock.now()))


def _report(context: Context, reference: str, environment: str) -> GateReport:
    try:
        return last_report(context, reference, environment)
    except NotFound as error:
        raise NotFound(f"{error.line}; only what was measured for {environment} can be waived there") from None


def _check_named(check: str) -> CheckName:
    wanted = check.strip().replace(" ", "_").replace("-", "_")
    name = next((one for one in CHECKS if one == wanted), None)
    if name is None:
        near = get_close_matches(wanted, CHECKS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(CHECKS)}"
        raise UsageError(f"there is no check {check!r}: {hint}")
    return name


def _check_until(until: float, now: float, longest: float) -> None:
    if until <= now:
        raise UsageError("the waiver would end before it begins: give a day after today with --until")
    if until > now + longest:
        raise UsageError(
            f"a waiver lasts {longest / DAY_SECONDS:g} days at most (gates.longest_waiver): give an earlier day"
        )
