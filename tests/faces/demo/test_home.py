"""The demo's own folder, and nobody else's."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fairlead.config.load import load_settings
from fairlead.core.bundle import ModelCard
from fairlead.core.card import fill
from fairlead.errors import Refused
from fairlead.faces.demo.home import CARD, MODEL, make_home

MACHINES = {"model_name", "version", "date", "training_data", "evaluation_data", "metrics", "subgroup_performance"}


def test_a_fresh_home_has_settings_that_load(tmp_path: Path) -> None:
    """Its ports are two different free ones, and stand in the file."""
    config, port, control_port = make_home(tmp_path / "new" / "demo", aa=False, stride=1)
    settings = load_settings(config, {})
    assert (settings.serving.port, settings.serving.control_port) == (port, control_port)
    assert port != control_port
    for number in (port, control_port):
        with socket.create_server(("127.0.0.1", number)):
            pass
    assert settings.serving.host == "127.0.0.1"
    assert settings.models[MODEL].owner == "revenue-team"
    assert settings.gates.against_champion == "better"
    assert {"{dataset}", "{output}"} <= set(settings.retraining.command.split())


@pytest.mark.parametrize(("stride", "labels"), [(1, 8000), (4, 2000), (20, 400)])
def test_fewer_bookings_need_fewer_labels(tmp_path: Path, stride: int, labels: int) -> None:
    """Or no challenger would ever be trained."""
    config, *_ = make_home(tmp_path / "demo", aa=False, stride=stride)
    assert load_settings(config, {}).retraining.at_least_labels == labels


def test_the_champion_against_itself_need_not_be_better(tmp_path: Path) -> None:
    """A copy can only be not worse."""
    config, *_ = make_home(tmp_path / "demo", aa=True, stride=1)
    assert load_settings(config, {}).gates.against_champion == "not_worse"


def test_an_earlier_demo_is_replaced_whole(tmp_path: Path) -> None:
    """Nothing of it is left."""
    make_home(tmp_path / "demo", aa=False, stride=1)
    (tmp_path / "demo" / "log").mkdir()
    (tmp_path / "demo" / "log" / "old.seg").write_text("old")
    make_home(tmp_path / "demo", aa=False, stride=1)
    assert not (tmp_path / "demo" / "log").exists()


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    """It holds nothing that could be lost."""
    make_home(tmp_path, aa=False, stride=1)
    assert (tmp_path / "fairlead.yaml").is_file()


@pytest.mark.parametrize("file", ["mine.txt", ".hidden", "journal.db", "deep/mine.txt", ".fairlead-demo/mine.txt"])
def test_a_foreign_folder_is_refused(tmp_path: Path, file: str) -> None:
    """Whatever it holds, a real home of fairlead included, it keeps."""
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("dear to me")
    with pytest.raises(Refused, match="was not made by a demo: pass another folder with --home"):
        make_home(tmp_path, aa=False, stride=1)
    assert (tmp_path / file).read_text() == "dear to me"
    assert not (tmp_path / "fairlead.yaml").exists()


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    """With the same fix, and the file stays."""
    place = tmp_path / "notes.txt"
    place.write_text("dear to me")
    with pytest.raises(Refused, match="--home"):
        make_home(place, aa=False, stride=1)
    assert place.read_text() == "dear to me"


def test_the_card_says_all_that_a_team_must_say() -> None:
    """What is left is what a machine fills in."""
    assert set(fill(ModelCard(), owner="").missing) - set(CARD) == MACHINES
