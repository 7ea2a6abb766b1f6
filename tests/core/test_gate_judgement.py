"""From measurements to checks."""

from __future__ import annotations

from math import inf, nan

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.agreement import Agreement
from fairlead.core.bundle import ModelCard
from fairlead.core.event import canonical
from fairlead.core.gate import Check, GatePolicy
from fairlead.core.gate_judgement import (
    Comparison,
    SchemaSeen,
    judge_card,
    judge_clean,
    judge_comparison,
    judge_digest,
    judge_portable,
    judge_schema,
)
from fairlead.core.verdict import Outcome
from fairlead.stats.performance import Measure

HOLDS, BREACHED, UNDECIDED = Outcome.HOLDS, Outcome.BREACHED, Outcome.UNDECIDED
POLICY = GatePolicy()
GAIN = Comparison("AUROC", 0.9, 0.85, Measure(0.05, 0.02, 0.08), 2000, 1)


def change(value: object, **fields: object) -> object:
    """The same value with other fields."""
    return msgspec.structs.replace(value, **fields)  # type: ignore[type-var]  # any struct


def well_formed(check: Check) -> bool:
    """One sentence, and figures that JSON can carry."""
    return check.reason.endswith(".") and msgspec.json.decode(canonical(check), type=Check) == check


def test_a_changed_file_breaks_the_digest() -> None:
    """What the store says of the file is the reason."""
    found = judge_digest("heldout.parquet is not what was registered.", 0, 0.0)
    assert (found.outcome, found.reason) == (BREACHED, "heldout.parquet is not what was registered.")
    assert judge_digest("", 6, 1.5).outcome is HOLDS


@given(st.sets(st.sampled_from(ModelCard.__struct_fields__)))
def test_a_card_is_complete_when_every_field_says_something(empty: set[str]) -> None:
    """The missing fields are named; blanks say nothing."""
    found = judge_card(ModelCard(**{name: " " if name in empty else "said" for name in ModelCard.__struct_fields__}))
    assert found.outcome is (BREACHED if empty else HOLDS)
    assert all(name in found.reason for name in empty)
    assert well_formed(found)


@pytest.mark.parametrize(
    ("problems", "rows", "strange", "outcome"),
    [
        ([], 1000, 0, HOLDS),
        ([], 1000, 50, HOLDS),
        ([], 1000, 51, BREACHED),
        ([], 0, 0, UNDECIDED),
        (["city is gone"], 1000, 0, BREACHED),
        (["a", "b", "c", "d", "e"], 0, 0, BREACHED),
    ],
)
def test_the_schema_is_that_of_training(problems: list[str], rows: int, strange: int, outcome: Outcome) -> None:
    """Any difference breaks it; strange values are allowed up to a share; without rows nothing is known."""
    found = judge_schema(problems, SchemaSeen(5, rows, 40, strange, "age = 99"), POLICY)
    assert found.outcome is outcome
    assert well_formed(found)


def test_a_clean_process_that_fails_says_why() -> None:
    """The problem is the reason; answers that differ break it too."""
    assert judge_clean("It does not load.", None).reason == "It does not load."
    assert judge_clean("", Agreement(40, 1e-7, 1e-5)).outcome is HOLDS
    assert judge_clean("", Agreement(40, 1e-3, 1e-5)).outcome is BREACHED
    assert judge_clean("", Agreement(0, 0.0, 1e-5)).outcome is UNDECIDED


def test_serving_the_original_needs_a_reason() -> None:
    """Without a portable model the check holds, and says why there is none."""
    found = judge_portable(None, "it is ONNX already")
    assert (found.outcome, found.reason) == (HOLDS, "The original model is served: it is ONNX already.")
    assert judge_portable(Agreement(40, inf, 1e-5)).outcome is BREACHED


NOT_WORSE = GatePolicy(against_champion="not_worse", margin=0.01)


@pytest.mark.parametrize(
    ("gain", "policy", "champion", "outcome"),
    [
        (Measure(0.05, 0.02, 0.08), POLICY, 1, HOLDS),
        (Measure(0.01, -0.01, 0.03), POLICY, 1, UNDECIDED),
        (Measure(0.01, 0.0, 0.02), POLICY, 1, UNDECIDED),
        (Measure(-0.05, -0.08, -0.02), POLICY, 1, BREACHED),
        (Measure(0.0, 0.0, 0.0), POLICY, 1, BREACHED),
        (Measure(0.0, 0.0, 0.0), NOT_WORSE, 1, HOLDS),
        (Measure(-0.005, -0.01, 0.0), NOT_WORSE, 1, HOLDS),
        (Measure(-0.005, -0.02, 0.01), NOT_WORSE, 1, UNDECIDED),
        (Measure(-0.05, -0.08, -0.02), NOT_WORSE, 1, BREACHED),
        (Measure(-0.005, -0.008, 0.0), NOT_WORSE, None, BREACHED),  # nobody may be no worse than a coin
        (Measure(nan, nan, nan), POLICY, 1, UNDECIDED),
    ],
)
def test_the_interval_decides(gain: Measure, policy: GatePolicy, champion: int | None, outcome: Outcome) -> None:
    """Above the bound it holds, below it is breached, between them it is undecided."""
    found = judge_comparison(msgspec.structs.replace(GAIN, difference=gain, champion=champion), policy)
    assert found.outcome is outcome
    assert well_formed(found)


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.sampled_from([POLICY, NOT_WORSE]))
def test_more_evidence_never_turns_holds_into_breached(
    value: float, half: float, shrink: float, policy: GatePolicy
) -> None:
    """Narrowing an interval around its value keeps a verdict that was decided."""
    wide = judge_comparison(
        msgspec.structs.replace(GAIN, difference=Measure(value, value - half, value + half)), policy
    )
    narrow = half * shrink
    found = judge_comparison(
        msgspec.structs.replace(GAIN, difference=Measure(value, value - narrow, value + narrow)), policy
    )
    assert wide.outcome is UNDECIDED or found.outcome is wide.outcome


def test_few_rows_decide_nothing() -> None:
    """However large the gain, 199 rows are undecided where 200 are asked for."""
    assert judge_comparison(msgspec.structs.replace(GAIN, rows=199), POLICY).outcome is UNDECIDED
    assert judge_comparison(msgspec.structs.replace(GAIN, rows=200), POLICY).outcome is HOLDS


def test_an_obstacle_is_the_reason() -> None:
    """What kept the two from being compared is told, and does not pass."""
    found = judge_comparison(msgspec.structs.replace(GAIN, obstacle="The rows have no age."), POLICY)
    assert (found.outcome, found.reason) == (UNDECIDED, "The rows have no age.")
