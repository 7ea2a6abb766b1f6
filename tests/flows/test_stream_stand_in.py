"""What a stream looks up for its messages, and who answers those that their version may not or cannot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, DefaultAnswer, Feature, Kind, Policy, Task
from fairlead.core.decode import OutputReader, Row, RowDecoder
from fairlead.core.fallback import ARM, OnFailure, note_of
from fairlead.core.lookup import LookupRules
from fairlead.core.pace import Pace
from fairlead.core.record import Prediction
from fairlead.core.route import Arm, ModelRoute, Route
from fairlead.errors import StateError
from fairlead.flows.lookups import Lookups
from fairlead.flows.serve import Serving
from fairlead.flows.stream import Ends, Stream, Terms
from fairlead.flows.stream_log import KeptLog
from fairlead.flows.tally import Tally
from fairlead.flows.warm import Live, LiveModel, LiveVersion
from fairlead.ports.features import FeaturesDown
from fairlead.testing.clock import ManualClock
from fairlead.testing.features import MemoryFeatures
from fairlead.testing.log import MemoryLog, make_prediction
from fairlead.testing.stream import MemoryAnswers, MemoryStream

AGE = Feature("age", Kind.INTEGER, minimum=0.0, maximum=99.0, out_of_range=Policy.FALLBACK)
PLAIN = Contract((AGE,), Task.REGRESSION, "value", default=DefaultAnswer(7.0))
WIDE = replace(PLAIN, features=(replace(AGE, maximum=999.0),))
ORDERS = replace(PLAIN, features=(AGE, Feature("orders", Kind.INTEGER)), unit="customer_id")
PACE = Pace(0.0001, ((64, 0.0002),))


class Times:
    """Answers so many times the sum of a row, and fails on some ages."""

    def __init__(self, times: float, *fails: int) -> None:
        self.times, self.fails = times, fails
        self.sizes: list[int] = []

    def predict(self, rows: Sequence[Row]) -> Any:
        """(n, 1) values."""
        self.sizes.append(len(rows))
        if any(row[0] in self.fails for row in rows):
            raise RuntimeError("secret internals")
        return np.array([[self.times * sum(float(value or 0) for value in row)] for row in rows])


class Bench:
    """A stream whose messages are dealt the canary (2); the champion is 1."""

    def __init__(self, *bodies: bytes, champion: Contract = WIDE, canary: Contract = PLAIN) -> None:
        self.source, self.sink, self.dead = MemoryStream(bodies), MemoryStream(), MemoryStream()
        self.before, self.log, self.said = MemoryAnswers(), MemoryLog(), list[str]()
        self.models = {1: Times(10.0), 2: Times(2.0, 50, 51)}
        self.contracts = {1: champion, 2: canary}
        self.on_failure = OnFailure.CHAMPION
        self.features: MemoryFeatures | None = None

    def start(self) -> Stream:
        """A process over the brokers and the log."""
        kept = KeptLog(self.log)
        serving = Serving(kept, ManualClock(), Tally())
        serving.on_failure = {} if self.on_failure is OnFailure.ERROR else {"m": self.on_failure}
        features, rules = self.features, LookupRules("repo", ("customer_id",), timeout=5.0)
        lookups = Lookups("m", rules, lambda: features, serving.clock) if features is not None else None
        versions = {number: self._version(number, lookups) for number in (1, 2)}
        route = ModelRoute((Arm("canary", 2, 0.5), Arm("champion", 1, 0.5)), {})
        serving.live = Live(1, {"m": LiveModel("m", route, versions, lookups is None, lookups)})
        terms = Terms("m", lambda *_: Route(2, "canary", 0.5), until_empty=True)
        ends = Ends(self.source, self.sink, self.dead, self.before)
        return Stream(ends, terms, serving, kept, self.said.append)

    def run(self, *beside: Callable[[], Any]) -> Stream:
        """Runs to the end, with tasks beside it."""
        stream = self.start()

        async def work() -> None:
            tasks = [asyncio.create_task(one()) for one in beside]
            async with asyncio.timeout(60):
                await stream.run()
            for task in tasks:
                await task

        asyncio.run(work())
        return stream

    def answers(self) -> dict[str, Any]:
        """The sink's answers by request id."""
        return {one["request_id"]: one for one in (json.loads(kept.body) for kept in self.sink.kept)}

    def letters(self) -> list[dict[str, Any]]:
        """The dead letters."""
        return [json.loads(kept.body) for kept in self.dead.kept]

    def logged(self) -> list[tuple[str, int, str, int]]:
        """The log: request, version, arm, status."""
        return [(one.request_id, one.model_version, one.arm, one.status) for one in self.log.kept_predictions]

    def _version(self, number: int, lookups: Lookups | None) -> LiveVersion:
        contract = self.contracts[number]
        manifest = Manifest("m", contract, "onnx", "m", "m", {}, Lineage("made", "0" * 64, 1))
        rows, reader = RowDecoder(contract), OutputReader(contract, 0.5)
        part = lookups.of(contract) if lookups is not None else None
        return LiveVersion(
            number, str(number), manifest, rows, reader, self.models[number], PACE, features=part, lookups=lookups
        )


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that tells nobody."""
    while not condition():  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.01)


def ask(request_id: str, age: Any, **more: Any) -> bytes:
    """A request."""
    return json.dumps({"features": {"age": age, **more}, "request_id": request_id}).encode()


def test_the_champion_answers_what_the_canary_may_not() -> None:
    """The answer says so, and names the field of the message; so does the log, once; the others are as ever."""
    bench = Bench(ask("a", 1), ask("odd", 500), ask("c", 3))
    counts = bench.run().counts
    answers = bench.answers()
    assert {name: one["prediction"] for name, one in answers.items()} == {"a": 2.0, "odd": 5000.0, "c": 6.0}
    odd = answers["odd"]
    assert (odd["version"], odd["arm"], odd["fallback"], odd["path"]) == (1, ARM, "champion", "features.age")
    assert odd["reason"] == "features.age: expected an integer from 0 to 99, came 500"
    assert "fallback" not in answers["a"]
    assert sorted(bench.logged()) == [("a", 2, "canary", 200), ("c", 2, "canary", 200), ("odd", 1, ARM, 200)]
    (record,) = [one for one in bench.log.kept_predictions if one.request_id == "odd"]
    note = note_of(record)
    assert note is not None
    assert (note.path, note.reason) == (odd["path"], odd["reason"])
    assert (counts.answered, counts.fell_back, counts.dead, counts.failed) == (3, 1, 0, 0)


def test_the_default_answers_what_no_version_may() -> None:
    """Under the dealt version's number."""
    bench = Bench(ask("odd", 500), champion=PLAIN)
    bench.run()
    odd = bench.answers()["odd"]
    assert (odd["prediction"], odd["version"], odd["fallback"]) == (7.0, 2, "default")


def test_what_nobody_may_answer_is_buried() -> None:
    """As what a policy rejects: nothing is logged of it, and the others are answered."""
    bare = replace(PLAIN, default=UNSET)
    bench = Bench(ask("a", 1), ask("odd", 500), champion=bare, canary=bare)
    counts = bench.run().counts
    (letter,) = bench.letters()
    assert (letter["path"], letter["status"], letter["request_id"]) == ("features.age", 422, "odd")
    assert letter["reason"].startswith("features.age: expected an integer from 0 to 99")
    assert bench.logged() == [("a", 2, "canary", 200)]
    assert (counts.answered, counts.fell_back, counts.dead) == (1, 0, 1)


@pytest.mark.parametrize(("wanted", "prediction"), [(OnFailure.CHAMPION, 500.0), (OnFailure.DEFAULT, 7.0)])
def test_a_row_whose_version_fails_is_answered_by_who_stands_in(wanted: OnFailure, prediction: float) -> None:
    """The failure is in the log, then the answer; the sink has one answer, no letter is written."""
    bench = Bench(ask("a", 1), ask("bad", 50))
    bench.on_failure = wanted
    counts = bench.run().counts
    bad = bench.answers()["bad"]
    assert (bad["prediction"], bad["fallback"], bad["arm"]) == (prediction, wanted.value, ARM)
    assert "secret" not in json.dumps(bad)
    assert [one for one in bench.logged() if one[0] == "bad"] == [
        ("bad", 2, "canary", 500),
        ("bad", bad["version"], ARM, 200),
    ]
    assert len(bench.sink.kept) == 2
    assert bench.dead.kept == []
    assert (counts.answered, counts.fell_back, counts.dead, counts.failed) == (2, 1, 0, 0)


def test_a_row_that_everybody_fails_on_is_buried() -> None:
    """With the last failure; the rows beside it keep their stand-ins."""
    bare = replace(PLAIN, default=UNSET)
    bench = Bench(ask("a", 50), ask("b", 51), champion=bare, canary=bare)
    bench.models[1] = Times(10.0, 51)
    counts = bench.run().counts
    (letter,) = bench.letters()
    assert (letter["request_id"], letter["status"]) == ("b", 500)
    assert bench.answers()["a"]["fallback"] == "champion"
    assert (counts.answered, counts.fell_back, counts.dead, counts.failed) == (1, 1, 1, 1)


def test_a_disk_that_fills_up_before_the_stand_in_is_waited_for() -> None:
    """What was answered by then is not asked nor logged again."""

    class Fills(MemoryLog):
        refused = 0

        def predictions(self, records: Sequence[Prediction]) -> None:
            if any(one.arm == ARM for one in records) and self.refused < 2:
                self.refused += 1
                raise StateError("the disk is full")
            super().predictions(records)

    bench = Bench(ask("a", 1), ask("bad", 50), ask("c", 3))
    bench.log = Fills()
    stream = bench.run()
    assert [one[0] for one in bench.logged() if one[3] == 200] == ["a", "c", "bad"]
    assert bench.answers()["bad"]["fallback"] == "champion"
    assert len(bench.sink.kept) == 3
    assert stream.counts.interrupted["log"] == 1


@pytest.mark.parametrize(("wanted", "arm", "is_final"), [
    (OnFailure.CHAMPION, "canary", False),
    (OnFailure.CHAMPION, ARM, True),
    (OnFailure.CHAMPION, "pinned", True),
    (OnFailure.ERROR, "canary", True),
])  # fmt: skip
def test_a_failure_whose_stand_in_was_killed_is_asked_again(wanted: OnFailure, arm: str, is_final: bool) -> None:
    """Another life logged it and no more; where nobody else was to answer it is the last word."""
    bench = Bench(ask("bad", 50))
    bench.on_failure = wanted
    old = make_prediction(
        "bad", model_name="m", model_version=2, arm=arm, status=500, error="it broke", prediction=None
    )
    bench.before = MemoryAnswers([old])
    bench.run()
    assert [one["reason"] for one in bench.letters()] == ["it broke"] * is_final
    assert [one["fallback"] for one in bench.answers().values()] == ["champion"] * (not is_final)


def looking(*bodies: bytes) -> Bench:
    """A stream whose canary takes orders, which are looked up by customer."""
    bench = Bench(*bodies, champion=replace(ORDERS, default=UNSET), canary=replace(ORDERS, default=UNSET))
    bench.features = MemoryFeatures("customer_id", {7: {"orders": 3}, 8: {"orders": 4}}, ("orders",))
    return bench


def test_features_are_looked_up_for_a_whole_batch() -> None:
    """By one question; the log has the row as the model took it."""
    bench = looking(ask("a", 1, customer_id=7), ask("b", 2, customer_id=8), ask("bad", 50, customer_id=8))
    bench.run()
    assert {name: one["prediction"] for name, one in bench.answers().items()} == {"a": 8.0, "b": 12.0, "bad": 540.0}
    assert json.loads(bytes(bench.log.kept_predictions[0].features))["orders"] == 3
    assert bench.features is not None
    assert bench.features.asked == [[{"customer_id": 7}, {"customer_id": 8}]]


@pytest.mark.parametrize(
    ("more", "path", "said"),
    [
        ({"customer_id": 9}, "features.customer_id", "nothing is known of customer_id 9 (orders)"),
        ({"customer_id": "x"}, "features.customer_id", "expected an integer, came"),
        ({}, "features.customer_id", "came nothing"),
        ({"customer_id": 7, "orders": 3}, "features.orders", "is looked up by customer_id: leave it out"),
    ],
)
def test_a_message_that_nothing_is_found_for_is_buried(more: dict[str, Any], path: str, said: str) -> None:
    """With its field and the reason; the others are answered."""
    bench = looking(ask("a", 1, customer_id=7), ask("odd", 2, **more))
    bench.run()
    (letter,) = bench.letters()
    assert (letter["path"], letter["status"], letter["request_id"]) == (path, 422, "odd")
    assert letter["reason"].startswith(f"{path}: ")
    assert said in letter["reason"]
    assert set(bench.answers()) == {"a"}


@pytest.mark.parametrize("wrong", [{"customer_id": 9}, {"customer_id": "x"}, {"customer_id": 7, "orders": 3}])
def test_bad_messages_do_not_have_the_others_looked_up_again(wrong: dict[str, Any]) -> None:
    """However many there are: each customer is asked for once, and each bad message is buried with its own field."""
    bodies = [ask(f"q{at}", at % 40, **({"customer_id": 8} if at % 2 else wrong)) for at in range(40)]
    bodies[0], bodies[5] = ask("q0", "old", customer_id=8), ask("q5", 5, customer_id=7)
    bench = looking(*bodies)
    stream = bench.run()
    assert bench.features is not None
    asked = [row["customer_id"] for question in bench.features.asked for row in question]
    assert sorted(asked) == sorted({8, 7} | ({9} if wrong == {"customer_id": 9} else set()))
    assert set(bench.answers()) == {f"q{at}" for at in range(1, 40, 2)}
    assert bench.answers()["q39"]["prediction"] == 2.0 * (39 + 4)
    paths = {one["request_id"]: one["path"] for one in bench.letters()}
    assert paths.pop("q0") == "features.age"
    assert set(paths.values()) == {"features.orders" if "orders" in wrong else "features.customer_id"}
    assert len(paths) == 19
    assert (stream.counts.answered, stream.counts.dead) == (20, 20)


def test_what_was_found_before_a_wait_is_not_used_after_it() -> None:
    """A disk may be full for long: the features are looked up anew."""

    class Fills(MemoryLog):
        refused = False

        def predictions(self, records: Sequence[Prediction]) -> None:
            if not self.refused:
                self.refused = True
                raise StateError("the disk is full")
            super().predictions(records)

    bench = looking(ask("a", 1, customer_id=7))
    bench.log = Fills()
    bench.run()
    assert bench.features is not None
    assert bench.features.asked == [[{"customer_id": 7}]] * 2
    assert bench.answers()["a"]["prediction"] == 8.0


def test_a_feature_store_that_is_away_is_waited_for() -> None:
    """Nothing is lost, nothing is logged meanwhile, and it is told."""
    bench = looking(ask("a", 1, customer_id=7))
    assert bench.features is not None
    bench.features.error = FeaturesDown("the store is away")
    features = bench.features

    async def mend() -> None:
        await until(lambda: bool(bench.said))
        assert bench.logged() == []
        features.error = None

    stream = bench.run(mend)
    assert bench.answers()["a"]["prediction"] == 8.0
    assert "the store is away" in bench.said[0]
    assert stream.counts.interrupted["model"] == 1
    assert bench.dead.kept == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([1, 50, 51, 500, 1000, "x"]), max_size=30), st.sampled_from(OnFailure))
def test_every_message_ends_as_one_thing(ages: list[Any], wanted: OnFailure) -> None:
    """Answered or buried; a fallback is told where and only where the answer is none of the version that was dealt."""
    bare = replace(PLAIN, default=UNSET)
    bench = Bench(
        *(ask(f"q{at}", age) for at, age in enumerate(ages)), champion=replace(WIDE, default=UNSET), canary=bare
    )
    bench.models[1] = Times(10.0, 51)
    bench.on_failure = wanted
    counts = bench.run().counts
    assert counts.answered + counts.dead == counts.read == len(ages)
    assert len(bench.sink.kept) == counts.answered
    stands_in = {500} if wanted is not OnFailure.CHAMPION else {50, 500}
    for at, age in enumerate(ages):
        answer = bench.answers().get(f"q{at}")
        assert (answer is not None) == (age == 1 or age in stands_in)
        assert answer is None or ("fallback" in answer) == (answer["arm"] == ARM) == (age in stands_in)
    answered = [one for one in bench.logged() if one[3] == 200]
    assert len(answered) == len({one[0] for one in answered}) == counts.answered
    assert counts.fell_back == sum(one[2] == ARM for one in answered)
