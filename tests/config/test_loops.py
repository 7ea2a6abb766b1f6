"""What may be stated of feedback loops, and what not."""

from __future__ import annotations

import pytest

from fairlead.config.load import parse_settings
from fairlead.core.exploring import Draws
from fairlead.errors import SettingsError


def test_nothing_is_drawn_unless_it_is_stated() -> None:
    """Not by a share that is asked for, either: only `randomise` takes decisions."""
    assert parse_settings("").loops.draws == {}
    assert parse_settings("loops: {explore: 1%}").loops.draws == {}


def test_each_named_model_draws() -> None:
    """With the same share and band; the whole range where none is stated."""
    found = parse_settings("loops: {randomise: {models: [hotel, bank], share: 1%, low: 0.3, high: 0.7}}").loops.draws
    assert found == {"hotel": Draws(0.01, 0.3, 0.7), "bank": Draws(0.01, 0.3, 0.7)}
    assert parse_settings("loops: {randomise: {models: [hotel], share: 1%}}").loops.draws["hotel"].high == 1.0


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("{models: [], share: 1%}", "models is empty"),
        ("{models: [hotel], share: 0%}", "write a share above 0 and up to 50%"),
        ("{models: [hotel], share: 51%}", "write a share above 0 and up to 50%"),
        ("{models: [hotel], share: 1%, low: 0.7, high: 0.7}", "let low be below high"),
        ("{share: 1%}", "models"),
        ("{models: [hotel]}", "share"),
    ],
)
def test_what_would_draw_nothing_is_refused(stated: str, said: str) -> None:
    """With the key and the fix."""
    with pytest.raises(SettingsError, match=said):
        parse_settings(f"loops: {{randomise: {stated}}}")
