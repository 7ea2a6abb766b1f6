"""Feedback loops: whether what a model decides becomes what the next one learns from.

Four questions, each with its own verdict: are decisions as varied as they were; does a stated share of the traffic
explore; did the share of approvals move in a slice; and did decisions decide which labels exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import MsgspecError, Raw, Struct, json

from fairlead.core.alarm import LOOP
from fairlead.core.alert import Alarm
from fairlead.core.event import canonical
from fairlead.core.facts_act import LoopAudited
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome, Verdict, worst
from fairlead.stats.policy.diversity import ApprovalShift, Entropy
from fairlead.stats.shaped import Shaped

COLLAPSE = 0.2  # of the entropy of before that was lost
FOUR_FIFTHS = 0.8  # of the share of approvals of before
LEAST_GAP = 0.10  # between decisions, in the share of rows that got their label
LEAST_ROWS = 50


class Slot(Struct, frozen=True):
    """The decisions of one window."""

    window: str
    starts_at: float
    entropy: Entropy
    decisions: dict[str, int]


class Part(Struct, frozen=True):
    """One question and its answer."""

    name: str  # diversity | exploration | slices | shaped | challenger
    outcome: Outcome
    reason: str


class LoopReport(Struct, frozen=True):
    """One reading of a model's log. `since` and `until` bound the event time that was read."""

    model: str
    rows: int
    since: float
    until: float
    parts: tuple[Part, ...]
    slots: tuple[Slot, ...] = ()
    explored: tuple[float, float, float] | None = None  # share, low, high
    slices: dict[str, tuple[ApprovalShift, ...]] = {}
    labels: Shaped | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst of what was measured; unmeasured where nothing was."""
        known = [Verdict(one.outcome, one.reason) for one in self.parts if one.outcome is not Outcome.UNMEASURED]
        return worst(known or [Verdict(one.outcome, one.reason) for one in self.parts])

    def part(self, name: str) -> Part | None:
        """The answer to a question."""
        return next((one for one in self.parts if one.name == name), None)


def judge_diversity(slots: Sequence[Slot]) -> Part:
    """Are decisions of the last window less varied than before? The intervals and a fifth of the entropy have to lie
    between."""
    name = "diversity"
    if len(slots) < 2:
        return Part(name, Outcome.UNMEASURED, "two windows with decisions are needed")
    last, before = slots[-1].entropy, max(slots[:-1], key=lambda one: one.entropy.decisions).entropy
    said = f"{last.bits:.2f} bits in {slots[-1].window}, {before.bits:.2f} before"
    if last.decisions < LEAST_ROWS or before.decisions < LEAST_ROWS:
        return Part(name, Outcome.UNMEASURED, f"{said}: fewer than {LEAST_ROWS} decisions")
    if before.bits <= 0.0:
        return Part(name, Outcome.BREACHED, f"everybody was decided alike before: {said}")
    lost = (before.bits - last.bits) / before.bits
    if last.high < before.low and lost > COLLAPSE:
        return Part(name, Outcome.BREACHED, f"decisions collapse, {lost:.0%} of their entropy is gone: {said}")
    return Part(name, Outcome.HOLDS, f"decisions are as varied as they were: {said}")


def judge_exploration(found: tuple[float, float, float], rows: int, wanted: float | None) -> Part:
    """Does the stated share explore?"""
    name, (share, low, high) = "exploration", found
    spread = f"{share:.2%} of {counted(rows, 'decision')} ({low:.2%} to {high:.2%})"
    said = f"{spread} were dealt to another version, or drawn"
    if wanted is None:
        return Part(name, Outcome.UNMEASURED, f"{said}; no share is asked for: `loops: {{explore: 1%}}`")
    if high < wanted:
        return Part(name, Outcome.BREACHED, f"{said}, less than the {wanted:.2%} that are asked for")
    if low < wanted:
        return Part(name, Outcome.UNDECIDED, f"{said}; {wanted:.2%} are asked for")
    return Part(name, Outcome.HOLDS, f"{said}; {wanted:.2%} are asked for")


def judge_slices(found: Mapping[str, Sequence[ApprovalShift]], alpha: float, why: str = "") -> Part:
    """Did a slice's share of approvals move, beyond chance and beyond four fifths? `why` there is nothing to audit,
    where slices are named."""
    name = "slices"
    if not any(found.values()):
        none = "no slice to audit: `loops: {slices: [region]}`, or models.NAME.segments"
        return Part(name, Outcome.UNMEASURED, why or none)
    moved = [
        (column, one)
        for column, shifts in found.items()
        for one in shifts
        if one.q_value <= alpha and one.ratio is not None and not FOUR_FIFTHS <= one.ratio <= 1.0 / FOUR_FIFTHS
    ]
    if moved:
        said = "; ".join(
            f"{column} = {one.name}: {one.share:.1%}, {one.reference:.1%} before" for column, one in moved[:3]
        )
        return Part(name, Outcome.BREACHED, f"approvals moved in {counted(len(moved), 'slice')}: {said}")
    total = sum(len(shifts) for shifts in found.values())
    return Part(name, Outcome.HOLDS, f"approvals are as before in {counted(total, 'slice')}")


def judge_shaped(found: Shaped, alpha: float) -> Part:
    """Did decisions decide which labels exist? Then a version that is trained on this log learns what the old one let
    it see."""
    name = "shaped"
    if found.p_value is None:
        only = "no label has come" if not any(found.labelled.values()) else "every row has its label"
        few = len(found.asked) < 2
        if not few and found.rows and all(share == 1.0 for share in found.labelled.values()):
            return Part(name, Outcome.HOLDS, f"{only}, whatever was decided")
        return Part(name, Outcome.UNMEASURED, "only one decision was taken" if few else f"{only}, or rows are too few")
    most, least = (
        max(found.labelled, key=found.labelled.__getitem__),
        min(found.labelled, key=found.labelled.__getitem__),
    )
    said = f"{found.labelled[most]:.1%} of {most!r} and {found.labelled[least]:.1%} of {least!r} have their label"
    if found.p_value <= alpha and found.gap >= LEAST_GAP:
        seen, asked = found.seen.get(least, 0.0), found.asked[least]
        return Part(
            name,
            Outcome.BREACHED,
            f"the model's own decisions shape what the next version learns from: {said}; {least!r} is {asked:.1%} of "
            f"what was asked and {seen:.1%} of what is learnt. Explore, or weigh the rows",
        )
    return Part(name, Outcome.HOLDS, f"labels come whatever was decided: {said}")


def alarm_of_loops(fact: LoopAudited) -> Alarm:
    """What an audit asks to be told."""
    outcome = Outcome(fact.verdict) if fact.verdict in set(Outcome) else Outcome.UNMEASURED
    try:
        reason = json.decode(fact.report, type=LoopReport).verdict.reason
    except MsgspecError:
        reason = fact.reason
    title = f"What {fact.model} decides shapes what is known of it"
    return Alarm(fact.model, LOOP, "medium", title, Verdict(outcome, reason))


def fact_of_loops(report: LoopReport, reason: str, window: str = "") -> LoopAudited:
    """The journal's fact of a reading."""
    verdict = report.verdict
    return LoopAudited(report.model, window, verdict.outcome.value, Raw(canonical(report)), reason or verdict.reason)
