"""The checklists: what proves an item, what somebody attests, and how an item stands on the evidence that there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from msgspec import Struct

from fairlead.core.event import Entry, ItemAttested
from fairlead.core.gate import Check
from fairlead.core.verdict import Outcome

Phase = Literal[
    "pre-development",
    "data-pipeline",
    "model-development",
    "pre-deployment",
    "deployment",
    "monitoring",
    "documentation",
    "anti-fake",
]
PHASES: tuple[Phase, ...] = get_args(Phase)

# What a home shows of a version beside its gate.
Sign = Literal[
    "registered",
    "gate_passed",
    "code_committed",
    "same_packages",
    "features_in_code",
    "unit_named",
    "owner_named",
    "seen_by_part_first",
    "rollout_journalled",
    "baseline_recorded",
    "promoted",
    "watched",
    "realised_as_promised",
    "retraining_defined",
    "alerts_routed",
    "runbooks_there",
    "retention_set",
    "pipeline_passed",
]
SIGNS: tuple[Sign, ...] = get_args(Sign)
State = Literal["proven", "attested", "waived", "open", "expired", "failed"]
LONGEST_SECONDS = 365 * 86_400.0  # no answer counts longer, whatever its author says


class Item(Struct, frozen=True):
    """A line of a checklist: proven by the gate's checks and by what the home shows, all of them together; or, where a
    machine cannot know it, attested."""

    name: str
    phase: Phase
    text: str
    checks: tuple[str, ...] = ()
    signs: tuple[Sign, ...] = ()
    or_attested: bool = False  # an answer stands in where there is no proof; never where the proof is against it

    @property
    def attestable(self) -> bool:
        """Whether somebody's answer counts."""
        return self.or_attested or not (self.checks or self.signs)

    @property
    def by(self) -> str:
        """What proves it, in words."""
        proofs = [*self.checks, *self.signs]
        return ", ".join([*proofs, "or attested"] if self.or_attested else proofs) or "attested"


class Shown(Struct, frozen=True):
    """One sign: whether it is there (None: not yet), and what was seen."""

    holds: bool | None
    reason: str

    @property
    def applies(self) -> bool:
        """Whether there was anything to look for."""
        return not self.reason.startswith("Does not apply")


class Attestation(Struct, frozen=True):
    """Somebody's answer. It counts until `until` (seconds since 1970, UTC)."""

    item: str
    answer: str
    owner: str
    link: str
    at: float
    until: float
    by: str  # who wrote it down
    version: int | None = None  # None: of every version of the model


class Evidence(Struct, frozen=True):
    """What there is to judge a version by: the checks of a report that counts for this very bundle (`stale` says why
    there are none), what the home shows, and the last answer to each item."""

    at: float
    checks: Mapping[str, Check]
    signs: Mapping[str, Shown]
    answers: Mapping[str, Attestation]
    stale: str = ""


class Line(Struct, frozen=True):
    """An item as it stands."""

    name: str
    phase: Phase
    text: str
    by: str
    state: State
    reason: str


def attestations(entries: Iterable[Entry], version: int | None) -> dict[str, Attestation]:
    """The last answer to each item: of this version, or of every version; later words replace earlier ones."""
    found: dict[str, Attestation] = {}
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, ItemAttested) and fact.version in (None, version):
            latest = entry.at + LONGEST_SECONDS
            until = latest if fact.until is None else min(fact.until, latest)
            found[fact.item] = Attestation(
                fact.item, fact.answer, fact.owner, fact.link, entry.at, until, entry.actor, fact.version
            )
    return found


def stands(item: Item, evidence: Evidence) -> Line:
    """How an item stands: failed where any proof is against it, proven where all are there, else what was attested."""
    state, reason = _proof(item, evidence)
    if state == "open" and item.attestable:
        state, reason = _answer(item, evidence, reason)
    return Line(item.name, item.phase, item.text, item.by, state, reason)


def _proof(item: Item, evidence: Evidence) -> tuple[State, str]:
    states: list[tuple[State, str]] = [_check(name, evidence) for name in item.checks]
    states += [_sign(name, evidence) for name in item.signs]
    for wanted in ("failed", "open", "waived"):
        for state, reason in states:
            if state == wanted:
                return state, reason
    return (
        ("proven", "; ".join(reason.rstrip(".") for _, reason in states))
        if states
        else ("open", "nobody has attested it")
    )


def _check(name: str, evidence: Evidence) -> tuple[State, str]:
    check = evidence.checks.get(name)
    if check is None:
        return "open", evidence.stale or f"{name} was not measured"
    if check.holds:
        return "proven", check.reason
    if check.waived is not None:
        return "waived", f"{name} is waived by {check.waived.by}: {check.waived.reason}"
    return ("failed" if check.outcome is Outcome.BREACHED else "open"), check.reason


def _sign(name: str, evidence: Evidence) -> tuple[State, str]:
    shown = evidence.signs.get(name)
    if shown is None or shown.holds is None:
        return "open", shown.reason if shown else f"{name} was not looked for"
    return ("proven" if shown.holds else "failed"), shown.reason


def _answer(item: Item, evidence: Evidence, otherwise: str) -> tuple[State, str]:
    found = evidence.answers.get(item.name)
    if found is None or evidence.at < found.at:
        return "open", otherwise
    said = f"{found.owner}: {found.answer} ({found.link})"
    return ("attested" if evidence.at < found.until else "expired"), said
