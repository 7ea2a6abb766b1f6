"""Records to the models they belong to."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.flows import outcome_routes
from fairlead.flows.outcome_routes import OutcomeRoutes


def answer(request: str, model: str, at: float = 0.0, shadow_of: int | None = None) -> Prediction:
    """An answer to a request."""
    return Prediction(
        request_id=request,
        model_name=model,
        model_version=1,
        arm="champion",
        unit_id="u",
        propensity=1.0,
        timestamp=at,
        received_at=at,
        features=msgspec.Raw(b"{}"),
        prediction=1,
        score=0.5,
        latency_ms=1.0,
        status=200,
        shadow_of=shadow_of,
    )


def outcome(request: str, value: int = 1) -> OutcomeRecord:
    """What became of a request."""
    return OutcomeRecord(request, value, 1.0, 1.0)


RECORDS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 30), st.integers(0, 3)), max_size=80
)  # whether it is an answer, the request, the model or the outcome


@given(RECORDS, st.integers(1, 7), st.integers(1, 5))
def test_every_outcome_comes_to_its_model_once(records: list[tuple[bool, int, int]], block: int, batch: int) -> None:
    """For any order of answers and outcomes, sizes of blocks and batches: each outcome of an answered request comes to
    that request's model, after the answer or with it, and to no other; none comes twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcome_routes, "BLOCK", block)
        routes = OutcomeRoutes()
        owner = {request: f"m{request % 3}" for _, request, _ in records}
        answered: set[int] = set()
        told: list[tuple[int, int]] = []
        sent: list[tuple[int, int]] = []
        for start in range(0, len(records), batch):
            part = records[start : start + batch]
            answers = [answer(f"r{request}", owner[request]) for here, request, _ in part if here]
            outcomes = [outcome(f"r{request}", value) for here, request, value in part if not here]
            sent += [(request, value) for here, request, value in part if not here]
            answered |= {request for here, request, _ in part if here}
            for model, (mine, known) in routes.split(answers, outcomes).items():
                assert {one.model_name for one in mine} <= {model}
                for one in known:
                    request = int(one.request_id[1:])
                    assert owner[request] == model
                    assert request in answered
                    told.append((request, int(one.outcome)))
        assert sorted(told) == sorted((request, value) for request, value in sent if request in answered)


def test_what_waits_longest_is_forgotten_first() -> None:
    """Beyond so many outcomes without an answer, and counted."""
    routes = OutcomeRoutes(most=2)
    routes.split([], [outcome("a"), outcome("b"), outcome("c")])
    assert routes.forgotten == 1
    found = routes.split([answer("a", "m"), answer("b", "m"), answer("c", "m")], [])
    assert [one.request_id for one in found["m"][1]] == ["b", "c"]


def test_old_requests_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block goes once all of it is older than outcomes are waited for: memory does not grow with time."""
    monkeypatch.setattr(outcome_routes, "BLOCK", 10)
    routes = OutcomeRoutes()
    for hour in range(100):
        routes.split([answer(f"r{hour}-{place}", "m", float(hour)) for place in range(10)], [])
        routes.forget(hour - 5.0)
        assert len(routes) <= 70
    assert not routes.split([], [outcome("r3-1")])
    assert list(routes.split([], [outcome("r99-1")])) == ["m"]


def test_a_shadow_answers_nobody() -> None:
    """Its record goes to its model; an outcome of the request stays with the one that answered."""
    routes = OutcomeRoutes()
    found = routes.split([answer("a", "m"), answer("s", "n", shadow_of=1)], [outcome("a"), outcome("s")])
    assert {name: (len(mine), len(known)) for name, (mine, known) in found.items()} == {"m": (1, 1), "n": (1, 0)}


def test_a_request_that_two_models_answered_is_both_models() -> None:
    """Callers may ask several models under one id: the outcome comes to each of them."""
    routes = OutcomeRoutes()
    found = routes.split([answer("a", "m"), answer("a", "n"), answer("a", "m")], [outcome("a")])
    assert {name: len(known) for name, (_, known) in found.items()} == {"m": 1, "n": 1}
