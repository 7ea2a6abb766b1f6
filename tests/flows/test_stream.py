"""read -> judge -> predict -> log -> publish -> acknowledge."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.admission import Limits
from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Policy, Task
from fairlead.core.decode import OutputReader, Row, RowDecoder
from fairlead.core.pace import Pace
from fairlead.core.record import Prediction
from fairlead.core.route import Arm, ModelRoute, choose
from fairlead.core.stream_message import LARGEST, write_answer
from fairlead.errors import StateError, UsageError
from fairlead.flows.dealing import dealt
from fairlead.flows.serve import Serving
from fairlead.flows.stream import Ends, Stream, Terms
from fairlead.flows.stream_log import KeptLog
from fairlead.flows.tally import Tally
from fairlead.flows.warm import Live, LiveModel, LiveVersion
from fairlead.ports.predictor import Predictor
from fairlead.testing.clock import ManualClock
from fairlead.testing.log import MemoryLog, make_prediction
from fairlead.testing.stream import MemoryAnswers, MemoryStream

CONTRACT = Contract(
    (Feature("age", Kind.NUMBER, minimum=0.0, maximum=120.0, out_of_range=Policy.REJECT),), Task.REGRESSION, "value"
)


class Doubles:
    """Answers twice the age, and fails above 100. It notes how many rows came at a time."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def predict(self, rows: Sequence[Row]) -> Any:
        """Answers rows."""
        self.sizes.append(len(rows))
        if any(row[0] is not None and float(row[0]) > 100 for row in rows):
            raise ValueError("too old")
        return np.array([[2.0 * float(row[0] or 0.0)] for row in rows])


def version(number: int, predictor: Predictor, pace: Pace | None = None) -> LiveVersion:
    """A version with the model of this file."""
    manifest = Manifest("m", CONTRACT, "onnx", "m", "m", {}, Lineage("made", "0" * 64, 1))
    reader = OutputReader(CONTRACT, 0.5)
    pays = Pace(0.0001, ((64, 0.0002),))
    return LiveVersion(number, str(number) * 8, manifest, RowDecoder(CONTRACT), reader, predictor, pace or pays)


class Bench:
    """A stream between brokers in memory."""

    def __init__(self, bodies: Sequence[bytes], pace: Pace | None = None, **terms: Any) -> None:
        self.source, self.sink, self.dead = MemoryStream(bodies), MemoryStream(), MemoryStream()
        self.before, self.log, self.said = MemoryAnswers(), MemoryLog(), list[str]()
        self.model = Doubles()
        self.pace = pace
        self.limits: dict[str, Limits] = {}
        self.terms = terms
        self.make()

    def make(self) -> None:
        """A new process over the same brokers and log."""
        kept = KeptLog(self.log)
        self.serving = Serving(kept, ManualClock(), Tally(), self.limits)
        self.route({1: 1.0})
        terms = Terms("m", dealt, until_empty=True, **self.terms)
        ends = Ends(self.source, self.sink, self.dead, self.before)
        self.stream = Stream(ends, terms, self.serving, kept, self.said.append)

    def route(self, shares: dict[int, float]) -> None:
        """Serves versions by their shares, the last as the champion."""
        arms = tuple(Arm(f"arm{number}", number, share) for number, share in shares.items())
        versions = {number: version(number, self.model, self.pace) for number in shares}
        route = ModelRoute(arms, {number: live.digest for number, live in versions.items()})
        quick = all(live.pace.is_quick for live in versions.values())
        self.serving.live = Live(1, {"m": LiveModel("m", route, versions, quick)})

    def run(self, *beside: Callable[[], Any]) -> None:
        """Runs to the end, with tasks beside it."""

        async def work() -> None:
            tasks = [asyncio.create_task(one()) for one in beside]
            async with asyncio.timeout(60):
                await self.stream.run()
            for task in tasks:
                await task

        asyncio.run(work())

    def answers(self) -> dict[str, Any]:
        """The sink's answers by request id."""
        return {one["request_id"]: one for one in (json.loads(kept.body) for kept in self.sink.kept)}

    def letters(self) -> list[dict[str, Any]]:
        """The dead letters."""
        return [json.loads(kept.body) for kept in self.dead.kept]


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that tells nobody."""
    while not condition():  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.01)


def ask(age: Any, **more: Any) -> bytes:
    """A request."""
    return json.dumps({"features": {"age": age}, **more}).encode()


def test_each_message_is_answered_logged_and_acknowledged() -> None:
    """Own ids are kept; without one it is the broker's own identity, which is the unit too."""
    bench = Bench([ask(1, request_id="a", unit_id="u", timestamp=5), ask(2)])
    bench.run()
    assert {name: one["prediction"] for name, one in bench.answers().items()} == {"a": 2.0, "memory:1": 4.0}
    assert [(one.request_id, one.unit_id, one.timestamp) for one in bench.log.kept_predictions] == [
        ("a", "u", 5.0),
        ("memory:1", "memory:1", bench.serving.clock.now()),
    ]
    assert asyncio.run(bench.source.lag()) == 0
    assert (bench.stream.counts.read, bench.stream.counts.answered, bench.stream.counts.lag) == (2, 2, 0)


def test_a_batch_goes_through_the_model_together() -> None:
    """All of it, at most 256 rows at a time; one at a time for a model that must see each alone."""
    bench = Bench([ask(n % 90) for n in range(400)], batch=300)
    bench.run()
    assert bench.model.sizes == [256, 44, 100]
    alone = Bench([ask(n) for n in range(3)], pace=Pace(0.0001))
    alone.run()
    assert alone.model.sizes == [1, 1, 1]


def test_a_slow_model_is_answered_off_the_event_loop_and_the_batch_is_held() -> None:
    """While it thinks, the source is asked for more time."""
    bench = Bench([ask(n) for n in range(4)], pace=Pace(0.2, ((4, 0.2), (64, 0.3))), hold=0.01)

    class Slow(Doubles):
        def predict(self, rows: Sequence[Row]) -> Any:
            for _ in range(2_000):
                if bench.source.held:
                    break
                time.sleep(0.01)
            return super().predict(rows)

    bench.model = Slow()
    bench.make()
    bench.run()
    assert len(bench.answers()) == 4
    assert bench.model.sizes == [4]
    assert {one.id for one in bench.source.held} == {f"memory:{n}" for n in range(4)}


def test_a_model_that_takes_too_long_is_given_up() -> None:
    """Status 503 in the log and in the letter; the stream goes on."""
    bench = Bench([ask(1, request_id="a"), ask(2, request_id="b")], pace=Pace(0.2), batch=1)
    ended = threading.Event()

    class Hangs(Doubles):
        def predict(self, rows: Sequence[Row]) -> Any:
            if rows[0][0] == 1.0:
                ended.wait(20)
            return super().predict(rows)

    bench.model = Hangs()
    bench.limits = {"": Limits(timeout=2.0, concurrency=2)}
    bench.make()
    bench.run()
    ended.set()
    (letter,) = bench.letters()
    assert (letter["status"], letter["request_id"]) == (503, "a")
    assert "did not answer within 2 s" in letter["reason"]
    assert {one.request_id: one.status for one in bench.log.kept_predictions} == {"a": 503, "b": 200}
    assert set(bench.answers()) == {"b"}


@pytest.mark.parametrize(
    ("body", "path", "said"),
    [
        (b"", "", "is empty: send a JSON document"),
        (b"{", "", "broken JSON at line 1"),
        (b'{"features": {"age": "\xff"}}', "features", "not UTF-8"),
        (b'{"features": {"age": NaN}}', "features.age", "NaN and Infinity are not JSON"),
        (b"[1]", "", "Expected object"),
        (b"{}", "features", "expected an object by feature name, came nothing"),
        (b'{"age": 3}', "", 'features go under "features"'),
        (ask("old"), "features.age", "expected a number"),
        (ask(121), "features.age", "from 0 to 120"),
        (b'{"features": {}}', "features.age", "came nothing"),
        (b'{"features": {"age": 1, "size": 2}}', "features.size", "no such feature"),
        (ask(1, request_id=""), "request_id", "length >= 1"),
        (ask(1, unit_id=[]), "unit_id", "came array"),
        (ask(1, timestamp=1e15), "timestamp", "is it in milliseconds?"),
        (ask(1, timestamp="today"), "timestamp", "RFC 3339"),
        (ask(1, version=3), "", "unknown field version"),
        (b" " * (LARGEST + 1), "", f"at most {LARGEST} are read"),
    ],
)
def test_poison_is_buried_with_its_reason_and_the_stream_goes_on(body: bytes, path: str, said: str) -> None:
    """The letter has reason, path and the original; the messages beside it are answered; nothing is logged of it."""
    bench = Bench([ask(1, request_id="a"), body, ask(2, request_id="b")])
    bench.run()
    (letter,) = bench.letters()
    assert said in letter["reason"]
    assert letter["path"] == path
    assert (letter["id"], letter["model"], letter["size"]) == ("memory:1", "m", len(body))
    original = letter.get("body", "").encode() or b64decode(letter.get("body_base64", ""))
    assert original == body
    assert set(bench.answers()) == {"a", "b"}
    assert [one.request_id for one in bench.log.kept_predictions] == ["a", "b"]
    assert (bench.stream.counts.dead, bench.stream.counts.failed, bench.stream.counts.lag) == (1, 0, 0)


def test_a_model_that_fails_is_logged_and_buried() -> None:
    """Status 500 in the log, with the model's own words; the other rows of its batch have their answers."""
    bench = Bench([ask(1, request_id="a"), ask(101, request_id="bad"), ask(3, request_id="c")])
    bench.run()
    assert {one.request_id: one.status for one in bench.log.kept_predictions} == {"a": 200, "bad": 500, "c": 200}
    (letter,) = bench.letters()
    assert (letter["status"], letter["version"], letter["arm"], letter["request_id"]) == (500, 1, "arm1", "bad")
    assert "too old" in letter["reason"]
    assert (bench.stream.counts.dead, bench.stream.counts.failed, bench.stream.counts.answered) == (1, 1, 2)


def test_units_are_dealt_by_the_route() -> None:
    """As the gateway deals them: the same unit, the same arm; a change of the route counts from the next batch."""
    bodies = [ask(n % 90, request_id=f"q{n}", unit_id=f"u{n}") for n in range(200)]
    bench = Bench(bodies, batch=50)
    bench.route({2: 0.3, 1: 0.7})
    bench.run()
    assert bench.serving.live is not None
    model = bench.serving.live.models["m"]
    assert all(one.model_version == choose(model.route, one.unit_id).version for one in bench.log.kept_predictions)
    assert {one["version"] for one in bench.answers().values()} == {1, 2}


def test_the_same_request_twice_is_one_answer() -> None:
    """In one batch, in two, and when the broker hands it out again."""
    bench = Bench([ask(1, request_id="a"), ask(1, request_id="a"), ask(2, request_id="b")], batch=2)
    bench.run()
    bench.source.put(ask(1, request_id="a"))
    bench.run()
    assert len(bench.log.kept_predictions) == len(bench.sink.kept) == 2
    assert (bench.stream.counts.duplicate, bench.stream.counts.republished) == (2, 0)


def test_what_the_log_knows_is_sent_again_and_not_logged() -> None:
    """A process that died between log and sink: the next one sends the same answer, whatever is served by now; one that
    failed is buried again."""
    bench = Bench([ask(1, request_id="a"), ask(101, request_id="bad"), ask(3, request_id="c")])
    old = make_prediction("a", model_name="m", model_version=7, arm="champion", prediction=9.0)
    bad = make_prediction("bad", model_name="m", model_version=7, status=500, error="it broke", prediction=None)
    bench.before = MemoryAnswers([old])
    bench.before.late = [bad]
    bench.make()
    bench.run()
    assert [one.request_id for one in bench.log.kept_predictions] == ["c"]
    assert [kept.body for kept in bench.sink.kept if kept.id == "a"] == [write_answer(old)]
    assert [(one["reason"], one["version"]) for one in bench.letters()] == [("it broke", 7)]
    counts = bench.stream.counts
    assert (counts.duplicate, counts.republished, counts.answered, counts.dead) == (2, 2, 1, 0)


def test_a_redelivery_is_looked_up_in_what_others_logged() -> None:
    """Only then is their log read again."""
    bench = Bench([ask(1, request_id="a")])
    asyncio.run(bench.source.read(1, 0.0))
    bench.source.again()
    bench.before.late = [make_prediction("a", model_name="m", prediction=1.0)]
    bench.run()
    assert bench.log.kept_predictions == []
    assert (bench.stream.counts.redelivered, bench.stream.counts.republished) == (1, 1)


@pytest.mark.parametrize("side", ["source", "sink", "dead"])
def test_what_is_away_is_waited_for(side: str) -> None:
    """Nothing is lost and nothing is logged twice; one line when it goes, one when it is back."""
    bench = Bench([ask(1, request_id="a"), b"broken"])
    broker: MemoryStream = getattr(bench, side)
    broker.away = True

    async def mend() -> None:
        await until(lambda: broker.refused > 1)
        broker.away = False

    bench.run(mend)
    assert set(bench.answers()) == {"a"}
    assert len(bench.letters()) == len(bench.log.kept_predictions) == 1
    gone, back = bench.said
    assert gone.endswith("the stream in memory is away: set `away` to False; trying again")
    assert " back after " in back
    assert bench.stream.counts.interrupted["dead_letter" if side == "dead" else side] == 1


def test_a_full_disk_is_waited_for() -> None:
    """An answer that is not logged is not given."""
    bench = Bench([ask(1, request_id="a")])
    bench.log.full = True

    async def mend() -> None:
        await until(lambda: bool(bench.said))
        assert bench.sink.kept == []
        bench.log.full = False

    bench.run(mend)
    assert (len(bench.log.kept_predictions), set(bench.answers())) == (1, {"a"})
    assert bench.stream.counts.interrupted["log"] == 1


def test_a_model_that_is_not_served_yet_is_waited_for() -> None:
    """A table that loses it and finds it again loses no message."""
    bench = Bench([ask(1, request_id="a")])
    live, bench.serving.live = bench.serving.live, None

    async def mend() -> None:
        await until(lambda: bool(bench.said))
        bench.serving.live = live

    bench.run(mend)
    assert set(bench.answers()) == {"a"}
    assert bench.stream.counts.interrupted["model"] == 1


def test_to_stop_while_something_is_away_leaves_the_batch_to_the_next() -> None:
    """Nothing is acknowledged; the next process finds the record in the log and sends the answer."""
    bench = Bench([ask(1, request_id="a")])
    bench.sink.away = True

    async def end() -> None:
        await until(lambda: bool(bench.said))
        bench.stream.stop()

    bench.run(end)
    assert asyncio.run(bench.source.lag()) == 1
    bench.sink.away = False
    bench.source.again()
    bench.before = MemoryAnswers(bench.log.kept_predictions)
    bench.make()
    bench.run()
    assert (len(bench.log.kept_predictions), set(bench.answers())) == (1, {"a"})
    assert asyncio.run(bench.source.lag()) == 0


def test_to_stop_finishes_what_is_in_hand() -> None:
    """What was read is answered and acknowledged; what was not is left."""
    bench = Bench([ask(n) for n in range(10)], batch=4)

    class Once(Doubles):
        def predict(self, rows: Sequence[Row]) -> Any:
            bench.stream.stop()
            return super().predict(rows)

    bench.model = Once()
    bench.make()
    bench.run()
    assert len(bench.sink.kept) == len(bench.log.kept_predictions) == 4
    assert asyncio.run(bench.source.lag()) == 6


def test_a_letter_that_is_too_large_is_sent_with_less_of_its_message() -> None:
    """Its beginning, and the hash of the whole."""
    body = b"{" + b"x" * 50_000
    bench = Bench([body])
    bench.dead.most = 10_000
    bench.run()
    (letter,) = bench.letters()
    assert body.decode().startswith(letter["body"])
    assert (letter["size"], letter["sha256"]) == (len(body), sha256(body).hexdigest())


def test_what_will_not_mend_ends_it() -> None:
    """A stream that is not there, a password that is wrong."""

    class Wrong(MemoryStream):
        async def read(self, limit: int, seconds: float) -> Any:
            raise UsageError("there is no stream")

    bench = Bench([])
    bench.source = Wrong()
    bench.make()
    with pytest.raises(UsageError, match="no stream"):
        bench.run()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["good", "same", "broken", "old", "fails"]), max_size=30),
    st.integers(1, 9),
    st.lists(st.booleans(), max_size=12),
)
def test_every_message_ends_as_one_thing(kinds: list[str], batch: int, failures: list[bool]) -> None:
    """Whatever comes, in whatever batches, while sinks fail at any moment: each delivery is answered, buried or a
    duplicate; each request is logged once, and what is not answered is buried."""
    make: dict[str, Callable[[int], bytes]] = {
        "good": lambda n: ask(1, request_id=f"q{n}"),
        "same": lambda _: ask(2, request_id="same"),
        "broken": lambda _: b"{",
        "old": lambda n: ask(500, request_id=f"q{n}"),
        "fails": lambda n: ask(110, request_id=f"q{n}"),
    }
    bench = Bench([make[kind](place) for place, kind in enumerate(kinds)], batch=batch)
    left = list(failures)

    class Shaky(MemoryStream):
        async def write(self, messages: Sequence[Any]) -> None:
            if left and left.pop():
                raise StateError("it is away")
            await super().write(messages)

    bench.sink, bench.dead = Shaky(), Shaky()
    bench.make()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bench.stream, "_pause", lambda _: asyncio.sleep(0))  # no test waits
        bench.run()
    counts = bench.stream.counts
    assert counts.answered + counts.dead + counts.duplicate == counts.read == len(kinds)
    ids = [one.request_id for one in bench.log.kept_predictions]
    assert len(ids) == len(set(ids)) == kinds.count("good") + kinds.count("fails") + ("same" in kinds)
    assert len(bench.sink.kept) == kinds.count("good") + ("same" in kinds)
    assert len(bench.dead.kept) == counts.dead == sum(kinds.count(one) for one in ("broken", "old", "fails"))


def test_records_of_shadows_are_not_taken_for_answers() -> None:
    """They go to the log, and nowhere else."""
    kept = KeptLog(MemoryLog())
    answer: Prediction = make_prediction("a")
    kept.predictions([answer, make_prediction("b", shadow_of=1)])
    assert kept.has_any
    assert kept.taken() == {"a": answer}
    assert not kept.has_any
