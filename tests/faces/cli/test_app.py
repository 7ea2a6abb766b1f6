"""The command line as a stranger uses it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.app.compose import open_context
from fairlead.faces.cli.app import build, run


def fairlead(*arguments: str) -> int:
    """Runs one command in this process."""
    return run(build(open_context, "0.0.0"), list(arguments))


@pytest.fixture
def halves(tmp_path: Path) -> tuple[str, str]:
    """Two halves of one shuffled table."""
    rng = np.random.default_rng(3)
    table = pa.table({"price": rng.lognormal(4, 0.5, 4000), "channel": rng.choice(["web", "desk", "agent"], 4000)})
    paths = tmp_path / "a.parquet", tmp_path / "b.parquet"
    pq.write_table(table.slice(0, 2000), paths[0])
    pq.write_table(table.slice(2000), paths[1])
    return str(paths[0]), str(paths[1])


def test_two_halves_of_one_table_hold(halves: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """No drift where there is none: exit 0 and one JSON document."""
    assert fairlead("drift", "--reference", halves[0], "--current", halves[1], "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"]["outcome"] == "holds"


def test_a_drifted_table_is_breached_worst_first(
    halves: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1, the moved column first, and the report as a page where asked for."""
    table = pq.read_table(halves[1])
    dear = pa.table({"price": np.asarray(table["price"]) * 2.0, "channel": table["channel"]})
    pq.write_table(dear, tmp_path / "dear.parquet")
    page = tmp_path / "report.html"
    arguments = ["--reference", halves[0], "--current", str(tmp_path / "dear.parquet"), "--json", "--html", str(page)]
    assert fairlead("drift", *arguments) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"]["outcome"] == "breached"
    assert document["columns"][0]["name"] == "price"
    assert "<svg" in page.read_text()


def _wrong(tmp_path: Path) -> dict[str, tuple[list[str], str]]:
    (tmp_path / "empty.csv").write_text("a,b\n")
    (tmp_path / "other.csv").write_text("x\n1\n2\n")
    (tmp_path / "some.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "broken.parquet").write_text("not parquet")
    some = str(tmp_path / "some.csv")
    home = ["--home", str(tmp_path / "home")]

    def pair(other: str) -> list[str]:
        return ["drift", "--reference", some, "--current", str(tmp_path / other)]

    return {
        "missing file": (pair("nothing.csv"), "nothing.csv"),
        "empty table": (pair("empty.csv"), "no rows"),
        "broken file": (pair("broken.parquet"), "broken.parquet"),
        "no common columns": (pair("other.csv"), "share no column"),
        "unknown format": (pair("home.xyz"), "home.xyz"),
        "half a pair": (["drift", "--reference", some], "--current"),
        "both ways": (["drift", "m", "--current", some], "compare files"),
        "alpha out of range": ([*pair("some.csv"), "--alpha", "2"], "alpha"),
        "no home": ([*home, "status"], "no home folder"),
        "unknown verb": (["shipit"], "shipit"),
        "unknown option": (["status", "--verbose"], "--verbose"),
    }


CASES = (
    "missing file",
    "empty table",
    "broken file",
    "no common columns",
    "unknown format",
    "half a pair",
    "both ways",
    "alpha out of range",
    "no home",
    "unknown verb",
    "unknown option",
)


@pytest.mark.parametrize("case", CASES)
def test_what_was_typed_wrongly_is_one_line_and_exit_2(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what, where and the fix; nothing is left behind."""
    arguments, said = _wrong(tmp_path)[case]
    before = sorted(tmp_path.rglob("*"))
    assert fairlead(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """An empty home, made once: the registry's first use takes seconds."""
    place = tmp_path_factory.mktemp("cli") / "home"
    open_context(place)
    return ["--home", str(place)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "nobody@1"], "nobody"),
        (["show", "nobody"], "names no version"),
        (["gate", "nobody@1"], "nobody"),
        (["deploy", "nobody@1"], "nobody"),
        (["rollout", "nobody"], "no rollout"),
        (["why", "nobody"], "no rollout"),
        (["replay", "nothing-1"], "no rollout 'nothing-1'"),
        (["rollback", "nobody"], "no rollout"),
        (["drift", "nobody"], "no model 'nobody'"),
        (["performance", "nobody"], "no model 'nobody'"),
        (["watch", "nobody"], "no model 'nobody'"),
        (["incident", "show", "inc-1"], "no incident"),
        (["retrain", "check", "nobody"], "nobody"),
        (["outcomes", "import", "nobody", "x.csv"], "no model 'nobody'"),
        (["register", "Bad Name", "--model", "m", "--reference", "r", "--target", "t"], "cannot be a model's name"),
        (["register", "m", "--model", "m.skops", "--reference", "nothing.csv", "--target", "t"], "nothing.csv"),
    ],
)
def test_what_is_not_there_is_one_line_and_exit_2(
    home: list[str], arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unknown models, versions, rollouts and incidents are named, and nothing is written."""
    assert fairlead(*home, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert said in captured.err


def test_a_bad_key_is_found_before_anything_is_done(
    home: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line of the file and the nearest known key."""
    (tmp_path / "bad.yaml").write_text("project: a\nservin: {port: 1}\n")
    assert fairlead(*home, "--config", str(tmp_path / "bad.yaml"), "status") == 2
    assert "bad.yaml, line 2: unknown key 'servin' (did you mean 'serving'?)" in capsys.readouterr().err


def test_empty_homes_say_what_to_do_next(home: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is an answer, with the next step."""
    for verb in ("status", "models", "rollout"):
        assert fairlead(*home, verb) == 0
    said = capsys.readouterr().out
    assert said.count("fairlead register") == 2
    assert "fairlead deploy" in said


def test_the_journal_is_verified(home: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An empty chain holds."""
    assert fairlead(*home, "journal", "verify", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"entries": 0, "holds": True}


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` needs no home."""
    assert fairlead("--version") == 0
    assert capsys.readouterr().out == "fairlead 0.0.0\n"


def test_every_verb_has_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` explains each verb."""
    assert fairlead("--help") == 0
    said = capsys.readouterr().out
    for verb in ("register", "gate", "deploy", "rollout", "why", "replay", "rollback", "drift", "status", "incident"):
        line = next(line for line in said.splitlines() if line.split()[:1] == [verb])
        assert len(line.split()) > 3


def test_the_shipped_pairs_are_what_their_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Two halves hold; the bookings of 2015 and 2017 are breached, the worst features first."""
    examples = Path(__file__).parents[3] / "examples"

    def pair(one: str, two: str) -> list[str]:
        return ["drift", "--reference", str(examples / one), "--current", str(examples / two), "--json"]

    assert fairlead(*pair("bookings_2015_half_a.parquet", "bookings_2015_half_b.parquet")) == 0
    assert json.loads(capsys.readouterr().out)["verdict"]["outcome"] == "holds"
    assert fairlead(*pair("bookings_2015.parquet", "bookings_2017.parquet")) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"]["outcome"] == "breached"
    names = [column["name"] for column in document["columns"]]
    assert {"adr", "lead_time", "market_segment"} <= set(names[:5])
    assert document["columns"][-1]["level"] == "none"


@pytest.mark.parametrize(
    ("typed", "help_of"),
    [
        (["log", "erase"], "fairlead log erase"),
        (["log", "nope"], "fairlead log"),
        (["drift", "--nope"], "fairlead drift"),
        (["nope"], "fairlead"),
    ],
)
def test_what_is_typed_wrongly_is_sent_to_the_help_of_its_verb(
    typed: list[str], help_of: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not to that of the whole command line."""
    assert fairlead(*typed) == 2
    assert f"`{help_of} --help` says what there is" in capsys.readouterr().err
