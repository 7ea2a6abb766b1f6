"""The watch on small synthetic streams: what it takes in, when it judges, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.core import fallback
from fairlead.core.bundle import HELDOUT, PROFILE, Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.event import VersionRegistered
from fairlead.core.quadrant import Quadrant
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import SCORE, Stage, WindowReport, reports
from fairlead.core.verdict import Outcome
from fairlead.core.window import DAY, WindowPlan
from fairlead.flows.watch import Watch
from fairlead.flows.watching.judge import Policy
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.performance import Floats
from fairlead.stats.profile import profile
from fairlead.testing.bundles import ScriptedBundles
from fairlead.testing.clock import ManualClock
from fairlead.testing.dataset import MemoryDataset
from fairlead.testing.journal import MemoryJournal

START = 1_451_865_600.0  # Monday, 4 January 2016
CITIES = ("lisbon", "porto")
PLAN = WindowPlan(7 * DAY)
Row = tuple[Any, ...]


class Logistic:
    """Answers 1 / (1 + exp(1 - 1.5 x)) of the first feature."""

    def predict(self, rows: Sequence[Row]) -> Floats:
        x = np.array([row[0] if row[0] is not None else 0.0 for row in rows], np.float64)
        p = 1 / (1 + np.exp(1 - 1.5 * x))
        return np.stack([1 - p, p], axis=1)


class Tiring(Logistic):
    """Answers so many times, then raises."""

    def __init__(self, times: int) -> None:
        self.times = times

    def predict(self, rows: Sequence[Row]) -> Floats:
        self.times -= 1
        if self.times < 0:
            raise RuntimeError("the weights are gone\nand with them the details")
        return super().predict(rows)


def population(n: int, seed: int, shift: float = 0.0, *, reversed_truth: bool = False) -> list[Row]:
    """Rows of (x, city, y); `shift` moves x, `reversed_truth` changes what x means."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, size=n)
    sign = -1.0 if reversed_truth else 1.0
    y = rng.random(n) < 1 / (1 + np.exp(1 - 1.5 * sign * x))
    city = rng.integers(0, 2, n)
    return [(float(a), CITIES[b], int(c)) for a, b, c in zip(x, city, y, strict=True)]


class World:
    """A registered model, its journal, and a watch over it."""

    def __init__(self, folder: Path, task: Task = Task.BINARY) -> None:
        self.journal = MemoryJournal()
        self.clock = ManualClock(START)
        self.bundles = ScriptedBundles(folder / "bundles", Logistic())
        self.task = task
        self.rows = population(2_000, 0)
        self.folder = folder
        self.policy = Policy()
        self.digest = self.register(1)

    def register(self, version: int) -> str:
        """Puts a bundle in and journals its registration."""
        score = Logistic().predict(self.rows)[:, 1]
        codes = np.array([CITIES.index(row[1]) for row in self.rows], np.int32)
        columns = (
            NumericColumn("x", np.array([row[0] for row in self.rows])),
            CategoricalColumn("city", codes, CITIES),
            NumericColumn(SCORE, score),
        )
        folder = self.folder / f"new-{version}"
        folder.mkdir(parents=True)
        files = {PROFILE: msgspec.json.encode(profile(columns)), HELDOUT: b"rows", "note": str(version).encode()}
        for name, content in files.items():
            (folder / name).write_bytes(content)
        classes = () if self.task is Task.REGRESSION else ("0", "1")
        features = (Feature("x", Kind.NUMBER), Feature("city", Kind.CATEGORY))
        manifest = Manifest(
            name="hotel",
            contract=Contract(features, self.task, "y", classes),
            model_format="skops",
            model_entry="model",
            served="model",
            files={name: sha256(content).hexdigest() for name, content in files.items()},
            lineage=Lineage("july", "0" * 64, len(self.rows)),
        )
        digest = self.bundles.put(folder, manifest)
        self.journal.append([VersionRegistered("hotel", version, digest, "july")], actor="anna", at=START)
        return digest

    def watch(self) -> Watch:
        """A new watch, as after a restart."""
        held = MemoryDataset({name: [row[place] for row in self.rows] for place, name in enumerate(("x", "city", "y"))})
        return Watch("hotel", self.journal, self.bundles, lambda _: held, self.clock, PLAN, self.policy)


def records(rows: Sequence[Row], week: int = 0, version: int = 1, label: str = "r") -> list[Prediction]:
    """Answers spread evenly over a week."""
    scores = Logistic().predict(rows)[:, 1]
    step = 7 * DAY / max(len(rows), 1)
    found = []
    for number, (row, score) in enumerate(zip(rows, scores, strict=True)):
        at = START + week * 7 * DAY + number * step
        features = msgspec.Raw(msgspec.json.encode({"x": row[0], "city": row[1]}))
        identity = f"{label}{week}-{version}-{number}"
        found.append(
            Prediction(identity, "hotel", version, "champion", f"u{number % 50}", 1.0, at, at, features,
                       int(score >= 0.5), float(score), 1.0)
        )  # fmt: skip
    return found


def outcomes(answered: Sequence[Prediction], rows: Sequence[Row], delay: float = DAY) -> list[OutcomeRecord]:
    """The truth, known a day after each answer."""
    return [
        OutcomeRecord(record.request_id, row[2], record.timestamp + delay, record.timestamp + delay)
        for record, row in zip(answered, rows, strict=True)
    ]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One registered version."""
    return World(tmp_path)


def judged(watch: Watch, week: int = 1, days: float = 0.0) -> tuple[WindowReport, ...]:
    """What is said once `week` weeks and `days` days have passed."""
    return watch.judge(START + week * 7 * DAY + days * DAY)


def test_a_calm_week_holds(world: World) -> None:
    """Nothing moved and the labels agree: first undecided at the close, then it holds on matured labels."""
    watch, rows = world.watch(), population(1_000, 1)
    answered = records(rows)
    watch.observe(answered, outcomes(answered, rows, delay=3 * DAY))
    assert watch.judge(START + 6.9 * DAY) == ()
    (closed,) = judged(watch)
    assert (closed.stage, closed.verdict, closed.window) == (Stage.CLOSED, Outcome.UNDECIDED, "2016-01-04")
    assert closed.performance is not None
    assert 0.5 < closed.performance.matured_share < 0.7
    (matured,) = judged(watch, days=3)
    assert (matured.stage, matured.verdict) == (Stage.MATURED, Outcome.HOLDS)
    assert matured.quadrant is Quadrant.BENIGN
    assert not matured.moved
    assert (matured.rows, matured.units) == (1_000, 50)
    assert judged(watch, days=3) == ()


def test_estimated_and_realised_agree_without_concept_drift(world: World) -> None:
    """Inputs that moved without harm are benign: the realised metrics lie inside the estimated intervals."""
    watch, rows = world.watch(), population(2_000, 2, shift=0.4)
    answered = records(rows)
    watch.observe(answered, outcomes(answered, rows))
    report = judged(watch, days=1)[-1]
    assert report.moved == ("x",)
    assert report.verdict is Outcome.HOLDS
    assert ": benign" in report.reason
    assert report.performance is not None
    readings = {each.metric: each for each in (report.performance, *report.performance.also)}
    for name in ("auroc", "accuracy", "precision", "recall", "f1"):
        one = readings[name]
        assert one.estimated_low is not None
        assert one.estimated_high is not None
        assert one.realised is not None
        assert one.estimated_low - 0.01 <= one.realised <= one.estimated_high + 0.01, name


def test_concept_drift_is_harmful(world: World) -> None:
    """The inputs stand still and their meaning turns round: harmful, concept, and the estimate did not see it."""
    watch, rows = world.watch(), population(1_500, 3, reversed_truth=True)
    answered = records(rows)
    watch.observe(answered, outcomes(answered, rows))
    report = judged(watch, days=1)[-1]
    assert (report.harmful, report.quadrant, report.verdict) == (True, Quadrant.CONCEPT, Outcome.BREACHED)
    assert report.harm.log_e > report.harm.threshold
    assert "AUROC fell from" in report.reason
    assert report.reason.endswith("while the inputs stood still: harmful")


def test_suspects_are_ranked_by_harm(world: World) -> None:
    """Both features moved; the one that the model lives on is the first suspect, the other has done no harm."""
    rows = [(x + 1.0, "porto", y) for x, _, y in population(1_500, 4, reversed_truth=True)]
    watch, answered = world.watch(), records(rows)
    watch.observe(answered, outcomes(answered, rows))
    report = judged(watch, days=1)[-1]
    assert report.suspects == ("x", "city")
    shifts = {shift.name: shift for shift in report.drift}
    assert (shifts["city"].importance, shifts["city"].harm) == (0.0, 0.0)
    assert (shifts["x"].harm or 0.0) > 0.02
    assert SCORE in shifts


def test_the_same_fact_twice_is_one_fact(world: World) -> None:
    """Repeated predictions and outcomes change no count; shadows, answers in a version's place, failures
    and other models are left out."""
    watch, rows = world.watch(), population(300, 5)
    answered = records(rows)
    truths = outcomes(answered, rows)
    strangers = [
        replace(answered[0], request_id="s", arm="shadow", shadow_of=1),
        replace(answered[0], request_id="b", arm=fallback.ARM),
        replace(answered[0], request_id="f", status=500, score=None, prediction=None),
        replace(answered[0], request_id="o", model_name="taxi"),
        replace(answered[0], request_id="t", timestamp=1e300),
    ]
    for _ in range(2):
        watch.observe([*answered, *strangers], truths)
    (report,) = judged(watch, days=1)
    assert report.performance is not None
    assert (report.rows, report.performance.labels, report.failed) == (300, 300, 1)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.randoms(use_true_random=False), st.integers(1, 4))
def test_order_and_batches_do_not_matter(world: World, random: Any, parts: int) -> None:
    """However predictions, outcomes and corrections are shuffled and cut into batches, the report is the same."""
    rows = population(200, 6)
    answered = records(rows)
    truths = outcomes(answered, rows)
    truths += [replace(truth, outcome=1, observed_at=truth.observed_at + 60) for truth in truths[:40]]
    expected, shuffled = world.watch(), world.watch()
    expected.observe(answered, truths)
    random.shuffle(answered)
    random.shuffle(truths)
    for part in range(parts):
        shuffled.observe(answered[part::parts], truths[part::parts])
    at = START + 9 * DAY
    one, other = _quietly(expected, at), _quietly(shuffled, at)
    assert one is not None
    assert one == other


def _quietly(watch: Watch, at: float) -> WindowReport | None:
    """A judgement that leaves no trace in the journal that the worlds share."""
    watch._journal = MemoryJournal()
    watch._read = 0
    found = watch.judge(at)
    return found[-1] if found else None


def test_an_outcome_counts_once_it_is_observed(world: World) -> None:
    """A label that is told early counts at its own time; one that is corrected counts as corrected."""
    watch, rows = world.watch(), population(200, 7)
    answered = records(rows)
    truths = outcomes(answered, rows, delay=4 * DAY)
    watch.observe(answered, truths)
    (closed,) = judged(watch)
    assert closed.performance is not None
    assert closed.performance.labels == sum(truth.observed_at <= START + 7 * DAY for truth in truths)
    watch.observe([], [replace(truth, outcome="maybe", observed_at=START + 8 * DAY) for truth in truths[:5]])
    (matured,) = judged(watch, days=4)
    assert matured.performance is not None
    assert (matured.performance.unusable, matured.performance.labels) == (5, 195)


def test_labels_that_never_come_are_not_waited_for(world: World) -> None:
    """After the maturity delay the window is judged on what there is, and stays undecided."""
    watch = world.watch()
    watch.observe(records(population(300, 8)), [])
    assert len(judged(watch)) == 1
    assert [report.window for report in judged(watch, days=13.9)] == ["2016-01-11"]  # the silent week after it
    (report,) = judged(watch, days=14)
    assert (report.stage, report.verdict) == (Stage.MATURED, Outcome.UNDECIDED)
    assert "only 0 labels came" in report.reason


def test_a_restart_judges_nothing_again(world: World) -> None:
    """A new watch over the same journal and log goes on where the old one stopped, and comes to the same end."""
    rows = population(600, 9, reversed_truth=True)
    answered = records(rows)
    truths = outcomes(answered, rows, delay=3 * DAY)
    first = world.watch()
    first.observe(answered, truths)
    (closed,) = judged(first)
    second = world.watch()
    second.observe(answered, truths)
    assert judged(second) == ()
    (matured,) = judged(second, days=3)
    assert (matured.stage, matured.rows, matured.units) == (Stage.MATURED, 600, 50)
    assert matured.drift == closed.drift
    third = world.watch()
    third.observe(answered, truths)
    assert judged(third, days=4) == ()
    assert [report.stage for _, report in reports(tuple(world.journal.read()))] == [Stage.CLOSED, Stage.MATURED]


def test_the_harm_test_survives_a_restart(world: World) -> None:
    """The evidence goes on from the journal: two watches with a restart between come to the wealth of one."""
    weeks = [population(400, 10 + week, reversed_truth=week == 2) for week in range(3)]
    whole = World(world.folder / "whole")
    one = whole.watch()
    for week, rows in enumerate(weeks):
        answered = records(rows, week)
        one.observe(answered, outcomes(answered, rows))
        judged(one, week + 1, days=1)
        restarted = world.watch()
        restarted.observe(answered, outcomes(answered, rows))
        judged(restarted, week + 1, days=1)
    ends = [[report.harm for _, report in reports(tuple(w.journal.read()))] for w in (whole, world)]
    assert ends[0] == ends[1]
    assert ends[0][-1].harmful
    assert not ends[0][0].harmful


def test_a_version_change_inside_a_window(world: World) -> None:
    """The version that served most is judged, on its own rows; the others are counted."""
    world.register(2)
    watch = world.watch()
    watch.observe([*records(population(100, 11), version=1), *records(population(300, 12), version=2)], [])
    (report,) = judged(watch)
    assert (report.version, report.rows, report.other_rows) == (2, 300, 100)


def test_silence_is_told_once(world: World) -> None:
    """The first window without traffic is unmeasured; the silence after it is not told again; traffic ends it."""
    watch = world.watch()
    watch.observe(records(population(100, 13)), [])
    judged(watch)
    (silent,) = [report for report in judged(watch, 4) if report.rows == 0]
    assert (silent.window, silent.verdict) == ("2016-01-11", Outcome.UNMEASURED)
    assert "no request to hotel was answered" in silent.reason
    watch.observe(records(population(100, 14), week=5), [])
    assert [report.window for report in judged(watch, 6) if report.stage is Stage.CLOSED] == ["2016-02-08"]


def test_only_failures_are_no_success(world: World) -> None:
    """A window in which every request failed is unmeasured, and says how many failed."""
    watch = world.watch()
    watch.observe([replace(record, status=500) for record in records(population(20, 15))], [])
    (report,) = judged(watch)
    assert (report.verdict, report.failed) == (Outcome.UNMEASURED, 20)
    assert "none of 20 requests" in report.reason


def test_a_version_that_cannot_be_read_is_unmeasured(world: World) -> None:
    """Answers of a version without a readable bundle are counted, and the report says why they are not judged."""
    watch = world.watch()
    watch.observe(records(population(50, 16), version=9), [])
    (report,) = judged(watch)
    assert (report.verdict, report.rows) == (Outcome.UNMEASURED, 50)
    assert report.reason == "50 answers cannot be judged: version 9 of hotel was never registered"
    digest = world.register(3)
    profile_file = world.bundles.path(digest) / PROFILE
    profile_file.write_bytes(b"{}")
    watch.observe(records(population(50, 16), week=1, version=3), [])
    assert "cannot be read" in judged(watch, 2)[-1].reason


def test_a_version_whose_model_raises_is_unmeasured(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The model is asked once and told of once; its answers are counted, and the other version's are judged."""
    world.bundles.script(world.register(2), Tiring(0))
    watch = world.watch()
    for week in (0, 1):
        watch.observe(records(population(50, 16), week, version=2), [])
    watch.observe(records(population(50, 16), week=2), [])
    broken, still, other = (one for one in judged(watch, 3) if one.rows)
    assert [one.verdict for one in (broken, still)] == [Outcome.UNMEASURED] * 2
    why = "version 2 of hotel cannot be asked about its held-out rows (RuntimeError: the weights are gone)"
    assert broken.reason == still.reason == f"50 answers cannot be judged: {why}"
    assert (other.version, other.verdict is Outcome.UNMEASURED) == (1, False)
    assert [record.getMessage() for record in caplog.records] == ["version 2 of hotel cannot be watched"]


def test_shifts_are_told_where_the_model_raises_when_asked_what_they_cost(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """It answered when the watch began; a shift asks it again, and is told without its cost."""
    world.bundles.script(world.register(2), Tiring(1))
    watch = world.watch()
    rows = population(500, 17, shift=2.0)
    watch.observe(records(rows, version=2), [])
    watch.observe(records(rows, week=1, version=2), [])
    for report in (one for one in judged(watch, 2) if one.rows):
        shift = next(one for one in report.drift if one.name == "x")
        assert (shift.level, shift.harm) == ("critical", None), report.reason
    assert [record.getMessage() for record in caplog.records] == ["what shifts cost version 2 cannot be told"]


def test_what_comes_late_is_left_out(world: World) -> None:
    """Once a window is closed its rows stand; a prediction that comes afterwards changes nothing."""
    watch, rows = world.watch(), population(200, 17)
    answered = records(rows)
    watch.observe(answered[:150], [])
    assert judged(watch)[0].rows == 150
    watch.observe(answered[150:], outcomes(answered, rows))
    (matured,) = judged(watch, days=1)
    assert matured.performance is not None
    assert (matured.rows, matured.performance.labels) == (150, 150)


def test_strange_features_are_nulls(world: World) -> None:
    """A record with a missing feature, a wrong type or broken JSON counts, its feature as null; many of them alert."""
    watch, rows = world.watch(), population(300, 18)
    answered = records(rows)
    strange = [
        replace(record, features=msgspec.Raw(text))
        for record, text in zip(answered[:90], [b"{}", b'{"x":"one","city":"porto"}', b'{"x":'] * 30, strict=True)
    ]
    watch.observe([*strange, *answered[90:]], [])
    (report,) = judged(watch)
    assert report.rows == 300
    shifts = {shift.name: shift for shift in report.drift}
    assert shifts["x"].null_rate == pytest.approx(0.3)
    assert "x is null in 30.0% of the rows" in shifts["x"].broken
    assert report.verdict is Outcome.BREACHED


def test_unseen_categories_are_named(world: World) -> None:
    """Categories that the reference never had are a broken column once they fill more than a twentieth."""
    rows = [(x, "faro" if number % 5 == 0 else city, y) for number, (x, city, y) in enumerate(population(400, 19))]
    watch = world.watch()
    watch.observe(records(rows), [])
    (report,) = judged(watch)
    shift = next(shift for shift in report.drift if shift.name == "city")
    assert shift.unseen_share == pytest.approx(0.2)
    assert "never seen in 20.0%" in shift.broken


def test_regression_is_watched_by_its_error(tmp_path: Path) -> None:
    """For values the primary metric is MAE; an error that doubles is harmful, and above what the predictions said."""
    world = World(tmp_path, Task.REGRESSION)
    world.rows = [(x, city, float(p + e)) for (x, city, _), p, e in _noisy(world.rows, 0.1)]
    watch = world.watch()
    rows = [(x, city, float(p + e)) for (x, city, _), p, e in _noisy(population(500, 20), 0.2)]
    answered = [replace(record, prediction=record.score) for record in records(rows)]
    watch.observe(answered, outcomes(answered, rows))
    report = judged(watch, days=1)[-1]
    assert report.performance is not None
    assert report.performance.metric == "mae"
    assert report.performance.estimated == pytest.approx(0.08, abs=0.01)  # the mean of abs(N(0, 0.1))
    assert report.performance.realised == pytest.approx(0.16, abs=0.02)
    assert report.harmful
    assert report.quadrant is Quadrant.CONCEPT
    assert "MAE rose from" in report.reason


def _noisy(rows: Sequence[Row], spread: float) -> list[tuple[Row, float, float]]:
    # The predictor's first column is what a regression answers with.
    rng = np.random.default_rng(21)
    values = Logistic().predict(rows)[:, 0 if spread == 0.1 else 1]
    return list(zip(rows, values.tolist(), rng.normal(0, spread, len(rows)).tolist(), strict=True))


def test_the_watermark(world: World) -> None:
    """Live traffic keeps the wall clock; a replayed history keeps its own, and goes on with the wall's seconds."""
    live, replayed = world.watch(), world.watch()
    assert live.event_now(5.0) == 5.0
    first, last = records(population(2, 22))
    live.observe([first, replace(last, timestamp=last.timestamp - 1e6)], [])
    assert live.event_now(first.received_at + 10) == first.timestamp + 10
    replayed.observe([replace(first, received_at=2e9), replace(last, received_at=2e9 + 1)], [])
    assert replayed.event_now(2e9 + 1) == last.timestamp
    assert replayed.event_now(2e9 + 61) == last.timestamp + 60
    replayed.observe([replace(first, request_id="f", timestamp=9e9, received_at=2e9)], [])
    assert replayed.event_now(2e9) == 2e9
