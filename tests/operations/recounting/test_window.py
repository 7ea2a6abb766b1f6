"""Judged windows of a home, judged again from its folder of evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.flows.test_watch import World, judged, outcomes, population, records

from fairlead.adapters.evidence_folder import WINDOWS, EvidenceFolder
from fairlead.app.compose import open_context
from fairlead.operations.recounts import recount


def test_windows_come_out_again_and_changed_evidence_is_named(tmp_path: Path) -> None:
    """At the close and matured; one changed byte differs, a file that is gone is not recomputed."""
    world, home = World(tmp_path / "world"), tmp_path / "home"
    context = replace(open_context(home), journal=world.journal, bundles=world.bundles)
    watch = world.watch()
    watch.keep = EvidenceFolder(home / WINDOWS).put
    rows = population(500, 3, shift=0.6)
    answered = records(rows)
    watch.observe(answered, outcomes(answered, rows, delay=3 * 86_400.0))
    judged(watch)
    judged(watch, days=3)
    found = recount(context, kind="window")
    assert (found.state, found.kinds[0].same, found.found) == ("same", 2, ())
    assert recount(context, "2016-01-04").kinds[0].same == 2
    path = next((home / WINDOWS).glob("*/*"))
    path.write_bytes(path.read_bytes()[::-1])
    found = recount(context, kind="window")
    assert (found.state, found.kinds[0].different) == ("different", 1)
    assert "was edited" in found.found[0].said
    path.unlink()
    assert recount(context, kind="window").state == "unproven"
