"""Features that are looked up for a model's requests, in a feature store."""

from __future__ import annotations

from typing import Literal

from fairlead.config.fields import Duration, Section
from fairlead.core.lookup import LookupRules, Unavailable, Unknown
from fairlead.errors import SettingsError

LONGEST_TIMEOUT = 10.0
MOST_ENTRIES = 1_000_000


class FeatureSettings(Section, frozen=True):
    """Which features, where they are, by what they are named, and what a request is without them: docs/features.md."""

    repo: str  # the Feast repository: a folder with a feature_store.yaml
    entity: str | tuple[str, ...]  # the fields of a request that name what is looked up: the store's join keys
    source: Literal["feast"] = "feast"
    service: str = ""  # a feature service of it, or
    features: tuple[str, ...] = ()  # features, as VIEW:FEATURE
    full_names: bool = False  # a model knows them as VIEW__FEATURE
    python: str = ""  # an interpreter that has Feast; empty: this one
    timeout: Duration = Duration(0.02)
    missing: Unknown | None = Unknown.REJECT  # YAML reads `null` as no value, which is what it means here
    slow: Unavailable | None = Unavailable.REFUSE
    down: Unavailable | None = Unavailable.REFUSE
    override: bool = False
    cache: Duration = Duration(0.0)
    entries: int = 10_000

    def __post_init__(self) -> None:
        """Refuses what looks nothing up."""
        if bool(self.service) is bool(self.features):
            raise SettingsError("features names a service or features (VIEW:FEATURE): write one of the two")
        if odd := [name for name in self.features if not all(name.partition(":"))]:
            raise SettingsError(f"features.features has {odd[0]!r}: write VIEW:FEATURE")
        if not self.entities or not all(self.entities):
            raise SettingsError("features.entity names no field: write the store's join key, such as customer_id")
        if not 0.0 < self.timeout <= LONGEST_TIMEOUT:
            raise SettingsError(
                f"features.timeout is what a request waits: write more than 0, at most {LONGEST_TIMEOUT:g}s"
            )
        if not 1 <= self.entries <= MOST_ENTRIES:
            raise SettingsError(f"features.entries is {self.entries}: write 1 to {MOST_ENTRIES}")

    @property
    def entities(self) -> tuple[str, ...]:
        """The fields that name what is looked up."""
        return (self.entity,) if isinstance(self.entity, str) else self.entity

    @property
    def rules(self) -> LookupRules:
        """The same, as a gateway takes it."""
        return LookupRules(
            self.repo,
            self.entities,
            float(self.timeout),
            Unknown.NULL if self.missing is None else self.missing,
            Unavailable.NULL if self.slow is None else self.slow,
            Unavailable.NULL if self.down is None else self.down,
            self.override,
            float(self.cache),
            self.entries,
        )
