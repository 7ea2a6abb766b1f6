"""What people do about an incident, and what they may type wrongly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fairlead.app.compose import open_context
from fairlead.core.event import DeployAsked, IncidentNoted, OperatorAsked, VersionRegistered
from fairlead.core.facts_act import MessageDrafted, UpstreamChanged
from fairlead.core.rollout import Plan
from fairlead.errors import FairleadError, NotFound, Refused, UsageError
from fairlead.operations import incidents as verbs
from fairlead.operations.acting import act
from fairlead.operations.context import Context
from fairlead.operations.triage import triage


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A home that knows a model."""
    opened = open_context(tmp_path / "home")
    opened.journal.append([VersionRegistered("hotel", 1, "d" * 64, "drawn")], actor="ana", at=1.0)
    return opened


def test_an_incident_by_hand_from_its_opening_to_its_end(context: Context) -> None:
    """Opened, acknowledged, given out, told, resolved; the postmortem on disk follows without a controller."""
    opened = verbs.open_incident(context, "hotel", "Prices look wrong", "high", "data", reason="a guest called")
    assert (opened.state, opened.by_hand, opened.category) == ("open", True, "data")
    assert verbs.open_incident(context, "hotel", "Prices look wrong").id == opened.id
    assert verbs.acknowledge_incident(context, opened.id).state == "acknowledged"
    item = verbs.assign_item(context, opened.id, "Call the feed's team", "feeds").items[0]
    assert (item.owner, item.done) == ("feeds", False)
    assert verbs.assign_item(context, opened.id, "Call the feed's team", done=True).items[0].owner == "feeds"
    draft = MessageDrafted("hotel", opened.id, "users", 5.0, "Some prices may be wrong.", "status page")
    context.journal.append([draft], actor="respond", at=2.0)
    assert "We are working on it" in verbs.message_of(context, opened.id, "users")
    sent = verbs.message_sent(context, opened.id, "users").messages[0]
    assert sent.sent_at is not None
    assert verbs.message_of(context, opened.id, "users") == sent.text
    done = verbs.resolve_incident(context, opened.id, "the feed is mended", "the guest's own mistake")
    assert done.state == "resolved"
    text = (context.home / f"incidents/{opened.id}.md").read_text()
    for part in (
        "a guest called",
        "- [x] Call the feed's team - Owner: @feeds",
        "- [x] End users",
        "feed is mended; resolved without a triage: ",
    ):
        assert part in text, part


def test_an_end_before_the_triage_needs_a_reason(context: Context) -> None:
    """Nobody knows yet where the trouble lay: it is refused with both ways on, whichever verb says it, and journals
    nothing; once the triage has run no reason is asked for, nor taken."""
    one = verbs.open_incident(context, "hotel", "Prices look wrong").id
    before = len(list(context.journal.read()))
    for end in (verbs.resolve_incident, partial(verbs.note_incident, state="resolved")):
        with pytest.raises(Refused, match=f"run `fairlead incident triage {one}`, or .* --without-triage REASON"):
            end(context, one, "all is well")
    assert len(list(context.journal.read())) == before
    assert verbs.note_incident(context, one, "the feed is mended", "mitigated").state == "mitigated"
    triage(context, one)
    with pytest.raises(UsageError, match="has run: leave --without-triage out"):
        verbs.resolve_incident(context, one, "all is well", "no time")
    assert verbs.resolve_incident(context, one, "all is well").timeline[-1].text == "all is well"


def test_a_triage_where_nothing_serves_says_so(context: Context) -> None:
    """No worker, no window, no version: nothing is claimed, and the machines come first."""
    opened = verbs.open_incident(context, "hotel", "Nobody is answered", category="infrastructure")
    found = triage(context, opened.id)
    assert found.triage is not None
    said = {check.step: check.outcome.value for check in found.triage.checks}
    assert said == {
        "infrastructure": "breached",
        "panels": "unmeasured",
        "golden": "unmeasured",
        "timeline": "unmeasured",
        "decision": "breached",
    }
    assert (found.triage.action, found.triage.approved) == ("scale", False)


def test_a_change_upstream_is_laid_beside_the_beginning(context: Context) -> None:
    """Noted for all models, it is in the triage's timeline of each."""
    verbs.note_change(context, "", "bookings", "prices are in cents now")
    opened = verbs.open_incident(context, "hotel", "Prices look wrong", began_at=context.clock.now() - 5.0)
    found = triage(context, opened.id).triage
    assert found is not None
    timeline = next(check for check in found.checks if check.step == "timeline")
    assert "bookings: prices are in cents now" in timeline.reason
    assert [type(entry.fact) for entry in context.journal.read(kinds=["upstream_changed"])] == [UpstreamChanged]


def test_an_action_happens_once(context: Context) -> None:
    """Asked twice, the second is told of the first; people are asked with a date."""
    opened = verbs.open_incident(context, "hotel", "Prices look wrong")
    first = act(context, opened.id, "fix_data")
    again = act(context, opened.id, "fix_data")
    assert len(again.actions) == 1
    assert first.items[0].item.startswith("Mend the source")
    assert first.items[0].due_at > opened.opened_at


def test_what_cannot_be_done_is_refused_by_hand_and_journalled_by_itself(context: Context) -> None:
    """Without a rollout nothing can go back, without a trainer nothing is trained."""
    opened = verbs.open_incident(context, "hotel", "It answers nonsense")
    with pytest.raises(NotFound, match="no rollout"):
        act(context, opened.id, "rollback")
    with pytest.raises(Refused, match=r"retraining\.command"):
        act(context, opened.id, "retrain")
    failed = act(context, opened.id, "rollback", automatic=True)
    assert [(one.action, one.failed) for one in failed.actions] == [("rollback", True)]
    assert not [entry for entry in context.journal.read() if isinstance(entry.fact, OperatorAsked)]


WRONG: list[tuple[Callable[[Context, str], Any], type[FairleadError], str]] = [
    (lambda context, _: verbs.open_incident(context, "hotel", " "), UsageError, "needs a title"),
    (lambda context, _: verbs.open_incident(context, "hotel", "x", "grave"), UsageError, "no severity"),
    (lambda context, _: verbs.open_incident(context, "hotel", "x", category="weather"), UsageError, "no category"),
    (lambda context, _: verbs.open_incident(context, "motel", "x"), NotFound, "no model 'motel'"),
    (lambda context, _: verbs.open_incident(context, "hotel", "x", began_at=1e12), UsageError, "in the future"),
    (lambda context, _: verbs.list_incidents(context, state="closed"), UsageError, "never 'closed'"),
    (lambda context, _: verbs.show_incident(context, "inc-9"), NotFound, "no incident 'inc-9'"),
    (lambda context, one: verbs.message_of(context, one, "press"), UsageError, "no audience"),
    (lambda context, one: verbs.message_sent(context, one, "press"), UsageError, "no audience"),
    (lambda context, one: verbs.assign_item(context, one, " "), UsageError, "says nothing"),
    (lambda context, one: verbs.resolve_incident(context, one, ""), UsageError, "says nothing"),
    (lambda context, _: verbs.note_change(context, "", " ", "x"), UsageError, "needs a source"),
    (lambda context, _: verbs.note_change(context, "nope", "crm", "x"), NotFound, "no model 'nope'"),
    (lambda context, one: act(context, one, "reboot"), UsageError, "no action"),
    (lambda context, _: act(context, "inc-9", "none"), NotFound, "no incident"),
    (lambda context, _: triage(context, "inc-9"), NotFound, "no incident"),
]


@pytest.mark.parametrize(("ask", "error", "said"), WRONG)
def test_what_is_typed_wrongly(
    context: Context, ask: Callable[[Context, str], Any], error: type[FairleadError], said: str
) -> None:
    """One line that says what is wrong with what, and nothing is journalled."""
    one = verbs.open_incident(context, "hotel", "Prices look wrong").id
    before = len(list(context.journal.read()))
    with pytest.raises(error, match=said) as caught:
        ask(context, one)
    assert "\n" not in caught.value.line
    assert len(list(context.journal.read())) == before


def test_nothing_is_done_about_what_is_over(context: Context) -> None:
    """A resolved incident is neither triaged nor acted upon; a late note stays a note."""
    one = verbs.open_incident(context, "hotel", "Prices look wrong").id
    context.journal.append([IncidentNoted("hotel", one, "mended", "resolved")], actor="ana", at=2.0)
    with pytest.raises(Refused, match="is resolved"):
        triage(context, one)
    with pytest.raises(Refused, match="is resolved"):
        act(context, one, "fix_data")
    with pytest.raises(Refused, match="does not go back"):
        verbs.acknowledge_incident(context, one)


@pytest.mark.parametrize(("automatic", "by"), [(True, "the controller"), (False, "")])
def test_a_rollback_says_who_asked_for_it(context: Context, automatic: bool, by: str) -> None:
    """The controller by itself, or an operator."""
    context.journal.append([DeployAsked("hotel", "r1", 1, "d" * 64, Plan("direct", (), ()))], actor="ana", at=2.0)
    opened = verbs.open_incident(context, "hotel", "Prices look wrong")
    act(context, opened.id, "rollback", automatic=automatic)
    (asked,) = [one.fact for one in context.journal.read(kinds=["operator_asked"])]
    assert isinstance(asked, OperatorAsked)
    assert (asked.verb, asked.by) == ("rollback", by)
