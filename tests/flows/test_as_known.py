"""As known then, and as known now: verdicts stand, and late labels count only where they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.flows.test_watch import START, World, population, records

from fairlead.core.event import VersionRegistered, WindowJudged
from fairlead.core.known import AsKnown, last_reports, readings
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import Performance, WindowReport, reports
from fairlead.core.window import DAY
from fairlead.flows.as_known import as_known
from fairlead.flows.maturing import Maturing
from fairlead.flows.watching.judge import Policy
from fairlead.flows.watching.reference import load_reference
from fairlead.stats.performance import auroc
from fairlead.testing.dataset import MemoryDataset

DELAYS = (0, 1, 7, 30, 60)
LOOKS = (7, 8, 14, 15, 22, 38, 45, 68, 75, 90)  # days at which the watch looks
ROWS = 120


class Told:
    """A log of what had come by a day."""

    def __init__(self, predictions: Sequence[Prediction], outcomes: Sequence[OutcomeRecord]) -> None:
        self._parts = [(list(predictions), list(outcomes)), ([], [])]

    def poll(self, limit: int = 0) -> tuple[list[Prediction], list[OutcomeRecord]]:
        """All, then nothing."""
        return self._parts.pop(0) if len(self._parts) > 1 else self._parts[0]


class History:
    """Two weeks of answers, their labels after `delays` (days, dealt out in turn), and corrections of every third row
    `corrected` days after its label."""

    def __init__(self, world: World, delays: Sequence[int], corrected: int | None, seed: int = 1) -> None:
        self.world = world
        self.learns = False  # the watch reads the delay off the log
        self.answers: list[Prediction] = []
        self.labels: list[OutcomeRecord] = []
        self.truth: dict[str, int] = {}
        for week in (0, 1):
            rows = population(ROWS, seed + week)
            for number, (one, row) in enumerate(zip(records(rows, week), rows, strict=True)):
                self.answers.append(one)
                at = one.timestamp + delays[number % len(delays)] * DAY
                self.labels.append(OutcomeRecord(one.request_id, row[2], at, at))
                self.truth[one.request_id] = row[2]
                if corrected is not None and number % 3 == 0:
                    at += corrected * DAY
                    self.labels.append(OutcomeRecord(one.request_id, 1 - row[2], at, at))
                    self.truth[one.request_id] = 1 - row[2]

    def live(self, until: float = 90.0) -> bytes:
        """Lets the watch see each fact when it comes, up to a day; returns the journal's reports in one piece."""
        watch = self.world.watch()
        watch.matures = Maturing(at_most=self.world.policy.maturity_seconds) if self.learns else None
        before = -1.0
        for day in LOOKS:
            if day > until:
                break
            low, high = START + before * DAY, START + day * DAY
            watch.observe(
                [one for one in self.answers if low < one.received_at <= high],
                [one for one in self.labels if low < one.received_at <= high],
            )
            watch.judge(high)
            before = day
        return self.written()

    def written(self) -> bytes:
        """The reports in the journal."""
        facts = [entry.fact for entry in self.world.journal.read(kinds=["window_judged"])]
        return b"\n".join(bytes(fact.report) for fact in facts if isinstance(fact, WindowJudged))

    def again(self, day: float | None) -> tuple[AsKnown, ...]:
        """The windows as known at a day."""
        held = MemoryDataset(
            {name: [row[place] for row in self.world.rows] for place, name in enumerate(("x", "city", "y"))}
        )
        found = self.judged()
        (fact,) = [entry.fact for entry in self.world.journal.read(kinds=["version_registered"])]
        assert isinstance(fact, VersionRegistered)
        digest = fact.bundle
        return as_known(
            lambda: Told(self.answers, self.labels),
            found,
            lambda version: load_reference(
                self.world.bundles, digest, version, lambda _: held, self.world.policy.harm, weighed=False
            ),
            None if day is None else START + day * DAY,
        )

    def judged(self) -> list[WindowReport]:
        """The last judgement of each window."""
        return last_reports([report for _, report in reports(tuple(self.world.journal.read()))])


def history(folder: Path, delays: Sequence[int], corrected: int | None, maturity: float = 14.0) -> History:
    """A new world with it."""
    world = World(folder)
    world.policy = Policy(maturity_seconds=maturity * DAY)
    return History(world, delays, corrected)


@pytest.mark.parametrize("delay", DELAYS)
def test_a_label_delay_changes_when_a_window_is_measured_and_not_what_is_found(tmp_path: Path, delay: int) -> None:
    """0, 1, 7, 30 and 60 days: the window is judged on all its labels once they have come, and comes out the same."""
    prompt = history(tmp_path / "prompt", (0,), None, maturity=70.0)
    late = history(tmp_path / "late", (delay,), None, maturity=70.0)
    prompt.live()
    late.live()
    for one, other in zip(prompt.judged(), late.judged(), strict=True):
        assert one.performance is not None
        assert one.performance.realised is not None
        assert other.performance == one.performance
        assert (other.verdict, other.reason) == (one.verdict, one.reason)
        assert other.judged_at >= other.ends_at + min(delay - 1, 0) * DAY


@settings(max_examples=12, deadline=None)
@given(
    delays=st.lists(st.sampled_from(DELAYS), min_size=1, max_size=4),
    corrected=st.sampled_from((None, 0, 3, 25, 50)),
    maturity=st.sampled_from((1.0, 14.0, 70.0)),
    until=st.sampled_from((8, 15, 22, 45)),
    learns=st.booleans(),
)
def test_what_comes_later_changes_nothing_that_was_said(
    delays: list[int],
    corrected: int | None,
    maturity: float,
    until: int,
    learns: bool,
) -> None:
    """Whatever labels and corrections come after a day, the judgements up to it are the same bytes; asking for what is
    known now changes no byte either, and tells what was known at each judgement and what is known in the end."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        whole = history(folder / "whole", delays, corrected, maturity)
        cut = history(folder / "cut", delays, corrected, maturity)
        cut.learns = whole.learns = learns
        early, everything = cut.live(until), whole.live()
        assert everything.startswith(early)
        for report in whole.judged():
            (then,) = [one for one in whole.again((report.judged_at - START) / DAY) if one.window == report.window]
            assert then.performance == replace_verdict(report)
            assert not then.changed
            assert (then.late, then.corrected) == (0, 0)
        for now in whole.again(None):
            check_now(whole, now)
        assert whole.written() == everything


def replace_verdict(report: WindowReport) -> Performance:
    """A report's figures without the verdict that was drawn from them."""
    assert report.performance is not None
    return replace(report.performance, verdict=type(report.verdict).UNMEASURED, reason="")


def check_now(whole: History, now: AsKnown) -> None:
    """The primary metric is that of the last word on each row; late and corrected labels are counted."""
    rows = [one for one in whole.answers if now.starts_at <= one.timestamp < now.ends_at]
    truth = np.array([whole.truth[one.request_id] for one in rows])
    score = np.array([one.score for one in rows], np.float64)
    assert now.performance.labels == len(rows) == ROWS
    assert readings(now.performance)["auroc"].realised == pytest.approx(auroc(truth, score))
    assert now.then is not None
    assert now.late == ROWS - now.then.labels
    assert now.changed == (now.then.realised != now.performance.realised)


def test_corrections_after_maturity_count_only_as_known_now(tmp_path: Path) -> None:
    """Every third label turns round 25 days later: the verdict stands, and what is known now is worse."""
    found = history(tmp_path, (1,), 25, maturity=3.0)
    before = found.live(22)
    assert found.live() == before
    (first, second) = found.again(None)
    assert (first.corrected, second.corrected) == (ROWS // 3, ROWS // 3)
    assert first.then is not None
    assert first.then.realised is not None
    assert first.performance.realised is not None
    assert first.performance.realised < first.then.realised - 0.1
    assert [one.corrected for one in found.again(22)] == [0, 0]


def test_a_label_is_known_once_it_has_come_and_not_before(tmp_path: Path) -> None:
    """One that says it was observed on the first day, and reached the log on day 40, is not known on day 22."""
    found = history(tmp_path, (1,), None, maturity=3.0)
    found.labels = [
        OutcomeRecord(one.request_id, one.outcome, one.observed_at, START + 40 * DAY) for one in found.labels
    ]
    found.live(22)
    assert [one.performance.labels for one in found.again(22)] == [0, 0]
    assert [one.performance.labels for one in found.again(41)] == [ROWS, ROWS]


def test_a_replayed_history_is_known_by_its_own_clock(tmp_path: Path) -> None:
    """Where event times lie years before their arrival, as-of is an instant of event time."""
    found = history(tmp_path, (7,), None, maturity=30.0)
    found.live()
    shift = 1_000 * DAY
    found.answers = [replace(one, received_at=one.received_at + shift) for one in found.answers]
    found.labels = [
        OutcomeRecord(one.request_id, one.outcome, one.observed_at, one.received_at + shift) for one in found.labels
    ]
    labels = [one.performance.labels for one in found.again(14)]
    assert labels[0] == ROWS
    assert labels[1] < ROWS // 4


def test_a_history_that_is_replayed_in_minutes_is_known_by_its_own_clock_too(tmp_path: Path) -> None:
    """Two weeks that arrive within two minutes, in order: no label that had come before a judgement is called late."""
    found = history(tmp_path, (1,), None, maturity=3.0)
    found.live()
    pace = 120.0 / (14 * DAY)
    end = START + 1_000 * DAY

    def arrived(at: float) -> float:
        return end + (at - START) * pace

    found.answers = [replace(one, received_at=arrived(one.timestamp)) for one in found.answers]
    found.labels = [
        OutcomeRecord(one.request_id, one.outcome, one.observed_at, arrived(one.observed_at)) for one in found.labels
    ]
    assert [one.late for one in found.again(None)] == [0, 0]
    assert [one.performance.labels for one in found.again(None)] == [ROWS, ROWS]
    assert [one.performance.labels for one in found.again(7)] == [pytest.approx(ROWS * 6 / 7, abs=2), 0]


def test_what_the_log_no_longer_has_is_said(tmp_path: Path) -> None:
    """Answers that retention has removed are counted, not passed over."""
    found = history(tmp_path, (1,), None)
    found.live()
    found.answers = found.answers[30:]
    assert [one.forgotten for one in found.again(None)] == [30, 0]
