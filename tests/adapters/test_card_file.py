"""Model cards in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.adapters.card_file import as_card, read_card
from fairlead.errors import UsageError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("card.yaml", "owner: anna\ndate: 2026-01-31\nversion: 3\nmetrics:\n"),
        ("card.json", '{"owner": "anna", "date": "2026-01-31", "version": 3, "metrics": null}'),
    ],
)
def test_reads_yaml_and_json(name: str, text: str, tmp_path: Path) -> None:
    """Dates and numbers are texts on a card; nothing is an empty field."""
    (tmp_path / name).write_text(text)
    card = read_card(tmp_path / name)
    assert (card.owner, card.date, card.version, card.metrics) == ("anna", "2026-01-31", "3", "")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ownr: anna", "unknown field 'ownr': did you mean owner"),
        ("zzz: anna", "unknown field 'zzz': its fields are model_name"),
        ("owner: [anna, bert]", "no text in 'owner'"),
        ("just a text", "holds no fields"),
        ("", "holds no fields"),
        ("a: b: c", "neither YAML nor JSON"),
    ],
)
def test_says_what_is_wrong_with_a_card(text: str, what: str, tmp_path: Path) -> None:
    """Each mistake is named with the file."""
    (tmp_path / "card.yaml").write_text(text)
    with pytest.raises(UsageError, match=rf"card\.yaml.*{what}"):
        read_card(tmp_path / "card.yaml")


def test_a_missing_card_is_named(tmp_path: Path) -> None:
    """A path that is not there, or no text."""
    with pytest.raises(UsageError, match=r"card\.yaml cannot be read: No such file"):
        read_card(tmp_path / "card.yaml")
    (tmp_path / "card.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(UsageError, match=r"card\.yaml"):
        read_card(tmp_path / "card.yaml")


def test_takes_a_mapping() -> None:
    """A card may come from a program."""
    assert as_card({"owner": " anna "}).owner == "anna"
