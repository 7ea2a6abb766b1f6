"""The registry follows the journal."""

from __future__ import annotations

from pathlib import Path

from fairlead.core.event import AliasMoved, StatusChanged
from fairlead.errors import StateError
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
