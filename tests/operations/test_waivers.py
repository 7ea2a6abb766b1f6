"""Answering for a check that does not hold, and taking it back."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.operations.house import AT, House, settled

from fairlead.config.fields import Span
from fairlead.config.settings import Settings
from fairlead.core.event import GateWaived
from fairlead.core.gate import DAY_SECONDS
from fairlead.core.verdict import Outcome
from fairlead.errors import FairleadError, NotFound, Refused, UsageError
from fairlead.operations.gates import last_report, passed_gate
from fairlead.operations.models import resolve
from fairlead.operations.rollouts import deploy
from fairlead.operations.waivers import revoke, standing, waive

CARD, WEEK = "model_card_complete", AT + 7 * DAY_SECONDS


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Version 1 has no card; everything else holds."""
    house = House(tmp_path, Settings()).told()
    house.measured(house.report(model_card_complete=Outcome.BREACHED))
    return house


def test_a_waived_check_lets_a_version_through_until_its_day(house: House) -> None:
    """Without a second run; and from that day on no more. The journal says who answers, and why."""
    with pytest.raises(Refused, match="failed: model_card_complete"):
        deploy(house.context, "hotel@1")
    report = waive(house.context, "hotel@1", CARD, WEEK, "it is being written")
    assert (report.passed, report.waived) == (True, (CARD,))
    entry = list(house.journal.read(kinds=["gate_waived"]))[-1]
    assert entry.actor == "ana"
    assert entry.fact == GateWaived("hotel", 1, house.digests[0], "production", CARD, WEEK, "it is being written")
    assert set(standing(house.context, "hotel@1").waived) == {CARD}
    info = resolve(house.context, "hotel@1")
    assert passed_gate(house.context, info, WEEK - 1.0).waived == (CARD,)
    with pytest.raises(Refused, match="failed: model_card_complete"):
        passed_gate(house.context, info, WEEK)
    deploy(house.context, "hotel@1")


def test_a_waiver_that_is_taken_back_counts_no_longer(house: House) -> None:
    """From that instant on."""
    waive(house.context, "hotel@1", CARD, WEEK, "it is being written")
    house.clock.advance(1.0)
    assert not revoke(house.context, "hotel@1", CARD).passed
    with pytest.raises(Refused, match="failed: model_card_complete"):
        deploy(house.context, "hotel@1")
    with pytest.raises(NotFound, match="hotel@1 has no waiver of model_card_complete for production"):
        revoke(house.context, "hotel@1", CARD)


def test_a_waiver_that_stands_in_a_stored_report_still_expires(house: House) -> None:
    """A run made while the waiver counted keeps it in its report; the journal decides, not the report."""
    waive(house.context, "hotel@1", CARD, WEEK, "it is being written")
    house.measured(last_report(house.context, "hotel@1"))
    house.clock.advance(7 * DAY_SECONDS)
    with pytest.raises(Refused, match="failed: model_card_complete"):
        deploy(house.context, "hotel@1")


def test_a_waiver_is_of_one_environment(house: House) -> None:
    """What somebody answers for in staging is not answered for in production."""
    house.measured(house.report(environment="staging", model_card_complete=Outcome.BREACHED))
    waive(house.context, "hotel@1", CARD, WEEK, "for the rehearsal", "staging")
    assert last_report(house.context, "hotel@1", "staging").passed
    assert not last_report(house.context, "hotel@1", "production").passed


def test_a_waiver_is_of_one_bundle(house: House) -> None:
    """A version that is registered again under the same number has to be answered for again."""
    waive(house.context, "hotel@1", CARD, WEEK, "it is being written")
    house.measured(house.report(2, model_card_complete=Outcome.BREACHED))
    assert last_report(house.context, "hotel@2").failed == (CARD,)


@pytest.mark.parametrize(
    ("check", "until", "reason", "environment", "error", "said"),
    [
        ("digest_holds", WEEK, "hurry", "", Refused, "digest_holds can never be waived"),
        ("rollback_rehearsed", WEEK, "hurry", "", Refused, "can never be waived"),
        ("portable_agrees", WEEK, "hurry", "", Refused, "can never be waived"),
        ("schema_equals_training", WEEK, "hurry", "", Refused, "holds for hotel@1: there is nothing to waive"),
        ("model_cart_complete", WEEK, "hurry", "", UsageError, "did you mean model_card_complete?"),
        ("zzz", WEEK, "hurry", "", UsageError, "there are digest_holds"),
        (CARD, WEEK, "  ", "", UsageError, "needs a reason: say why with --reason"),
        (CARD, AT, "hurry", "", UsageError, "would end before it begins"),
        (CARD, AT - 1.0, "hurry", "", UsageError, "would end before it begins"),
        (CARD, AT + 91 * DAY_SECONDS, "hurry", "", UsageError, "lasts 90 days at most (gates.longest_waiver)"),
        (CARD, WEEK, "hurry", "moon", UsageError, "use one of dev, staging, production"),
        (CARD, WEEK, "hurry", "staging", NotFound, "only what was measured for staging can be waived there"),
    ],
)
def test_what_may_not_be_waived_is_told(
    house: House, check: str, until: float, reason: str, environment: str, error: type[FairleadError], said: str
) -> None:
    """One line with the fix, and nothing is journalled."""
    before = house.journal.verify()
    with pytest.raises(error) as caught:
        waive(house.context, "hotel@1", check, until, reason, environment)
    assert said in caught.value.line
    assert house.journal.verify() == before


def test_a_version_that_was_never_measured_has_nothing_to_waive(house: House) -> None:
    """First the measurement, then somebody may answer for it."""
    with pytest.raises(NotFound, match="run `fairlead gate hotel@2`"):
        waive(house.context, "hotel@2", CARD, WEEK, "hurry")


def test_the_settings_say_how_long_a_waiver_may_last(house: House) -> None:
    """A shorter bound refuses what the default lets pass."""
    strict = house.under(settled(longest_waiver=Span(3 * DAY_SECONDS)))
    with pytest.raises(UsageError, match="3 days at most"):
        waive(strict, "hotel@1", CARD, WEEK, "hurry")


def test_a_check_is_named_as_a_person_reads_it(house: House) -> None:
    """With spaces or dashes, as the table shows it."""
    assert waive(house.context, "hotel@1", "model card-complete", WEEK, "soon").waived == (CARD,)
