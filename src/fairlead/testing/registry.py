"""A registry in memory, and what every registry keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from fairlead.core.bundle import Manifest, digest_of
from fairlead.errors import NotFound, UsageError
from fairlead.ports.registry import Registry, VersionInfo
from fairlead.testing.bundles import example

STATUSES = ("none", "staging", "production", "archived")


class MemoryRegistry:
    """Versions as a list for each model."""

    def __init__(self, now: Callable[[], float] = lambda: 0.0) -> None:
        """`now` dates the versions."""
        self._now = now
        self._versions: dict[str, list[VersionInfo]] = {}

    def register(self, manifest: Manifest, digest: str, folder: Path) -> VersionInfo:  # noqa: ARG002  # the port's
        """Records the next version."""
        known = self._versions.setdefault(manifest.name, [])
        number = len(known) + 1
        info = VersionInfo(
            manifest.name, number, digest, run_id=f"run-{number}", created_at=self._now(), metrics=manifest.metrics
        )
        known.append(info)
        return info

    def versions(self, model: str) -> tuple[VersionInfo, ...]:
        """All versions, oldest first."""
        if model not in self._versions:
            raise NotFound(f"there is no model {model}: register it first")
        return tuple(self._versions[model])

    def models(self) -> tuple[str, ...]:
        """The names of all models, sorted."""
        return tuple(sorted(self._versions))

    def set_alias(self, model: str, alias: str, version: int | None) -> None:
        """Moves or removes an alias."""
        if version is not None:
            self._version(model, version)
        for info in self.versions(model):
            aliases = set(info.aliases) - {alias} | ({alias} if info.version == version else set())
            self._replace(info, aliases=tuple(sorted(aliases)))

    def set_tags(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """Sets the user's own tags."""
        info = self._version(model, version)
        self._replace(info, tags={**info.tags, **tags})

    def set_status(self, model: str, version: int, status: str) -> None:
        """Changes a status."""
        if status not in STATUSES:
            raise UsageError(f"{status} is no status: use one of {', '.join(STATUSES)}")
        self._replace(self._version(model, version), status=status)

    def _version(self, model: str, version: int) -> VersionInfo:
        for info in self.versions(model):
            if info.version == version:
                return info
        raise NotFound(f"{model} has no version {version}")

    def _replace(self, info: VersionInfo, **changes: object) -> None:
        self._versions[info.model][info.version - 1] = msgspec.structs.replace(info, **changes)


def check_registry(registry: Registry, workspace: Path) -> None:
    """What every registry keeps. `registry` is empty; `workspace` is an empty folder."""
    check_versions(registry, workspace)
    check_aliases(registry)
    check_statuses(registry)
    check_tags(registry)
    check_unknown(registry)


def check_versions(registry: Registry, workspace: Path) -> None:
    """Versions count from one for each model, and are read back as they were registered."""
    assert registry.models() == (), "a new registry is empty"
    for number, name in enumerate(("hotel", "hotel", "churn")):
        folder = workspace / str(number)
        folder.mkdir()
        manifest = example(folder, name=name, card__text=str(number))
        info = registry.register(manifest, digest_of(manifest), folder)
        assert (info.model, info.version) == (name, (1, 2, 1)[number]), "the next version"
        assert info.bundle == digest_of(manifest), "the bundle's digest"
        assert info.run_id, "a version has a run"
        assert registry.versions(name)[-1] == info, "read back as registered"
    assert registry.models() == ("churn", "hotel"), "sorted names"
    first, second = registry.versions("hotel")
    assert (first.version, second.version) == (1, 2), "oldest first"
    assert (first.status, first.aliases, first.metrics) == ("none", (), {"auroc": 0.7}), "as it begins"


def check_aliases(registry: Registry) -> None:
    """An alias is on one version at most; a version may have several."""
    registry.set_alias("hotel", "champion", 1)
    registry.set_alias("hotel", "challenger", 2)
    assert [info.aliases for info in registry.versions("hotel")] == [("champion",), ("challenger",)], "two aliases"
    registry.set_alias("hotel", "champion", 2)
    registry.set_alias("hotel", "champion", 2)
    assert [info.aliases for info in registry.versions("hotel")] == [(), ("challenger", "champion")], "it moved"
    registry.set_alias("hotel", "challenger", None)
    registry.set_alias("hotel", "challenger", None)
    assert [info.aliases for info in registry.versions("hotel")] == [(), ("champion",)], "it is gone"


def check_statuses(registry: Registry) -> None:
    """Each version has its own status."""
    for status in STATUSES:
        registry.set_status("hotel", 1, status)
        assert [info.status for info in registry.versions("hotel")] == [status, "none"], "only that version's"


def check_tags(registry: Registry) -> None:
    """A version's own, added to and replaced, and read back with it."""
    registry.set_tags("hotel", 1, {"team": "pricing", "lr": "0.1"})
    registry.set_tags("hotel", 1, {"lr": "0.2"})
    found = [info.tags for info in registry.versions("hotel")]
    assert found == [{"team": "pricing", "lr": "0.2"}, {}], "only that version's"


def check_unknown(registry: Registry) -> None:
    """What does not exist is not found; what is no status is refused."""
    _raises(NotFound, lambda: registry.versions("nobody"))
    _raises(NotFound, lambda: registry.set_alias("nobody", "champion", 1))
    _raises(NotFound, lambda: registry.set_alias("nobody", "champion", None))
    _raises(NotFound, lambda: registry.set_alias("hotel", "champion", 99))
    _raises(NotFound, lambda: registry.set_status("hotel", 99, "staging"))
    _raises(UsageError, lambda: registry.set_status("hotel", 1, "retired"))
    _raises(NotFound, lambda: registry.set_tags("hotel", 99, {"a": "b"}))


def _raises(error: type[Exception], call: Callable[[], object]) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"{error.__name__} was expected")
