"""The controller's evidence, in the metrics that a worker serves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fairlead.app.evidence_note import EvidenceNote, read_note
from fairlead.flows.paired import WorstPair
from fairlead.flows.release import Release
from fairlead.operations.shadow_report import worst_pairs

EVIDENCE = r'^fairlead_rollout_evidence_log_e\{model_name="stay",rollout="r2",guardrail="(.*)"\} (\S+)$'
SAMPLE = re.compile(EVIDENCE, re.MULTILINE)


def test_what_a_rollout_weighs_is_shown_while_it_runs(system: Any) -> None:
    """One sample for each guardrail, from whichever worker is asked."""

    pages: list[str] = []

    def is_shown() -> bool:
        pages.append(system.http.get("/metrics").text)
        return bool(SAMPLE.findall(pages[-1]))

    system.wait(lambda: system.facts("rollout_decided"))
    system.deploy(2)
    system.wait(lambda: system.predict() == 200 and is_shown())
    text = pages[-1]
    assert {guardrail for guardrail, _ in SAMPLE.findall(text)} == {
        "error_rate <= 1.25 * champion",
        "prediction_psi < 0.25",
    }
    assert 'fairlead_rollout_evidence_timestamp_seconds{model_name="stay",rollout="r2"}' in text
    assert 'fairlead_rollout_evidence_threshold_log_e{model_name="stay",rollout="r2"' in text


def test_a_note_that_is_not_there_or_not_readable_is_no_evidence(tmp_path: Path) -> None:
    """A worker answers its metrics all the same."""
    assert read_note(tmp_path) == []
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "controller.json").write_bytes(b'[{"model_name": 7')
    assert read_note(tmp_path) == []


def test_a_disk_that_refuses_the_note_stops_no_rollout(tmp_path: Path) -> None:
    """It is told of, and that is all."""

    class Idle(Release):
        def __init__(self) -> None:
            pass

        def decisions(self) -> Any:
            return []

        def worst_pairs(self) -> Any:
            return iter(())

    (tmp_path / "evidence").write_text("a file where the folder should be")
    EvidenceNote(tmp_path, Idle()).write()
    assert read_note(tmp_path) == []


def test_the_shadow_pairs_that_differ_most_are_left_in_a_note(tmp_path: Path) -> None:
    """One note a rollout, where `fairlead rollout` reads it; one that cannot be written stops nothing."""
    pairs = (WorstPair("q1", 0, 1, 0.25, 0.75),)

    class Shadowing(Release):
        def __init__(self) -> None:
            pass

        def decisions(self) -> Any:
            return []

        def worst_pairs(self) -> Any:
            return iter([("stay-2-1", pairs)])

    EvidenceNote(tmp_path, Shadowing()).write()
    assert worst_pairs(tmp_path, "stay-2-1") == pairs
    refused = tmp_path / "refused"
    refused.mkdir()
    (refused / "shadow_pairs").write_text("a file where the folder should be")
    EvidenceNote(refused, Shadowing()).write()
    assert worst_pairs(refused, "stay-2-1") == ()
