"""A gate report judged again from what is kept."""

from __future__ import annotations

from math import inf, nan

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from fairlead.core.agreement import Agreement
from fairlead.core.event import GENESIS, AnyFact, Entry, GateMeasured, GateWaived, canonical
from fairlead.core.gate import Check, GatePolicy, GateReport, unmeasured
from fairlead.core.gate_judgement import Comparison, judge_comparison, judge_portable
from fairlead.core.judge_data import Extent, Nulls, judge_nulls, judge_ranges, judge_rows
from fairlead.core.judge_load import Asked, Spike, judge_spike
from fairlead.core.judge_split import judge_locked
from fairlead.core.judging import EDITION, GateEvidence, parted, text_of
from fairlead.core.recount_gate import Stored, judges, recount_gate
from fairlead.core.verdict import Outcome
from fairlead.core.waiver import waivers, with_waivers
from fairlead.stats.performance import Measure

BUNDLE = "b" * 64
ANY = st.floats(allow_nan=True, allow_infinity=True)
SHARE = st.floats(0.0, 1.0)
COUNT = st.integers(0, 10**6)
POLICIES = st.builds(
    GatePolicy,
    margin=SHARE,
    null_share=SHARE,
    null_growth=st.floats(1.0, 50.0),
    compare_rows=COUNT,
    range_times=st.floats(1.0, 50.0),
    heldout_reuse=SHARE,
    against_champion=st.sampled_from(["better", "not_worse"]),
)
NAMES = st.text(min_size=1, max_size=6)
PAIRS = st.tuples(st.floats(-1e6, 0.0), st.floats(0.0, 1e6))
EXTENTS = st.builds(
    lambda name, own, strange, endless, before: Extent(name, own[0], own[1], strange, endless, before),
    NAMES, PAIRS, SHARE, COUNT, st.none() | PAIRS,
)  # fmt: skip


def entry(fact: AnyFact, seq: int = 9, at: float = 100.0, actor: str = "ana") -> Entry:
    """A fact in a journal."""
    return Entry(seq, at, actor, fact, GENESIS, GENESIS)


@st.composite
def checks(draw: st.DrawFn) -> tuple[tuple[Check, ...], GatePolicy]:
    """Checks of several judges, on values of every kind, and one that could not be made."""
    policy = draw(POLICIES)
    version = draw(st.none() | st.integers(1, 9))
    gain = Measure(draw(ANY), draw(ANY), draw(ANY))
    found = (
        judge_nulls(
            draw(st.lists(st.builds(Nulls, NAMES, SHARE, st.none() | SHARE), max_size=4)),
            draw(COUNT),
            draw(COUNT),
            policy,
        ),
        judge_ranges(draw(st.lists(EXTENTS, max_size=3)), version, policy),
        judge_rows(draw(COUNT), draw(st.none() | COUNT), draw(st.integers(1, 90)), policy),
        judge_comparison(Comparison("auroc", draw(ANY), draw(ANY), gain, draw(COUNT), version), policy),
        judge_portable(draw(st.none() | st.builds(Agreement, COUNT, SHARE, SHARE)), draw(NAMES)),
        judge_locked(
            draw(st.none() | st.tuples(COUNT, st.integers(1, 10**6))), draw(SHARE), draw(st.booleans()), policy
        ),
        unmeasured("memory_stable", draw(NAMES)),
    )
    return tuple(structs.replace(one, seconds=draw(SHARE)) for one in found), policy


def judged_again(report: GateReport, waived: tuple[Entry, ...] = ()) -> tuple[Entry, Stored]:
    """A report as a gate run keeps it."""
    known = waivers((one for one in waived if one.seq < 9), report.bundle, report.environment, 100.0)
    stored, evidence = parted(with_waivers(report, known))
    read = msgspec.json.decode(text_of(evidence), type=GateEvidence)
    return entry(stored.fact), Stored(canonical(stored), read)


@given(checks())
def test_whatever_was_judged_is_judged_the_same_again(made: tuple[tuple[Check, ...], GatePolicy]) -> None:
    """For any measurements and any policy: judge, keep, and judge again gives the same bytes and the same fact."""
    found, policy = made
    report = GateReport("hotel", 1, BUNDLE, "staging", 90.0, 3.0, found, policy)
    assert recount_gate(*judged_again(report), ()) == ("same", "")


def small(**policy: float) -> GateReport:
    """A report of two checks, one of which is broken, and one that could not be made."""
    bounds = GatePolicy(("null_rates", "row_count"), **policy)  # type: ignore[arg-type]
    found = (
        judge_nulls([Nulls("age", 0.95, 0.1), Nulls("fare", 0.0, None)], 0, 500, bounds),
        judge_rows(500, 400, 2, bounds),
        unmeasured("load_spike", "The bundle is not what was registered."),
    )
    return GateReport("hotel", 1, BUNDLE, "production", 90.0, 3.0, found, bounds)


def edited(stored: Stored, **changes: object) -> Stored:
    """The same report with something else written in it."""
    return Stored(canonical(msgspec.convert(msgspec.json.decode(stored.text) | changes, GateReport)), stored.evidence)


def test_a_value_that_was_changed_in_the_evidence_is_named() -> None:
    """One measured value another than was judged: the check and its field are named."""
    fact, stored = judged_again(small())
    assert stored.evidence is not None
    given = msgspec.to_builtins(stored.evidence)
    given["given"]["null_rates"]["values"]["found"][0]["share"] = 0.05
    other = Stored(stored.text, msgspec.convert(given, GateEvidence))
    state, said = recount_gate(fact, other, ())
    assert state == "different"
    assert said.startswith('null_rates: outcome was "breached" and comes out as "holds"')


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("policy", {"null_share": 0.99, "required": ["row_count"]}, "null_rates: "),
        ("seconds", 5.0, "the journal's report was"),
        ("version", 2, "the journal's report was"),
    ],
)
def test_an_edited_report_is_found(field: str, value: object, said: str) -> None:
    """Another bound, another version: what comes out is not what the journal holds."""
    fact, stored = judged_again(small())
    text = msgspec.json.decode(stored.text)
    new = text[field] | value if isinstance(value, dict) else value
    state, told = recount_gate(fact, edited(stored, **{field: new}), ())
    assert state == "different"
    assert said in told


def test_an_edited_fact_is_found() -> None:
    """A journal that says passed where the checks say failed."""
    fact, stored = judged_again(small())
    assert isinstance(fact.fact, GateMeasured)
    better = structs.replace(fact, fact=structs.replace(fact.fact, passed=True, failed=()))
    state, said = recount_gate(better, stored, ())
    assert (state, said) == ("different", 'the journal\'s failed was [] and comes out as ["null_rates"]')


def test_waivers_are_those_of_that_time() -> None:
    """A waiver before the entry counts, one after it does not, and one that is taken out of the journal is missed."""
    early = entry(GateWaived("hotel", 1, BUNDLE, "production", "null_rates", 500.0, "known"), seq=4, actor="eve")
    late = entry(GateWaived("hotel", 1, BUNDLE, "production", "row_count", 500.0, "known"), seq=12)
    fact, stored = judged_again(small(), (early, late))
    assert isinstance(fact.fact, GateMeasured)
    assert fact.fact.passed
    assert recount_gate(fact, stored, (early, late)) == ("same", "")
    state, said = recount_gate(fact, stored, (late,))
    assert state == "different"
    assert "waived was" in said


def test_a_report_from_before_evidence_says_so() -> None:
    """What follows from its checks is compared all the same: the fact, and the waivers."""
    bare = structs.replace(small(), checks=tuple(structs.replace(one, given=msgspec.UNSET) for one in small().checks))
    fact = entry(bare.fact)
    assert recount_gate(fact, Stored(canonical(bare)), ()) == ("unproven", "recorded before evidence was kept")
    assert isinstance(fact.fact, GateMeasured)
    lied = structs.replace(fact, fact=structs.replace(fact.fact, passed=True, failed=()))
    state, said = recount_gate(lied, Stored(canonical(bare)), ())
    assert state == "different"
    assert said.startswith("the journal's [bundle, passed, failed]: [1] was true")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"edition": EDITION + 1}, "judged by edition"),
        (
            {"given": {"null_rates": {"judge": "judge_stars", "values": {}}}},
            "null_rates: there is no judge judge_stars",
        ),
        ({"given": {"null_rates": {"judge": "judge_nulls", "values": {"rows": 3}}}}, "its evidence cannot be judged"),
        ({"given": {}}, "null_rates: it was judged, and nothing is kept"),
        ({"given": {"golden_over_http": {"judge": "judge_rows", "values": {}}}}, "the evidence is of golden_over_http"),
    ],
)
def test_evidence_that_is_not_the_report_s_is_told(change: dict[str, object], said: str) -> None:
    """Of another edition, another judge, or incomplete: never taken for the same."""
    fact, stored = judged_again(small())
    evidence = msgspec.convert(msgspec.to_builtins(stored.evidence) | change, GateEvidence)
    state, told = recount_gate(fact, Stored(stored.text, evidence), ())
    assert state in ("different", "unproven")
    assert said in told


def test_a_report_that_cannot_be_read_is_not_recomputed() -> None:
    """Bytes of another program are no report."""
    fact, _ = judged_again(small())
    assert recount_gate(fact, Stored(b"{}"), ())[0] == "unproven"


def test_infinite_and_undefined_measurements_are_kept() -> None:
    """What JSON has no number for is judged again all the same."""
    spike = Spike(10.0, (Asked(0.0, nan, is_ok=True), Asked(0.1, 3.0, is_ok=False, is_shed=True)), inf)
    policy = GatePolicy()
    report = GateReport("hotel", 1, BUNDLE, "dev", 1.0, 1.0, (judge_spike(spike, policy),), policy)
    assert recount_gate(*judged_again(report), ()) == ("same", "")
    assert report.checks[0].outcome is not Outcome.HOLDS


def test_the_judges_are_found_by_name() -> None:
    """Every judge stands under its own name."""
    assert judges()["judge_rows"] is judge_rows
    assert all(name.startswith("judge_") for name in judges())
