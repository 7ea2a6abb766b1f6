"""The checklists: what proves an item, and what does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.checklist import (
    LONGEST_SECONDS,
    PHASES,
    SIGNS,
    Attestation,
    Evidence,
    Item,
    Shown,
    State,
    attestations,
    stands,
)
from fairlead.core.checklist_items import ITEMS, items_of
from fairlead.core.event import Entry, ItemAttested
from fairlead.core.gate import CHECKS, Check, CheckName, Waived
from fairlead.core.verdict import Outcome

PROVEN = Item("card", "documentation", "It has a card", ("model_card_complete",), ("registered",))
ASKED = Item("on-call", "monitoring", "Somebody is on call")
EITHER = Item("tests", "deployment", "Tests pass", (), ("pipeline_passed",), or_attested=True)
CARD: CheckName = "model_card_complete"


def evidence(
    outcome: Outcome | None = Outcome.HOLDS,
    waived: Waived | None = None,
    signs: dict[str, Shown] | None = None,
    answers: dict[str, Attestation] | None = None,
    at: float = 100.0,
) -> Evidence:
    """One check, some signs, some answers."""
    checks: dict[str, Check] = (
        {} if outcome is None else {CARD: Check(CARD, outcome, "as measured", {}, "", 0.0, waived)}
    )
    shown = {"registered": Shown(True, "it is")} if signs is None else signs
    return Evidence(at, checks, shown, answers or {}, "its gate expired" if outcome is None else "")


def answer(item: str = "on-call", at: float = 50.0, until: float = 150.0) -> dict[str, Attestation]:
    """An answer by its item."""
    return {item: Attestation(item, "yes", "mara", "https://wiki/on-call", at, until, "ana")}


def test_every_item_is_named_once_and_proven_by_what_there_is() -> None:
    """Checks that the gate makes, signs that are looked for; every phase has items."""
    assert len({item.name for item in ITEMS}) == len(ITEMS) > 100
    assert {item.phase for item in ITEMS} == set(PHASES)
    assert {name for item in ITEMS for name in item.checks} == set(CHECKS)  # no check without a line that it proves
    assert {name for item in ITEMS for name in item.signs} <= set(SIGNS)
    assert sum(len(items_of(phase)) for phase in PHASES) == len(items_of()) == len(ITEMS)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (evidence(), "proven"),
        (evidence(Outcome.BREACHED), "failed"),
        (evidence(Outcome.UNDECIDED), "open"),
        (evidence(Outcome.UNMEASURED), "open"),
        (evidence(None), "open"),
        (evidence(Outcome.BREACHED, Waived("ana", 200.0, "soon")), "waived"),
        (evidence(signs={}), "open"),
        (evidence(signs={"registered": Shown(None, "not yet")}), "open"),
        (evidence(signs={"registered": Shown(False, "another bundle")}), "failed"),
        (evidence(answers=answer("card"), outcome=None), "open"),
    ],
)
def test_a_proven_item_needs_all_of_its_proofs(found: Evidence, state: State) -> None:
    """And nobody's word stands in for them."""
    line = stands(PROVEN, found)
    assert (line.state, line.by) == (state, "model_card_complete, registered")
    assert line.reason


def test_what_is_stale_says_so() -> None:
    """The reason is why there is no evidence, not that there is none."""
    assert stands(PROVEN, evidence(None)).reason == "its gate expired"


def test_an_answer_counts_from_when_it_was_given_until_it_expires() -> None:
    """Its owner and its link are told."""
    assert [stands(ASKED, evidence(answers=answer(), at=at)).state for at in (49.0, 50.0, 149.0, 150.0)] == [
        "open",
        "attested",
        "attested",
        "expired",
    ]
    assert stands(ASKED, evidence(answers=answer())).reason == "mara: yes (https://wiki/on-call)"
    assert stands(ASKED, evidence()).state == "open"


def test_an_answer_stands_in_for_a_proof_that_is_not_there_but_not_against_one() -> None:
    """`or_attested`: open becomes attested; failed stays failed; proven needs no answer."""
    told = answer("tests")
    for shown, state in (
        (None, "attested"),
        (Shown(None, "none has run"), "attested"),
        (Shown(False, "a step failed"), "failed"),
        (Shown(True, "all passed"), "proven"),
    ):
        signs = {} if shown is None else {"pipeline_passed": shown}
        assert stands(EITHER, evidence(signs=signs, answers=told)).state == state


def entry(seq: int, fact: ItemAttested) -> Entry:
    """A fact in the journal."""
    return Entry(seq, float(seq), "ana", fact, "", "")


def test_answers_of_another_version_are_nobodys() -> None:
    """Of this version, or of every version; the last word counts, and none for longer than a year."""
    told = [
        entry(1, ItemAttested("hotel", "on-call", "yes", "mara", "a")),
        entry(2, ItemAttested("hotel", "on-call", "no longer", "mara", "b", 50.0, 2)),
        entry(3, ItemAttested("hotel", "scaling", "yes", "mara", "c", LONGEST_SECONDS * 9)),
    ]
    first, second = attestations(told, 1), attestations(told, 2)
    assert (first["on-call"].answer, second["on-call"].answer) == ("yes", "no longer")
    assert first["on-call"].until == 1.0 + LONGEST_SECONDS
    assert second["on-call"].until == 50.0
    assert first["scaling"].until == 3.0 + LONGEST_SECONDS


@settings(deadline=None)  # a pause of the machine is no slowness
@given(
    st.dictionaries(st.sampled_from(CHECKS), st.sampled_from(Outcome)),
    st.dictionaries(st.sampled_from(SIGNS), st.sampled_from([True, False, None])),
)
def test_no_item_passes_on_less_than_all_it_names(
    outcomes: dict[CheckName, Outcome], signs: dict[str, bool | None]
) -> None:
    """Whatever is measured: proven means that each check holds and each sign is there."""
    found = Evidence(
        100.0,
        {name: Check(name, outcome, "so", {}, "") for name, outcome in outcomes.items()},
        {name: Shown(holds, "so") for name, holds in signs.items()},
        {},
    )
    for item in ITEMS:
        state = stands(item, found).state
        proofs = [outcomes.get(name) is Outcome.HOLDS for name in item.checks]  # type: ignore[call-overload]
        proofs += [signs.get(name) is True for name in item.signs]
        assert (state == "proven") is (bool(proofs) and all(proofs))
        assert state in get_args(State)


def test_the_page_has_the_numbers_and_the_signs() -> None:
    """docs/checklists.md: each phase with how many of its items a machine proves, and every sign."""
    text = (Path(__file__).parents[2] / "docs" / "checklists.md").read_text(encoding="utf-8")
    for phase in PHASES:
        items = items_of(phase)
        either = sum(item.or_attested for item in items)
        proven = sum(not item.attestable for item in items)
        row = f"| {phase} | {len(items)} | {proven} | {either} | {len(items) - proven - either} |"
        assert row in text, row
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(SIGNS)
