"""What earlier editions judged comes out as they said it, whatever is decided otherwise since."""

from __future__ import annotations

import gzip
from base64 import b64decode
from pathlib import Path

import msgspec
import pytest

from fairlead.core.event import AnyFact, WindowJudged
from fairlead.core.report import report_of
from fairlead.flows.watching.recount import recount_window
from fairlead.flows.watching.verdicts import EDITION, judged, read_evidence
from fairlead.stats.profile import TableProfile

RECORDED = Path(__file__).parent / "recorded"


class Window(msgspec.Struct):
    """A judged window: its fact and its evidence, as they were written (bytes that are no text in base 64)."""

    fact: str
    evidence: str


class Recorded(msgspec.Struct):
    """One bundle's profile and the judgements of its windows, each at its close and matured."""

    profile: str
    windows: list[Window]


def recorded(edition: int) -> tuple[TableProfile, list[tuple[WindowJudged, bytes]]]:
    """The first edition's window: half of its values null, and the truth turned round. The second's four: a calm one,
    half of the values null, the truth turned round among values that moved, values a hundred times as large. The
    third's seven: four calm ones, and then the truth, the nulls and the hundred."""
    text = gzip.decompress((RECORDED / f"edition_{edition}.json.gz").read_bytes())
    found = msgspec.json.decode(text, type=Recorded)
    facts = [msgspec.json.decode(one.fact, type=AnyFact) for one in found.windows]
    evidence = [one.evidence.encode() if edition == 1 else b64decode(one.evidence) for one in found.windows]
    profile = msgspec.json.decode(found.profile, type=TableProfile)
    return profile, [(fact, text) for fact, text in zip(facts, evidence, strict=True) if isinstance(fact, WindowJudged)]


@pytest.mark.parametrize(
    ("edition", "verdicts"),
    [
        (1, ["breached", "breached"]),
        (2, ["undecided", "holds", "breached", "breached", "undecided", "breached", "breached", "breached"]),
        (
            3,
            [
                "undecided",
                "holds",
                "undecided",
                "undecided",
                "undecided",
                "holds",
                "undecided",
                "holds",
                "undecided",
                "breached",
                "breached",
                "breached",
                "breached",
                "breached",
            ],
        ),
    ],
)
def test_an_earlier_edition_replays_byte_for_byte(edition: int, verdicts: list[str]) -> None:
    """At the close and matured: in the first, every column told in full, suspects by harm alone; in the second, what
    jumped since the last calm window first; in the third, what jumped more than it usually does, and every group."""
    profile, windows = recorded(edition)
    assert [fact.verdict for fact, _ in windows] == verdicts
    before = None
    for fact, text in windows:
        evidence = read_evidence(text)
        assert evidence.edition == edition
        assert recount_window(fact, evidence, profile, before) == ("same", "")
        before = report_of(fact)


def test_the_same_measurements_are_told_otherwise_now() -> None:
    """Judged by this edition the window's report is another: the branch is needed, and taken."""
    profile, windows = recorded(1)
    fact, text = windows[0]
    now = msgspec.structs.replace(read_evidence(text), edition=EDITION)
    assert judged(now, profile) != report_of(fact)
