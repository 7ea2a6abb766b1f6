"""The checklists with live state, the answers that people give, and the ML Test Score."""

from __future__ import annotations

from difflib import get_close_matches

from msgspec import Struct

from fairlead.core.checklist import (
    LONGEST_SECONDS,
    PHASES,
    Attestation,
    Evidence,
    Item,
    Line,
    Phase,
    Shown,
    attestations,
    stands,
)
from fairlead.core.checklist_items import ITEMS, items_of
from fairlead.core.environment import Environment
from fairlead.core.event import ItemAttested
from fairlead.core.gate import Check, GateReport
from fairlead.core.gate_validity import why_stale
from fairlead.core.test_score import MlTestScore, score
from fairlead.core.verdict import Outcome
from fairlead.errors import FairleadError, NotFound, Refused, UsageError
from fairlead.operations.context import Context
from fairlead.operations.gates import environment_of, last_report, passed_gate, policy_of, standing_of
from fairlead.operations.models import parse_version, resolve
from fairlead.operations.signs import Signs
from fairlead.ports import VersionInfo


class Checklist(Struct, frozen=True):
    """The items of one phase, or of all, as they stand for a version in an environment."""

    model: str
    version: int
    environment: str
    lines: tuple[Line, ...]

    def counted(self, *states: str) -> int:
        """How many items stand so."""
        return sum(line.state in states for line in self.lines)

    @property
    def outcome(self) -> Outcome:
        """Breached where an item failed, undecided where one is open or its answer expired."""
        if self.counted("failed"):
            return Outcome.BREACHED
        return Outcome.UNDECIDED if self.counted("open", "expired") else Outcome.HOLDS


def phase_named(word: str) -> Phase | None:
    """The phase that a word means; an empty one means all. Raises `UsageError`."""
    wanted = word.strip().lower().replace("_", "-").replace(" ", "-")
    found = next((phase for phase in PHASES if phase == wanted), None)
    if found is None and wanted:
        near = get_close_matches(wanted, PHASES, n=1)
        raise UsageError(
            f"there is no phase {word!r}: {f'did you mean {near[0]}? ' if near else ''}use {', '.join(PHASES)}"
        )
    return found


def checklist(context: Context, reference: str, phase: str = "", environment: str = "") -> Checklist:
    """The items as they stand for `name@version`, on evidence that is fresh and its own."""
    wanted = phase_named(phase)
    info, where = resolve(context, reference), environment_of(context, environment)
    evidence = evidence_of(context, info, where)
    return Checklist(info.model, info.version, where, tuple(stands(item, evidence) for item in items_of(wanted)))


def ml_test_score(context: Context, reference: str, environment: str = "") -> MlTestScore:
    """The ML Test Score of `name@version` on the same evidence."""
    info, where = resolve(context, reference), environment_of(context, environment)
    return score(evidence_of(context, info, where))


def attest(
    context: Context, item: str, reference: str, answer: str, owner: str, link: str, until: float | None = None
) -> Attestation:
    """Writes down somebody's answer to an item, for `name` (every version) or `name@version`.

    `link` says where it can be read up. It counts until `until` (seconds since 1970, UTC), and for a year at most.
    Raises `Refused` for what a machine proves, and `UsageError` for an answer without owner or link.
    """
    found, now = _item_named(item), context.clock.now()
    if not found.attestable:
        raise Refused(
            f"{found.name} is proven by {found.by}, not by anybody's word: run `fairlead gate` on the version"
        )
    for name, text in (("answer", answer), ("owner", owner), ("link", link)):
        if not text.strip():
            raise UsageError(f"{found.name} needs --{name}: an answer counts with its owner and where to read it up")
    ends = now + LONGEST_SECONDS if until is None else until
    if ends <= now:
        raise UsageError("the answer would expire before it is given: give a day after today with --until")
    if ends > now + LONGEST_SECONDS:
        raise UsageError("an answer counts for a year at most: give an earlier day with --until")
    model, version = _whose(context, reference)
    fact = ItemAttested(model, found.name, answer.strip(), owner.strip(), link.strip(), ends, version)
    context.journal.append([fact], actor=context.actor, at=now)
    return Attestation(found.name, fact.answer, fact.owner, fact.link, now, ends, context.actor, version)


def evidence_of(context: Context, info: VersionInfo, environment: Environment) -> Evidence:
    """All that there is to judge a version by: what is stale, or of another bundle, is not among it."""
    now = context.clock.now()
    checks, stale = _checks(context, info, environment, now)
    policy = policy_of(context.settings.gates, environment)
    breached = any(check.state == "breached" and check.name in policy.required for check in checks.values())
    passed = _gate_passed(context, info, environment, now, breached=breached)
    signs = {**Signs(context, info).all(), "gate_passed": passed}
    entries = context.journal.read(model=info.model, kinds=["item_attested"])
    return Evidence(now, checks, signs, attestations(entries, info.version), stale)


def _checks(context: Context, info: VersionInfo, environment: Environment, now: float) -> tuple[dict[str, Check], str]:
    name = f"{info.model}@{info.version}"
    try:
        report: GateReport = last_report(context, name, environment)
    except FairleadError as error:
        return {}, error.line
    stale = why_stale(report, info.bundle, standing_of(context, info, environment, now))
    if stale is not None:
        return {}, f"{stale}: run `fairlead gate {name}`"
    return {check.name: check for check in report.checks}, ""


def _gate_passed(context: Context, info: VersionInfo, environment: Environment, now: float, *, breached: bool) -> Shown:
    """`breached`: whether what was measured last counts, and is against it."""
    try:
        report = passed_gate(context, info, now, environment)
    except Refused as error:
        return Shown(False if breached else None, error.line)
    return Shown(True, f"{report.reason.rstrip('.')}, by the policy of {environment}")


def _item_named(word: str) -> Item:
    wanted = word.strip().lower().replace("_", "-").replace(" ", "-")
    found = next((item for item in ITEMS if item.name == wanted), None)
    if found is None:
        near = get_close_matches(wanted, [item.name for item in ITEMS], n=1)
        hint = f"did you mean {near[0]}?" if near else "`fairlead checklist` lists them"
        raise UsageError(f"there is no item {word!r}: {hint}")
    return found


def _whose(context: Context, reference: str) -> tuple[str, int | None]:
    """The model, and the version where one is meant. Raises `NotFound` for what is not there."""
    if "@" in reference:
        name, _ = parse_version(reference)
        return name, resolve(context, reference).version
    if reference not in context.registry.models():
        raise NotFound(f"there is no model {reference!r}: `fairlead models` lists them")
    return reference, None
