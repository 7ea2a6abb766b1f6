"""One sentence for each decision of the journal."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from msgspec import Raw

from fairlead.core import event
from fairlead.core.event import GENESIS, AnyFact, Entry, canonical
from fairlead.core.facts_act import LoopAudited
from fairlead.core.reasons import KINDS, names_of, why_of
from fairlead.core.report import fact_of
from fairlead.core.rollout import Call, Decision, Phase, Plan, Step
from fairlead.testing.reports import harmful_report

BUNDLE = "b" * 64
PLAN = Plan("canary", (Step(1.0),), ())


def decision(after: Phase) -> Raw:
    """A rollout's decision."""
    made = Decision("hotel-1-1", 1.0, Call.REGRESS, Phase.CANARY, after, 0, 0.1, (), None, "", "errors doubled")
    return Raw(canonical(made))


DECISIONS: list[tuple[AnyFact, str]] = [
    (
        LoopAudited("hotel", "", "holds", Raw(b"{}"), "version 2 was registered"),
        "Loop audited hotel: version 2 was registered.",
    ),
    (
        event.GateMeasured("hotel", 3, BUNDLE, True, (), "c" * 64),
        "Version 3 of hotel passed its production gate: every check that it requires holds or is waived.",
    ),
    (
        event.GateMeasured("hotel", 3, BUNDLE, False, ("null_rates", "no_leakage"), "c" * 64, "staging"),
        "Version 3 of hotel did not pass its staging gate: 2 checks failed, null_rates, no_leakage.",
    ),
    (
        event.GateWaived("hotel", 3, BUNDLE, "production", "null_rates", 86_400.0, "age is rare."),
        "ana answers for null_rates of version 3 of hotel in production until 1970-01-02 00:00 UTC: age is rare.",
    ),
    (
        event.ItemAttested("hotel", "code-reviewed", "reviewed by two", "eve", "https://x/1"),
        "eve attests, by ana, code-reviewed for every version of hotel for good: reviewed by two (https://x/1).",
    ),
    (
        event.EnvironmentEntered("hotel", 3, BUNDLE, "staging"),
        "ana let version 3 of hotel into staging, whose gate it passed.",
    ),
    (
        event.SelfTested("hotel", 200, 1, 0.0235, 0.01, BUNDLE, "many"),
        "Of 200 rollouts of a version of hotel against itself 1 went back, at most 2.4% where 1% are allowed: many.",
    ),
    (
        event.PipelineStep("hotel", "run-1", "test", "unit_tests", "failed", "exit code 1"),
        "Step unit_tests of stage test in run run-1 failed: exit code 1.",
    ),
    (
        event.AlertQuieted("hotel", "errors", "back to 1%", recovered=True),
        "Alert errors of hotel is over: back to 1%.",
    ),
    (
        event.AlertRaised("hotel", "errors", "high", "It fails", "errors are 12%", "revenue", "x"),
        "Alert errors of hotel went to revenue as high: errors are 12%.",
    ),
    (
        event.RolloutDecided("hotel", "hotel-1-1", decision(Phase.ROLLED_BACK)),
        "Rollout hotel-1-1 went from canary to rolled back: errors doubled.",
    ),
    (event.OperatorAsked("hotel", "abort", "no", seen="hotel-1-1"), "ana asked to abort hotel-1-1: no."),
    (event.DeployAsked("hotel", "hotel-1-1", 1, BUNDLE, PLAN), "ana asked to deploy version 1 of hotel as canary."),
    (
        event.DeployRefused("hotel", "hotel-1-1", 1, "its gate is too old"),
        "The deploy of version 1 of hotel was refused: its gate is too old.",
    ),
    (
        event.ExperimentStopped("hotel", "spring", "ship", Raw(b"{}"), "conversion is better"),
        "ana stopped experiment spring of hotel, which said ship: conversion is better.",
    ),
    (event.AliasMoved("hotel", "champion", 2, 1), "Champion of hotel is version 2, from version 1."),
    (
        event.RetrainDecided("hotel", "r1", False, "a window of 2026-01 holds"),
        "hotel is not trained again (run r1): a window of 2026-01 holds.",
    ),
    (event.SubjectErased("", 3, 0, "asked to"), "Subject erased: asked to."),
]


def told(fact: AnyFact, actor: str = "ana") -> str | None:
    """The sentence of a fact."""
    why = why_of(Entry(7, 1.0, actor, fact, GENESIS, GENESIS))
    return None if why is None else why.why


@pytest.mark.parametrize(("fact", "sentence"), DECISIONS, ids=lambda value: type(value).__name__)
def test_a_decision_is_told_in_one_sentence(fact: AnyFact, sentence: str) -> None:
    """Who, what, of what, and why, with the figures that the fact holds."""
    assert told(fact) == sentence


def test_a_window_is_told_with_its_report_s_reason() -> None:
    """The sentence of the report; one that cannot be read is told by its verdict."""
    fact = fact_of(harmful_report(1))
    assert str(told(fact)).startswith("Window w1 of hotel is breached: AUROC fell from 0.820 to 0.670")
    assert told(msgspec.structs.replace(fact, report=Raw(b"[]"))) == "Window w1 of hotel is breached."


@pytest.mark.parametrize(
    "fact",
    [
        event.EvidenceSeen("hotel", "hotel-1-1", Raw(b"{}")),
        event.RolloutDecided("hotel", "hotel-1-1", decision(Phase.CANARY)),
        event.RolloutDecided("hotel", "hotel-1-1", Raw(b"3")),
        event.PipelineStep("hotel", "run-1", "test", "unit_tests", "started"),
        event.IncidentNoted("hotel", "inc-1", "seen"),
        event.RouteApplied("hotel", 1, 2, 0.1),
    ],
)
def test_what_decided_nothing_has_no_sentence(fact: AnyFact) -> None:
    """What was only seen, begun, noted or left as it was."""
    assert told(fact) is None


def example(kind: type[Any]) -> Any:
    """A fact of a kind with something in each of its fields."""
    values: dict[Any, Any] = {"str": "x", "int": 1, "float": 1.0, "bool": True}
    fields = {}
    for field in msgspec.structs.fields(kind):
        if field.required:
            name = getattr(field.type, "__name__", str(field.type))
            fields[field.name] = values.get(name, Raw(b"{}") if name == "Raw" else PLAN if name == "Plan" else ())
    return kind(**fields)


@pytest.mark.parametrize("kind", get_args(AnyFact), ids=lambda kind: kind.__name__)
def test_every_kind_of_fact_is_told_or_passed_over(kind: type[Any]) -> None:
    """No fact makes `why` fail, and what is told is one sentence of one line."""
    sentence = told(example(kind))
    assert sentence is None or (sentence.endswith(".") and "\n" not in sentence and len(sentence) > 5)


def test_the_kinds_that_are_read_leave_out_what_was_only_seen() -> None:
    """Evidence comes ten times a second; decisions do not."""
    assert "evidence_seen" not in KINDS
    assert {"gate_measured", "gate_waived", "item_attested", "environment_entered", "pipeline_step"} <= set(KINDS)


def test_a_decision_is_asked_for_by_its_names() -> None:
    """A version, a report's digest, an alert's key, a run."""
    assert names_of(event.GateMeasured("hotel", 3, BUNDLE, True, (), "c" * 64)) == ("c" * 64, "hotel@3")
    assert names_of(event.AlertQuieted("hotel", "errors", "")) == ("errors",)
    assert names_of(event.PipelineStep("hotel", "run-1", "test", "x", "passed")) == ("run-1",)
