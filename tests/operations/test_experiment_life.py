"""An experiment from its start to its end, over one home: started, read from the log, stopped, and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.operations.experiments import TERMS, Rig, answer, event

from fairlead.config.fields import Share
from fairlead.config.models import ModelSettings
from fairlead.config.rollout import RolloutSettings, SplitSettings
from fairlead.config.settings import Settings
from fairlead.core.event import DeployAsked, ExperimentStarted, ExperimentStopped, OperatorAsked
from fairlead.core.experiment import Action, Health
from fairlead.core.experiment_terms import Terms, measure, measures
from fairlead.core.record import OutcomeRecord
from fairlead.core.split import By
from fairlead.core.verdict import Outcome
from fairlead.errors import NotFound, Refused, UsageError
from fairlead.operations.experiment_facts import packed, summary, trial, trials, unpacked
from fairlead.operations.experiment_life import start, stop
from fairlead.operations.experiment_log import read_trial
from fairlead.operations.experiment_sizing import Aim
from fairlead.operations.experiments import ArmComparison


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A home with a champion, a version that passed its gate, and some traffic."""
    rig = Rig(tmp_path / "home")
    rig.before(400)
    return rig


def begun(rig: Rig, terms: Terms = TERMS, **more: Any) -> None:
    """An experiment that the controller has started."""
    start(rig.context, "hotel@2", terms, **more)
    rig.begins()


def read(rig: Rig) -> ArmComparison:
    """What it says once the last unit's window is over."""
    rig.clock.advance(700.0)
    return read_trial(rig.context, trial(rig.context, "hotel"))


def better(arm: str) -> float:
    """The challenger converts three times as often."""
    return 0.6 if arm != "champion" else 0.2


def worse(arm: str) -> float:
    """The challenger converts a third as often."""
    return 0.2 if arm != "champion" else 0.6


def same(_arm: str) -> float:
    """No difference."""
    return 0.3


def test_an_experiment_is_a_rollout_and_the_terms_it_is_read_by(rig: Rig) -> None:
    """Both are written at once, so that neither is there without the other."""
    found = start(rig.context, "hotel@2", TERMS, name="shorter-form", shares={2: 0.3})
    assert (found.id, found.rollout, found.state) == ("shorter-form", "hotel-ab-1", "asked")
    assert found.terms.shares == {"champion": 0.7, "challenger-2": 0.3}
    facts = [entry.fact for entry in rig.journal.read()][-2:]
    assert isinstance(facts[0], DeployAsked)
    assert isinstance(facts[1], ExperimentStarted)
    assert facts[0].plan.among is not None
    assert facts[1].rollout == facts[0].plan.among.group


def test_what_a_better_arm_showed_is_shipped(rig: Rig) -> None:
    """Read from the log: arms by unit, what each logged, the decision; stopping does what it says, and its report is
    the last word afterwards."""
    begun(rig)
    rig.come(2_000, better, requests=3)
    report = read(rig)
    assert report.decision is Action.SHIP, report.verdict.reason
    assert [one.name for one in report.arms] == ["champion", "challenger-2"]
    assert sum(one.units for one in report.arms) == 2_000
    difference = report.primary[0].difference
    assert difference is not None
    assert difference.low < 0.4 < difference.high
    stopped = stop(rig.context, "hotel")
    assert (stopped.state, stopped.decision) == ("stopped", "ship")
    asked, fact = [entry.fact for entry in rig.journal.read()][-2:]
    assert isinstance(asked, OperatorAsked)
    assert isinstance(fact, ExperimentStopped)
    assert (asked.verb, asked.seen) == ("promote", "hotel-2-1")
    rig.obeys()
    rig.come(500, worse)
    assert read_trial(rig.context, trial(rig.context, "hotel-ab-1")) == report
    assert (rig.home / "experiments" / "hotel-ab-1.html").read_text().lower().startswith("<!doctype html>")
    assert json.loads((rig.home / "experiments" / "hotel-ab-1.json").read_text())["decision"] == "ship"
    with pytest.raises(Refused, match="was stopped already"):
        stop(rig.context, "hotel")


def test_what_a_worse_arm_showed_is_aborted(rig: Rig) -> None:
    """The decision table says stop, and that is to abort."""
    begun(rig)
    rig.come(1_000, worse)
    assert read(rig).decision is Action.STOP
    stop(rig.context, "hotel")
    asked = [entry.fact for entry in rig.journal.read(kinds=["operator_asked"])][-1]
    assert isinstance(asked, OperatorAsked)
    assert asked.verb == "abort"
    assert "conversion is worse" in asked.reason


def test_a_reading_without_a_difference_goes_on_unless_a_person_says_why_not(rig: Rig) -> None:
    """Neither abort nor promote without a reason; with one it is done, and the reason is kept beside the decision."""
    begun(rig)
    rig.come(300, same)
    assert read(rig).decision is Action.EXTEND
    with pytest.raises(Refused, match="the reading says extend"):
        stop(rig.context, "hotel")
    for wish in ("abort", "2"):
        with pytest.raises(UsageError, match="say why otherwise with --reason"):
            stop(rig.context, "hotel", wish)
    with pytest.raises(UsageError, match="version 7 is no arm of hotel-ab-1: --promote takes one of 2"):
        stop(rig.context, "hotel", "7", "it is nicer")
    stopped = stop(rig.context, "hotel", "2", "the old one is to be switched off")
    assert (stopped.decision, stopped.reason) == ("extend", "the old one is to be switched off")
    rig.obeys()
    rig.crown(1)
    again = start(rig.context, "hotel@2", TERMS)
    assert [one.state for one in trials(rig.context)] == ["stopped", "asked"]
    assert summary(again).metric == "conversion"


def test_nothing_is_read_before_a_units_window_is_over(rig: Rig) -> None:
    """Not begun, begun, and with units whose window still runs: more of them is what it takes."""
    start(rig.context, "hotel@2", TERMS)
    assert read_trial(rig.context, trial(rig.context, "hotel")).decision is Action.EXTEND
    with pytest.raises(Refused, match="waits for the controller"):
        stop(rig.context, "hotel", "abort", "never mind")
    rig.begins()
    rig.come(100, better)
    report = read_trial(rig.context, trial(rig.context, "hotel"))
    assert (report.decision, report.verdict.outcome) == (Action.EXTEND, Outcome.UNDECIDED)
    assert report.verdict.reason.startswith("champion has 0 units, challenger-2 has 0 units so far")
    assert any(note.startswith("100 units not read yet") for note in report.notes)


def test_a_split_that_is_not_the_planned_one_ends_the_reading(rig: Rig) -> None:
    """Units that an arm lost say that something is wrong before it: no figure is shown, and it is aborted."""
    begun(rig)
    rig.come(400, better)
    now = rig.clock.now()
    rig.log([answer(f"x{n}/0", f"x{n}", now, 1, "champion", "hotel-ab-1") for n in range(300)], [])
    report = read(rig)
    assert (report.decision, report.primary, report.guardrails) == (Action.FIX, (), ())
    assert "the sample ratio is broken" in report.verdict.reason
    assert stop(rig.context, "hotel").decision == "fix"


def test_units_that_were_seen_in_two_arms_are_no_evidence(rig: Rig) -> None:
    """By unit none changes its arm; where many did, the dealing is broken."""
    begun(rig)
    rig.come(200, same)
    now = rig.clock.now()
    both = [(number, arm) for number in range(10) for arm in ("champion", "challenger-2")]
    rig.log([answer(f"x{n}/{arm}", f"x{n}", now, 1, arm, "hotel-ab-1") for n, arm in both], [])
    report = read(rig)
    assert "10 units seen in more than one arm left out" in report.notes
    assert (report.decision, sum(one.units for one in report.arms)) == (Action.FIX, 200)


def test_a_fixed_horizon_is_not_read_before_it_and_is_the_same_after_it(rig: Rig) -> None:
    """Before its planned units no figure is told; from then on every reading is the first one, however many come."""
    rig.clock.advance(86_400.0)
    terms = replace(TERMS, method="fixed")
    begun(rig, terms, aim=Aim(detect=0.35))
    planned = trial(rig.context, "hotel").terms.planned
    assert planned is not None
    assert 0.05 < planned["baseline"] < 0.2
    rig.come(planned["control_units"], better)
    early = read(rig)
    assert (early.decision, early.primary[0].difference) == (Action.EXTEND, None)
    assert "a fixed-horizon test is not read before its plan is complete" in early.verdict.reason
    rig.come(2 * planned["control_units"], better)
    full = read(rig)
    assert full.decision is Action.SHIP, full.verdict.reason
    rig.come(400, worse)
    later = read(rig)
    assert later.primary == full.primary
    assert min(one.measured - (one.planned or 0) for one in later.arms) == 0


def test_what_units_did_before_takes_off_variance(rig: Rig) -> None:
    """The covariate is read from the events before the start."""
    events = []
    for number in range(1, 801):
        spends = float(number % 7)
        events.append(event(f"u{number}", rig.clock.now() - 3_600.0, "spend", spends))
    rig.log([], events)
    rig.clock.advance(10.0)
    begun(rig, replace(TERMS, metric="spend", covariate="spend"))
    now = rig.clock.now()
    rig.log(
        [], [event(f"u{n}", now + 10.0 * (n - 1) / 800 + 1.0, "spend", n % 7 + 0.1 * (n % 3)) for n in range(1, 801)]
    )
    rig.come(800, same)
    found = read(rig).primary[0].difference
    assert found is not None
    assert (found.reduction or 0.0) > 0.9


def test_guardrails_and_segments_are_read_too(rig: Rig) -> None:
    """A guardrail that degraded asks to investigate, however good the metric is; segments are adjusted for how many."""
    rules = ("refund <= control + 5%", "error_rate <= control + 5%", "requests <= 1.5 * control")
    begun(rig, replace(TERMS, guardrails=rules, segments=("nights",)))
    first, now = rig.asked, rig.clock.now()
    rig.come(1_500, better)
    route = [record for record in rig.context.open_log().poll(20_000)[0] if record.rollout]
    rig.log([], [event(one.unit_id, now + 20.0, "refund") for one in route if one.arm != "champion"])
    report = read(rig)
    assert rig.asked - first == 1_500
    assert [one.health for one in report.guardrails] == [Health.DEGRADED, Health.HELD, Health.HELD]
    assert report.decision is Action.INVESTIGATE
    assert {(one.column, one.value) for one in report.segments} == {("nights", "2")}
    with pytest.raises(Refused, match="the reading says investigate"):
        stop(rig.context, "hotel")


def test_an_outcome_may_be_the_metric(rig: Rig) -> None:
    """Labels that came for a unit's requests, by their mean."""
    begun(rig, replace(TERMS, metric="outcome"))
    rig.come(600, same)
    now = rig.clock.now()
    records = [one for one in rig.context.open_log().poll(20_000)[0] if one.rollout]
    rig.log([], [], [OutcomeRecord(one.request_id, int(one.arm != "champion"), now, now) for one in records])
    report = read(rig)
    assert report.decision is Action.SHIP, report.verdict.reason


def test_an_experiment_whose_arm_was_ended_is_read_until_then(rig: Rig) -> None:
    """By a guardrail, or an operator: nothing is left to end, and what came afterwards is not of the experiment."""
    begun(rig)
    rig.come(500, same)
    rig.ends()
    rig.clock.advance(1.0)
    now = rig.clock.now()
    rig.log([answer(f"x{n}/0", f"x{n}", now, 1, "champion", "hotel-ab-1") for n in range(500)], [])
    found = trial(rig.context, "hotel")
    assert found.state == "ended"
    report = read(rig)
    assert (report.decision, sum(one.units for one in report.arms)) == (Action.EXTEND, 500)
    with pytest.raises(Refused, match="has ended: `fairlead deploy hotel@2`"):
        stop(rig.context, "hotel", "2", "all the same")
    assert stop(rig.context, "hotel", reason="an arm broke its guardrail").state == "stopped"
    assert not [entry for entry in rig.journal.read(kinds=["operator_asked"]) if entry.actor == "ana"]


def test_what_the_controller_refuses_was_no_experiment(rig: Rig) -> None:
    """It is told as refused, and the next may start."""
    start(rig.context, "hotel@2", TERMS)
    rig.refuses()
    assert trial(rig.context, "hotel").state == "refused"
    with pytest.raises(Refused, match="was refused already"):
        stop(rig.context, "hotel")
    assert start(rig.context, "hotel@2", TERMS).id == "hotel-ab-2"


def test_one_runs_at_a_time(rig: Rig) -> None:
    """Another experiment, and an experiment beside a rollout, are refused."""
    begun(rig)
    with pytest.raises(Refused, match="hotel-ab-1 is under way"):
        start(rig.context, "hotel@2", TERMS)
    rig.ends()
    with pytest.raises(Refused, match="fairlead experiment stop hotel-ab-1"):
        start(rig.context, "hotel@2", TERMS)


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (replace(TERMS, metric="conversoin"), "did you mean conversion"),
        (replace(TERMS, metric="a / b / c"), "a ratio has two sides"),
        (replace(TERMS, metric="median(x)"), "is no metric of a unit"),
        (replace(TERMS, metric=""), "is no metric of a unit"),
        (replace(TERMS, metric="p99_latency"), "is a metric of rollouts"),
        (replace(TERMS, metric="sum(score)"), "write score"),
        (replace(TERMS, covariate="score"), "it is of the units' events before the start"),
        (replace(TERMS, guardrails=("refund <= 5",)), "is not a guardrail"),
        (replace(TERMS, guardrails=("refund <= control",)), "leaves nothing to lose"),
        (replace(TERMS, segments=("nigths",)), "did you mean nights"),
        (replace(TERMS, segments=("zzz",)), "it has nights"),
        (replace(TERMS, metric="nights", segments=("nights",)), "is a metric and a segment"),
        (replace(TERMS, alpha=0.0), "alpha is 0"),
        (replace(TERMS, window=0.0), "a window of 0 s counts nothing"),
        (replace(TERMS, delay=-1.0), "a duration before 0"),
    ],
)
def test_terms_that_cannot_be_read_are_refused(rig: Rig, terms: Terms, said: str) -> None:
    """In one line with the fix, and nothing is written."""
    before = len(list(rig.journal.read()))
    with pytest.raises(UsageError, match=said):
        start(rig.context, "hotel@2", terms)
    assert len(list(rig.journal.read())) == before


@pytest.mark.parametrize(
    ("reference", "more", "said"),
    [
        ("hotel@9", {}, "has no version 9"),
        ("hotel", {}, "hotel"),
        ("motel@2", {}, "motel"),
        ("hotel@1", {}, "has not passed its gate"),
        ("hotel@2,2", {}, "named twice"),
        ("hotel@2", {"shares": {2: 1.0}}, "leave the champion a share"),
        ("hotel@2", {"shares": {3: 0.5}}, "no challenger|give each of them one share"),
        ("hotel@2", {"name": "a b"}, "names no experiment"),
        ("hotel@2", {"name": "../x"}, "names no experiment"),
        ("hotel@2", {"aim": Aim(detect=2.0)}, "2"),
    ],
)
def test_what_cannot_be_started_is_refused(rig: Rig, reference: str, more: dict[str, Any], said: str) -> None:
    """Versions, shares and names that there are none of."""
    rig.clock.advance(86_400.0)
    before = len(list(rig.journal.read()))
    with pytest.raises(UsageError, match=said):
        start(rig.context, reference, TERMS, **more)
    assert len(list(rig.journal.read())) == before


def test_without_a_gate_a_champion_or_a_unit_nothing_starts(tmp_path: Path) -> None:
    """Each is refused, with what is missing."""
    rig = Rig(tmp_path / "one")
    with pytest.raises(Refused, match="no caller of hotel names a unit"):
        start(rig.context, "hotel@2", TERMS)
    known = rig.under(Settings(models={"hotel": ModelSettings(unit="guest")}))
    assert start(known, "hotel@2", TERMS).state == "asked"
    rig = Rig(tmp_path / "two")
    now = rig.clock.now()
    rig.log([answer(f"q{n}", f"q{n}", now, 1, "champion", "") for n in range(50)], [])
    with pytest.raises(Refused, match="send unit_id"):
        start(rig.under(Settings(models={"hotel": ModelSettings(unit="guest")})), "hotel@2", TERMS)
    rig.before(100)
    rig.measured(rig.report(2, Outcome.BREACHED))
    with pytest.raises(Refused, match="gate"):
        start(rig.context, "hotel@2", TERMS)


@pytest.mark.parametrize("split", [SplitSettings(by=By.REQUEST), SplitSettings(explore=Share(0.1))])
def test_arms_that_units_do_not_keep_are_refused(rig: Rig, split: SplitSettings) -> None:
    """An experiment is read by units."""
    with pytest.raises(Refused, match="units that keep their arm"):
        start(rig.under(Settings(rollout=RolloutSettings(split=split))), "hotel@2", TERMS)


def test_an_experiment_that_is_none_is_not_found(rig: Rig) -> None:
    """With what there is."""
    with pytest.raises(NotFound, match="none was started yet"):
        trial(rig.context, "hotel")
    start(rig.context, "hotel@2", TERMS, name="form")
    with pytest.raises(NotFound, match="there is form"):
        trial(rig.context, "from")


def test_a_report_is_kept_whole(rig: Rig) -> None:
    """Ends that are infinite too, which JSON has no number for."""
    begun(rig, replace(TERMS, guardrails=("refund <= control + 5%",)))
    rig.come(12, same)
    report = read(rig)
    assert unpacked(packed(report)) == report
    assert b"inf" in bytes(packed(report))


def test_a_ratio_has_two_measures() -> None:
    """Each by unit; one measure that is written twice is one."""
    assert [one.how for one in measures("sum(revenue)/count(visit)")] == ["sum", "count"]
    assert measure("error_rate").of_answers
    assert not measure("conversion").of_answers
