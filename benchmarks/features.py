"""What features cost a request: computed by code of the bundle, or looked up in Feast's SQLite store.

CPU time of this process, median of alternating rounds, in microseconds: a feature function over a row as a dict, and as
a table of one row, which is what decided its signature; a model with and without its function; a look-up as the gateway
reads the store, alone and with all that a request does for it, against Feast's own `get_online_features` over the same
file, run beside it in Feast's own environment (built by scripts/feast.sh). Then a worker's CPU time per request over
HTTP, with the features in the request, looked up, and kept.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from msgspec import Raw

from benchmarks.features_peer import CUSTOMERS, FEATURES, MANY, per_call
from fairlead.adapters.bundle_folder import BundleFolder, file_sha256
from fairlead.adapters.features.code import PackagedFeatures
from fairlead.adapters.features.feast_open import open_online
from fairlead.adapters.features.feast_plan import plan_path, write_plan
from fairlead.adapters.features.feast_runner import FeastAsked, plan_of
from fairlead.adapters.route_file import RouteFile
from fairlead.adapters.system_clock import SystemClock
from fairlead.app import looking
from fairlead.app.supervisor import Supervisor
from fairlead.config.features import FeatureSettings
from fairlead.config.fields import Duration
from fairlead.config.models import ModelSettings
from fairlead.config.settings import Settings
from fairlead.core.bundle import GOLDEN, FeatureCode, Golden, Lineage, Manifest, Parity
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.lookup import LookupRules
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.flows.lookups import Lookups

ROOT = Path(__file__).parents[1]
NAMES = tuple(f"f{at}" for at in range(FEATURES))
CONTRACT = Contract(
    (Feature("amount", Kind.NUMBER), *(Feature(name, Kind.NUMBER) for name in NAMES)), Task.REGRESSION, "y"
)
MODEL = "def answer(rows): return [row[0] + row[1] for row in rows]"
CODE = """
import math

def features(row):
    nights = row["week"] + row["weekend"]
    return {"nights": nights, "per_night": row["adr"] / max(1, nights), "logged": math.log1p(row["lead"])}
"""
ROW = {"week": 3, "weekend": 2, "adr": 250.0, "lead": 14.0}


def table_functions() -> dict[str, Callable[[], Any]]:
    """The same features of one row: as a dict, and as a table of three libraries; each begins with the dict."""

    def pandas() -> Any:
        table = pd.DataFrame([ROW])
        nights = table.week + table.weekend
        made = {"nights": nights, "per_night": table.adr / nights.clip(lower=1), "logged": np.log1p(table.lead)}
        return table.assign(**made).to_dict("records")

    def polars() -> Any:
        nights = pl.col("week") + pl.col("weekend")
        table = pl.DataFrame([ROW]).with_columns(nights.alias("nights"), pl.col("lead").log1p().alias("logged"))
        return table.with_columns((pl.col("adr") / pl.max_horizontal("nights", 1)).alias("per_night")).to_dicts()

    def arrow() -> Any:
        table = pa.Table.from_pylist([ROW])
        (row,) = table.to_pylist()
        nights = row["week"] + row["weekend"]
        columns = {"nights": nights, "per_night": row["adr"] / max(1, nights), "logged": math.log1p(row["lead"])}
        for name, cell in columns.items():
            table = table.append_column(name, pa.array([cell]))
        return table.to_pylist()

    source = PackagedFeatures(Path("features.py"), {"__init__.py": CODE.encode()}, "features")
    return {
        "a dict (the function of a bundle)": lambda: source.features([ROW]),
        "pandas": pandas,
        "polars": polars,
        "Arrow, in and out alone": arrow,
    }


class Plain:
    """A model that costs next to nothing."""

    def predict(self, rows: Any) -> Any:
        """Its first number."""
        return np.array([[row[0]] for row in rows], np.float64)


def models() -> dict[str, Callable[[], Any]]:
    """A model that is asked for a row as it came, and one behind a function."""
    from fairlead.adapters.features.code import BundledFeatures

    seen = tuple(Feature(name, Kind.NUMBER) for name in ("nights", "per_night", "logged"))
    code = FeatureCode("features/f.py", "features", ("nights", "per_night", "logged"), seen, Parity(1, 0.0, 1e-6))
    source = BundledFeatures(Path("features.py"), {"__init__.py": CODE.encode()}, code)
    contract = Contract(tuple(Feature(name, Kind.NUMBER) for name in ROW), Task.REGRESSION, "y")
    behind, row = source.before(lambda _: Plain(), contract), tuple(ROW.values())
    plain = Plain()
    return {"the model alone": lambda: plain.predict([row]), "behind its function": lambda: behind.predict([row])}


def measured(cases: Mapping[str, Callable[[], Any]], rounds: int, seconds: float) -> dict[str, float]:
    """The median CPU time of each case, in alternating rounds."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, work in cases.items():
            taken[name].append(per_call(work, seconds))
    return {name: median(values) for name, values in taken.items()}


def lookups(repo: Path, plan: Path) -> dict[str, Callable[[], Any]]:
    """Look-ups as the gateway does them: the store alone, and a request's whole part."""
    rules = LookupRules(str(repo), ("customer_id",), 1.0)
    source = open_online(plan, rules, time.time)
    rows = [{"customer_id": at} for at in range(MANY)]
    loop = asyncio.new_event_loop()
    whole = {
        kept: Lookups("m", msgspec.structs.replace(rules, cache=kept), lambda: source, SystemClock())
        for kept in (0.0, 60.0)
    }
    text = Raw(b'{"amount": 1.0, "customer_id": 7}')

    def request(kept: float) -> Callable[[], Any]:
        asked = whole[kept]
        part = asked.of(CONTRACT)
        assert part is not None

        async def answered() -> Raw:
            wanted = asked.read(part, text, None, "features")
            assert wanted is not None
            assert wanted.key is not None
            return asked.write(part, wanted, await asked.find([wanted.key]))

        return lambda: loop.run_until_complete(answered())

    return {
        "one entity, the store": lambda: source.features(rows[:1]),
        f"{MANY} entities, the store": lambda: source.features(rows),
        "one entity, all of a request's part": request(0.0),
        "one entity, kept from before": request(60.0),
    }


def put_model(home: Path) -> str:
    """A bundle of the plainest model over the features."""
    draft = home / "draft"
    (draft / "model").mkdir(parents=True)
    (draft / "model" / "scorer.py").write_text(MODEL)
    row: dict[str, Any] = {"amount": 1.0, **dict.fromkeys(NAMES, 0.5)}
    (draft / GOLDEN).write_bytes(msgspec.json.encode(Golden((row,), ((1.5,),))))
    files = {path: file_sha256(draft / path) for path in ("model/scorer.py", GOLDEN)}
    lineage = Lineage(dataset="made", dataset_digest="0" * 64, rows=1)
    manifest = Manifest("m", CONTRACT, "python", "model/scorer.py", "model/scorer.py", files, lineage)
    return BundleFolder(home / "bundles").put(draft, msgspec.structs.replace(manifest, model_call="answer"))


class Served:
    """A worker and a connection to it."""

    def __init__(self, home: Path, plan: Path, settings: FeatureSettings | None) -> None:
        table = RouteTable(1, {"m": ModelRoute((Arm("champion", 1, 1.0),), {1: put_model(home)})})
        RouteFile(home / "routes").publish(table)
        plan_path(home, "m").parent.mkdir()
        shutil.copyfile(plan, plan_path(home, "m"))
        options = ["--trust=python", *looking.hand_down(Settings(models={"m": ModelSettings(features=settings)}))]
        self.supervisor = Supervisor(home, "127.0.0.1", 0, 1, "batch", lambda *_: None, options)
        self.supervisor.start()
        brought = {} if settings is not None else dict.fromkeys(NAMES, 0.5)
        key = {"customer_id": 0} if settings is not None else {}
        self.bodies = [
            json.dumps({"features": {"amount": 1.0, **brought, **dict.fromkeys(key, at)}}) for at in range(CUSTOMERS)
        ]
        self.connection = http.client.HTTPConnection("127.0.0.1", self.supervisor.port, timeout=30)
        deadline = time.monotonic() + 60
        while self.ask(0) != 200:
            assert time.monotonic() < deadline, "the worker does not answer"
            time.sleep(0.05)

    def ask(self, at: int) -> int:
        """One request; its status."""
        try:
            self.connection.request(
                "POST", "/v1/models/m/predict", self.bodies[at % CUSTOMERS], {"content-type": "application/json"}
            )
            response = self.connection.getresponse()
            response.read()
        except OSError:
            self.connection.close()
            return 0
        return response.status

    def per_request(self, requests: int) -> float:
        """The worker's CPU time per request, in microseconds."""
        before = self.cpu()
        for at in range(requests):
            assert self.ask(at) == 200
        return (self.cpu() - before) / requests * 1e6

    def cpu(self) -> float:
        """The worker's CPU seconds so far, to the microsecond, all threads together."""
        (pid,) = self.supervisor.pids().values()
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def served(repo: Path, plan: Path, rounds: int, requests: int) -> dict[str, float]:
    """A worker's CPU time per request, in alternating rounds."""
    said = FeatureSettings(repo=str(repo), entity="customer_id", service="all", timeout=Duration(5.0))
    cases = {
        "the request brings them": None,
        "looked up": said,
        "kept for a minute": msgspec.structs.replace(said, cache=Duration(60.0)),
    }
    with tempfile.TemporaryDirectory() as folder:
        workers = {name: Served(Path(folder) / str(at), plan, one) for at, (name, one) in enumerate(cases.items())}
        try:
            taken: dict[str, list[float]] = {name: [] for name in cases}
            for turn in range(rounds + 1):
                for name, worker in workers.items():
                    spent = worker.per_request(requests)
                    if turn:  # the first fills what is kept
                        taken[name].append(spent)
        finally:
            for worker in workers.values():
                worker.connection.close()
                worker.supervisor.stop()
    return {name: median(values) for name, values in taken.items()}


def show(title: str, found: Mapping[str, float], base: str) -> None:
    """A small table, each row beside its ratio to one of them."""
    print(f"\n{title}")
    for name, value in found.items():
        print(f"  {name:<44}{value:>10.1f} us{value / found[base]:>10.2f}x")


def main() -> None:
    """Measures all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each case in each round")
    parser.add_argument("--requests", type=int, default=2_000, help="of each worker in each round")
    chosen = parser.parse_args()
    functions = measured(table_functions(), chosen.rounds, chosen.seconds)
    show("A feature function of one row", functions, next(iter(functions)))
    show("A model", measured(models(), chosen.rounds, chosen.seconds), "the model alone")
    python = subprocess.run(
        ["sh", str(ROOT / "scripts" / "feast.sh")], capture_output=True, text=True, check=True
    ).stdout.strip()
    peer = [python, str(Path(__file__).with_name("features_peer.py"))]
    with tempfile.TemporaryDirectory() as folder:
        repo, plan = Path(folder) / "repo", Path(folder) / "m.json"
        subprocess.run([*peer, str(repo), "build"], check=True, capture_output=True)
        write_plan(plan, plan_of(FeastAsked(str(repo), "all", python=python)))
        ours = measured(lookups(repo, plan), chosen.rounds, chosen.seconds)
        said = subprocess.run([*peer, str(repo), "look"], check=True, capture_output=True, text=True).stderr
        feast = json.loads(said[said.rindex("{") :])
        one, many = (name for name in ours if name.endswith("the store"))
        whole = {**ours, "Feast, one entity": feast["one"], f"Feast, {MANY} entities": feast["many"]}
        show(f"A look-up of {FEATURES} features in Feast's SQLite store", whole, one)
        ratios = feast["one"] / ours[one], feast["many"] / ours[many]
        print(f"  Feast / the gateway: {ratios[0]:.1f}x for one, {ratios[1]:.1f}x for {MANY}")
        requests = served(repo, plan, chosen.rounds, chosen.requests)
    show("A request over HTTP, CPU time of its worker", requests, "the request brings them")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
