"""A stream over a real broker whose features are looked up, and whose version may not or cannot answer each message."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.features.feast_plan import plan_path
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.app.compose import open_context
from fairlead.core.bundle import GOLDEN, Golden, Lineage, Manifest
from fairlead.core.contract import Contract, DefaultAnswer, Feature, Kind, Policy, Task
from fairlead.core.record import Prediction
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.faces.cli.app import build, run
from fairlead.operations.context import Context
from fairlead.operations.streaming_inference import Said, Streamed, Streaming, StreamingAsked
from fairlead.testing.postgres import PostgresServer
from fairlead.testing.registry import MemoryRegistry

Line = Any  # the fixtures' values: see conftest
FEAST = Path(__file__).parents[2] / "adapters" / "features" / "feast"
CONTRACT = Contract(
    (
        Feature("amount", Kind.NUMBER, maximum=100.0, out_of_range=Policy.FALLBACK),
        Feature("basket", Kind.NUMBER, nullable=True),
        Feature("tier", Kind.CATEGORY, categories=("", "gold", "new", "ny kunde")),
    ),
    Task.REGRESSION,
    "spent",
    unit="customer_id",
    default=DefaultAnswer(7.0),
)
CODE = "def answer(records): return [r['amount'] / (r['amount'] != 13) + len(r['tier']) for r in records]"
SETTINGS = """
trust: [python]
models:
  spend:
    on_failure: default
    contract: {{default: {{prediction: 7.0}}}}
    features: {{repo: {repo}, entity: customer_id, service: loyal}}
"""


class Shop:
    """A home whose model fails on an amount of 13, and looks the tier up."""

    def __init__(self, home: Path, database: str = "") -> None:
        self.home = home
        repo = home / "repo"
        shutil.copytree(FEAST / "repo", repo)
        (repo / "data").mkdir()
        shutil.copyfile(FEAST / "online.db", repo / "data" / "online.db")
        plan_path(home, "spend").parent.mkdir()
        shutil.copyfile(FEAST / "loyal.json", plan_path(home, "spend"))
        config = home / "fairlead.yaml"
        config.write_text(SETTINGS.format(repo=repo) + (f"database: {database}\n" if database else ""))
        draft = home / "draft"
        (draft / "model").mkdir(parents=True)
        row = {"amount": 1.0, "basket": None, "tier": "gold"}
        files = {
            "model/scorer.py": CODE.encode(),
            GOLDEN: msgspec.json.encode(Golden((row,), ((5.0,),))),
        }
        for path, content in files.items():
            (draft / path).write_bytes(content)
        manifest = Manifest(
            name="spend",
            contract=CONTRACT,
            model_format="python",
            model_entry="model/scorer.py",
            served="model/scorer.py",
            files={path: sha256(content).hexdigest() for path, content in files.items()},
            lineage=Lineage(dataset="made", dataset_digest="0" * 64, rows=1),
            model_call="answer",
        )
        bundles = BundleFolder(home / "bundles", ["python"])
        digest = bundles.put(draft, manifest)
        registry = MemoryRegistry()
        registry.register(manifest, digest, bundles.path(digest))
        self.context: Context = replace(open_context(home, config), open_registry=lambda: registry)
        self.context.board.publish(RouteTable(1, {"spend": ModelRoute((Arm("champion", 1, 1.0),), {1: digest})}))

    def drain(self, line: Line, model: str = "spend", group: str = "one") -> Streamed:
        """Answers what is on a line."""
        source = f"{line.source}&group={group}"
        asked = StreamingAsked(model, source, f"{line.sink}-{group}", wait=0.2, until_empty=True)

        async def work() -> Streamed:
            async with asyncio.timeout(240):
                return await Streaming(self.context, asked, {}).run(Said(lambda _: None))

        return asyncio.run(work())

    def follow(self, line: Line, beside: Callable[[Streaming], Any]) -> Streamed:
        """Answers until what is beside it stops it."""

        async def work() -> Streamed:
            streaming = Streaming(self.context, StreamingAsked("spend", line.source, line.sink, wait=0.2), {})
            task = asyncio.create_task(beside(streaming))
            async with asyncio.timeout(240):
                found = await streaming.run(Said(lambda _: None))
            await task
            return found

        return asyncio.run(work())

    def logged(self) -> list[Prediction]:
        """The log."""
        return SegmentReader(self.home / "log").poll()[0]


@pytest.fixture
def open_shop(tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    """Opens a shop, and closes its journal."""
    opened: list[Shop] = []

    def start(database: str = "") -> Shop:
        (tmp_path / "home").mkdir()
        opened.append(Shop(tmp_path / "home", database))
        return opened[-1]

    yield start
    for one in opened:
        if isinstance(one.context.journal, SqliteJournal):
            one.context.journal.close()


def ask(request_id: str, **features: Any) -> bytes:
    """A request."""
    return json.dumps({"features": features, "request_id": request_id}).encode()


MESSAGES = [
    ask("good", amount=1.0, customer_id=1),
    ask("odd", amount=500.0, customer_id=1),
    ask("fails", amount=13.0, customer_id=1),
    ask("nobody", amount=1.0, customer_id=999_999),
    ask("own", amount=1.0, customer_id=1, tier="new"),
]


def test_a_stream_answers_by_the_settings_as_a_worker_does(
    open_shop: Callable[..., Shop], open_line: Callable[[str], Line]
) -> None:
    """Features are looked up; what the version may not or cannot answer has the default; what nothing is known of, or
    brings what is looked up, is buried. The stream that has ended is no worker that fell silent."""
    shop, line = open_shop(), open_line("redis")
    line.put(MESSAGES)
    found = shop.drain(line)
    answers = {one["request_id"]: one for one in map(json.loads, line.read("answers-one"))}
    assert {name: one["prediction"] for name, one in answers.items()} == {"good": 5.0, "odd": 7.0, "fails": 7.0}
    assert {name: one.get("fallback") for name, one in answers.items()} == {
        "good": None, "odd": "default", "fails": "default"}  # fmt: skip
    assert answers["odd"]["path"] == "features.amount"
    letters = {one["request_id"]: one for one in map(json.loads, line.read("answers-one.dead"))}
    assert {name: one["path"] for name, one in letters.items()} == {
        "nobody": "features.customer_id", "own": "features.tier"}  # fmt: skip
    assert (found.answered, found.fell_back, found.dead, found.failed, found.lag) == (3, 2, 2, 0, 0)
    assert sorted((one.request_id, one.arm, one.status) for one in shop.logged()) == [
        ("fails", "champion", 500),
        ("fails", "fallback", 200),
        ("good", "champion", 200),
        ("odd", "fallback", 200),
    ]
    assert shop.context.board.workers() == ()


def test_a_person_is_told_that_answers_fell_back(
    open_shop: Callable[..., Shop], open_line: Callable[[str], Line], capsys: pytest.CaptureFixture[str]
) -> None:
    """How many, and where it says why."""
    shop, line = open_shop(), open_line("redis")
    line.put(MESSAGES[:3])
    given = ["--home", str(shop.home), "--config", str(shop.home / "fairlead.yaml"), "stream", "spend"]
    assert run(build(open_context, "0"), [*given, "--from", line.source, "--to", line.sink, "--until-empty"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "spend answered 3 messages of" in told
    assert "fell back: 2 of them, see `fallback` and `reason` in their answers" in told


def test_a_version_that_is_named_looks_up_and_has_no_stand_in(
    open_shop: Callable[..., Shop], open_line: Callable[[str], Line]
) -> None:
    """It answers by itself alone."""
    shop, line = open_shop(), open_line("redis")
    line.put(MESSAGES[:3])
    found = shop.drain(line, "spend@1")
    assert [json.loads(body)["prediction"] for body in line.read("answers-one")] == [5.0]
    statuses = {one["request_id"]: one["status"] for one in map(json.loads, line.read("answers-one.dead"))}
    assert statuses == {"odd": 422, "fails": 500}
    assert (found.answered, found.fell_back, found.dead, found.failed) == (1, 0, 2, 1)


def test_a_stream_that_ended_is_not_missed_on_a_database(
    open_shop: Callable[..., Shop], open_line: Callable[[str], Line], postgres: PostgresServer
) -> None:
    """Its report was there while it ran, and is taken back."""
    shop, line = open_shop(postgres.create()), open_line("redis")
    line.put(MESSAGES[:1])
    seen: list[int] = []
    board = shop.context.board

    async def look(streaming: Streaming) -> None:
        while not seen or not await asyncio.to_thread(line.answers):  # the report may come before the first answer
            seen[:] = seen or [one.worker for one in board.workers()]
            await asyncio.sleep(0.02)
        streaming.stop()

    assert shop.follow(line, look).answered == 1
    assert seen == [9000]
    assert board.workers() == ()
