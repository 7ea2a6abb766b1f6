"""A gate report judged again: each check from what it was given, the waivers as they stood, the journal's fact."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType

import msgspec
from msgspec import UNSET, Struct, structs

from fairlead.core import (
    gate_judgement,
    judge_data,
    judge_drill,
    judge_load,
    judge_model,
    judge_runtime,
    judge_served,
    judge_split,
)
from fairlead.core.event import Entry, GateMeasured, canonical
from fairlead.core.gate import Check, GatePolicy, GateReport, read_report, unmeasured
from fairlead.core.judging import EDITION, GateEvidence, again, keeps
from fairlead.core.listing import first_of
from fairlead.core.recount import BEFORE, State, compared, compared_fields
from fairlead.core.waiver import waivers, with_waivers

_MODULES: tuple[ModuleType, ...] = (
    gate_judgement,
    judge_data,
    judge_drill,
    judge_load,
    judge_model,
    judge_runtime,
    judge_served,
    judge_split,
)


class Stored(Struct, frozen=True):
    """What lies in the store of a report: its bytes, and its evidence where it names any."""

    text: bytes
    evidence: GateEvidence | None = None


def judges() -> dict[str, Callable[..., Check]]:
    """Every judge that keeps what it is given, by its name."""
    functions = (function for module in _MODULES for function in vars(module).values())
    return {function.__name__: function for function in functions if keeps(function)}


def recount_gate(entry: Entry, stored: Stored, waived: Iterable[Entry]) -> tuple[State, str]:
    """Judges again what `entry` journalled. `waived`: the model's waivers; those after the entry are passed over."""
    fact = entry.fact
    assert isinstance(fact, GateMeasured), "only a measured gate is judged again"
    try:
        report = read_report(stored.text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return "unproven", f"its report cannot be read by this fairlead: {error}"
    standing = waivers((one for one in waived if one.seq < entry.seq), report.bundle, report.environment, entry.at)
    if report.evidence is UNSET or stored.evidence is None:
        return _before(fact, report, with_waivers(report, standing))
    if stored.evidence.edition != EDITION:
        return "unproven", f"judged by edition {stored.evidence.edition} of the judges; this fairlead has {EDITION}"
    return _again(fact, stored.text, (report, stored.evidence), with_waivers(report, standing))


def _before(fact: GateMeasured, report: GateReport, waived: GateReport) -> tuple[State, str]:
    """Of a report without evidence: whether the fact follows from its checks, and its waivers from the journal."""
    state, said = compared(canonical(report), canonical(waived))
    written, come = (fact.bundle, fact.passed, fact.failed), (report.bundle, waived.passed, waived.failed)
    if state == "same":
        state, said = compared(canonical(written), canonical(come), "the journal's [bundle, passed, failed]: ")
    return ("unproven", BEFORE) if state == "same" else (state, said)


def _again(
    fact: GateMeasured, text: bytes, found: tuple[GateReport, GateEvidence], waived: GateReport
) -> tuple[State, str]:
    report, evidence = found
    strange = [name for name in evidence.given if report.check(name) is None]  # type: ignore[arg-type]
    if strange:
        return "different", f"the evidence is of {first_of(strange)}, which the report does not hold"
    checks = []
    for check in waived.checks:
        one, why = _check(check, evidence, report.policy)
        if one is None:
            return "different" if check.name in evidence.given else "unproven", f"{check.name}: {why}"
        state, said = compared(canonical(check), canonical(one), f"{check.name}: ")
        if state != "same":
            return state, said
        checks.append(one)
    came = structs.replace(waived, checks=tuple(checks))
    state, said = compared(text, canonical(came))
    return (state, said) if state != "same" else compared_fields(fact, came.fact, "the journal's ")


def _check(check: Check, evidence: GateEvidence, policy: GatePolicy) -> tuple[Check | None, str]:
    """The check as it comes out, with the time that it took; None with the reason where it does not."""
    given = evidence.given.get(check.name)
    if given is None:
        bare = structs.replace(unmeasured(check.name, check.reason), seconds=check.seconds, waived=check.waived)
        return (bare, "") if bare == check else (None, "it was judged, and nothing is kept of what it was judged from")
    judge = judges().get(given.judge)
    if judge is None:
        return None, f"there is no judge {given.judge}"
    try:
        one = again(judge, given, policy)
    except Exception as error:  # noqa: BLE001 - values that no measurement ever gave
        return None, f"its evidence cannot be judged: {type(error).__name__}: {error}"
    return structs.replace(one, seconds=check.seconds, waived=check.waived, given=UNSET), ""
