"""Which run it is, what it needs before it begins, and what its steps do in a home without a controller."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.operations.house import House

from fairlead.config.load import parse_settings
from fairlead.config.settings import Settings
from fairlead.config.watchpoints import ROLLBACK
from fairlead.core.event import AnyFact, DeployAsked, RolloutDecided, RolloutStarted, RouteApplied, canonical
from fairlead.core.rollout import Baseline, Call, Decision, Phase, Plan, Step
from fairlead.core.verdict import Outcome
from fairlead.errors import NotFound, UsageError
from fairlead.flows.pipeline import RunReport
from fairlead.operations import pipeline_release
from fairlead.operations.alerts import ConditionState
from fairlead.operations.pipelines import cancel_pipeline, run_pipeline

TEXT = """
models: {hotel: {}}
pipeline:
  timeout: 1s
  commands: {unit_tests: "sh -c 'echo {model} {version} hush >> ran; test ! -e broken'", smoke_tests: "false"}
  stages:
    - {name: test, steps: [unit_tests]}
    - {name: staging, steps: [deploy_to_staging]}
    - {name: production, steps: [full_deployment, smoke_tests]}
"""


class Desk:
    """A home with two versions, and the folder in which commands run."""

    def __init__(self, home: Path) -> None:
        self.house = House(home, parse_settings(TEXT)).told()
        self.folder = home

    def run(self, *stages: str, model: str = "", key: str = "", resume: bool = False, text: str = "") -> RunReport:
        """A run of the pipeline."""
        context = self.house.under(parse_settings(text)) if text else self.house.context
        return run_pipeline(context, self.folder, stages, model, key, resume=resume)

    @property
    def ran(self) -> list[str]:
        """What the command saw, each time it ran."""
        path = self.folder / "ran"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A home without a controller."""
    return Desk(tmp_path)


def test_a_command_knows_the_version_that_it_is_run_for(desk: Desk) -> None:
    """By number, by alias, as the newest; runs of a version are numbered."""
    desk.house.crown(1)
    names = [desk.run("test", model=model).run for model in ("hotel@1", "hotel@champion", "hotel", "hotel@2")]
    assert names == ["hotel-1-1", "hotel-1-2", "hotel-2-1", "hotel-2-2"]
    assert desk.ran == ["hotel 1 hush", "hotel 1 hush", "hotel 2 hush", "hotel 2 hush"]


def test_the_only_model_of_the_settings_is_meant(desk: Desk) -> None:
    """Its newest version; with several, or none, somebody has to say; a command that asks for none needs none."""
    assert desk.run("test").run == "hotel-2-1"
    for models in ("{a: {}, b: {}}", "{}"):
        with pytest.raises(UsageError, match="Give --model NAME@V"):
            desk.run("test", text=TEXT.replace("{hotel: {}}", models))
    plain = TEXT.replace("{model} {version} ", "")
    assert desk.run("test", text=plain).run == "pipeline-1"


def test_a_run_that_failed_goes_on_with_its_own_version(desk: Desk) -> None:
    """Though a newer one was registered meanwhile; what had passed is not done again."""
    (desk.folder / "broken").touch()
    failed = desk.run("test", model="hotel@1")
    assert (failed.outcome, failed.rolled_back) == (Outcome.BREACHED, "")
    desk.run("test", model="hotel@2", key="other")
    (desk.folder / "broken").unlink()
    for resumed in (desk.run("test", model="hotel@1", resume=True), desk.run("test", model="hotel@1", resume=True)):
        assert (resumed.run, resumed.version, resumed.outcome) == ("hotel-1-1", 1, Outcome.HOLDS)
    assert resumed.steps[0].before
    assert len(desk.ran) == 3


def test_runs_of_one_key_are_one_run(desk: Desk) -> None:
    """The first fixes the version; that key for another version is another run."""
    first = desk.run("test", model="hotel@1", key="ci-7")
    again = desk.run("test", model="hotel", key="ci-7")
    assert (first.run, again.run, again.steps[0].before) == ("hotel-1-ci-7", "hotel-1-ci-7", True)
    assert desk.run("test", model="hotel@2", key="ci-7").run == "hotel-2-ci-7"


@pytest.mark.parametrize(
    ("stages", "model", "key", "error"),
    [
        (("tset",), "", "", "did you mean test"),
        (("test",), "hotel@9", "", "has no version 9"),
        (("test",), "motel", "", "no model motel"),
        (("test",), "", "a b", "--run 'a b': give letters"),
        (("test",), "", "../x", "--run '../x': give letters"),
    ],
)
def test_what_cannot_begin_leaves_nothing_behind(
    desk: Desk, stages: tuple[str, ...], model: str, key: str, error: str
) -> None:
    """Nothing in the journal, nothing run."""
    before = list(desk.house.journal.read())
    with pytest.raises(UsageError, match=error):
        desk.run(*stages, model=model, key=key)
    assert (list(desk.house.journal.read()), desk.ran) == (before, [])


def test_there_must_be_something_to_go_on_with(desk: Desk) -> None:
    """Of that version, if one is named."""
    with pytest.raises(NotFound, match="no run of hotel to go on with: leave --resume out"):
        desk.run("test", resume=True)
    desk.run("test", model="hotel@1")
    with pytest.raises(NotFound, match="no run of hotel@2 to go on with"):
        desk.run("test", model="hotel@2", resume=True)


def test_nothing_secret_is_in_the_journal(desk: Desk) -> None:
    """Neither a command's words nor what it printed."""
    secret = TEXT.replace("test ! -e broken", "echo hush; exit 1")
    assert desk.run("test", text=secret).outcome is Outcome.BREACHED
    assert not any("hush" in repr(entry) for entry in desk.house.journal.read())


def test_a_version_enters_staging_by_stagings_gate(desk: Desk) -> None:
    """Which stands already here; a second time it is there already."""
    desk.house.measured(desk.house.report(environment="staging"))
    report = desk.run("staging", model="hotel@1")
    assert (report.outcome, report.steps[0].reason) == (Outcome.HOLDS, "hotel@1 entered staging")
    assert desk.run("staging", model="hotel@1").steps[0].reason == "hotel@1 has entered staging before"


def test_a_version_without_a_gate_is_not_deployed(desk: Desk) -> None:
    """The step fails with what to run; there was nothing to take back."""
    report = desk.run("production", model="hotel@1")
    assert (report.outcome, report.rolled_back) == (Outcome.BREACHED, "")
    assert "run `fairlead gate hotel@1`" in report.reason


def test_a_deploy_that_nobody_performs_is_not_decided_and_is_asked_for_once(desk: Desk) -> None:
    """However often the run goes on."""
    desk.house.measured(desk.house.report())
    for _ in range(2):
        report = desk.run("production", model="hotel@1", key="x")
        assert report.outcome is Outcome.UNDECIDED
        assert "it has not begun: is `fairlead up` running?" in report.reason
    asked = [entry.fact for entry in desk.house.journal.read(kinds=["deploy_asked"])]
    assert [fact.reason for fact in asked if isinstance(fact, DeployAsked)] == ["pipeline run hotel-1-x"]


def test_what_was_asked_for_and_is_cancelled_is_never_begun(desk: Desk) -> None:
    """Nobody has performed the deploy yet: it leaves the controller's queue, what had begun has failed, and the run
    stays so. Cancelled again it is as it was."""
    desk.house.measured(desk.house.report())
    assert desk.run("production", model="hotel@1", key="x").outcome is Outcome.UNDECIDED
    done = cancel_pipeline(desk.house.context, "hotel", "x", "wrong version")
    assert (done.run, done.outcome) == ("hotel-1-x", Outcome.HOLDS)
    assert done.reason.endswith(" had not begun, and will not")
    refused = [entry.fact for entry in desk.house.journal.read(kinds=["deploy_refused"])]
    assert [fact.rollout for fact in refused] == [done.reason.partition(" ")[0]]  # type: ignore[union-attr]
    last = list(desk.house.journal.read(kinds=["pipeline_step"]))[-1].fact
    assert last.state == "failed"  # type: ignore[union-attr]
    assert f"cancelled by {desk.house.context.actor}: wrong version" in last.reason  # type: ignore[union-attr]
    before = list(desk.house.journal.read())
    again = cancel_pipeline(desk.house.context, "hotel", "x")
    assert (again.outcome, again.reason) == (Outcome.HOLDS, "nothing of this run is rolled out")
    assert list(desk.house.journal.read()) == before
    assert "was refused: pipeline run hotel-1-x: cancelled by" in desk.run("production", model="hotel", key="x").reason


def test_a_run_that_is_whole_is_not_cancelled(desk: Desk) -> None:
    """Its version was earned; the other runs of its job have names of their own."""
    in_rollout(desk, Outcome.HOLDS, desk.house.clock.now())
    text = TEXT.replace("full_deployment, smoke_tests", "full_deployment").replace(
        "    - {name: staging, steps: [deploy_to_staging]}\n", ""
    )
    assert desk.run(model="hotel@1", key="x", text=text).outcome is Outcome.HOLDS
    done = cancel_pipeline(desk.house.under(parse_settings(text)), "hotel@1", "x")
    assert done.reason == "each step has passed: there is nothing left to cancel"
    assert not list(desk.house.journal.read(kinds=["operator_asked"]))


@pytest.mark.parametrize(
    ("rollback", "outcome", "error"),
    [
        ("{automatic: false}", Outcome.UNDECIDED, "pipeline.rollback.automatic is false: r1 was left as it stands"),
        ("{}", Outcome.UNDECIDED, "its rollback was asked for, and nobody performed it yet: is `fairlead up` running?"),
    ],
)
def test_what_is_cancelled_and_stands_is_not_decided(
    desk: Desk, rollback: str, outcome: Outcome, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left to people, or no controller has performed it: nobody says that it is gone."""
    monkeypatch.setattr(pipeline_release, "_BACK_SECONDS", 0.5)
    in_rollout(desk, Outcome.HOLDS, desk.house.clock.now())
    text = TEXT.replace('smoke_tests: "false"', 'smoke_tests: "true"') + f"  rollback: {rollback}\n"
    assert desk.run("production", model="hotel@1", key="x", text=text).outcome is Outcome.HOLDS
    done = cancel_pipeline(desk.house.under(parse_settings(text)), "hotel@1", "x")
    assert done.outcome is outcome
    assert error in done.reason


def test_a_stage_after_the_deploy_is_run_for_its_version(desk: Desk) -> None:
    """Though its command asks for none: what it finds takes the version back. One before the deploy needs none."""
    text = TEXT.replace("{model} {version} ", "").replace("full_deployment, smoke_tests]}", "full_deployment]}")
    text += "    - {name: after, steps: [smoke_tests]}\n"
    assert desk.run("test", key="x", text=text).run == "pipeline-x"
    after = desk.run("after", key="x", text=text)
    assert (after.run, after.outcome) == ("hotel-2-x", Outcome.BREACHED)


def test_where_environments_are_entered_one_by_one_the_deploy_enters_its_own(desk: Desk) -> None:
    """From the one before; a version that never was there is refused."""
    stepwise = replace(parse_settings(TEXT), gates=parse_settings("gates: {stepwise: true}").gates)
    context = desk.house.under(stepwise)
    desk.house.measured(desk.house.report())
    refused = run_pipeline(context, desk.folder, ("production",), "hotel@1")
    assert "enters production from staging, where it never was" in refused.reason
    desk.house.measured(desk.house.report(environment="staging"))
    both = run_pipeline(context, desk.folder, ("staging", "production"), "hotel@1", "y")
    assert [one.state for one in both.steps] == ["passed", "undecided", "waiting"]
    entered = [entry.fact.environment for entry in desk.house.journal.read(kinds=["environment_entered"])]  # type: ignore[union-attr]
    assert entered == ["staging", "production"]


ONWARD = TEXT.replace("full_deployment, smoke_tests", "full_deployment, {run: 'sleep 30', name: long}")


def in_rollout(desk: Desk, outcome: Outcome, at: float) -> None:
    """Run x has deployed version 1, which is promoted; the controller has looked at the trigger at an instant."""
    decision = Decision("r1", 1.0, Call.SAFE, Phase.CANARY, Phase.PROMOTED, 0, 1.0, (), None, "", "it passed")
    plan = Plan("canary", (Step(1.0),), ())
    facts: list[AnyFact] = [
        DeployAsked("hotel", "r1", 1, "0" * 64, plan, "pipeline run hotel-1-x"),
        RolloutStarted("hotel", "r1", 1, "0" * 64, 2, plan, msgspec.Raw(canonical(Baseline(None, (), ())))),
        RolloutDecided("hotel", "r1", msgspec.Raw(canonical(decision))),
        RouteApplied("hotel", 1, 2, 0.1, "r1"),
    ]
    desk.house.journal.append(facts, actor="controller", at=at)
    seen = ConditionState("hotel", ROLLBACK, "error_rate > 5%", outcome, "error_rate is 12%", at, 1)
    (desk.house.home / "conditions").mkdir(exist_ok=True)
    (desk.house.home / "conditions" / "controller.json").write_bytes(msgspec.json.encode([seen]))


def test_a_met_trigger_stops_what_runs_and_leaves_the_version_where_people_decide(desk: Desk) -> None:
    """With `automatic: false` nothing is taken back, and the report says so; what was seen before the run began, and a
    trigger that holds, stop nothing."""
    text = ONWARD + "  rollback: {automatic: false, trigger: 'error_rate > 5%'}\n"
    in_rollout(desk, Outcome.BREACHED, desk.house.clock.now())
    report = desk.run("production", model="hotel@1", key="x", text=text)
    assert [one.state for one in report.steps] == ["failed", "waiting"]
    assert "pipeline.rollback.trigger is met: error_rate is 12%" in report.reason
    assert report.rolled_back == "pipeline.rollback.automatic is false: r1 was left as it stands"
    assert not list(desk.house.journal.read(kinds=["operator_asked"]))
    short = text.replace("sleep 30", "true")
    in_rollout(desk, Outcome.BREACHED, desk.house.clock.now() - 1.0)
    assert desk.run("production", model="hotel@1", key="x", text=short).outcome is Outcome.HOLDS
    in_rollout(desk, Outcome.HOLDS, desk.house.clock.now())
    assert desk.run("production", model="hotel@1", key="x", text=short).outcome is Outcome.HOLDS


def test_settings_without_a_pipeline_say_what_to_write(tmp_path: Path) -> None:
    """A beginning."""
    house = House(tmp_path, Settings()).told()
    with pytest.raises(UsageError, match="have no pipeline: write pipeline"):
        run_pipeline(house.context, tmp_path)
