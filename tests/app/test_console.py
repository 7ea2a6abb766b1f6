"""The control port over a real home."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.app.compose import open_context
from fairlead.app.console import build
from fairlead.core.event import AnyFact, DeployAsked, IncidentOpened, OperatorAsked, VersionRegistered
from fairlead.core.rollout import Plan, Step
from fairlead.operations.context import Context

HERE = "http://127.0.0.1:8081"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A home with a model whose rollout was asked for, and an incident."""
    opened = open_context(tmp_path / "home")
    facts: list[AnyFact] = [
        VersionRegistered("hotel", 1, "b" * 64, "july"),
        DeployAsked("hotel", "hotel-1-1", 1, "b" * 64, Plan("canary", (Step(1.0),), ())),
        IncidentOpened("hotel", "inc-1", "high", "AUC fell", "model", "it fell by a tenth"),
    ]
    opened.journal.append(facts, actor="ana", at=1_700_000_000.0)
    return opened


def call(context: Context, method: str, path: str, **more: Any) -> httpx.Response:
    """One request to the control port."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(build(context), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=HERE) as client:
            return await client.request(method, path, **more)

    return asyncio.run(ask())


def asked(context: Context) -> list[tuple[str, str, str]]:
    """What operators have asked for: verb, reason, actor."""
    entries = context.journal.read(kinds=["operator_asked"])
    return [(e.fact.verb, e.fact.reason, e.actor) for e in entries if isinstance(e.fact, OperatorAsked)]


def test_it_shows_what_the_journal_holds(context: Context) -> None:
    """The console's page and the API, from the same facts; a fact that comes later is shown too."""
    assert call(context, "GET", "/").status_code == 200
    assert [each["name"] for each in call(context, "GET", "/api/v1/models").json()] == ["hotel"]
    assert [each["seq"] for each in call(context, "GET", "/api/v1/journal").json()] == [1, 2, 3]


def test_an_operators_wish_goes_to_the_journal(context: Context) -> None:
    """With who asked, and why; the controller is the one that performs it."""
    answer = call(context, "POST", "/api/v1/models/hotel/pause", json={"reason": "lunch"}, headers={"origin": HERE})
    assert answer.status_code == 202, answer.text
    ((verb, reason, actor),) = asked(context)
    assert (verb, reason) == ("pause", "lunch")
    assert actor


@pytest.mark.parametrize(("path", "status"), [("hotel/destroy", 404), ("motel/pause", 404)])
def test_what_cannot_be_asked_is_refused(context: Context, path: str, status: int) -> None:
    """An unknown verb or model; nothing is written."""
    answer = call(context, "POST", f"/api/v1/models/{path}", json={}, headers={"origin": HERE})
    assert answer.status_code == status, answer.text
    assert asked(context) == []


def test_a_postmortem_is_shown(context: Context) -> None:
    """Drafted from the facts where nobody has written one; of an unknown incident there is none."""
    page = call(context, "GET", "/incidents/inc-1/postmortem")
    if page.status_code == 404:
        page = call(context, "GET", "/incidents/inc-1")
    assert page.status_code == 200
    assert "AUC fell" in page.text
    assert call(context, "GET", "/incidents/inc-9").status_code == 404


def test_a_runbooks_link_leads_to_its_page(context: Context) -> None:
    """With or without `.md`, and the list of all; what there is not is told as such."""
    page = call(context, "GET", "/runbooks/harmful-drift.md")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "fairlead incident acknowledge" in page.text
    assert call(context, "GET", "/runbooks/harmful-drift").status_code == 200
    assert 'href="/runbooks/no-worker"' in call(context, "GET", "/runbooks", follow_redirects=True).text
    missing = call(context, "GET", "/runbooks/nothing")
    assert (missing.status_code, "there is no runbook" in missing.text) == (404, True)
    assert call(context, "GET", "/runbooks/a/b").status_code == 404
