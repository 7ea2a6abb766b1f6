"""The log as training data."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from fairlead.adapters.tables import as_table
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.inference import label_text
from fairlead.core.record import OutcomeRecord
from fairlead.flows.labelled import Labelled, as_columns, labelled
from fairlead.testing.log import MemoryLog, make_prediction

HOTEL = Contract(
    (Feature("adr", Kind.NUMBER, nullable=True), Feature("nights", Kind.INTEGER), Feature("meal", Kind.CATEGORY)),
    Task.BINARY,
    "is_canceled",
    ("0", "1"),
)


@dataclass(frozen=True)
class Told:
    """A request at an instant, and what was told of it, if anything: (outcome, became known, was told)."""

    at: float
    words: tuple[tuple[int, float, float], ...] = ()


def log_of(*told: Told) -> MemoryLog:
    """A log with requests q0, q1, … of one model."""
    log = MemoryLog()
    log.predictions([make_prediction(f"q{n}", timestamp=each.at) for n, each in enumerate(told)])
    for number, each in enumerate(told):
        log.outcomes([OutcomeRecord(f"q{number}", *word) for word in each.words])
    return log


def ids(rows: tuple[Labelled, ...]) -> list[str]:
    """The requests of some rows."""
    return [row.request_id for row in rows]


def test_only_what_is_known_by_now_is_used() -> None:
    """Now is the latest event time: an outcome without a word, or known only later, is left out."""
    log = log_of(
        Told(1.0, ((1, 5.0, 5.0),)),
        Told(2.0, ((1, 10.0, 5.0),)),  # known exactly now
        Told(3.0, ((1, 10.1, 5.0),)),  # known after it
        Told(4.0),
        Told(10.0),
    )
    assert ids(labelled(log, "hotel", 100)) == ["q0", "q1"]


def test_a_correction_wins_however_it_is_ordered_in_the_log() -> None:
    """The word that was told last counts, not the one that is read last."""
    first, corrected = (0, 3.0, 3.0), (1, 3.0, 8.0)
    log = log_of(Told(1.0, (first, corrected)), Told(2.0, (corrected, first)), Told(9.0))
    assert [row.outcome for row in labelled(log, "hotel", 100)] == [1, 1]


def test_an_outcome_may_come_before_its_prediction() -> None:
    """They meet by request id."""
    log = MemoryLog()
    log.outcomes([OutcomeRecord("early", 1, 2.0, 2.0)])
    log.predictions([make_prediction("early", timestamp=3.0)])
    assert ids(labelled(log, "hotel", 100)) == ["early"]


def test_shadows_failures_and_other_models_are_left_out() -> None:
    """Only what a caller of this model was answered counts, whichever arm answered; asking twice is asking once."""
    log = MemoryLog()
    log.predictions(
        [
            make_prediction("served", timestamp=5.0),
            make_prediction("served", timestamp=5.0, arm="shadow", model_version=2, shadow_of=1),
            make_prediction("canary", timestamp=6.0, arm="canary", model_version=2),
            make_prediction("failed", timestamp=4.0, status=500, prediction=None, score=None, error="it failed"),
            make_prediction("refused", timestamp=4.0, status=422, prediction=None, score=None),
            make_prediction("foreign", timestamp=4.0, model_name="motel"),
            make_prediction("served", timestamp=5.0),
        ]
    )
    names = ("served", "canary", "failed", "refused", "foreign", "never asked")
    log.outcomes([OutcomeRecord(name, 1, 1.0, 1.0) for name in names])
    assert ids(labelled(log, "hotel", 100)) == ["served", "canary"]


def test_a_log_of_many_batches_is_read_to_its_end() -> None:
    """Predictions and outcomes are both more than one poll gives."""
    count = 21_000
    log = log_of(*(Told(float(n), ((n % 2, 0.0, 0.0),)) for n in range(count)))
    rows = labelled(log, "hotel", count)
    assert [row.at for row in rows] == [float(n) for n in range(count)]


def test_an_empty_log_has_no_rows() -> None:
    """And nothing fails."""
    assert labelled(MemoryLog(), "hotel", 10) == ()


words = st.tuples(st.integers(0, 1), st.integers(0, 20).map(float), st.integers(0, 20).map(float))
requests = st.builds(Told, st.integers(0, 20).map(float), st.lists(words, max_size=3).map(tuple))


@given(st.lists(requests, max_size=20), st.integers(0, 25))
def test_the_limit_keeps_the_latest_in_order(told: list[Told], limit: int) -> None:
    """At most so many rows, in order of event time, none older than one that was left out; and each outcome is the
    last word on its request."""
    every, kept = labelled(log_of(*told), "hotel", 10_000), labelled(log_of(*told), "hotel", limit)
    assert len(kept) == min(limit, len(every))
    assert [row.at for row in every] == sorted(row.at for row in every)
    assert kept == every[len(every) - len(kept) :]
    for row in every:
        said = told[int(row.request_id[1:])].words
        latest = max(word[2] for word in said)
        assert row.outcome == [word[0] for word in said if word[2] == latest][-1]


def test_rows_become_columns_in_the_contracts_order() -> None:
    """Features first, then the target; numbers are floats however JSON wrote them; what is missing is null."""
    rows = [
        Labelled(1.0, "a", Raw(b'{"nights": 2, "meal": "BB", "adr": 80, "unknown": 9}'), 0),
        Labelled(2.0, "b", Raw(b'{"nights": 3, "meal": "HB", "adr": null}'), 1),
        Labelled(3.0, "c", Raw(b'{"nights": 4, "meal": "HB"}'), 1),
    ]
    columns = as_columns(rows, HOTEL)
    assert list(columns) == ["adr", "nights", "meal", "is_canceled"]
    assert columns == {
        "adr": [80.0, None, None],
        "nights": [2, 3, 4],
        "meal": ["BB", "HB", "HB"],
        "is_canceled": [0, 1, 1],
    }
    assert isinstance(columns["adr"][0], float)


@pytest.mark.parametrize("told", [(1, "1"), (1, 1.0), (0, "1", 1.0)])
def test_labels_told_by_different_callers_stay_one_class(told: tuple[float | str, ...]) -> None:
    """1, 1.0 and "1" name the same class: a training file holds as many labels as there are classes."""
    rows = [Labelled(float(n), f"q{n}", Raw(b"{}"), outcome) for n, outcome in enumerate(told)]
    written = as_table(as_columns(rows, HOTEL))["is_canceled"].to_pylist()
    assert len(set(written)) == len({label_text(outcome) for outcome in told}), written


def test_labels_that_are_words_stay_words() -> None:
    """A model of yes and no is trained on yes and no."""
    contract = replace(HOTEL, classes=("no", "yes"))
    rows = [Labelled(1.0, "a", Raw(b"{}"), "no"), Labelled(2.0, "b", Raw(b"{}"), "yes")]
    assert as_columns(rows, contract)["is_canceled"] == ["no", "yes"]


def test_a_row_whose_outcome_is_no_class_is_left_out() -> None:
    """A typing error in one label does not become a third class; a regression takes numbers only."""
    rows = [Labelled(1.0, "a", Raw(b'{"nights": 1}'), 1), Labelled(2.0, "b", Raw(b'{"nights": 2}'), "oui")]
    assert as_columns(rows, HOTEL)["nights"] == [1]
    regression = replace(HOTEL, task=Task.REGRESSION, classes=())
    assert as_columns(rows, regression)["is_canceled"] == [1.0]
