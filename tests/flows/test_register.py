"""From a model and its data to a version, with every neighbour a fake."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.core.bundle import (
    CARD,
    GOLDEN,
    HELDOUT,
    PORTABLE,
    PROFILE,
    TRAINING,
    Golden,
    Lineage,
    Manifest,
    ModelCard,
)
from fairlead.core.contract import Kind, Task
from fairlead.core.event import AliasMoved, StatusChanged, VersionRegistered
from fairlead.errors import FairleadError, StateError, UsageError
from fairlead.flows.candidate import Candidate, Rows
from fairlead.flows.register import Workshop, register
from fairlead.ports.model_reader import ModelFacts
from fairlead.ports.predictor import Predictor
from fairlead.ports.registry import VersionInfo
from fairlead.stats.profile import TableProfile
from fairlead.testing.bundles import ScriptedBundles
from fairlead.testing.clock import ManualClock
from fairlead.testing.dataset import MemoryDataset
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.model_reader import ScriptedModel
from fairlead.testing.predictor import FailingPredictor, FixedPredictor
from fairlead.testing.registry import MemoryRegistry

FACTS = ModelFacts("skops", ("nights", "meal"), 2, ("0", "1"), True)
ORIGINAL = FixedPredictor(0.25, 0.75)


def data(rows: int = 40) -> MemoryDataset:
    return MemoryDataset(
        {
            "booking": list(range(rows)),
            "nights": [row % 7 for row in range(rows)],
            "meal": [None if row % 9 == 0 else "bb" for row in range(rows)],
            "canceled": [row % 2 for row in range(rows)],
        }
    )


@dataclass
class Home:
    """The fakes, and what they hold after a registration."""

    folder: Path
    shop: Workshop
    candidate: Candidate
    journal: MemoryJournal
    registry: MemoryRegistry

    def register(self, **changes: Any) -> VersionInfo:
        candidate = msgspec.structs.replace(self.candidate, **changes)
        return register(candidate, Rows(data(), data(20), data()), self.shop, "anna")

    def nothing_left(self) -> bool:
        """No bundle, no unfinished folder, no version, no fact."""
        kept = list((self.folder / "bundles").glob("*")) if (self.folder / "bundles").exists() else []
        return not kept and self.registry.models() == () and list(self.journal.read()) == []


def home(folder: Path, portable: Predictor | None = None, original: Predictor = ORIGINAL) -> Home:
    (folder / "model.skops").write_text("a model")
    journal, registry, clock = MemoryJournal(), MemoryRegistry(), ManualClock(1_000.0)
    bundles = ScriptedBundles(folder / "bundles")
    reader = ScriptedModel(FACTS, original, portable)
    shop = Workshop(reader, bundles, registry, journal, clock, folder / "bundles")
    lineage = Lineage("july", "0" * 64, 40)
    candidate = Candidate("hotel", folder / "model.skops", "canceled", lineage, "2026-01-31")
    return Home(folder, shop, candidate, journal, registry)


def test_a_version_is_a_bundle_an_entry_and_three_facts(tmp_path: Path) -> None:
    """The bundle verifies, the registry names it challenger, in no environment yet, the journal says who and why."""
    mine = home(tmp_path, portable=ORIGINAL)
    info = mine.register()
    assert (info.version, info.status, info.aliases) == (1, "none", ("challenger",))
    manifest = mine.shop.bundles.verify(info.bundle)
    assert set(manifest.files) == {"model/model.skops", PORTABLE, PROFILE, GOLDEN, HELDOUT, CARD, TRAINING}
    assert (manifest.model_entry, manifest.served, manifest.threshold) == ("model/model.skops", PORTABLE, 0.5)
    entries = list(mine.journal.read())
    assert [(entry.actor, entry.at) for entry in entries] == [("anna", 1_000.0)] * 3
    assert [entry.fact for entry in entries] == [
        VersionRegistered("hotel", 1, info.bundle, "july", "the ONNX translation is served: "
                          "it differs by at most 0 on 60 rows"),
        StatusChanged("hotel", 1, "none", "registered"),
        AliasMoved("hotel", "challenger", 1, None, "registered"),
    ]  # fmt: skip
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [info.bundle]


def test_the_bundle_holds_what_later_looks_are_compared_to(tmp_path: Path) -> None:
    """Contract, golden rows with the original's answers, profile of the features and of the held-out scores."""
    mine = home(tmp_path)
    info = mine.register()
    folder, manifest = mine.shop.bundles.path(info.bundle), mine.shop.bundles.manifest(info.bundle)
    nights, meal = manifest.contract.features
    assert (nights.kind, nights.minimum, nights.maximum) == (Kind.INTEGER, 0.0, 6.0)
    assert (meal.kind, meal.nullable, meal.categories) == (Kind.CATEGORY, True, ("bb",))
    assert (manifest.contract.task, manifest.contract.classes) == (Task.BINARY, ("0", "1"))
    golden = msgspec.json.decode((folder / GOLDEN).read_bytes(), type=Golden)
    assert len(golden.rows) == 40
    assert golden.rows[0] == {"nights": 0, "meal": None}
    assert set(golden.outputs) == {(0.25, 0.75)}
    profile = msgspec.json.decode((folder / PROFILE).read_bytes(), type=TableProfile)
    assert profile.names == ("nights", "meal", "__score__")
    assert [column.rows for column in profile.columns] == [40, 40, 20]
    assert manifest.metrics["accuracy"] == 0.5


def test_the_card_is_filled_where_its_author_said_nothing(tmp_path: Path) -> None:
    """Name, number, date, data and metrics are known by the machine; the owner's words stand."""
    mine = home(tmp_path)
    info = mine.register(card=ModelCard(owner="anna", metrics="see the paper"), segments=("meal",))
    card = msgspec.json.decode((mine.shop.bundles.path(info.bundle) / CARD).read_bytes(), type=ModelCard)
    assert (card.model_name, card.version, card.date, card.owner) == ("hotel", "1", "2026-01-31", "anna")
    assert card.metrics == "see the paper"
    assert "july: 40 rows" in card.training_data
    assert card.evaluation_data.startswith("20 held-out rows")
    assert card.subgroup_performance == "auroc by meal: no subgroup has enough rows"
    assert "intended_use" in card.missing


def test_the_next_version_knows_its_champion(tmp_path: Path) -> None:
    """The challenger's alias moves on, and the lineage names whom it was trained to replace."""
    mine = home(tmp_path)
    first = mine.register()
    mine.registry.set_alias("hotel", "champion", 1)
    second = mine.register(date="2026-02-28")
    assert (second.version, mine.shop.bundles.manifest(second.bundle).lineage.parent) == (2, 1)
    assert mine.registry.versions("hotel")[0].aliases == ("champion",)
    assert list(mine.journal.read())[-1].fact == AliasMoved("hotel", "challenger", 2, 1, "registered")
    assert first.bundle != second.bundle


@pytest.mark.parametrize(
    ("portable", "why"),
    [
        (None, "the original is served: it has none"),
        (FixedPredictor(0.2501, 0.7499), "the original is served: its ONNX translation differs by at most 0.0001"),
        (FixedPredictor(float("nan"), 1.0), "the original is served: its ONNX translation differs by at most"),
    ],
)
def test_a_wrong_translation_is_not_served(portable: Predictor | None, why: str, tmp_path: Path) -> None:
    """Where parity does not hold, or cannot be had, the original is served and the journal says why."""
    mine = home(tmp_path, portable)
    manifest = mine.shop.bundles.manifest(mine.register().bundle)
    assert manifest.served == "model/model.skops"
    assert PORTABLE not in manifest.files
    assert (manifest.parity is None) == (portable is None)
    assert manifest.parity is None or not manifest.parity.holds
    (registered, *_) = [entry.fact for entry in mine.journal.read()]
    assert isinstance(registered, VersionRegistered)
    assert registered.reason.startswith(why)


@pytest.mark.parametrize(
    ("changes", "original", "what"),
    [
        ({"target": "nothing"}, ORIGINAL, "no target column 'nothing'"),
        ({"target": "nights"}, ORIGINAL, "is one of the model's features"),
        ({"model": Path("missing.skops")}, ORIGINAL, "does not exist"),
        ({"segments": ("region",)}, ORIGINAL, "no segment column 'region'"),
        ({"task": Task.MULTICLASS}, ORIGINAL, "is a binary model, not a multiclass one"),
        ({}, FixedPredictor(1.0), "answered shape"),
        ({"features": ("nights",)}, ORIGINAL, "names its own features: nights, meal"),
        ({}, FixedPredictor(float("nan"), 0.5), "no finite numbers"),
        ({}, FailingPredictor(ValueError("could not convert\nmore")), r"ValueError: could not convert\)"),
    ],
)
def test_a_wrong_candidate_leaves_nothing(
    changes: dict[str, Any], original: Predictor, what: str, tmp_path: Path
) -> None:
    """One clear error; no bundle, no unfinished folder, no version, no fact."""
    mine = home(tmp_path, original=original)
    with pytest.raises(UsageError, match=what) as caught:
        mine.register(**changes)
    assert caught.value.line == str(caught.value)
    assert mine.nothing_left()


class _Down(MemoryRegistry):
    """A registry that fails when it is written to."""

    def register(self, manifest: Manifest, digest: str, folder: Path) -> VersionInfo:
        raise StateError("the registry is down")


class _Unreadable(MemoryRegistry):
    """A registry that fails at once."""

    def versions(self, model: str) -> tuple[VersionInfo, ...]:
        raise StateError("the registry is down")


@pytest.mark.parametrize("registry", [_Down(), _Unreadable()])
def test_a_registry_that_is_down_leaves_no_version(registry: MemoryRegistry, tmp_path: Path) -> None:
    """No fact tells of a version that the registry does not have, and no unfinished folder is left."""
    mine = home(tmp_path)
    shop = Workshop(mine.shop.reader, mine.shop.bundles, registry, mine.journal, mine.shop.clock, mine.shop.folder)
    with pytest.raises(FairleadError, match="the registry is down"):
        register(mine.candidate, Rows(data(), data(20), data()), shop, "anna")
    assert list(mine.journal.read()) == []
    assert list((tmp_path / "bundles").glob(".*")) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file in the place of the bundles' folder."""
    (tmp_path / "bundles").write_text("a file")
    with pytest.raises(StateError, match="cannot create a folder in"):
        home(tmp_path).register()
