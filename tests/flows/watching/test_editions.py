"""What earlier editions judged comes out as they said it, whatever is decided otherwise since."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec

from fairlead.core.event import AnyFact, WindowJudged
from fairlead.core.report import report_of
from fairlead.flows.watching.recount import recount_window
from fairlead.flows.watching.verdicts import EDITION, judged, read_evidence
from fairlead.stats.profile import TableProfile

RECORDED = Path(__file__).parent / "recorded" / "edition_1.json.gz"


class Window(msgspec.Struct):
    """A judged window: its fact and its evidence, as they were written."""

    fact: str
    evidence: str


class Recorded(msgspec.Struct):
    """One bundle's profile and the judgements of one window, at its close and matured."""

    profile: str
    windows: list[Window]


def recorded() -> tuple[TableProfile, list[tuple[WindowJudged, bytes]]]:
    """The first edition's window: half of its values null, and the truth turned round."""
    found = msgspec.json.decode(gzip.decompress(RECORDED.read_bytes()), type=Recorded)
    facts = [msgspec.json.decode(one.fact, type=AnyFact) for one in found.windows]
    evidence = [one.evidence.encode() for one in found.windows]
    profile = msgspec.json.decode(found.profile, type=TableProfile)
    return profile, [(fact, text) for fact, text in zip(facts, evidence, strict=True) if isinstance(fact, WindowJudged)]


def test_the_first_edition_replays_byte_for_byte() -> None:
    """At the close and matured: every column told in full, suspects by harm alone."""
    profile, windows = recorded()
    assert [fact.verdict for fact, _ in windows] == ["breached", "breached"]
    before = None
    for fact, text in windows:
        evidence = read_evidence(text)
        assert evidence.edition == 1
        assert recount_window(fact, evidence, profile, before) == ("same", "")
        before = report_of(fact)


def test_the_same_measurements_are_told_otherwise_now() -> None:
    """Judged by this edition the window's report is another: the branch is needed, and taken."""
    profile, windows = recorded()
    fact, text = windows[0]
    now = msgspec.structs.replace(read_evidence(text), edition=EDITION)
    assert judged(now, profile) != report_of(fact)
