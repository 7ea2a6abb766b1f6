"""Who answers where a version may not or cannot."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace
from numpy.typing import NDArray

from fairlead.adapters.system_clock import SystemClock
from fairlead.config.grammar import guardrail
from fairlead.core.admission import Limits
from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, DefaultAnswer, Feature, Kind, Policy, Task
from fairlead.core.decode import FallsBack, OutputReader, RowDecoder
from fairlead.core.fallback import ARM, Cause, Note, OnFailure, To, note_of, written
from fairlead.core.pace import Pace
from fairlead.core.record import Prediction
from fairlead.core.rollout import Baseline, Evidence, Plan, Step, start
from fairlead.core.route import Arm, ModelRoute, Route
from fairlead.errors import ContractError, FairleadError
from fairlead.flows.evidence import Collector
from fairlead.flows.fallback import recovered
from fairlead.flows.serve import Arrival, Ask, ModelFailed, Overloaded, Serving, pin
from fairlead.flows.tally import Tally
from fairlead.flows.warm import LiveModel, LiveVersion
from fairlead.testing.log import MemoryLog
from fairlead.testing.quarantine import MemoryQuarantine

AGE = Feature("age", Kind.INTEGER, minimum=0.0, maximum=99.0, out_of_range=Policy.FALLBACK)
PLAIN = Contract((AGE,), Task.BINARY, "y", ("no", "yes"), default=DefaultAnswer("no", (0.9, 0.1)))
WIDE = replace(PLAIN, features=(replace(AGE, maximum=999.0),))
CANARY, CHAMPION = Route(2, "canary", 0.5, rollout="r"), Route(1, "champion", 0.5, rollout="r")
SLOW = Pace(0.005)


class Picky:
    """Answers 0.25 for yes, and fails on some ages."""

    def __init__(self, *fails: int) -> None:
        self.fails = fails

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """(n, 2) probabilities."""
        if any(row[0] in self.fails for row in rows):
            raise RuntimeError("secret internals")
        return np.array([[0.75, 0.25]] * len(rows), np.float64).reshape(len(rows), 2)


def version(number: int, contract: Contract, predictor: Any, pace: Pace = Pace()) -> LiveVersion:  # noqa: B008
    """A version in memory."""
    manifest = Manifest("m", contract, "onnx", "m", "m", {}, Lineage("d", "0", 1))
    return LiveVersion(number, str(number), manifest, RowDecoder(contract), OutputReader(contract), predictor, pace)


def model(
    champion: Contract = PLAIN,
    canary: Contract = PLAIN,
    fails: tuple[Sequence[int], Sequence[int]] = ((), ()),
    pace: Pace = Pace(),  # noqa: B008 - a frozen value
) -> LiveModel:
    """A champion (1) and a canary (2), with the ages on which each fails."""
    route = ModelRoute((Arm("canary", 2, 0.5), Arm("champion", 1, 0.5)), {})
    versions = {
        1: version(1, champion, Picky(*fails[0]), pace),
        2: version(2, canary, Picky(*fails[1]), pace),
    }
    return LiveModel("m", route, versions, pace.is_quick)


def asks(*ages: object) -> list[Ask]:
    """Rows of some units."""
    return [
        Ask(f"r{at}", f"u{at}", 900.0, Raw(msgspec.json.encode({"age": age})), "features")
        for at, age in enumerate(ages)
    ]


def serve(
    known: LiveModel, asked: list[Ask], routes: list[Route], on_failure: Mapping[str, OnFailure] | None = None,
    limits: Limits | None = None,
) -> tuple[list[Prediction] | FairleadError, Serving]:  # fmt: skip
    """What a request is answered, with what it left behind."""
    serving = Serving(MemoryLog(), SystemClock(), Tally(), {"m": limits} if limits else {})
    serving.on_failure = on_failure or {}
    serving.quarantine = MemoryQuarantine()

    async def ask() -> list[Prediction]:
        arrival = Arrival(1000.0, serving.clock.monotonic(), "trace")
        try:
            return await serving.answer_later(known, asked, arrival, routes)
        except (FallsBack, ModelFailed, Overloaded) as fault:
            return await recovered(serving, known, asked, arrival, routes, fault)

    try:
        return asyncio.run(ask()), serving
    except FairleadError as error:
        return error, serving


def logged(serving: Serving) -> list[tuple[str, int, str, int]]:
    """The log: request, version, arm, status."""
    assert isinstance(serving.log, MemoryLog)
    return [(one.request_id, one.model_version, one.arm, one.status) for one in serving.log.kept_predictions]


def answered(found: list[Prediction] | FairleadError) -> list[Prediction]:
    """Its answers."""
    assert isinstance(found, list), found
    return found


def test_the_champion_answers_what_the_canary_may_not() -> None:
    """The champion's contract takes the row: its answer, its version, a note, no rollout; the canary has no record."""
    found, serving = serve(model(champion=WIDE), asks(500), [CANARY])
    (record,) = answered(found)
    assert (record.model_version, record.arm, record.status, record.prediction) == (1, ARM, 200, "no")
    assert (record.rollout, record.propensity, record.score, record.unit_id) == ("", 1.0, 0.25, "u0")
    note = note_of(record)
    assert note is not None
    assert (note.fallback, note.dealt, note.cause, note.path) == (To.CHAMPION, 2, Cause.CONTRACT, "features.age")
    assert "expected an integer from 0 to 99, came 500" in note.reason
    assert logged(serving) == [("r0", 1, ARM, 200)]
    (count,) = serving.tally.snapshot(0, 1, 2, []).fallbacks
    assert (count.model_version, count.to, count.cause, count.count) == ("2", "champion", "contract", 1)


@pytest.mark.parametrize("route", [CANARY, CHAMPION])
def test_the_default_answers_what_no_version_may(route: Route) -> None:
    """Under the dealt version's number, without a score, because it is no model's."""
    found, serving = serve(model(), asks(500), [route])
    (record,) = answered(found)
    assert (record.model_version, record.arm, record.status) == (route.version, ARM, 200)
    assert (record.prediction, record.probabilities, record.score) == ("no", (0.9, 0.1), None)
    assert logged(serving) == [("r0", route.version, ARM, 200)]


def test_a_row_with_nobody_left_is_refused() -> None:
    """As if its policy rejected: counted, kept in the quarantine, nothing logged."""
    bare = replace(PLAIN, default=msgspec.UNSET)
    found, serving = serve(model(bare, bare), asks(500), [CANARY])
    assert isinstance(found, ContractError)
    assert not isinstance(found, FallsBack)
    assert logged(serving) == []
    (series,) = serving.tally.snapshot(0, 1, 2, []).requests
    assert (series.model_version, series.arm, series.code, series.count) == ("2", "canary", 422, 1)
    assert isinstance(serving.quarantine, MemoryQuarantine)
    (kept,) = serving.quarantine.rows
    assert (kept.request_id, kept.model_version, kept.what, kept.field) == ("r0", 2, "out_of_range", "age")
    assert kept.features == b'{"age":500}'


def test_a_champion_that_answers_in_other_words_does_not_stand_in() -> None:
    """Classes in another order would be taken for each other."""
    turned = replace(WIDE, classes=("yes", "no"))
    found, _ = serve(model(champion=turned), asks(500), [CANARY])
    assert answered(found)[0].prediction == "no"
    assert answered(found)[0].model_version == 2


def test_the_rows_of_a_batch_go_each_its_own_way() -> None:
    """In their order, in one write; what may be answered as dealt keeps its arm and its rollout."""
    found, serving = serve(model(champion=WIDE), asks(5, 500, 5000, 7), [CANARY, CANARY, CHAMPION, CHAMPION])
    records = answered(found)
    assert [(one.request_id, one.model_version, one.arm) for one in records] == [
        ("r0", 2, "canary"),
        ("r1", 1, ARM),
        ("r2", 1, ARM),
        ("r3", 1, "champion"),
    ]
    assert [note.fallback if (note := note_of(one)) else None for one in records] == [None, "champion", "default", None]
    assert logged(serving) == [(one.request_id, one.model_version, one.arm, 200) for one in records]


def test_a_row_that_is_rejected_refuses_its_whole_batch() -> None:
    """Whatever the others fall back to."""
    found, serving = serve(model(), asks(5, 500, "x"), [CANARY] * 3)
    assert isinstance(found, ContractError)
    assert logged(serving) == []


def test_a_warning_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though a batch in which a row falls back is read twice."""
    odd = Feature("odd", Kind.NUMBER, nullable=True, maximum=1.0)
    both = replace(PLAIN, features=(AGE, odd))
    rows = [{"age": 1, "odd": 2}, {"age": 500, "odd": None}, {"age": 2, "odd": 3}]
    asked = [Ask(f"r{at}", "u", 9.0, Raw(msgspec.json.encode(row)), "features") for at, row in enumerate(rows)]
    monkeypatch.setattr(Picky, "predict", lambda _, rows: np.array([[0.5, 0.5]] * len(rows)))
    _, serving = serve(model(both, both), asked, [CANARY] * 3)
    (series,) = serving.tally.snapshot(0, 1, 2, []).warned
    assert series.count == 2


def test_a_failure_is_told_unless_the_settings_say_otherwise() -> None:
    """The default is the error that it always was."""
    found, serving = serve(model(fails=((), (13,))), asks(13), [CANARY])
    assert isinstance(found, ModelFailed)
    assert logged(serving) == [("r0", 2, "canary", 500)]


@pytest.mark.parametrize(
    ("wanted", "ends"),
    [(OnFailure.CHAMPION, ("r0", 1, ARM, 200)), (OnFailure.DEFAULT, ("r0", 2, ARM, 200))],
)
@pytest.mark.parametrize("pace", [Pace(), SLOW])
def test_a_failure_stays_in_the_log_while_its_caller_is_answered(
    wanted: OnFailure, ends: tuple[Any, ...], pace: Pace
) -> None:
    """Two records under one id: the version's own failure, which guardrails count, and the answer, which none does."""
    found, serving = serve(model(fails=((), (13,)), pace=pace), asks(13), [CANARY], {"m": wanted})
    (record,) = answered(found)
    assert logged(serving) == [("r0", 2, "canary", 500), ends]
    note = note_of(record)
    assert note is not None
    assert (note.cause, note.reason) == (Cause.FAILURE, "version 2 failed to answer")
    assert "secret" not in str(record.error)


def test_guardrails_see_the_failure_and_not_the_answer() -> None:
    """The rollout's evidence is the same with a fallback as without."""
    evidence: list[Evidence] = []
    for wanted in ({}, {"m": OnFailure.CHAMPION}):
        found, serving = serve(model(fails=((), (13,))), asks(13, 1), [CANARY, CHAMPION], wanted)
        assert isinstance(found, list) is bool(wanted)
        assert isinstance(serving.log, MemoryLog)
        plan = Plan("canary", (Step(0.5),), (guardrail("error_rate <= 1.25 * champion"),))
        collector = Collector(start("r", "m", 2, 1, plan, Baseline(10.0, (), (), (), ()), 0.0))
        collector.add(serving.log.kept_predictions)
        evidence.append(collector.total())
    assert evidence[0].requests == evidence[1].requests == {"canary": 1, "champion": 1}
    assert evidence[0].errors == evidence[1].errors == {"canary": 1}
    assert evidence[0].units == evidence[1].units


def test_a_champion_that_fails_too_leaves_the_default() -> None:
    """Both failures are in the log, each under its own version."""
    found, serving = serve(model(fails=((13,), (13,))), asks(13), [CANARY], {"m": OnFailure.CHAMPION})
    assert answered(found)[0].prediction == "no"
    assert logged(serving) == [("r0", 2, "canary", 500), ("r0", 1, ARM, 500), ("r0", 2, ARM, 200)]


def test_without_a_default_a_failure_that_nobody_makes_good_is_told() -> None:
    """As the version's own: 500."""
    bare = replace(PLAIN, default=msgspec.UNSET)
    for wanted in (OnFailure.CHAMPION, OnFailure.DEFAULT):
        found, _ = serve(model(bare, bare, fails=((13,), (13,))), asks(13), [CANARY], {"m": wanted})
        assert isinstance(found, ModelFailed)
        assert "version 2" in found.line


def test_of_a_batch_only_the_rows_that_failed_are_answered_anew() -> None:
    """The others were answered and logged the first time."""
    found, serving = serve(model(fails=((), (13,))), asks(1, 13, 2), [CANARY] * 3, {"m": OnFailure.CHAMPION})
    assert [(one.request_id, one.model_version, one.arm) for one in answered(found)] == [
        ("r0", 2, "canary"),
        ("r1", 1, ARM),
        ("r2", 2, "canary"),
    ]
    assert len(logged(serving)) == 4


def test_a_version_that_is_out_of_time_falls_back_too() -> None:
    """The champion has the whole time that a version has; its answer comes after the failure's record."""
    known = model(pace=SLOW)
    stuck = known.versions[2].predictor

    ended = threading.Event()

    class Stuck:
        """Answers when nobody waits any more."""

        def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
            """(n, 2) probabilities."""
            ended.wait(60)
            return stuck.predict(rows)

    known = replace(known, versions={**known.versions, 2: version(2, PLAIN, Stuck(), SLOW)})
    found, serving = serve(known, asks(13), [CANARY], {"m": OnFailure.CHAMPION}, Limits(timeout=2.0))
    ended.set()
    note = note_of(answered(found)[0])
    assert note is not None
    assert (note.cause, note.fallback) == (Cause.TIMEOUT, To.CHAMPION)
    assert logged(serving) == [("r0", 2, "canary", 503), ("r0", 1, ARM, 200)]


def test_a_version_that_was_pinned_answers_for_itself() -> None:
    """Who asks for one by number wants to know what that one does."""
    known = model(champion=WIDE, fails=((), (13,)))
    found, _ = serve(known, asks(500), [pin(known, 2)])
    assert isinstance(found, ContractError)
    failed, _ = serve(known, asks(13), [pin(known, 2)], {"m": OnFailure.DEFAULT})
    assert isinstance(failed, ModelFailed)


@given(
    ages=st.lists(st.integers(-5, 1200), min_size=1, max_size=12),
    arms=st.lists(st.sampled_from([CANARY, CHAMPION]), min_size=12, max_size=12),
    wanted=st.sampled_from(OnFailure),
    fails=st.tuples(st.lists(st.integers(0, 20), max_size=3), st.lists(st.integers(0, 20), max_size=3)),
)
@settings(max_examples=100, deadline=None)
def test_every_answered_row_has_one_record_that_is_no_failure(
    ages: list[int], arms: list[Route], wanted: OnFailure, fails: tuple[list[int], list[int]]
) -> None:
    """Whatever falls back or fails: one record of status 200 a row, in order, the very one that was given; and every
    failure of a version stands in the log under its own arm."""
    routes = arms[: len(ages)]
    found, serving = serve(model(champion=WIDE, fails=fails), asks(*ages), routes, {"m": wanted})
    assert isinstance(serving.log, MemoryLog)
    kept = serving.log.kept_predictions
    good = {one.request_id: one for one in kept if one.status == 200}
    assert len(good) == sum(one.status == 200 for one in kept)
    if isinstance(found, list):
        assert found == [good[f"r{at}"] for at in range(len(ages))]
    else:
        assert isinstance(found, ModelFailed)
        assert wanted is OnFailure.ERROR
    for at, (age, route) in enumerate(zip(ages, routes, strict=True)):
        is_taken = 0 <= age <= (99 if route.version == 2 else 999)
        failed = [one for one in kept if one.request_id == f"r{at}" and one.status == 500 and one.arm == route.arm]
        assert len(failed) == (is_taken and age in fails[route.version == 2])


@given(reason=st.text(max_size=20), path=st.text(max_size=10), dealt=st.integers(1, 9), to=st.sampled_from(To))
@settings(max_examples=50, deadline=None)
def test_a_note_is_read_as_it_was_written(reason: str, path: str, dealt: int, to: To) -> None:
    """And no other record has one."""
    note = Note(to, dealt, Cause.CONTRACT, reason, path)
    record = Prediction("r", "m", 1, ARM, "u", 1.0, 0.0, 0.0, Raw(b"{}"), 1, None, 1.0, error=written(note))
    assert note_of(record) == note
    assert note_of(replace(record, arm="champion")) is None
    assert note_of(replace(record, error="not JSON")) is None
    assert note_of(replace(record, status=500)) is None
