"""experiment start, read, stop and list as they are typed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.operations.experiments import Rig

from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.faces.cli.app import build, run

Say = Callable[..., int]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A home in which an experiment may start."""
    rig = Rig(tmp_path / "home")
    rig.before(1_000)
    return rig


@pytest.fixture
def say(rig: Rig) -> Say:
    """Runs one command over that home, opened anew each time, as another process would."""

    def one(*words: str) -> int:
        return run(build(lambda *_: rig.context, "0.0.0"), ["--home", str(rig.home), "experiment", *words])

    return one


def better(arm: str) -> float:
    """The challenger converts three times as often."""
    return 0.6 if arm != "champion" else 0.2


def test_an_experiment_from_plan_to_stop(
    rig: Rig, say: Say, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Planned from the log, started, read at each look with the exit code of what it says, stopped, and kept."""
    rig.clock.advance(90_000.0)
    assert say("plan", "--model", "hotel", "--metric", "conversion", "--detect", "+50%") == 0
    said = capsys.readouterr().out
    assert said.startswith("conversion of hotel: ")
    assert "over 1,000 units" in said
    assert "whole week" in said
    terms = ["--metric", "conversion", "--window", "10m", "--delay", "1m", "--segment", "nights"]
    assert say("start", "hotel@2", *terms, "--split", "2=40%", "--name", "form") == 0
    assert "form was asked for" in capsys.readouterr().out
    rig.begins()
    assert say("read", "form") == 3
    rig.come(1_500, better)
    rig.clock.advance(700.0)
    page = tmp_path / "form.html"
    assert say("read", "hotel", "--html", str(page)) == 0
    said = capsys.readouterr().out
    assert "form: hotel, running since" in said
    assert "ship: conversion is better with challenger-2" in said
    assert "<svg" in page.read_text()
    assert (rig.home / "experiments" / "form.json").is_file()
    assert say("stop", "form", "--json") == 0
    assert json.loads(capsys.readouterr().out)["decision"] == "ship"
    assert say("read", "form", "--json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "stopped"
    assert say("list") == 0
    assert "stopped" in capsys.readouterr().out
    assert say("list", "motel", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_restart_in_the_middle_changes_nothing(rig: Rig, say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    """With the journal on the disk and every process gone, the next one reads the same, and goes on."""
    place = rig.home / "journal.db"
    disk = SqliteJournal(place)
    for entry in rig.journal.read():
        disk.append([entry.fact], actor=entry.actor, at=entry.at)
    rig.journal = disk  # type: ignore[assignment]
    rig.context = dataclasses.replace(rig.context, journal=disk)
    assert say("start", "hotel@2", "--metric", "conversion", "--window", "10m", "--delay", "1m") == 0
    rig.begins()
    rig.come(400, better)
    rig.clock.advance(700.0)
    capsys.readouterr()
    say("read", "hotel", "--json")
    before = capsys.readouterr().out
    again = SqliteJournal(place)
    rig.journal, rig.context = again, dataclasses.replace(rig.context, journal=again)  # type: ignore[assignment]
    say("read", "hotel", "--json")
    assert capsys.readouterr().out == before
    rig.come(1_200, better)
    rig.clock.advance(700.0)
    assert say("read", "hotel") == 0
    assert say("stop", "hotel") == 0
    assert again.verify() > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["start", "hotel@2"], "--metric"),
        (["start", "hotel@2", "--metric", "conversion", "--split", "2"], "no version's share"),
        (["start", "hotel@2", "--metric", "conversion", "--window", "soon"], "--window: 'soon' is not a duration"),
        (["start", "hotel@2", "--metric", "conversion", "--alpha", "5"], "--alpha"),
        (["start", "hotel@2", "--metric", "conversion", "--detect", "much"], "--detect much"),
        (["start", "hotel@2", "--metric", "conversion", "--power", "x"], "--power"),
        (["start", "hotel@2", "--metric", "conversion", "--weeks", "0"], "--weeks"),
        (["start", "hotel@2", "--metric", "conversoin"], "did you mean conversion"),
        (["start", "hotel@two", "--metric", "conversion"], "hotel has no version two"),
        (["read", "hotel"], "there is no experiment 'hotel'"),
        (["read", "hotel", "--arm", "arm"], "is an experiment, read by the terms it was started with"),
        (["read", "nothing.csv"], "name its columns with --arm and --metric"),
        (["stop", "hotel"], "there is no experiment 'hotel'"),
        (["stop", "hotel", "--promote", "2", "--abort"], "two ends"),
        (["stop", "hotel", "--promote", "two"], "--promote"),
        (["plan"], "give --baseline"),
        (["plan", "--model", "hotel"], "name what is measured"),
        (["plan", "--model", "motel", "--metric", "conversion"], "there is no model 'motel'"),
        (["plan", "--model", "hotel", "--metric", "refund"], "no event 'refund' has been logged yet"),
        (["plan", "--model", "hotel", "--metric", "conversion", "--baseline", "10%"], "--baseline: the log of hotel"),
        (["plan", "--baseline", "10%", "--detect", "11%", "--window", "2d"], "--window: it goes with --model"),
        (["plan", "--model", "hotel", "--metric", "conversion", "--days", "0"], "--days"),
        (["plan", "--model", "hotel", "--metric", "conversion", "--window", "30d"], "a plan needs 100"),
        (["plan", "--model", "hotel", "--metric", "conversion", "--arms", "1"], "two arms"),
    ],
)
def test_what_was_typed_wrongly_is_one_line_and_exit_2(
    words: list[str], said: str, say: Say, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what, where and the fix."""
    assert say(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert said in captured.err
