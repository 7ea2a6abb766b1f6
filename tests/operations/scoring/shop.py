"""A home with a model whose features are looked up in a store that Feast wrote, and whose versions stand in for each
other."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from fairlead.adapters.bundle_folder import BundleFolder, file_sha256
from fairlead.adapters.features.feast_plan import plan_path
from fairlead.app.compose import open_context
from fairlead.config.features import FeatureSettings
from fairlead.config.models import ModelSettings
from fairlead.config.prediction_log import LogSettings
from fairlead.config.quarantine import QuarantineSettings
from fairlead.config.settings import Settings
from fairlead.core.amend import Amendments
from fairlead.core.bundle import GOLDEN, Golden, Lineage, Manifest
from fairlead.core.contract import Contract, DefaultAnswer, Feature, Kind, Policy, Task
from fairlead.core.fallback import OnFailure
from fairlead.core.record import Prediction
from fairlead.core.route import Arm, ModelRoute, Route, RouteTable
from fairlead.errors import ContractError
from fairlead.flows.answering import answered
from fairlead.flows.score import BATCH
from fairlead.flows.serve import Arrival, Ask, ModelFailed, Serving
from fairlead.flows.tally import Tally
from fairlead.flows.warm import LiveModel, load
from fairlead.operations.context import Context
from fairlead.operations.looking import lookups_of, rules_of
from fairlead.testing.log import MemoryLog
from fairlead.testing.quarantine import MemoryQuarantine
from fairlead.testing.registry import MemoryRegistry

FEAST = Path(__file__).parents[2] / "adapters" / "features" / "feast"
DEFAULT = DefaultAnswer(7.0)
AMOUNT = Feature("amount", Kind.NUMBER, minimum=0.0, maximum=100.0, out_of_range=Policy.FALLBACK)
NARROW = Contract(
    (
        AMOUNT,
        Feature("basket", Kind.NUMBER, nullable=True, fill=5.0),
        Feature("tier", Kind.CATEGORY, nullable=True, categories=("", "gold", "new", "ny kunde"), fill="new"),
        Feature("member", Kind.BOOLEAN, nullable=True, fill=False),
    ),
    Task.REGRESSION,
    "spent",
    unit="customer_id",
    default=DEFAULT,
)
WIDE = msgspec.structs.replace(NARROW, features=(msgspec.structs.replace(AMOUNT, maximum=1000.0), *NARROW.features[1:]))
CODE = """
def answer(records):
    if any(one["amount"] in {fails} for one in records):
        raise RuntimeError("secret internals")
    return [{times} * (one["amount"] + (one["basket"] or 0)) + len(one["tier"] or "") for one in records]
"""


class Shop:
    """spend@1, the champion, takes amounts up to 1,000; spend@2 up to 100. 66 and 67 make version 2 fail, 67 the other
    too. Customers 1, 2 and 3 are known."""

    def __init__(self, home: Path, *, features: bool = True, on_failure: OnFailure = OnFailure.CHAMPION, **said: Any):
        """`said` goes into the settings of the features."""
        self.home, self.repo = home, home / "repo"
        shutil.copytree(FEAST / "repo", self.repo)
        (self.repo / "data").mkdir()
        shutil.copyfile(FEAST / "online.db", self.repo / "data" / "online.db")
        plan_path(home, "spend").parent.mkdir()
        shutil.copyfile(FEAST / "loyal.json", plan_path(home, "spend"))
        asked = FeatureSettings(**{"repo": str(self.repo), "entity": "customer_id", "service": "loyal", **said})
        own: dict[str, Any] = {"features": asked if features else None, "on_failure": on_failure}
        own["contract"] = Amendments(default=DEFAULT)
        self.settings = Settings(
            models={"spend": ModelSettings(**own)},
            trust=("python",),
            log=LogSettings(quarantine=QuarantineSettings()),
        )
        registry = MemoryRegistry()
        self.context: Context = replace(
            open_context(home),
            settings=self.settings,
            bundles=BundleFolder(home / "bundles", ("python",)),
            open_registry=lambda: registry,
        )
        self.bundles: dict[int, str] = {}
        for version, contract, fails, times in ((1, WIDE, (67,), 10), (2, NARROW, (66, 67), 2)):
            manifest, digest = _put(home, contract, CODE.format(fails=fails, times=times))
            registry.register(manifest, digest, self.context.bundles.path(digest))
            self.bundles[version] = digest
        self.serve(1)

    def serve(self, champion: int) -> None:
        """Routes all traffic to a version."""
        route = ModelRoute((Arm("champion", champion, 1.0),), {champion: self.bundles[champion]})
        self.context.board.publish(RouteTable(champion, {"spend": route}))

    def logged(self) -> list[Prediction]:
        """The log."""
        return self.context.open_log().poll(100_000)[0]


class Gateway:
    """The same data plane as a worker's, asked row by row: what version 2 answers while 1 is the champion."""

    def __init__(self, shop: Shop) -> None:
        context = shop.context
        self.log, self.kept = MemoryLog(), MemoryQuarantine()
        self.serving = Serving(self.log, context.clock, Tally())
        self.serving.on_failure, self.serving.quarantine = context.settings.on_failure(), self.kept
        rules = {name: msgspec.structs.replace(one, timeout=10.0) for name, one in rules_of(context.settings).items()}
        lookups = lookups_of(rules, context.home, context.clock)
        live = {at: load(at, digest, context.bundles, None, lookups) for at, digest in shop.bundles.items()}
        arms = (Arm("canary", 2, 0.0), Arm("champion", 1, 1.0))
        part = live[2].features
        self.model = LiveModel("spend", ModelRoute(arms, {}), live, part is None, live[2].lookups if part else None)

    def ask(self, rows: Sequence[Mapping[str, Any]]) -> list[list[Prediction] | str]:
        """For each row its records, in order; why it was refused."""
        return asyncio.run(self._ask(rows))

    async def _ask(self, rows: Sequence[Mapping[str, Any]]) -> list[list[Prediction] | str]:
        found: list[list[Prediction] | str] = []
        for place, row in enumerate(rows):
            before = len(self.log.kept_predictions)
            ask = Ask(f"r{place}", f"r{place}", 900.0, Raw(msgspec.json.encode(row)), "features")
            arrival = Arrival(1000.0, self.serving.clock.monotonic())
            try:
                await answered(self.serving, self.model, [ask], arrival, [Route(2, BATCH, 1.0)])
            except ContractError as error:
                found.append(error.line)
                continue
            except ModelFailed:
                pass  # the log has it
            found.append(self.log.kept_predictions[before:])
        return found


def _put(home: Path, contract: Contract, code: str) -> tuple[Manifest, str]:
    draft = home / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "model").mkdir(parents=True)
    (draft / "model" / "scorer.py").write_text(code)
    row: dict[str, Any] = {"amount": 1.0, "basket": None, "tier": "", "member": True}
    times = 10.0 if "10 *" in code else 2.0
    (draft / GOLDEN).write_bytes(msgspec.json.encode(Golden((row,), ((times,),))))
    manifest = Manifest(
        name="spend",
        contract=contract,
        model_format="python",
        model_entry="model/scorer.py",
        served="model/scorer.py",
        files={path: file_sha256(draft / path) for path in ("model/scorer.py", GOLDEN)},
        lineage=Lineage(dataset="made", dataset_digest="0" * 64, rows=1),
        model_call="answer",
    )
    return manifest, BundleFolder(home / "bundles", ("python",)).put(draft, manifest)
