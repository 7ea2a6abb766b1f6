"""Any time of a model on the console: a form, and what was found."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
from tests.operations.slot_home import MONDAY, answers, slot_home, watched

from fairlead.core.window import DAY
from fairlead.faces.console import build_console
from fairlead.operations.context import Context
from fairlead.operations.drift_model import model_drift
from fairlead.operations.overview import LiveOverview
from fairlead.testing.routes import MemoryBoard


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Two days, watched."""
    here = slot_home(tmp_path_factory.mktemp("console"))
    watched(here, answers(range(144)), MONDAY + 2 * DAY)
    return here


@pytest.fixture
def console(home: Context, call: Any) -> Any:
    """The console over it."""
    live = LiveOverview(home.journal, MemoryBoard(), home.clock)
    return call(build_console(live.read, drift=partial(model_drift, home)))


def test_what_is_asked_is_found(console: Any) -> None:
    """With the same words as on the command line, which it names; nothing on the page runs or is fetched again."""
    answer = console.get(
        "/models/stay/drift", params={"window": "1d", "segment": "city=cairo", "reference": "previous"}
    )
    assert answer.status_code == 200
    assert "rows of city=cairo in" in answer.text
    assert "against 2015-11-30 to 2015-12-01" in answer.text
    assert "fairlead drift stay --window 1d --segment city=cairo --reference previous" in answer.text
    assert all(f">{name}</th>" in answer.text for name in ("age", "nights", "city", "model score"))
    assert "hx-get" not in answer.text
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", answer.text)


def test_the_model_leads_there_also_before_any_label(console: Any) -> None:
    """Of its windows no metric is known yet."""
    answer = console.get("/models/stay")
    assert answer.status_code == 200
    assert 'href="/models/stay/drift"' in answer.text


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"segment": "town=x"}, 404, "no feature &#39;town&#39;"),
        ({"segment": "<script>"}, 400, "&lt;script&gt;"),
        ({"window": "0s"}, 400, "at least a second"),
        ({"to": "2014-01-01"}, 200, "not enough data yet"),
    ],
)
def test_what_is_asked_wrongly_is_said_beside_the_form(
    console: Any, query: dict[str, str], status: int, said: str
) -> None:
    """The form keeps what was written."""
    answer = console.get("/models/stay/drift", params=query)
    assert answer.status_code == status
    assert said in answer.text
    assert "<form" in answer.text
    assert "<script>" not in answer.text


def test_a_model_that_there_is_not(console: Any) -> None:
    """Is 404, as everywhere."""
    assert console.get("/models/nobody/drift").status_code == 404
