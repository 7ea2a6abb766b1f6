"""Judged windows judged again, from what was kept of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.flows.test_watch import World, judged, outcomes, population, records

from fairlead.core.bundle import PROFILE
from fairlead.core.contract import Task
from fairlead.core.event import WindowJudged
from fairlead.core.plain import kept as plain_of
from fairlead.core.recount import State
from fairlead.core.report import fact_of, report_of
from fairlead.core.verdict import Outcome
from fairlead.errors import StateError
from fairlead.flows.watch import Watch
from fairlead.flows.watching.recount import NOT_KEPT, recount_window
from fairlead.flows.watching.verdicts import WindowEvidence, read_evidence, text_of
from fairlead.flows.watching.verdicts import judged as judge_kept
from fairlead.stats.profile import TableProfile


def keeping(world: World) -> tuple[Watch, dict[str, bytes]]:
    """A watch that keeps what it judges from in memory, each under a name of its own."""
    kept: dict[str, bytes] = {}

    def keep(text: bytes) -> str:
        name = f"{len(kept):064d}"
        kept[name] = text
        return name

    watch = world.watch()
    watch.keep = keep
    return watch, kept


def facts(world: World) -> list[WindowJudged]:
    """The windows in the journal."""
    return [entry.fact for entry in world.journal.read(kinds=["window_judged"]) if isinstance(entry.fact, WindowJudged)]


def profile_of(world: World, evidence: WindowEvidence) -> TableProfile:
    """The profile of the bundle that evidence names."""
    return msgspec.json.decode((world.bundles.path(evidence.bundle) / PROFILE).read_bytes(), type=TableProfile)


def again(world: World, kept: dict[str, bytes]) -> list[tuple[State, str]]:
    """Every window recounted, each with the one before it of the same name."""
    found = []
    for fact in facts(world):
        evidence = read_evidence(kept[fact.evidence]) if fact.evidence else None
        before = next((one for one in facts(world) if one.window == fact.window and one is not fact), None)
        reference = None if evidence is None or not evidence.bundle else profile_of(world, evidence)
        found.append(recount_window(fact, evidence, reference, None if before is None else report_of(before)))
    return found


def week(world: World, *, shift: float = 0.0, reversed_truth: bool = False, late: float = 1.0) -> dict[str, bytes]:
    """A week of answers, judged at its close and, where labels come late, once more."""
    watch, kept = keeping(world)
    rows = population(600, 5, shift=shift, reversed_truth=reversed_truth)
    answered = records(rows)
    watch.observe(answered, outcomes(answered, rows, delay=late * 86_400.0))
    judged(watch)
    judged(watch, days=late)
    return kept


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    seed=st.integers(0, 9_999),
    count=st.integers(1, 700),
    shift=st.floats(-2.0, 2.0),
    turned=st.booleans(),
    late=st.sampled_from([0.0, 3.0]),
)
def test_whatever_a_window_was_judged_it_is_judged_again(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, shift: float, turned: bool, late: float
) -> None:
    """For any population, size, shift and delay of labels: judge, keep and judge again gives the same bytes, at the
    close and once the labels have matured, over several weeks of the same test."""
    world = World(tmp_path_factory.mktemp("world"))
    watch, kept = keeping(world)
    for number in range(2):
        rows = population(count, seed + number, shift=shift, reversed_truth=turned)
        answered = records(rows, number)
        watch.observe(answered, outcomes(answered, rows, delay=late * 86_400.0))
        judged(watch, number + 1)
        judged(watch, number + 1, days=late)
    assert len(facts(world)) >= 2
    assert again(world, kept) == [("same", "")] * len(facts(world))


def test_a_regression_is_judged_again(tmp_path: Path) -> None:
    """Errors of values, and their estimate, come back too."""
    world = World(tmp_path, Task.REGRESSION)
    kept = week(world, shift=0.5, late=0.5)
    assert again(world, kept) == [("same", "")] * len(facts(world))


def test_a_week_without_answers_is_judged_again_without_evidence(world: World) -> None:
    """Nothing was measured, so nothing is kept: the report says no more than that."""
    watch, kept = keeping(world)
    rows = population(200, 1)
    watch.observe(records(rows), [])
    judged(watch, 3)
    silent = [fact for fact in facts(world) if not fact.rows]
    assert [fact.evidence for fact in silent] == [""]
    assert again(world, kept) == [("same", "")] * len(facts(world))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One registered version."""
    return World(tmp_path)


def test_a_value_that_was_changed_in_the_evidence_is_named(world: World) -> None:
    """Another realised metric, another bound of harm, other counts: the field that comes out otherwise is named."""
    kept = week(world, reversed_truth=True, late=0.0)
    fact = facts(world)[-1]
    evidence = read_evidence(kept[fact.evidence])
    performance = evidence.bare.performance
    assert performance is not None
    reference = profile_of(world, evidence)
    profile = evidence.current(reference)
    assert profile is not None
    assert evidence.counts is not None
    better = replace(evidence, bare=replace(evidence.bare, performance=replace(performance, realised=0.9, high=0.95)))
    for edited, said in (
        (better, 'reason was "AUROC fell'),
        (replace(evidence, harm=replace(evidence.harm, critical_drop=2.0)), 'reason was "AUROC fell'),
        (replace(evidence, profile=profile + profile), "drift[0]."),
        (replace(evidence, counts=replace(evidence.counts, columns=())), "its counts are not of its bundle"),
    ):
        state, told = recount_window(fact, edited, reference, None)
        assert state == "different"
        assert said in told


def test_an_edited_report_is_found(world: World) -> None:
    """A journal that says of a window what was not judged, in its report or beside it."""
    kept = week(world, reversed_truth=True, late=0.0)
    fact = facts(world)[-1]
    evidence = read_evidence(kept[fact.evidence])
    reference = profile_of(world, evidence)
    text = bytes(fact.report).replace(b'"verdict":"breached"', b'"verdict":"holds"', 1)
    state, said = recount_window(replace(fact, report=msgspec.Raw(text)), evidence, reference, None)
    assert (state, said) == ("different", 'verdict was "holds" and comes out as "breached"')
    state, said = recount_window(replace(fact, verdict="holds"), evidence, reference, None)
    assert (state, said) == ("different", 'the journal\'s verdict was "holds" and comes out as "breached"')
    state, said = recount_window(replace(fact, rows=fact.rows + 1), evidence, reference, None)
    assert said == "the journal's rows was 601 and comes out as 600"


def test_a_matured_window_rests_on_its_close(world: World) -> None:
    """The data layer is that of the close: without it in the journal nothing can be the same."""
    kept = week(world, late=3.0)
    closed, matured = facts(world)
    evidence = read_evidence(kept[matured.evidence])
    assert (evidence.at_close, evidence.counted) == (False, False)
    assert recount_window(matured, evidence, None, report_of(closed)) == ("same", "")
    assert recount_window(matured, evidence, None, None)[0] == "different"
    lied = replace(report_of(closed), drift=())
    assert recount_window(matured, evidence, None, lied)[0] == "different"


def test_what_cannot_be_recomputed_says_why(world: World) -> None:
    """From before evidence was kept, of another edition, of another program: never taken for the same."""
    kept = week(world)
    fact = facts(world)[-1]
    evidence = read_evidence(kept[fact.evidence])
    assert recount_window(fact, None, None, None) == ("unproven", NOT_KEPT)
    other = recount_window(fact, replace(evidence, edition=7), None, None)
    assert other == ("unproven", "judged by edition 7 of the watch; this fairlead has 3")
    assert recount_window(replace(fact, report=msgspec.Raw(b"3")), evidence, None, None)[0] == "unproven"


def test_a_disk_that_refuses_leaves_a_window_without_evidence(world: World) -> None:
    """The window is judged and journalled all the same."""

    def full(_: bytes) -> str:
        raise StateError("no space left")

    watch = world.watch()
    watch.keep = full
    rows = population(300, 1)
    watch.observe(records(rows), [])
    (report,) = judged(watch)
    assert report.verdict is not Outcome.BREACHED
    assert [fact.evidence for fact in facts(world)] == [""]


def test_evidence_is_kept_as_it_was(world: World) -> None:
    """Its bytes, read and written again, are the same."""
    for text in week(world, shift=1.0).values():
        assert text_of(read_evidence(text)) == text


def test_evidence_of_the_first_edition_is_judged_as_it_was_told(world: World) -> None:
    """Whole profiles in JSON, every column in full: read, and judged again to the bytes that the journal has."""
    kept = week(world, shift=1.0)
    evidence = read_evidence(kept[facts(world)[0].evidence])
    reference = profile_of(world, evidence)
    first = replace(evidence, edition=1, profile=evidence.current(reference), counts=None)
    text = msgspec.json.encode(plain_of(first))
    assert text.startswith(b"{")
    old = fact_of(judge_kept(first, reference), "0" * 64)
    assert recount_window(old, read_evidence(text), reference, None) == ("same", "")
    assert recount_window(old, evidence, reference, None)[0] == "different"  # calm columns are told in short now


def test_calm_windows_may_be_left_out(world: World) -> None:
    """With "breached", a calm window leaves no evidence and says so; one in which something moved does."""
    watch, kept = keeping(world)
    watch.keeps = "breached"
    for number, shift in enumerate((0.0, 2.0)):
        watch.observe(records(population(600, 5 + number, shift=shift), number), [])
        judged(watch, number + 1)
    calm, moved = facts(world)
    assert (calm.evidence, len(kept)) == ("", 1)
    assert moved.evidence in kept
    assert again(world, kept) == [("unproven", NOT_KEPT), ("same", "")]
