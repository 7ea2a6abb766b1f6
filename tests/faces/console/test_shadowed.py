"""What a shadow would have answered, on a rollout's page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from fairlead.core.event import AnyFact, EvidenceSeen, RolloutStarted, VersionRegistered, canonical
from fairlead.core.rollout import Evidence, Paired, Plan, ShadowPlan, Step
from fairlead.core.route import RouteTable
from fairlead.faces.console import build_console
from fairlead.flows.paired import WorstPair
from fairlead.operations.overview import Overview, overview
from fairlead.operations.shadow_report import FOLDER
from fairlead.operations.shadow_rows import with_worst_pairs
from fairlead.testing.journal import MemoryJournal

PLAN = Plan("shadow", (Step(0.1), Step(1.0)), (), ShadowPlan(60.0, 100), edition=2)
FIRST = Evidence(paired=(Paired("", 200, 20, 20, 0, ((0.0, 180), (0.5, 20))), Paired("country=NZ", 50, 20, 20, 0)))
THEN = Evidence(paired=(Paired("", 200, 20, 20, 0, ((0.0, 200),)), Paired("country=<b>", 9, 0, 0, 0)))


def told(*looks: Evidence) -> Overview:
    """A rollout in shadow, after these looks."""
    journal = MemoryJournal()
    facts: list[AnyFact] = [
        VersionRegistered("hotel", 2, "b" * 64, "july"),
        RolloutStarted("hotel", "hotel-2-1", 2, "b" * 64, 1, PLAN, Raw(b"{}")),
        *(EvidenceSeen("hotel", "hotel-2-1", Raw(canonical(one))) for one in looks),
    ]
    journal.append(facts, actor="controller", at=1_700_000_000.0)
    return overview(journal.read(), (), RouteTable(), 1_700_000_060.0)


def test_the_page_tells_the_paired_experiment(call: Any, tmp_path: Path) -> None:
    """All looks added up: the sentence, every segment, the quantiles, and the requests that differ most."""
    (tmp_path / FOLDER).mkdir()
    pairs = (WorstPair("order-77", 0, 1, 0.25, 0.75),)
    (tmp_path / FOLDER / "hotel-2-1.json").write_bytes(msgspec.json.encode(pairs))
    page = call(build_console(lambda: with_worst_pairs(tmp_path, told(FIRST, THEN)))).get("/rollouts/hotel-2-1")
    assert page.status_code == 200
    assert "10 % of 400 units decided otherwise" in page.text
    assert "40 up and 0 down, up more often" in page.text
    assert "country=NZ" in page.text
    assert "country=&lt;b&gt;" in page.text
    assert "order-77" in page.text


def test_without_pairs_the_page_is_as_it_was(call: Any, tmp_path: Path) -> None:
    """Nothing is said of a shadow that has answered nobody."""
    page = call(build_console(lambda: with_worst_pairs(tmp_path, told()))).get("/rollouts/hotel-2-1")
    assert page.status_code == 200
    assert "decided otherwise" not in page.text
