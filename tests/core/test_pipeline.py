"""A pipeline's steps, what the journal says was done of them, and the rollout that they ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.event import AnyFact, Entry, PipelineStep
from fairlead.core.pipeline import (
    COMMANDS,
    Kind,
    PlannedStep,
    apart,
    chosen,
    ladder,
    read_step,
    run_name,
    runs,
    stands,
    top_share,
    version_in,
)
from fairlead.core.rollout import Step
from fairlead.errors import SettingsError, UsageError

STATED = (Step(0.01, 60.0, 100), Step(0.05), Step(0.25, 60.0, 200), Step(0.5), Step(1.0))
SHARES = st.lists(st.integers(1, 99), unique=True, max_size=5).map(sorted)


def plan(*names: str) -> list[PlannedStep]:
    """Steps of one stage."""
    return [read_step(name, "deploy") for name in names]


def entries(*facts: AnyFact) -> list[Entry]:
    """A journal, one second between two facts."""
    return [
        Entry(seq=at, at=float(at), actor="ana", fact=fact, previous="", digest="") for at, fact in enumerate(facts)
    ]


def fact(step: str, state: str, run: str = "churn-1-1") -> PipelineStep:
    """What a run notes of a step."""
    return PipelineStep("churn", run, "deploy", step, state)


@pytest.mark.parametrize(
    ("name", "kind", "amount"),
    [
        ("unit_tests", Kind.COMMAND, 0.0),
        ("docker_build", Kind.COMMAND, 0.0),
        ("evaluation_suite", Kind.GATE, 0.0),
        ("deploy_to_staging", Kind.STAGING, 0.0),
        ("deploy_staging", Kind.STAGING, 0.0),
        ("deploy_canary_1_percent", Kind.CANARY, 0.01),
        ("deploy_canary_99_percent", Kind.CANARY, 0.99),
        ("monitor_30_minutes", Kind.MONITOR, 1800.0),
        ("monitor_1_hour", Kind.MONITOR, 3600.0),
        ("monitor_5_seconds", Kind.MONITOR, 5.0),
        ("gradual_rollout", Kind.GRADUAL, 0.0),
        ("full_deployment", Kind.FULL, 0.0),
        ("rollback", Kind.ROLLBACK, 0.0),
    ],
)
def test_a_steps_name_says_what_it_does(name: str, kind: Kind, amount: float) -> None:
    """Its kind, and the figure in it."""
    step = read_step(name)
    assert (step.kind, step.amount) == (kind, amount)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("unit_test", "did you mean unit_tests"),
        ("deploy_canary_100_percent", "1 to 99 percent"),
        ("deploy_canary_0_percent", "1 to 99 percent"),
        ("deploy_canary_ten_percent", "did you mean deploy_canary_10_percent"),
        ("monitor_30", "did you mean monitor_30_minutes"),
        ("make_coffee", "its name in pipeline.commands"),
    ],
)
def test_what_nothing_does_is_refused_with_what_was_meant(name: str, hint: str) -> None:
    """At the start, not in the middle of a release."""
    with pytest.raises(SettingsError, match=hint):
        read_step(name)


def test_a_command_may_have_any_name() -> None:
    """And stands in for a default."""
    assert read_step("lint", "test", {"lint": "ruff check"}).command == "ruff check"
    assert read_step("unit_tests", "test", {"unit_tests": "make test"}).command == "make test"
    assert "pytest" in read_step("unit_tests").command


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"unit_tests"}))
def test_a_step_without_its_command_names_the_key(name: str) -> None:
    """With an example of what to write."""
    with pytest.raises(UsageError, match=f"pipeline.commands.{name} is not set, and the stage deploy runs it") as told:
        chosen(plan(name), ())
    assert COMMANDS[name] in told.value.line


def test_stages_are_chosen_by_name_and_run_in_order() -> None:
    """A missing command of a stage that is not run is no fault."""
    steps = [read_step("unit_tests", "test"), read_step("docker_build", "build"), read_step("rollback", "back")]
    assert [step.stage for step in chosen(steps, ("back", "test"))] == ["test", "back"]
    with pytest.raises(UsageError, match="no stage 'bak': did you mean back"):
        chosen(steps, ("bak",))
    with pytest.raises(UsageError, match="there are test, build, back"):
        chosen(steps, ("zzz",))
    with pytest.raises(UsageError, match="no pipeline: write pipeline:"):
        chosen([], ())


def test_steps_of_one_name_are_told_apart() -> None:
    """In one stage; the journal knows each."""
    steps = apart(plan("monitor_1_minute", "smoke_tests", "monitor_1_minute"))
    assert [step.label for step in steps] == ["monitor_1_minute", "smoke_tests", "monitor_1_minute (2)"]


@given(model=st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True), version=st.integers(1, 99), key=st.integers(1, 99))
def test_a_runs_name_tells_its_version(model: str, version: int, key: int) -> None:
    """Whatever the model's name looks like."""
    assert version_in(run_name(model, version, str(key)), model) == version


def test_a_run_is_what_its_last_facts_say() -> None:
    """What passed stays so, what failed may pass later, and what began and did not end began when it did first."""
    found = stands(
        entries(
            fact("a", "started"),
            fact("a", "passed"),
            fact("b", "started"),
            fact("b", "failed"),
            fact("b", "started"),
            fact("b", "started"),
            fact("a", "failed", run="churn-1-2"),
        ),
        "churn-1-1",
    )
    assert {step: (stand.state, stand.since) for (_, step), stand in found.items()} == {
        "a": ("passed", 0.0),
        "b": ("started", 4.0),
    }


def test_the_run_that_was_touched_last_is_the_last() -> None:
    """Also where it began earlier."""
    facts = [fact("a", "started", run=f"churn-1-{key}") for key in (1, 2, 1)]
    assert list(runs(entries(*facts))) == ["churn-1-2", "churn-1-1"]


def test_the_rollout_of_the_page_stops_where_the_pipeline_has_a_say() -> None:
    """At the canary's share, and before it has everything; in between evidence alone lets it on."""
    steps = ladder(STATED, plan("deploy_canary_10_percent", "monitor_30_minutes", "gradual_rollout", "full_deployment"))
    assert [(step.traffic, step.manual, step.at_least) for step in steps] == [
        (0.1, True, 200),
        (0.25, False, 200),
        (0.5, True, 0),
        (1.0, False, 0),
    ]
    assert top_share(steps) == 0.5


def test_without_full_deployment_gradual_rollout_ends_in_the_promotion() -> None:
    """And without gradual_rollout, full_deployment goes there at once."""
    gradual = ladder(STATED, plan("deploy_canary_10_percent", "gradual_rollout"))
    assert [step.manual for step in gradual] == [True, False, False, False]
    assert top_share(gradual) == 1.0
    at_once = ladder(STATED, plan("deploy_canary_10_percent", "full_deployment"))
    assert [step.traffic for step in at_once] == [0.1, 1.0]


@given(
    stated=SHARES,
    canaries=SHARES,
    rest=st.lists(st.sampled_from(["gradual_rollout", "full_deployment"]), unique=True),
)
def test_a_ladder_grows_and_ends_with_everything(stated: list[int], canaries: list[int], rest: list[str]) -> None:
    """Whatever the settings' steps: each canary is a rung of its own that is left by hand and asks for requests."""
    steps = [*(f"deploy_canary_{share}_percent" for share in canaries), *rest]
    found = ladder([*(Step(share / 100) for share in stated), Step(1.0)], plan(*steps))
    shares = [step.traffic for step in found]
    assert shares == sorted(set(shares))
    assert shares[-1] == 1.0
    assert not found[-1].manual
    by_hand = {step.traffic for step in found if step.manual and step.at_least > 0}
    assert by_hand >= {share / 100 for share in canaries}
