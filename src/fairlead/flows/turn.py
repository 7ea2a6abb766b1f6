"""The requests of one pass of the event loop, answered together: one call of the model, one write of the log.

Nobody waits for another: what is answered together is what had arrived when the pass began. Under load that is many
requests, and each costs a fraction of what it would alone (Clipper's adaptive batching, Crankshaw et al. 2017, without
the wait); a request that comes alone is answered alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from fairlead.core.decode import Answer, Row
from fairlead.core.record import Prediction
from fairlead.core.route import Route
from fairlead.errors import FairleadError, StateError
from fairlead.flows.serve import Arrival, Ask, Failed, Serving, answer_rows, failure, record_of
from fairlead.flows.warm import LiveModel, by_version

MOST = 64  # requests of a turn: who comes first does not wait for more

FAULT = "the gateway failed: the operator's log has the details"

Given = Prediction | FairleadError


class Fault(FairleadError):
    """The gateway itself failed."""


class Question(NamedTuple):
    """One request of one row, read and dealt. `told` is called with its logged record or with what failed."""

    model: LiveModel
    ask: Ask
    route: Route
    arrival: Arrival
    row: Row
    told: Callable[[Given], None]


class Turn:
    """Gathers questions until `answer` is called, which must be soon: in the same pass of the event loop."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._questions: list[Question] = []

    @property
    def is_full(self) -> bool:
        """Whether to answer now, before anything else is read."""
        return len(self._questions) >= MOST

    def add(self, question: Question) -> bool:
        """Takes a question; true for the first of a turn."""
        self._questions.append(question)
        return len(self._questions) == 1

    def answer(self) -> None:
        """Answers, logs, counts and tells. A log that cannot be written fails every question of the turn.

        A fault of the gateway itself is raised once everyone has been told of it; those who knew more are told twice.
        """
        questions, self._questions = self._questions, []
        try:
            if questions:
                self._answer(questions)
        except Exception:
            for one in questions:
                one.told(Fault(FAULT))
            raise

    def _answer(self, questions: Sequence[Question]) -> None:
        answers = _answers(questions)
        serving = self._serving
        now = serving.clock.monotonic()
        records = [
            record_of(one.model.name, one.ask, one.route, one.arrival, answer, (now - one.arrival.ticks) * 1000.0)
            for one, answer in zip(questions, answers, strict=True)
        ]
        try:
            serving.write(records)
        except StateError as error:
            for one in questions:
                one.told(error)
            return
        answered = serving.tally.answered
        for one, record in zip(questions, records, strict=True):
            seconds = now - one.arrival.ticks
            answered(record.model_name, record.model_version, record.arm, record.status, seconds)
            one.told(record if record.status == 200 else failure(record.model_name, [record], [0]))


def _answers(questions: Sequence[Question]) -> list[Answer | Failed]:
    """Each version answers its own rows, as many at once as pays and as answer alike together and alone."""
    if len(questions) == 1:
        only = questions[0]
        return list(answer_rows(only.model.versions[only.route.version], [only.row]))
    answers: dict[int, Answer | Failed] = {}
    for live, own in by_version(one.model.versions[one.route.version] for one in questions):
        size = live.pace.together(MOST)
        for start in range(0, len(own), size):
            some = own[start : start + size]
            answers.update(zip(some, answer_rows(live, [questions[i].row for i in some]), strict=True))
    return [answers[at] for at in range(len(questions))]
