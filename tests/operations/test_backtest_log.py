"""A served model's own log, run through the monitors again; and another version's answers to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace as with_parts
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from msgspec import UNSET, Raw
from msgspec.structs import replace

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.app.compose import open_context
from fairlead.config.load import parse_settings
from fairlead.core.event import VersionRegistered
from fairlead.core.group_alarms import FAIRNESS, GROUP
from fairlead.core.groups import GroupReport
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import Stage, WindowReport
from fairlead.core.verdict import Outcome
from fairlead.core.window import DAY, WindowPlan
from fairlead.errors import FairleadError, NotFound, UsageError
from fairlead.faces.cli.app import build, run
from fairlead.flows.backtest import look_back
from fairlead.flows.backtest_rules import UNCOUPLED
from fairlead.flows.watch import Watch
from fairlead.flows.watching.judge import Policy
from fairlead.operations.backtest_log import backtest_log, logged_rows, newest, open_version, tallies_by
from fairlead.operations.backtest_values import Budget
from fairlead.operations.context import Context
from fairlead.operations.fault_runs import backtest_model
from fairlead.operations.page_budget import grants
from fairlead.operations.simulate import simulate
from fairlead.operations.watch_policy import policy_of
from fairlead.testing.bundles import ScriptedBundles
from fairlead.testing.candidate import Parts, StayPredictor, draw, write_candidate
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.registry import MemoryRegistry

START = 20_000 * DAY
DAYS, A_DAY = 8, 250


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """A home with stay@1, the champion, whose answers of eight days are logged with their outcomes."""
    home = home_in(tmp_path)
    serve(home, *logged())
    yield home
    assert isinstance(home.journal, SqliteJournal)
    home.journal.close()


def home_in(tmp_path: Path) -> Context:
    """The same with an empty log."""
    registry = MemoryRegistry()
    opened = open_context(tmp_path / "home")
    bundles = ScriptedBundles(opened.home / "bundles", StayPredictor())
    clock = ManualClock(START + DAYS * DAY)
    home = with_parts(opened, open_registry=lambda: registry, bundles=bundles, clock=clock)
    draft = tmp_path / "draft"
    draft.mkdir()
    manifest = write_candidate(draft, Parts())
    digest = bundles.put(draft, manifest)
    registry.register(manifest, digest, bundles.path(digest))
    registry.set_alias("stay", "champion", 1)
    home.journal.append([VersionRegistered("stay", 1, digest, "drawn")], actor="anna", at=1.0)
    return home


def logged(worse_on: int = 5) -> tuple[list[Prediction], list[OutcomeRecord]]:
    """Answers and outcomes; from one day on the outcomes have nothing to do with them."""
    rows, truth = draw(DAYS * A_DAY, seed=5)
    scores = StayPredictor().predict(rows)[:, 1].tolist()
    rng = np.random.default_rng(6)
    predictions, outcomes = [], []
    for at, (row, score, label) in enumerate(zip(rows, scores, truth.tolist(), strict=True)):
        when = START + at * DAY / A_DAY
        features = Raw(msgspec.json.encode(dict(zip(("age", "nights", "city"), row, strict=True))))
        predictions.append(
            Prediction(
                f"r{at}", "stay", 1, "champion", f"u{at}", 1.0, when, when, features, int(score >= 0.5), score, 1.0
            )
        )
        seen = label if at < worse_on * A_DAY else int(rng.integers(0, 2))
        outcomes.append(OutcomeRecord(f"r{at}", seen, when + 60.0, when + 60.0))
    predictions.append(replace(predictions[0], request_id="s0", arm="shadow", shadow_of=1, model_version=2))
    predictions.append(replace(predictions[0], request_id="f0", status=500))
    predictions.append(replace(predictions[0], request_id="o0", model_version=2))
    return predictions, outcomes


def serve(home: Context, predictions: Sequence[Prediction], outcomes: Sequence[OutcomeRecord]) -> None:
    """Logs answers and outcomes."""
    log = home.open_writer()
    log.predictions(predictions)
    log.outcomes(outcomes)
    log.close()


def test_the_log_is_judged_against_the_bundle(context: Context) -> None:
    """Harm is found and paged; answers of other versions, of shadows and of failures are no rows of it."""
    report = backtest_log(context, "stay", days=9.0, window="1d")
    assert sum(one.rows for one in report.windows) == DAYS * A_DAY
    assert [one.harmful for one in report.windows] == [False] * 5 + [True] * 3
    assert report.model == "stay@1"
    assert report.notes[-1] == "1 answer of other versions left out"
    pages = report.rules[0]
    assert (pages.found, pages.stretches, pages.false_notices) == (1, 1, 0)


@pytest.mark.parametrize("stated", ["", "budget: {pages: 1, per: 30d}"])
def test_a_backtest_says_of_each_window_what_the_watch_says(context: Context, stated: str) -> None:
    """The live watch over the same log, and the backtest of it: the same drift, performance and verdict; also where a
    budget of pages makes every threshold stricter."""
    context = with_parts(context, settings=parse_settings(f"{{monitoring: {{window: 1d}}, alerting: {{{stated}}}}}"))
    version = open_version(context, "stay@1")
    assert (version.policy.harm.loss_alpha < 0.025) == bool(stated)
    rows, _ = logged_rows(context, version, START, START + DAYS * DAY)
    assert version.policy == policy_of(context, "stay", grants(context, "stay")), "as the controller watches it"
    policy = replace(version.policy, maturity_seconds=2 * DAY)
    found = look_back("stay", version.reference, tallies_by(rows, version.reference, WindowPlan(DAY)), policy)
    predictions, outcomes = logged()
    live = _live_reports(context, policy, [one for one in predictions if one.model_version == 1], outcomes)
    assert [look.report.window for look in found.looks] == sorted(window for window, _ in live)[:DAYS]
    for look in found.looks:
        assert _alike(look.report) == _alike(live[look.report.window, look.report.stage])


def _live_reports(
    context: Context, policy: Policy, predictions: Sequence[Prediction], outcomes: Sequence[OutcomeRecord]
) -> dict[tuple[str, Stage], WindowReport]:
    """What the watch says, looking a minute after each day."""
    journal, clock = MemoryJournal(), ManualClock()
    fact = next(one.fact for one in context.journal.read(model="stay") if isinstance(one.fact, VersionRegistered))
    journal.append([fact], actor="anna", at=0.0)
    watch = Watch("stay", journal, context.bundles, open_dataset, clock, WindowPlan(DAY), policy)
    watch.observe(predictions, outcomes)
    live: dict[tuple[str, Stage], WindowReport] = {}
    for day in range(1, DAYS + 3):
        live |= {(one.window, one.stage): one for one in watch.judge(START + day * DAY + 61.0)}
    return live


def _alike(report: WindowReport) -> WindowReport:
    """All of it but when it was judged, what a restarted watch needs, and whom no table names: units, failures."""
    return replace(report, judged_at=0.0, habit=UNSET, units=0, failed=0)


def test_correlations_classes_groups_and_segments_are_judged_as_live(tmp_path: Path) -> None:
    """From day three on age and nights go together, cairo's answers are wrong from day five on: the backtest and the
    live watch say the same of both, to the last figure, and they are among the rules of the backtest."""
    context = with_parts(home_in(tmp_path), settings=parse_settings("""
        {monitoring: {window: 1d}, models: {stay: {segments: [city]}},
         gates: {bounds: {protected: [city]}}}"""))  # fmt: skip
    some, outcomes = logged(worse_on=99)
    predictions, known = _coupled(some[: DAYS * A_DAY], outcomes)
    serve(context, predictions, known)
    version = open_version(context, "stay@1")
    rows, _ = logged_rows(context, version, START, START + DAYS * DAY)
    tallies = tallies_by(rows, version.reference, WindowPlan(DAY))
    found = look_back("stay", version.reference, tallies, version.policy)
    live = _live_reports(context, version.policy, predictions, known)
    for look in found.looks:
        assert _alike(look.report) == _alike(live[look.report.window, look.report.stage])
    told = [look.report for look in found.looks]
    assert [one.uncoupled is not None for one in told] == [False] * 3 + [True] * 5
    assert all("city = cairo" in one.harm.segment for one in told if one.harmful)
    assert any(isinstance(one.groups, GroupReport) and one.groups.worse and one.groups.unfair for one in told[5:])
    report = backtest_log(context, "stay", days=9.0, window="1d")
    scores = {one.rule: one for one in report.rules}
    assert scores[UNCOUPLED].breached == 5
    assert scores[FAIRNESS].breached > 0
    assert scores[GROUP].windows == DAYS
    assert scores[GROUP].says
    context.journal.close()  # type: ignore[attr-defined]


def _coupled(
    some: Sequence[Prediction], outcomes: Sequence[OutcomeRecord]
) -> tuple[list[Prediction], list[OutcomeRecord]]:
    """The same answers to rows whose numbers go together, and to a city that is mistaken."""
    predictions, known = [], []
    for place, (one, outcome) in enumerate(zip(some, outcomes, strict=True)):
        row, day, label = msgspec.json.decode(one.features), place // A_DAY, outcome.outcome
        if day >= 3:
            row["nights"] = max(1, min(14, round((row["age"] - 18) / 72 * 14)))
        if day >= 5 and row["city"] == "cairo":
            label = 1 - int(one.prediction or 0)
        predictions.append(replace(one, features=Raw(msgspec.json.encode(row))))
        known.append(replace(outcome, outcome=label))
    return predictions, known


def test_a_stated_budget_is_tried_before_it_is_switched_on(context: Context) -> None:
    """The same log under another budget, and under shorter windows, which look more often: each is stricter, and
    nothing is journalled."""
    before = len(list(context.journal.read()))
    asked = ((None, None), (Budget(1.0), "1d"), (Budget(1.0), "1h"), (Budget(0.1), "1h"))
    levels = [open_version(context, "stay", *one).policy.harm.loss_alpha for one in asked]
    assert levels == pytest.approx([0.025, 1 / 4.1 / 30, 1 / 4.1 / 720, 0.1 / 4.1 / 720])
    strict = backtest_log(context, "stay", days=9.0, window="1d", budget=Budget(0.1))
    assert (strict.budget, strict.rules[0].found) == (Budget(0.1), 1)
    assert len(list(context.journal.read())) == before


def test_faults_are_answered_by_the_version(context: Context) -> None:
    """Every fault of a feature is found on calm ground, and names its column first; but those whose rows the contract
    refuses: of a request in six minutes no minute's share is beyond chance, and two windows show nothing usual."""
    report = backtest_model(context, "stay@1", faults=True, days=9.0, window="1d", budget=Budget(2.0))
    columns = [one for one in report.faults if one.right is not None]
    assert {one.column for one in columns} == {"age", "nights", "city"}
    refused = {(one.fault, one.column): one.note for one in columns if one.note}
    assert refused == {
        ("null burst", "age"): "the contract refuses 375 of 750 rows",
        ("null burst", "city"): "the contract refuses 336 of 750 rows",
        ("silent upstream change", "nights"): "the contract refuses 750 of 750 rows",
    }
    missed = {(one.fault, one.column) for one in columns if not one.found}
    assert missed <= {*refused, ("category remap", "city")}  # equally common cities: a remap changes little
    assert report.budget == Budget(2.0)


def test_a_window_is_answered_by_another_version(context: Context, tmp_path: Path) -> None:
    """The same version gives the same answers to the same requests: no flip, the same figures; a row a request."""
    found = simulate(context, "stay@1", "2024-10-05/2d", tmp_path / "both.parquet")
    assert (found.flips, round(found.shift, 9)) == (0, 0.0)
    assert (found.requests, found.labels) == (2 * A_DAY, 2 * A_DAY)
    assert found.verdict.outcome is Outcome.HOLDS
    assert all(one.served == one.simulated for one in found.metrics)
    table = pq.read_table(tmp_path / "both.parquet")
    assert table.num_rows == found.requests
    assert table["served"].to_pylist() == table["simulated"].to_pylist()


def test_a_version_that_knows_nothing_would_have_been_worse(context: Context) -> None:
    """Its decisions differ, its metric is lower beyond chance: breached. Of all versions' requests, by version."""
    noise = with_parts(context, bundles=ScriptedBundles(context.home / "bundles", StayPredictor(blur=1.0)))
    found = simulate(noise, "stay@1", "2024-10-04/3d")
    assert found.verdict.outcome is Outcome.BREACHED
    assert found.flips > 0.3 * found.requests
    assert found.others == {1: 3 * A_DAY, 2: 1}


@pytest.mark.parametrize(
    ("window", "error", "says"),
    [
        (
            "1999-01-01/1d",
            NotFound,
            "no answered request in 1999-01-01/1d: it has answers from 2024-10-04T00:00Z to 2024",
        ),
        ("2024-10-05/2024-10-04", UsageError, "ends before it begins"),
        ("soon", UsageError, "window"),
        ("2024-13-05/1d", UsageError, "no instant"),
        ("2024-10-05/", UsageError, "window"),
    ],
)
def test_windows_that_are_none_are_refused(
    context: Context, window: str, error: type[FairleadError], says: str
) -> None:
    """With what to write instead, and before anything is answered."""
    with pytest.raises(error, match=says):
        simulate(context, "stay@1", window)


def test_a_model_without_answers_is_told_so(context: Context) -> None:
    """No such version, none of its answers in that time, no log of it, no days."""
    with pytest.raises(NotFound, match="has no version"):
        backtest_log(context, "stay@9")
    with pytest.raises(NotFound, match="it has answers from 2024-10-04T00:00Z to 2024-10-11T23"):
        logged_rows(context, open_version(context, "stay"), 0.0, DAY)
    with pytest.raises(NotFound, match="no answer of inn yet"):
        newest(context, "inn")
    with pytest.raises(UsageError, match="--days is 0"):
        backtest_log(context, "stay", days=0.0)


def test_days_are_counted_back_from_the_newest_answer(context: Context) -> None:
    """A year after the last one, or of a past that is replayed: the wall clock has nothing to do with it."""
    context.clock.advance(400 * DAY)  # type: ignore[attr-defined]
    assert sum(one.rows for one in backtest_log(context, "stay", days=3.0, window="1d").windows) == 3 * A_DAY
    assert simulate(context, "stay@1", "2d").requests == 2 * A_DAY


def test_the_verbs_leave_with_the_verdict(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0 within the budget, 1 for a version that would have been worse or none, 2 for what was typed wrongly."""

    def typed(*arguments: str) -> int:
        return run(build(lambda *_: context, "0.0.0"), ["--home", str(context.home), *arguments])

    assert typed("backtest", "stay", "--days", "9", "--window", "1d") == 0
    assert "holds: 0 false pages" in capsys.readouterr().out
    assert typed("backtest", "stay", "--days", "1.5", "--window", "1d") == 3
    assert typed("simulate", "stay@1", "--window", "2024-10-05/2d") == 0
    assert "as served" in capsys.readouterr().out
    assert typed("backtest", "stay", "--target", "y") == 2
    assert typed("backtest", "stay", "--budget", "many") == 2
    assert typed("simulate", "stay@1", "--window", "1999-01-01/1d") == 2
