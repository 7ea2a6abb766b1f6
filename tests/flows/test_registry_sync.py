"""The registry follows the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.core.event import AliasMoved, StatusChanged
from fairlead.errors import NotFound, StateError
from fairlead.flows.registry_sync import RegistrySync
from fairlead.testing.bundles import example
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.registry import MemoryRegistry


class Away(MemoryRegistry):
    """A registry that cannot be reached until it is told otherwise."""

    away = True

    def set_alias(self, model: str, alias: str, version: int | None) -> None:
        """Fails while away."""
        if self.away:
            raise StateError("the registry does not answer")
        super().set_alias(model, alias, version)


def registered(registry: MemoryRegistry, folder: Path) -> None:
    """Two versions of a model."""
    for number in ("1", "2"):
        place = folder / number
        manifest = example(place, note=number)
        registry.register(manifest, number * 64, place)


def test_the_last_word_of_the_journal_is_written(tmp_path: Path) -> None:
    """Aliases and statuses become what the journal says, once each."""
    journal, registry = MemoryJournal(), MemoryRegistry()
    registered(registry, tmp_path)
    journal.append(
        [
            AliasMoved("hotel", "champion", 1, None),
            AliasMoved("hotel", "champion", 2, 1),
            StatusChanged("hotel", 2, "production"),
        ],
        actor="test",
        at=1.0,
    )
    sync = RegistrySync(journal, registry)
    assert sync.sync() == 2
    assert sync.sync() == 0
    first, second = registry.versions("hotel")
    assert first.aliases == ()
    assert second.aliases == ("champion",)
    assert second.status == "production"


def test_a_registry_that_was_away_is_written_later(tmp_path: Path) -> None:
    """Nothing is lost and nothing is raised while the registry does not answer."""
    journal, registry = MemoryJournal(), Away()
    registered(registry, tmp_path)
    journal.append([AliasMoved("hotel", "champion", 2, None)], actor="test", at=1.0)
    sync = RegistrySync(journal, registry)
    assert sync.sync() == 0
    registry.away = False
    assert sync.sync() == 1
    assert registry.versions("hotel")[1].aliases == ("champion",)


@pytest.mark.parametrize("error", [NotFound("no version 7"), StateError("refused"), ConnectionError("reset")])
def test_what_the_registry_refuses_keeps_nothing_else_from_it(tmp_path: Path, error: Exception) -> None:
    """However its client puts it: the other aliases and statuses are written, and the refusal is told once."""

    class Refusing(MemoryRegistry):
        """It does not take one model's alias."""

        def set_alias(self, model: str, alias: str, version: int | None) -> None:
            """Refuses, or moves it."""
            if model == "old":
                raise error
            super().set_alias(model, alias, version)

    journal, registry = MemoryJournal(), Refusing()
    registered(registry, tmp_path)
    facts = [AliasMoved("old", "champion", 7, 6), AliasMoved("hotel", "champion", 1, 2)]
    journal.append([*facts, StatusChanged("hotel", 1, "production")], actor="controller", at=1.0)
    sync = RegistrySync(journal, registry)
    assert sync.sync() == 2
    first = registry.versions("hotel")[0]
    assert (first.aliases, first.status) == (("champion",), "production")


def test_a_refusal_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again at each call, and told again only when something else is wrong."""
    journal, registry = MemoryJournal(), Away()
    registered(registry, tmp_path)
    journal.append([AliasMoved("hotel", "champion", 2, None)], actor="test", at=1.0)
    sync = RegistrySync(journal, registry)
    for _ in range(3):
        assert sync.sync() == 0
    (record,) = caplog.records
    assert "champion of hotel as 2" in record.message
    assert "the registry does not answer" in record.message
