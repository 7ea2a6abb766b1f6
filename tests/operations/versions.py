"""A home with two whole versions of one model, which differ in the rows that they saw and in what they say."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from tests.operations.house import AT, House

from fairlead.config.settings import Settings
from fairlead.core.contract import Feature, Kind
from fairlead.core.event import VersionRegistered
from fairlead.testing.candidate import CONTRACT, FACTS, FULL_CARD, Parts, write_candidate

NIGHTS = Feature("nights", Kind.INTEGER, minimum=1, maximum=30)
LATER = Parts(
    name="stay",
    contract=replace(CONTRACT, features=(CONTRACT.features[0], NIGHTS, CONTRACT.features[2])),
    card=replace(FULL_CARD, owner="bo <b>"),
    seed=50,
    model=b"another model",
    training=replace(FACTS, importances={"age": 0.25, "nights": 0.05, "city": 0.03}),
)


def two_versions(home: Path) -> House:
    """Versions 1 and 2 of `stay`, version 1 the champion."""
    house = House(home, Settings())
    for number, parts in enumerate((Parts(), LATER), 1):
        draft = home / f"stay-{number}"
        draft.mkdir()
        manifest = write_candidate(draft, parts)
        digest = house.bundles.put(draft, manifest)
        house.registry.register(manifest, digest, draft)
        house.journal.append([VersionRegistered("stay", number, digest, "drawn")], actor="ana", at=AT)
    house.registry.set_alias("stay", "champion", 1)
    return house
