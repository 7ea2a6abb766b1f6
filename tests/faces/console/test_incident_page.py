"""An incident's page: what was found, what is to be done and said, and a timeline that does not repeat itself."""

from __future__ import annotations

from typing import Any

from fairlead.core.incident import Done, Incident, Item, Message
from fairlead.core.triage import TriageCheck, Triaged
from fairlead.core.verdict import Outcome
from fairlead.faces.console import build_console
from fairlead.faces.console.render import chapters
from fairlead.operations.overview import Note

CHECKS = (
    TriageCheck("infrastructure", Outcome.HOLDS, "2 workers at route 5"),
    TriageCheck("panels", Outcome.BREACHED, "AUROC fell <b>"),
)
HANDLED = Incident(
    "INC-1", "hotel-cancellation", "acknowledged", "critical", "model", "t", "r", "mara", 0.0,
    triage=Triaged(5.0, "controller", "retrain", "the model ranks worse", "model", True, CHECKS),
    actions=(Done(6.0, "controller", "fix_data", "k", True, "the feed was mended"),),
    messages=(Message("users", 3_600.0, "Some answers may be wrong.", "status page", 1.0),),
    items=(Item("Call the feed's team", "feeds", 86_400.0),),
)  # fmt: skip


def test_what_was_found_done_and_is_to_be_said_stands_on_the_page(told: Any, call: Any) -> None:
    """Each step with its verdict, the recommendation with the words to type, actions, drafts and items; escaped."""
    text = call(build_console(told.live.read, handled=lambda _: HANDLED)).get("/incidents/INC-1").text
    for part in (
        "Recommended: retrain. The model ranks worse.",
        "AUROC fell &lt;b&gt;",
        "Fix data, by itself",
        "fairlead incident act INC-1 retrain",
        "Some answers may be wrong.",
        "fairlead incident message INC-1 users",
        "Call the feed&#39;s team",
    ):
        assert part in text, part


def test_without_a_triage_the_page_says_how_to_make_one(told: Any, call: Any) -> None:
    """And a home that hands nothing on has no such part."""
    bare = Incident("INC-1", "hotel-cancellation", "open", "high", "model", "t", "r", "", 0.0)
    text = call(build_console(told.live.read, handled=lambda _: bare)).get("/incidents/INC-1").text
    assert "fairlead incident triage INC-1" in text
    assert "What to do" not in call(build_console(told.live.read)).get("/incidents/INC-1").text


def test_what_is_said_again_and_again_stands_twice() -> None:
    """The first time, and the last with how often; a postmortem that follows the facts once; the rest as it is."""
    kinds = ["alert_raised", "postmortem_written", "alias_moved", "alert_raised", "postmortem_written", "alert_raised"]
    titles = ["Harmful in 2016-01", "Postmortem written", "v2 serves", "Harmful in 2016-02", "Postmortem written"]
    notes = [
        Note(seq, float(seq), "x", kind, title)
        for seq, (kind, title) in enumerate(zip(kinds, [*titles, "Harmful in 2016-03"], strict=True))
    ]
    told = [(note.title, note.reason) for note in chapters(notes)]
    assert told == [
        ("Harmful in 2016-01", ""),
        ("Postmortem written", ""),
        ("v2 serves", ""),
        ("Harmful in 2016-03", "The last of 3 times."),
    ]
