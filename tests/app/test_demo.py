"""The whole loop, from one command, on real bookings (every second of them)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

STRIDE = 2
Document = dict[str, Any]


def fairlead(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as a person would."""
    command = [sys.executable, "-m", "fairlead.app.main", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            out, err = process.communicate(timeout=1200)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # killed, it would leave its system running
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def played(home: Path, *options: str) -> Document:
    """The demo's document. The demo itself ends 0 only when it kept its promises."""
    done = fairlead("demo", "--home", str(home), "--stride", str(STRIDE), "--json", *options)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    document: Document = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's home."""
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def document(home: Path) -> Document:
    """One run for all tests."""
    return played(home)


def test_nothing_is_lost_though_a_worker_is_killed(document: Document) -> None:
    """Every request was answered, every answer is in the log, and none of them was an error."""
    assert document["predictions_requested"] > 38_000
    assert document["predictions_answered"] == document["predictions_requested"]
    assert document["predictions_logged"] == document["predictions_requested"]
    assert document["predictions_lost"] == 0
    assert document["non_2xx"] == 0
    assert document["workers_killed"] == 1


def test_the_drift_is_found_harmful_and_named(document: Document) -> None:
    """The first breach comes with its month, the fall in AUC and the features that moved."""
    drift = document["drift"]
    assert drift["verdict"] == "breached"
    assert "2015-11" <= drift["first_breach_at"] <= "2016-03"
    assert {"market_segment", "adr", "lead_time"} & set(drift["features"][:5])
    months = {month["month"]: month for month in document["performance"]}
    assert len(months) >= 20
    assert sum(month["harmful"] for month in months.values()) >= 3
    for month in months.values():
        assert 0.0 < month["matured_share"] <= 1.0
        assert month["low"] <= month["realised"] <= month["high"]


def test_a_challenger_is_trained_and_promoted_on_evidence(document: Document) -> None:
    """It beats the champion on the same held-out rows, and earns its traffic from shadow to champion. Which month's
    trigger or incident comes first is the machine's business: one that trains early may not pass its gate."""
    passed = [one for one in document["retrainings"] if " passed its gate" in one["result"]]
    assert passed[0]["beats_champion"]
    challenger = passed[0]["challenger"]
    (rollout,) = [one for one in document["rollouts"] if one["version"] == challenger]
    assert rollout["outcome"] == "promoted"
    assert rollout["requests_exposed"] > 100
    assert document["left_alone"][f"version {challenger}"] > document["left_alone"]["version 1"]


def test_the_broken_version_is_rolled_back_by_evidence(document: Document) -> None:
    """The guardrail, its evidence over its threshold, a small exposure, and how long the swap took."""
    (bad,) = [one for one in document["rollouts"] if one["outcome"] == "rolled_back"]
    assert bad["guardrail"] == "prediction_psi < 0.25"
    assert bad["evidence_log_e"] >= bad["threshold_log_e"] > 0
    assert bad["requests_exposed"] < 600
    assert bad["seconds_to_swap"] >= 0.0


def test_every_decision_replays_byte_for_byte(document: Document, home: Path) -> None:
    """Each rollout's verdict is recomputed from the journal, and the journal's chain holds."""
    for rollout in document["rollouts"]:
        done = fairlead("--home", str(home), "replay", rollout["id"], "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["matches"] is True
    assert fairlead("--home", str(home), "journal", "verify").returncode == 0


def test_the_incidents_have_their_postmortems(document: Document, home: Path) -> None:
    """The harmful drift and the bad release are both written up, with facts filled in."""
    assert len(document["incidents"]) >= 2
    (bad,) = [one for one in document["incidents"] if "rolled back" in one["title"]]
    text = (home / bad["postmortem"]).read_text()
    assert "prediction_psi" in text
    assert "## " in text


def test_why_says_it_in_a_sentence(document: Document, home: Path) -> None:
    """One line a rollout."""
    done = fairlead("--home", str(home), "why", document["model"])
    assert done.returncode == 0
    lines = done.stdout.strip().splitlines()
    assert len(lines) == len(document["rollouts"])
    assert any("was rolled back after" in line for line in lines)


@pytest.mark.parametrize("verb", ["status", "models", "rollout", "performance", "watch", "drift", "show"])
def test_the_home_can_be_read_when_everything_is_stopped(verb: str, document: Document, home: Path) -> None:
    """The reading verbs work on what is left, as tables and as JSON."""
    name = document["model"]
    arguments = {"status": [], "models": [], "show": [f"{name}@champion"]}.get(verb, [name])
    for options in ([], ["--json"]):
        done = fairlead("--home", str(home), verb, *arguments, *options)
        assert done.returncode in (0, 1, 3), done.stderr
        assert done.stdout.strip()
        if options:
            json.loads(done.stdout)


def test_another_folder_is_never_replaced(tmp_path: Path) -> None:
    """The demo refuses a folder that it did not make."""
    (tmp_path / "mine.txt").write_text("dear to me")
    done = fairlead("demo", "--home", str(tmp_path))
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert (tmp_path / "mine.txt").exists()


@pytest.mark.slow
def test_the_champion_against_itself_is_never_rolled_back(tmp_path: Path) -> None:
    """An A/A run of the same demo: the 'bad' version is the champion's own model, and it is promoted."""
    document = played(tmp_path / "home", "--aa")
    outcomes = [one["outcome"] for one in document["rollouts"]]
    assert "rolled_back" not in outcomes
    assert document["predictions_lost"] == 0
