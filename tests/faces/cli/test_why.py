"""why, as typed: one sentence for whatever was decided."""

from __future__ import annotations

import json

import pytest
from tests.faces.cli.test_rollouts import Typed, begun, context, typed

from fairlead.core.event import AlertQuieted, EvidenceSeen, GateMeasured, GateWaived, ItemAttested, PipelineStep
from fairlead.operations.context import Context

__all__ = ["context", "typed"]  # fixtures


@pytest.fixture
def told(context: Context) -> Context:
    """A home in which this and that was decided."""
    begun(context)
    context.journal.append(
        [
            GateWaived("hotel", 1, "b" * 64, "production", "null_rates", 1.8e9, "age is rare"),
            ItemAttested("hotel", "code-reviewed", "by two", "ana"),
            PipelineStep("hotel", "run-1", "test", "unit_tests", "failed", "exit code 1"),
            AlertQuieted("hotel", "high_error_rate", "back to 1%", 5.0, recovered=True),
            GateMeasured("hotel", 1, "b" * 64, False, ("row_count",), "c" * 64),
        ],
        actor="ana",
        at=context.clock.now(),
    )
    return context


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("5", "ana answers for null_rates of version 1 of hotel in production until"),
        ("code-reviewed", "ana attests code-reviewed for every version of hotel for good: by two."),
        ("run-1", "Step unit_tests of stage test in run run-1 failed: exit code 1."),
        ("high_error_rate", "Alert high_error_rate of hotel is over: back to 1%."),
        ("cccccccc", "Version 1 of hotel did not pass its production gate: 1 check failed, row_count."),
        ("hotel-1-1", "Rollout hotel-1-1 went from"),
    ],
)
def test_a_decision_is_told_by_its_name(
    told: Context, typed: Typed, capsys: pytest.CaptureFixture[str], name: str, sentence: str
) -> None:
    """By entry, item, run, alert, digest or rollout: one line with one sentence, also as JSON."""
    assert typed("why", name) == 0
    assert sentence in capsys.readouterr().out
    assert typed("why", name, "--json") == 0
    assert any(one["why"].startswith(sentence) for one in json.loads(capsys.readouterr().out))


def test_all_of_a_model_is_told(told: Context, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """Every decision, oldest first, without what was only seen; without --all it is the rollouts'."""
    assert typed("why", "hotel", "--all", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["entry"] for one in found] == sorted(one["entry"] for one in found)
    assert {"gate_measured", "gate_waived", "item_attested", "pipeline_step"} <= {one["kind"] for one in found}
    assert "evidence_seen" not in {one["kind"] for one in found}
    assert any(isinstance(entry.fact, EvidenceSeen) for entry in told.journal.read())
    assert typed("why", "hotel") == 0
    assert "hotel-1-1: Version 1 of hotel was promoted" in capsys.readouterr().out


def test_a_gate_that_failed_is_told_by_its_report(
    told: Context, typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    """As long as the report is kept; a version's name means all of its decisions."""
    assert typed("why", "hotel@1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("passed its production gate" in line for line in lines)
    assert any("did not pass its production gate: 1 check failed" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"), [(["nobody"], "no rollout"), (["nobody", "--all"], "nothing was decided")]
)
def test_what_is_not_there_is_one_line(
    told: Context, typed: Typed, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Exit 2."""
    assert typed("why", *arguments) == 2
    assert said in capsys.readouterr().err
