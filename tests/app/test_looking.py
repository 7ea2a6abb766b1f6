"""Real workers that look features up in a store that Feast wrote: SQLite as it is checked in, and Valkey."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from fairlead.adapters.bundle_folder import BundleFolder, file_sha256
from fairlead.adapters.features.feast_plan import plan_path
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.app import looking
from fairlead.app.supervisor import Supervisor
from fairlead.config.features import FeatureSettings
from fairlead.config.fields import Duration
from fairlead.config.models import ModelSettings
from fairlead.config.settings import Settings
from fairlead.core.bundle import GOLDEN, Golden, Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.lookup import Unavailable, Unknown
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.testing.brokers import Broker, start_valkey

FEAST = Path(__file__).parents[1] / "adapters" / "features" / "feast"
CONTRACT = Contract(
    (
        Feature("amount", Kind.NUMBER),
        Feature("basket", Kind.NUMBER, nullable=True, fill=5.0),
        Feature("tier", Kind.CATEGORY, categories=("", "gold", "new", "ny kunde"), fill="new"),
        Feature("member", Kind.BOOLEAN, nullable=True, fill=False),
    ),
    Task.REGRESSION,
    "spent",
    unit="customer_id",
)
CODE = "def answer(records): return [r['amount'] + (r['basket'] or 0) + len(r['tier']) * 1000 for r in records]"
GOLD: dict[str, Any] = {"amount": 1.0, "customer_id": 1}


class Shop:
    """A home with a model of which three features are looked up, and a worker."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.repo = home / "repo"
        shutil.copytree(FEAST / "repo", self.repo)
        (self.repo / "data").mkdir()
        shutil.copyfile(FEAST / "online.db", self.repo / "data" / "online.db")
        plan_path(home, "spend").parent.mkdir()
        shutil.copyfile(FEAST / "loyal.json", plan_path(home, "spend"))
        self.supervisor: Supervisor | None = None
        draft = home / "draft"
        (draft / "model").mkdir(parents=True)
        (draft / "model" / "scorer.py").write_text(CODE)
        row = {"amount": 1.0, "basket": None, "tier": "gold", "member": True}
        (draft / GOLDEN).write_bytes(msgspec.json.encode(Golden((row,), ((4001.0,),))))
        manifest = Manifest(
            name="spend",
            contract=CONTRACT,
            model_format="python",
            model_entry="model/scorer.py",
            served="model/scorer.py",
            files={path: file_sha256(draft / path) for path in ("model/scorer.py", GOLDEN)},
            lineage=Lineage(dataset="made", dataset_digest="0" * 64, rows=1),
            model_call="answer",
        )
        digest = BundleFolder(home / "bundles").put(draft, manifest)
        self.table = RouteTable(1, {"spend": ModelRoute((Arm("champion", 1, 1.0),), {1: digest})})

    def start(self, publish: Callable[[RouteTable], object], **changes: Any) -> httpx.Client:
        """Starts a worker by the settings, and waits for it."""
        said = FeatureSettings(repo=str(self.repo), entity="customer_id", service="loyal", timeout=Duration(5.0))
        settings = Settings(models={"spend": ModelSettings(features=msgspec.structs.replace(said, **changes))})
        publish(self.table)
        options = ["--trust=python", *looking.hand_down(settings)]
        self.supervisor = Supervisor(self.home, "127.0.0.1", 0, 1, "batch", lambda *_: None, options)
        self.supervisor.start()
        return httpx.Client(base_url=f"http://127.0.0.1:{self.supervisor.port}", timeout=20.0)

    def logged(self) -> list[dict[str, Any]]:
        """The features of what was logged."""
        return [msgspec.json.decode(one.features) for one in SegmentReader(self.home / "log").poll()[0]]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop; its worker is stopped."""
    made = Shop(tmp_path)
    yield made
    if made.supervisor is not None:
        made.supervisor.stop()


@pytest.fixture
def start(shop: Shop, home: Any) -> Callable[..., httpx.Client]:
    """Starts the shop's worker; it answers when this returns."""

    def started(**changes: Any) -> httpx.Client:
        http = shop.start(home.board.publish, **changes)
        home.wait(lambda: _ready(http))
        home.wait(lambda: "spend" in http.get("/health").json()["models"])
        return http

    return started


def _ready(http: httpx.Client) -> bool:
    try:
        return http.get("/v2/health/ready").status_code == 200
    except httpx.HTTPError:
        return False


def ask(http: httpx.Client, **body: Any) -> httpx.Response:
    """One native request."""
    return http.post("/v1/models/spend/predict", json=body)


def counts(http: httpx.Client) -> dict[str, int]:
    """The look-ups by outcome, but for zeros."""
    lines = [
        line for line in http.get("/metrics").text.splitlines() if line.startswith("fairlead_feature_lookups_total{")
    ]
    found = {line.partition('outcome="')[2].partition('"')[0]: int(line.rpartition(" ")[2]) for line in lines}
    assert all('model_name="spend",source="feast"' in line for line in lines)
    return {outcome: count for outcome, count in found.items() if count}


def test_every_protocol_looks_up_and_logs_what_the_model_saw(shop: Shop, start: Callable[..., httpx.Client]) -> None:
    """A request names its entity; answers, descriptions and the log are as if it had brought the rest."""
    with closing(start()) as http:
        answer = ask(http, features=GOLD).json()
        assert answer["prediction"] == pytest.approx(1.0 + 22.25 + 4000)
        by_unit = ask(http, features={"amount": 1.0}, unit_id=1).json()
        assert by_unit["prediction"] == answer["prediction"]
        batch = ask(http, instances=[GOLD, {"amount": 2.0, "customer_id": 2}, {"amount": 3.0, "customer_id": 1}]).json()
        assert [one["prediction"] for one in batch["predictions"]] == pytest.approx([4023.25, 8002.0, 4025.25])
        inputs = [
            {"name": "amount", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]},
            {"name": "customer_id", "shape": [2], "datatype": "INT64", "data": [1, 2]},
        ]
        tensors = http.post("/v2/models/spend/infer", json={"inputs": inputs}).json()
        assert tensors["outputs"][0]["data"] == pytest.approx([4023.25, 8002.0])
        split = {"dataframe_split": {"columns": ["amount", "customer_id"], "data": [[1.0, 1], [2.0, 2]]}}
        assert http.post("/invocations", json=split).json()["predictions"] == pytest.approx([4023.25, 8002.0])
        csv = http.post("/invocations", content="amount,customer_id\n1.0,1\n", headers={"content-type": "text/csv"})
        assert csv.json()["predictions"] == pytest.approx([4023.25])
        assert [one["name"] for one in http.get("/v2/models/spend").json()["inputs"]] == ["amount", "customer_id"]
        described = http.get("/openapi.json").text
        assert "customer_id" in described
        assert "basket" not in described
        assert counts(http) == {"found": 9}
        assert "fairlead_feature_lookup_seconds_count" in http.get("/metrics").text
    logged = shop.logged()
    assert logged[0] == {"amount": 1.0, "basket": 22.25, "tier": "gold", "member": True}
    assert len(logged) == 10
    assert all(set(row) == {"amount", "basket", "tier", "member"} for row in logged)


def test_what_a_caller_does_wrongly_is_told(shop: Shop, start: Callable[..., httpx.Client]) -> None:
    """Each a 4xx with the field's path; nothing of it is logged."""
    with closing(start()) as http:
        for features, path, said in (
            ({"amount": 1.0}, "features.customer_id", "came nothing"),
            ({"amount": 1.0, "customer_id": "1"}, "features.customer_id", "expected an integer"),
            ({"amount": 1.0, "customer_id": 99}, "features.customer_id", "nothing is known of customer_id 99 (basket)"),
            ({**GOLD, "tier": "gold"}, "features.tier", "is looked up by customer_id: leave it out"),
            ({**GOLD, "amount": "x"}, "features.amount", "expected a number"),
            ({**GOLD, "colour": "x"}, "features.colour", "no such feature"),
            ([1], "features", "expected an object"),
        ):
            refused = ask(http, features=features)
            assert (refused.status_code, refused.json()["path"]) == (422, path)
            assert said in refused.json()["error"]
        tensor = {"name": "customer_id", "shape": [1], "datatype": "INT64", "data": [99]}
        amount = {"name": "amount", "shape": [1], "datatype": "FP64", "data": [1.0]}
        refused = http.post("/v2/models/spend/infer", json={"inputs": [amount, tensor]})
        assert (refused.status_code, refused.json()["path"]) == (400, "inputs.customer_id")
        refused = http.post("/invocations", json={"dataframe_records": [{"amount": 1.0, "customer_id": 99}]})
        assert (refused.status_code, refused.json()["path"]) == (400, "dataframe_records[0].customer_id")
        batch = ask(http, instances=[GOLD, {"amount": 1.0, "customer_id": 99}])
        assert (batch.status_code, batch.json()["path"]) == (422, "instances[1].customer_id")
    assert shop.logged() == []


def test_a_missing_entity_may_be_made_up(shop: Shop, start: Callable[..., httpx.Client]) -> None:
    """By the contract's fill, which is what the log has; a caller may bring values where that is allowed."""
    with closing(start(missing=Unknown.IMPUTE, override=True)) as http:
        assert ask(http, features={"amount": 1.0, "customer_id": 99}).json()["prediction"] == pytest.approx(3006.0)
        assert ask(http, features={**GOLD, "tier": ""}).json()["prediction"] == pytest.approx(23.25)
    assert shop.logged() == [
        {"amount": 1.0, "basket": 5.0, "tier": "new", "member": False},
        {"amount": 1.0, "tier": "", "basket": 22.25, "member": True},
    ]


def test_a_locked_store_costs_the_time_that_it_may(shop: Shop, start: Callable[..., httpx.Client], home: Any) -> None:
    """A writer holds it: 503 and when to come back; then it goes on."""
    with closing(start(timeout=Duration(0.2))) as http:
        writer = sqlite3.connect(shop.repo / "data" / "online.db", isolation_level=None)
        writer.execute("BEGIN EXCLUSIVE")
        late = ask(http, features=GOLD)
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
        assert "feature store" in late.json()["error"]
        writer.execute("ROLLBACK")
        writer.close()
        statuses = [late.status_code]

        def answered() -> bool:
            statuses.append(ask(http, features=GOLD).status_code)
            return statuses[-1] == 200

        home.wait(answered)
        assert counts(http) == {"slow": statuses.count(503), "found": 1}
    assert len(shop.logged()) == 1


def test_without_a_plan_the_model_is_not_served_and_says_why(shop: Shop, home: Any) -> None:
    """The worker's report names the command; once the plan is there, the model is served."""
    plan = plan_path(shop.home, "spend")
    aside = plan.rename(plan.with_suffix(".aside"))
    with closing(shop.start(home.board.publish)) as http:
        home.wait(lambda: any(state.error for state in home.board.workers()))
        assert "run `fairlead features plan spend`" in home.board.workers()[0].error
        health = http.get("/health").json()
        assert (health["status"], health["models"]) == ("degraded", {})
        assert "run `fairlead features plan spend`" in health["errors"]["spend"]
        aside.rename(plan)
        home.wait(lambda: _ready(http) and "spend" in http.get("/health").json()["models"])
        assert http.get("/health").json()["errors"] == {}
        assert ask(http, features=GOLD).status_code == 200


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Broker]:
    """A real Valkey with what Feast wrote."""
    from redis import Redis

    folder = tmp_path / "valkey"
    folder.mkdir()
    server = start_valkey(folder)
    host, _, port = server.host.partition(":")
    with Redis(host, int(port)) as client:
        held = msgspec.json.decode((FEAST / "redis.json").read_bytes())
        for key, fields in held.items():
            mapping: dict[Any, Any] = {bytes.fromhex(name): bytes.fromhex(data) for name, data in fields.items()}
            client.execute_command("HSET", bytes.fromhex(key), *(part for pair in mapping.items() for part in pair))
    yield server
    server.stop()


def test_a_store_that_hangs_dies_and_comes_back(
    shop: Shop, start: Callable[..., httpx.Client], valkey: Broker, home: Any
) -> None:
    """Slow, down and well again: each has its policy, each is counted, and nobody waits longer than he may."""
    config = shop.repo / "feature_store.yaml"
    sqlite = "  type: sqlite\n  path: data/online.db\n"
    config.write_text(config.read_text().replace(sqlite, f"  type: redis\n  connection_string: {valkey.host}\n"))
    slow = 0

    def asked() -> httpx.Response:
        nonlocal slow
        answer = ask(http, features=GOLD)
        slow += answer.status_code == 503
        return answer

    with closing(start(timeout=Duration(1.0), slow=Unavailable.REFUSE, down=Unavailable.IMPUTE)) as http:
        home.wait(lambda: asked().json().get("prediction") == pytest.approx(4023.25))
        valkey.pause()
        late = asked()
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
        assert "did not answer within 1000 ms" in late.json()["error"]
        valkey.resume()
        home.wait(lambda: asked().json().get("prediction") == pytest.approx(4023.25))
        valkey.stop()
        assert asked().json()["prediction"] == pytest.approx(3006.0)
        found = counts(http)
        assert (found["slow"], found["down"]) == (slow, 1)
        valkey.start()
        home.wait(lambda: asked().json().get("prediction") == pytest.approx(4023.25))
