"""The controller's hands for incidents end what they started."""

from __future__ import annotations

from pathlib import Path

from fairlead.app.acting import Acting
from fairlead.app.compose import open_context
from fairlead.core.handling import Step
from fairlead.flows.respond import Responder


def nobody(name: str) -> Responder:
    """No alert is told here."""
    raise AssertionError(name)


def step(incident: str) -> Step:
    """A triage that is due."""
    return Step("triage", incident, "it has not been looked at", f"{incident}:triage:1")


def test_what_runs_is_ended_and_nothing_is_started_after_that(tmp_path: Path) -> None:
    """Not by a thread that was still looking when the controller stopped waiting for it either."""
    acting = Acting(open_context(tmp_path), ["--home", str(tmp_path)], nobody)
    acting.start(step("inc-1"))
    acting.start(step("inc-1"))
    (running,) = acting._running.values()
    assert running.poll() is None
    acting.close()
    assert running.returncode is not None
    assert running.stderr is not None
    assert running.stderr.closed
    acting.start(step("inc-2"))
    assert acting._running == {}
    acting.close()


def test_the_runbooks_are_written_at_the_start(tmp_path: Path) -> None:
    """As the settings make them; a folder that cannot be written keeps nobody from looking after incidents."""
    home = open_context(tmp_path / "home")
    Acting(home, [], nobody).look()
    assert "# Harmful drift" in (home.home / "runbooks" / "harmful-drift.md").read_text()
    blocked = open_context(tmp_path / "blocked")
    (blocked.home / "runbooks").write_text("no folder")
    assert Acting(blocked, [], nobody).look()
