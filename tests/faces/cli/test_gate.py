"""gate, waive, checklist, attest and promote --to, as they are typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.operations.house import House

from fairlead.config.settings import Settings
from fairlead.core.gate import CHECKS, GateReport
from fairlead.core.verdict import Outcome
from fairlead.faces.cli.app import build, run
from fairlead.operations import gates
from fairlead.operations.context import Context

Run = Callable[..., int]
CARD = "model_card_complete"


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Two versions, not measured."""
    return House(tmp_path / "home", Settings()).told()


@pytest.fixture
def fairlead(house: House) -> Run:
    """Runs one command over the home, in this process."""

    def opened(_home: Path, _config: Path | None = None, _environment: str = "") -> Context:
        return house.context

    return lambda *words: run(build(opened, "0.0.0"), ["--home", str(house.home), *words])


@pytest.fixture
def measuring(house: House, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says what the checks will find: the scripted bundles of this home hold no model to measure."""

    def find(**outcomes: Outcome) -> None:
        def measured(*given: Any) -> GateReport:
            _ports, _info, _champion, policy, environment, on_check = given
            report = house.report(environment=environment, **outcomes)  # type: ignore[arg-type]  # by name
            for check in report.checks:
                on_check(check)
            return replace(report, policy=policy)

        monkeypatch.setattr(gates, "run_gate", measured)

    return find


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(Outcome.HOLDS, 0), (Outcome.BREACHED, 1), (Outcome.UNDECIDED, 3), (Outcome.UNMEASURED, 3)],
)
def test_the_exit_code_says_how_it_went(
    fairlead: Run, measuring: Callable[..., None], outcome: Outcome, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 passed, 1 breached, 3 not decided or not measured; one breach outweighs what is undecided."""
    measuring(model_card_complete=outcome)
    assert fairlead("gate", "hotel@1", "--json") == code
    told = json.loads(capsys.readouterr().out)
    assert (told["passed"], told["outcome"]) == (code == 0, outcome.value)
    assert told["failed"] == ([] if code == 0 else [CARD])
    assert 0 <= told["ml_test_score"]["score"] <= 7
    measuring(model_card_complete=outcome, edge_cases_answered=Outcome.BREACHED)
    assert fairlead("gate", "hotel@1", "--json") == 1


def test_the_table_goes_by_parts_and_ends_with_the_score(
    fairlead: Run, measuring: Callable[..., None], house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No bar in a pipe; a page where asked for, and one beside the bundle, which `show` lists."""
    measuring()
    assert fairlead("gate", "hotel@1", "--html", str(tmp_path / "gate.html")) == 0
    said = capsys.readouterr()
    assert said.err == ""
    places = [said.out.index(word) for word in ("What the bundle holds", "How it is served", "ML Test Score")]
    assert places == sorted(places)
    assert "next: `fairlead deploy hotel@1`" in said.out
    beside = house.home / "bundles-evidence" / house.digests[0]
    assert {path.suffix for path in beside.iterdir() if path.is_file()} == {".json", ".html"}
    assert (tmp_path / "gate.html").read_text() == next(beside.glob("*.html")).read_text()


def test_a_check_that_dev_does_not_ask_for_does_not_decide(
    fairlead: Run, measuring: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is shown as such; and dev's gate deploys nothing into production."""
    measuring(rollback_rehearsed=Outcome.BREACHED)
    assert fairlead("gate", "hotel@1", "--environment", "dev") == 0
    said = capsys.readouterr().out
    assert "Not asked for in dev." in said
    assert "fairlead deploy" not in said
    assert fairlead("deploy", "hotel@1") == 2
    assert "only measured for dev, not for production" in capsys.readouterr().err


def test_a_waiver_is_given_and_taken_back(fairlead: Run, house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says who answers until when; a version passes with it, and not without."""
    house.measured(house.report(model_card_complete=Outcome.BREACHED))
    given = ["waive", "hotel@1", CARD, "--until", "2023-12-01", "--reason", "being written"]
    assert fairlead(*given) == 0
    assert (
        "model_card_complete is waived by ana until 2023-12-01 00:00:00 UTC: being written" in capsys.readouterr().out
    )
    assert fairlead(*given, "--json") == 0
    assert json.loads(capsys.readouterr().out)["waived"] == [CARD]
    assert fairlead("waive", "hotel@1", CARD, "--revoke") == 0
    assert f"of {len(CHECKS)} readiness checks do not hold" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gate", "hotel@1", "--environment", "moon"], "use one of dev, staging, production"),
        (["waive", "hotel@1", CARD, "--reason", "x"], "give it with --until 2027-01-31"),
        (["waive", "hotel@1", CARD, "--until", "soon", "--reason", "x"], "--until: 'soon' is no day"),
        (["waive", "hotel@1", CARD, "--until", "2023-02-30", "--reason", "x"], "is no day: write it as"),
        (["waive", "hotel@1", "digest_holds", "--until", "2023-12-01", "--reason", "x"], "can never be waived"),
        (["waive", "hotel@1", CARD, "--revoke"], "has no waiver of model_card_complete"),
        (["checklist", "moon"], "there is no phase 'moon'"),
        (["checklist", "hotel@1", "anti-fake"], "write the phase first"),
        (["checklist", "anti-fake", "hotel@9"], "hotel has no version 9"),
        (["attest", "on-call", "hotel", "--owner", "mara", "--link", "x"], "on-call needs --answer"),
        (["attest", "on-call", "hotel", "--answer", "x", "--owner", "m", "--link", "x", "--until", "x"], "is no day"),
        (["promote", "hotel@1", "--to", "moon"], "use one of dev, staging, production"),
        (["promote", "hotel@1", "--expect", "1"], "--expect and --json go with --to"),
        (["promote", "hotel@1", "--to", "staging"], "run `fairlead gate hotel@1 --environment staging`"),
    ],
)
def test_what_is_typed_wrongly_is_one_line(
    fairlead: Run, house: House, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the fix, exit 2, and nothing in the journal."""
    house.measured(house.report(model_card_complete=Outcome.BREACHED))
    before = house.journal.verify()
    assert fairlead(*words) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert said in told.err
    assert house.journal.verify() == before


def test_the_checklist_is_read_and_answered(fairlead: Run, house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a version what proves each item; with one how each stands, and an exit code to match."""
    assert fairlead("checklist", "anti-fake", "--json") == 0
    assert "rollback_rehearsed" in {item["by"] for item in json.loads(capsys.readouterr().out)}
    assert fairlead("checklist") == 0
    assert "attested" in capsys.readouterr().out
    house.measured(house.report())
    assert fairlead("attest", "on-call", "hotel@1", "--answer", "a rota", "--owner", "mara", "--link", "wiki") == 0
    assert "on-call is attested by mara until 2024-11-13" in capsys.readouterr().out
    assert fairlead("checklist", "monitoring", "hotel@1") == 3
    said = capsys.readouterr().out
    assert "mara: a rota (wiki)" in said
    assert "1 attested" in said
    assert fairlead("checklist", "hotel@1", "--json") == 3
    assert len(json.loads(capsys.readouterr().out)["lines"]) > 100
    house.measured(house.report(edge_cases_answered=Outcome.BREACHED))
    assert fairlead("checklist", "pre-deployment", "hotel@1") == 1


def test_a_version_is_let_into_an_environment(fairlead: Run, house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """What comes next is told."""
    for environment in ("staging", "production"):
        house.measured(house.report(environment=environment))
    assert fairlead("promote", "hotel@1", "--to", "staging", "--expect", "0") == 0
    assert "hotel@1 entered staging" in capsys.readouterr().out
    assert fairlead("promote", "hotel@1", "--to", "production", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "model": "hotel", "version": 1, "environment": "production", "replaced": None,
    }  # fmt: skip
