"""diff, as it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.operations.house import House
from tests.operations.versions import two_versions

from fairlead.core.bundle import PROFILE
from fairlead.faces.cli.app import build, run
from fairlead.operations.context import Context

Run = Callable[..., int]


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Two versions of one model."""
    return two_versions(tmp_path / "home")


@pytest.fixture
def fairlead(house: House) -> Run:
    """Runs one command over the home, in this process."""

    def opened(_home: Path, _config: Path | None = None, _environment: str = "") -> Context:
        return house.context

    return lambda *words: run(build(opened, "0.0.0"), ["--home", str(house.home), *words])


def test_a_diff_is_shown_part_by_part(fairlead: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Lineage, data, metrics, schema, importances, card and environment, each with both sides; exit 0."""
    assert fairlead("diff", "stay@champion", "stay@2") == 0
    text = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "dataset drawn the same" in lines
    assert any(line.startswith("data: holds: none of 4 columns drifted") for line in lines)
    assert "nights: range 1 to 14 1 to 30" in lines
    assert "nights 0.100 0.050 -0.050" in lines
    assert "owner what the card says of owner bo <b>" in lines
    assert "environment: the same packages" in lines
    assert any(line.startswith("AUROC of the two cannot be told apart: ") for line in lines)


def test_a_diff_is_a_document(fairlead: Run, house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """With everything that the table shows, and nothing cut."""
    assert fairlead("diff", "stay@1", "stay@2", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["before"]["version"], found["after"]["version"]) == (1, 2)
    assert found["before"]["bundle"] == house.registry.versions("stay")[0].bundle
    assert found["data"]["verdict"]["outcome"] == "holds"
    assert {column["name"] for column in found["data"]["columns"]} == {"age", "nights", "city", "the model's answers"}
    assert all(column["p_value"] <= 1 for column in found["data"]["columns"])
    assert {line["what"] for line in found["schema"]} == {"nights: null", "nights: range"}
    assert found["importances"][0]["feature"] == "age"


def test_a_diff_is_a_page_too(fairlead: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside what is printed; a place that cannot be written is refused."""
    page = tmp_path / "diff.html"
    assert fairlead("diff", "stay@1", "stay@2", "--html", str(page), "--json") == 0
    assert json.loads(capsys.readouterr().out)["model"] == "stay"
    assert "stay: version 1 and version 2" in page.read_text(encoding="utf-8")
    assert fairlead("diff", "stay@1", "stay@2", "--html", str(tmp_path / "none" / "diff.html")) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_version_beside_itself_is_one_bundle(fairlead: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """An alias may lead there: it is said, not shown as a table of zeros."""
    assert fairlead("diff", "stay@1", "stay@champion") == 0
    assert "the two are one bundle: nothing differs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("stay@1", "hotel@1"), "stay@1 and hotel@1 are versions of two models: give two versions of one"),
        (("stay@1", "stay@7"), "stay has no version 7: there are 1, 2, champion"),
        (("stay", "stay@2"), "'stay' names no version: write NAME@3 or NAME@champion"),
        (("nobody@1", "nobody@2"), "there is no model nobody"),
        (("stay@1",), "Missing argument 'NAME@B'"),
    ],
)
def test_what_is_typed_wrongly_is_one_line(
    fairlead: Run, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    """Exit 2, with what there is."""
    assert fairlead("diff", *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_damaged_bundle_is_named(fairlead: Run, house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """With the file and what to do."""
    bundle = house.registry.versions("stay")[1].bundle
    (house.bundles.path(bundle) / PROFILE).write_bytes(b"{")
    assert fairlead("diff", "stay@1", "stay@2") == 2
    assert "profile.json of stay@2 cannot be read" in capsys.readouterr().err
