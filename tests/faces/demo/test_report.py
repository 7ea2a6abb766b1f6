"""The demo's summary as a person reads it."""

from __future__ import annotations

import io

import pytest
from msgspec.structs import replace
from rich.console import Console

from fairlead.faces.demo.report import show
from fairlead.faces.demo.summary import Drift, Harmed, Month, Released, Retrained, Summary

BAD = Released(
    id="hotel-3-2",
    version=3,
    outcome="rolled_back",
    why="Version 3 was rolled back after 207 canary requests.",
    guardrail="prediction_psi < 0.25",
    evidence_log_e=6.125,
    threshold_log_e=5.7,
    requests_exposed=1_207,
    seconds_to_decision=2.44,
    seconds_to_swap=0.0351,
)
WHOLE = Summary(
    model="hotel",
    predictions_requested=77_123,
    predictions_answered=77_120,
    predictions_logged=77_119,
    predictions_lost=1,
    non_2xx=2,
    workers_killed=1,
    reconnects=4,
    drift=Drift("breached", "2016-01", "AUROC fell", ("adr", "lead_time")),
    performance=(
        Month("2016-01", 1, 0.85, 0.84, 0.7, 0.68, 0.72, 0.98, harmful=True),
        Month("2016-02", 1, 0.85, None, None, None, None, 0.0, harmful=False),
    ),
    left_alone={"version 1": 0.7128},
    retraining=None,
    retrainings=(Retrained("auroc fell", 2, beats_champion=True, result="version 2 passed its gate"),),
    rollouts=(BAD,),
    incidents=(Harmed("inc-1", "AUC fell", "incidents/inc-1.md"), Harmed("inc-2", "rolled back", None)),
    journal_entries=412,
    seconds=61.4,
    home="demo-home",
    console="http://127.0.0.1:9999",
    process=4711,
)


def read(document: Summary, *, keep: bool = False) -> str:
    """What is printed to a pipe."""
    out = io.StringIO()
    show(document, Console(file=out, width=160, highlight=False), keep=keep)
    return out.getvalue()


def test_it_tells_all_that_happened() -> None:
    """Each figure stands in the text."""
    text = read(WHOLE)
    for said in (
        "77,123 predictions asked for over HTTP, 77,120 answered, 1 lost, 2 errors; 1 worker killed",
        "first breach in 2016-01: AUROC fell",
        "suspects by harm: adr, lead_time",
        "retrained because auroc fell",
        "version 2 passed its gate",
        "version 1 on the bookings of Jul-Aug 2017: AUC 0.713",
        "rolled back  Version 3 was rolled back after 207 canary requests.",
        "1,207 requests answered by it before the decision; prediction_psi < 0.25: ln e 6.12 against 5.70; ",
        "decided after 2.4 s; route swapped 35 ms later",
        "inc-1: AUC fell (incidents/inc-1.md)",
        "inc-2: rolled back\n",
        "Done in 61 s; 412 facts in the journal, its chain holds",
        "fairlead --home demo-home replay hotel-3-2",
        "fairlead --home demo-home why hotel",
    ):
        assert said in text, said


def test_months_are_rows() -> None:
    """With what was not measured as a dash, and harm in words beside its bar."""
    lines = read(WHOLE).splitlines()
    harmful = next(line.split() for line in lines if line.strip().startswith("2016-01"))
    assert harmful == ["2016-01", "1", "0.840", "0.700", "0.680", "-", "0.720", "98%", "█" * 10, "harmful"]
    unknown = next(line.split() for line in lines if line.strip().startswith("2016-02"))
    assert unknown == ["2016-02", "1", "–", "–", "0%"]


def test_a_calm_run_says_so() -> None:
    """No breach, no incident, no rollout: each section has its words."""
    calm = replace(WHOLE, drift=Drift("holds", None, "no window was breached", ()), rollouts=(), incidents=())
    text = read(replace(calm, retrainings=(), performance=()))
    assert "no window was breached" in text
    assert "first breach" not in text
    assert "Incidents\n  none\n" in text


@pytest.mark.parametrize("keep", [True, False])
def test_the_console_is_named_only_while_it_is_there(keep: bool) -> None:
    """With how to stop it; otherwise how to keep it."""
    text = read(WHOLE, keep=keep)
    assert ("http://127.0.0.1:9999   (stop it with: kill 4711)" in text) is keep
    assert ("--keep leaves the console up" in text) is not keep


def test_what_comes_from_outside_is_no_markup() -> None:
    """Brackets in a reason, a title or a path are printed as they are."""
    odd = "[red]adr[/red] in [0, 1] [/]"
    document = replace(
        WHOLE,
        drift=Drift("breached", "2016-01", odd, (odd,)),
        retrainings=(Retrained(odd, 2, beats_champion=False, result=odd),),
        rollouts=(replace(BAD, why=odd, guardrail=odd),),
        incidents=(Harmed("inc-1", odd, odd),),
        home=f"home-{odd}",
    )
    assert read(document).count(odd) >= 8


def test_figures_that_are_not_known_are_left_out() -> None:
    """A rollout under way has no seconds, and no evidence before its first look."""
    early = replace(BAD, guardrail=None, evidence_log_e=None, seconds_to_decision=None, seconds_to_swap=None)
    text = read(replace(WHOLE, rollouts=(early,)))
    assert "1,207 requests answered by it before the decision\n" in text
    assert "None" not in text
