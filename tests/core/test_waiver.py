"""Waivers: who answers for a check, for which bundle, until when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.event import Entry, GateWaived
from fairlead.core.gate import CHECKS, Check, CheckName, GatePolicy, GateReport, Waived
from fairlead.core.gate_sections import NEVER_WAIVED
from fairlead.core.verdict import Outcome
from fairlead.core.waiver import waivers, with_waivers

BUNDLE, OTHER = "a" * 64, "b" * 64
FREE = tuple(name for name in CHECKS if name not in NEVER_WAIVED)


def entry(seq: int, check: str, until: float, bundle: str = BUNDLE, environment: str = "production") -> Entry:
    """A waiver in the journal."""
    fact = GateWaived("hotel", 1, bundle, environment, check, until, f"word {seq}")
    return Entry(seq, float(seq), "ana", fact, "", "")


def report(**outcomes: Outcome) -> GateReport:
    """All checks hold, but for some."""
    checks = tuple(Check(name, outcomes.get(name, Outcome.HOLDS), "as measured", {}, "") for name in CHECKS)
    return GateReport("hotel", 1, BUNDLE, "production", 0.0, 1.0, checks, GatePolicy())


def test_a_waiver_counts_for_its_bundle_in_its_environment_until_its_day() -> None:
    """Neither elsewhere, nor for another bundle of the same version, nor from that instant on."""
    told = [entry(1, FREE[0], 10.0), entry(2, FREE[1], 10.0, OTHER), entry(3, FREE[2], 10.0, environment="staging")]
    assert waivers(told, BUNDLE, "production", 9.9) == {FREE[0]: Waived("ana", 10.0, "word 1")}
    assert waivers(told, BUNDLE, "production", 10.0) == {}
    assert set(waivers(told, BUNDLE, "staging", 0.0)) == {FREE[2]}


@given(st.lists(st.tuples(st.sampled_from(FREE[:3]), st.floats(0.0, 100.0)), max_size=12), st.floats(0.0, 100.0))
def test_the_last_word_on_a_check_counts(words: list[tuple[str, float]], now: float) -> None:
    """A later, shorter waiver ends an earlier, longer one: that is how it is taken back."""
    told = [entry(seq, check, until) for seq, (check, until) in enumerate(words, 1)]
    last = dict(words)
    assert {name for name, until in last.items() if now < until} == set(waivers(told, BUNDLE, "production", now))


def test_some_checks_are_waived_by_nobody() -> None:
    """Whatever the journal says: a fact may have been written by other means."""
    told = [entry(seq, name, 10.0) for seq, name in enumerate(CHECKS, 1)]
    assert set(waivers(told, BUNDLE, "production", 0.0)) == set(FREE)


def test_a_waived_check_lets_through_and_says_who_answers() -> None:
    """The report passes with it and not without; what holds is not waived, what was never made cannot be."""
    bad = report(model_card_complete=Outcome.BREACHED)
    assert bad.failed == ("model_card_complete",)
    word: dict[str, Waived] = dict.fromkeys(CHECKS, Waived("ana", 10.0, "it is being written"))
    answered = with_waivers(bad, word)
    assert (answered.passed, answered.waived, answered.outcome) == (True, ("model_card_complete",), Outcome.HOLDS)
    assert answered.reason.endswith("waived: model_card_complete.")
    assert with_waivers(answered, {}).failed == ("model_card_complete",)
    incomplete = with_waivers(GateReport("hotel", 1, BUNDLE, "production", 0.0, 1.0, (), GatePolicy()), word)
    assert incomplete.failed == CHECKS


def test_a_report_says_how_bad_it_is() -> None:
    """Breached before unmeasured before undecided; what is not asked for does not count."""
    name: CheckName = FREE[0]
    assert report(**{name: Outcome.UNDECIDED}).outcome is Outcome.UNDECIDED
    assert report(**{name: Outcome.UNDECIDED, FREE[1]: Outcome.UNMEASURED}).outcome is Outcome.UNMEASURED
    assert report(**{name: Outcome.BREACHED, FREE[1]: Outcome.UNMEASURED}).outcome is Outcome.BREACHED
    assert report().outcome is Outcome.HOLDS
