"""replay, as typed: any decision of the journal, taken again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from tests.faces.cli.test_rollouts import Typed, begun, context, typed

from fairlead.core.event import GateMeasured
from fairlead.core.gate import GatePolicy, GateReport
from fairlead.core.judge_data import judge_rows
from fairlead.core.judging import parted
from fairlead.core.report import fact_of
from fairlead.operations.context import Context
from fairlead.operations.gates import store_of
from fairlead.operations.recounts import KINDS
from fairlead.testing.reports import window_report

__all__ = ["context", "typed"]  # fixtures


def gated(home: Context) -> GateMeasured:
    """A gate whose report keeps what it was judged from, in the journal."""
    policy = GatePolicy(("row_count",))
    report = GateReport("hotel", 1, "b" * 64, "dev", home.clock.now(), 1.0, (judge_rows(900, 800, 3, policy),), policy)
    stored, evidence = parted(report)
    store_of(home).put_evidence(evidence, stored.bundle)
    store_of(home).put(stored)
    home.journal.append([stored.fact], actor="ana", at=home.clock.now())
    return stored.fact


def test_all_of_a_journal_is_taken_again(context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each kind; what was recorded before evidence was kept is told apart from what is the same: exit 3."""
    begun(context)
    gated(context)
    assert typed("replay") == 3
    out = capsys.readouterr().out
    assert "rollout: 1 decision, 1 the same byte for byte" in out
    assert "gate: 2 decisions, 1 the same byte for byte, 1 not recomputed (hotel@1 production: recorded before" in out
    assert typed("replay", "hotel", "--json") == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], [one["kind"] for one in told["kinds"]]) == ("unproven", ["rollout", "gate"])
    assert [one["state"] for one in told["found"]] == ["unproven"]


def test_one_kind_one_entry_or_one_report(context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """By its kind, the number of its entry, or the first digits of its digest: exit 0 where it is the same."""
    begun(context)
    fact = gated(context)
    assert typed("replay", "--kind", "rollout") == 0
    assert typed("replay", fact.report[:10]) == 0
    capsys.readouterr()
    assert typed("replay", "5", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["kind"], one["id"], one["seq"], one["state"]) for one in told["found"]] == [
        ("gate", "hotel@1 dev", 5, "same")
    ]


def test_a_changed_report_is_named(context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """A stored report in which one figure is another: exit 1, with the report; one that is gone is not recomputed."""
    fact = gated(context)
    path = context.home / "gates" / f"{fact.report}.json"
    path.write_text(path.read_text().replace('"rows":900', '"rows":9000'))
    assert typed("replay", "--kind", "gate") == 1
    assert f"the gate report {fact.report[:12]} is not what was measured" in " ".join(capsys.readouterr().out.split())
    path.unlink()
    assert typed("replay", fact.report) == 3


def test_a_window_from_before_is_told(context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """A judged window without evidence is found by its name, and said not to be recomputed."""
    context.journal.append([fact_of(window_report(2))], actor="watch", at=1.0)
    assert typed("replay", "w2") == 3
    assert (
        "window: 1 decision, 1 not recomputed (hotel w2 matured: no evidence of it was kept" in capsys.readouterr().out
    )


def test_an_edited_journal_is_refused(context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """One byte of one fact: neither `replay` nor `journal verify` takes it, and both name the entry."""
    begun(context)
    gated(context)
    assert typed("journal", "verify") == 0
    with closing(sqlite3.connect(context.home / "journal.db")) as database, database:
        triggers = database.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall()
        for (trigger,) in triggers:
            database.execute(f'DROP TRIGGER "{trigger}"')
        database.execute("UPDATE journal SET fact = replace(fact, 'dev', 'staging') WHERE seq = 5")
    capsys.readouterr()
    assert typed("journal", "verify") == 2
    assert "entry 5" in capsys.readouterr().err
    assert typed("replay") == 2
    assert "entry 5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kind", "stars"], f"there is no kind 'stars': use one of {', '.join(one.name for one in KINDS)}"),
        (["--kind", "window"], "the journal holds no window to recompute yet"),
        (["hotel-9"], "there is no rollout 'hotel-9', nor another decision of that name: there is hotel@1 production"),
        (["hotel-9", "--kind", "gate"], "there is no gate 'hotel-9'"),
        (["99"], "there is no rollout '99'"),
    ],
)
def test_what_is_not_there_is_one_line(
    context: Context, typed: Typed, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Exit 2, what there is, and how to ask."""
    assert typed("replay", *arguments) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
