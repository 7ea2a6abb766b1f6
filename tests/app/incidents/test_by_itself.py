"""From an injected fault to a resolved incident with a filled postmortem, over real HTTP, without a hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from fairlead.core.incident import Incident
from fairlead.operations.incidents import list_incidents, show_incident

World = Any  # see conftest


def open_since(home: World, instant: float) -> list[Incident]:
    """The incidents that were opened since."""
    return [one for one in list_incidents(home.context) if one.opened_at >= instant]


QUICK = "{resolve_after: 4s, acknowledge: {high: 1h, medium: 1h, critical: 1h}}"


@pytest.mark.slow
def test_a_null_burst(world: Callable[..., World], tell: Callable[..., None]) -> None:
    """Half of a column is null: an incident of data, triaged, its owner asked, over when it is mended."""
    home = world(QUICK)
    with home.traffic():
        home.wait(lambda: home.windows() >= 2)
    assert home.incident(category="data") is None
    fault = time.time()
    with home.traffic(nulls=0.5):
        found = home.wait(lambda: home.incident(category="data"))
        home.wait(lambda: home.incident(category="data").actions)
        assert home.status()["state"] == "degraded"
    with home.traffic():
        home.wait(lambda: home.state(found.id) == "resolved")
    done = show_incident(home.context, found.id)
    tell("null burst", done, fault)
    assert done.category == "data"
    assert [one.action for one in done.actions] == ["fix_data"]
    assert done.triage is not None
    assert {check.step: check.outcome.value for check in done.triage.checks}["panels"] == "breached"
    text = home.run("incident", "postmortem", done.id)
    assert "nights" in text
    assert "Predictions affected: 0" not in text
    print(text)


@pytest.mark.slow
def test_a_bad_deploy(world: Callable[..., World], tell: Callable[..., None]) -> None:
    """A version that fails one request in a hundred loses its traffic; its incident is triaged, and over when calm."""
    home = world(QUICK)
    with home.traffic():
        home.wait(lambda: home.windows() >= 2)
        fault = time.time()
        home.deploy_crashing()
        found = home.wait(lambda: home.incident(rollout="stay-bad"))
        home.wait(lambda: home.state(found.id) == "resolved")
    done = show_incident(home.context, found.id)
    tell("bad deploy", done, fault)
    assert done.rollout == "stay-bad"
    assert done.mitigated_at is not None
    assert done.triage is not None
    assert "lost its traffic" in done.triage.reason
    text = home.run("incident", "postmortem", done.id)
    for said in ("answered by version 9", "Detection gap", "was rolled back", "traffic has been back"):
        assert said.lower() in text.lower(), text
    print(text)


@pytest.mark.slow
def test_a_concept_flip(world: Callable[..., World], tell: Callable[..., None]) -> None:
    """What was a yes is a no: labels show the harm, a challenger is trained, gated and serves, and a window holds."""
    home = world(QUICK)
    with home.traffic():
        home.wait(lambda: home.windows() >= 4)
    fault = time.time()
    with home.traffic(flip=True):
        found = home.wait(lambda: next((one for one in open_since(home, fault) if one.window), None))
        home.wait(lambda: home.state(found.id) == "resolved", 240)
    done = show_incident(home.context, found.id)
    tell("concept flip", done, fault)
    assert done.id == found.id
    assert [one.action for one in done.actions] == ["retrain"]
    assert done.mitigated_at is not None
    champion = [fact.version for fact in home.facts("alias_moved") if fact.alias == "champion"]
    assert champion == [1, 2]
    text = home.run("incident", "postmortem", done.id)
    assert "Version 2 serves on every worker" in text
    print(text)
