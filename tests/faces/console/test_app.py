"""The console's pages as text: what they say, and that nothing in them can run."""

from __future__ import annotations

import doctest
import re
from hashlib import sha256
from importlib.resources import files
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from msgspec import Raw

from fairlead.core.arms import Among, ArmShare
from fairlead.core.event import AliasMoved, IncidentOpened, RolloutStarted, VersionRegistered
from fairlead.core.rollout import Call, Decision, Phase, Plan, Step
from fairlead.errors import NotFound, Refused, StateError
from fairlead.faces.console import build_console, postmortem, words
from fairlead.faces.console.assets import NAMES
from fairlead.faces.console.charts import performance, scale, svg
from fairlead.operations.feature_shape import Bar, FeatureShape
from fairlead.operations.overview import Overview

MODEL = "hotel-cancellation"
PAGES = (
    "/", f"/models/{MODEL}", f"/models/{MODEL}/ladder", f"/rollouts/{MODEL}-3-1", f"/rollouts/{MODEL}-2-1",
    "/incidents/INC-1",
)  # fmt: skip


@pytest.fixture
def pages(call: Any) -> Any:
    """Puts the console in front of a story."""
    return lambda story, **more: call(build_console(story.live.read, **more))


@pytest.fixture
def console(told: Any, pages: Any, postmortem: str) -> Any:
    """The whole story, with controls and a postmortem."""
    return pages(told, ask=told.ask, postmortem=lambda _incident: postmortem)


@pytest.mark.parametrize("module", [words, svg, scale, performance, postmortem])
def test_examples(module: Any) -> None:
    """The examples in the docstrings hold."""
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("path", PAGES)
def test_nothing_inline_and_nothing_from_elsewhere(console: Any, path: str) -> None:
    """No page carries a script, a style or an event handler of its own, or an address outside."""
    answer = console.get(path)
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", answer.text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", answer.text)
    assert not re.search(r'(?:src|href|action)="(?:[a-z]+:)?//', answer.text)


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_small_and_well_made(console: Any, path: str) -> None:
    """A page stays under 200 kB; its headings go down one step at a time; every picture has a name."""
    text = console.get(path).text
    assert len(text.encode()) < 200_000
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", text)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    pictures = re.findall(r"<svg[^>]*>", text)
    assert pictures
    assert all('role="img"' in each and "aria-label=" in each for each in pictures)
    assert len(set(re.findall(r' id="([^"]+)"', text))) == len(re.findall(r' id="([^"]+)"', text))


def test_pictures_are_wellformed(console: Any) -> None:
    """Every picture is XML that a strict parser takes."""
    for text in re.findall(r"<svg.*?</svg>", console.get("/").text, re.DOTALL):
        ET.fromstring(text)


def test_model_page_tells_the_story(console: Any) -> None:
    """Champion, layers, rollout with threshold, drift by feature, performance, incident, alert, versions, workers."""
    text = console.get("/").text
    for said in (
        'id="champion">v2<',
        "Data and features",
        "nobody logs a business figure",
        "rolls back above",
        "p99_latency &lt;= 2 * champion",
        "the evidence is 307 to 1",
        "lead_time, 2017-08: PSI",
        "v2 became champion",
        "v3 was rolled back",
        "AUROC fell in",
        "gates passed",
        "worker 1 answers with route",
        "every worker had the route 41 ms after the decision",
    ):
        assert said in text, said
    assert text.count('class="mark-critical"') > 10


def test_names_from_outside_stay_text(story: Any, pages: Any) -> None:
    """A model, version or incident named like markup is shown as it is called, and its address leads to it."""
    name = '"><script>alert(1)</script>/../x'
    story.tell(VersionRegistered(name, 1, "<b>", "<img src=x onerror=alert(1)>"))
    story.tell(IncidentOpened(name, "<i>", "high", "<script>", "data", "</p><script>"))
    console = pages(story, ask=story.ask)
    for path in ("/", "/incidents/%3Ci%3E"):
        text = console.get(path).text
        assert not re.search(r"<script(?![^>]*\ssrc=)|<img|<b>|<i>", text.replace("<i aria", "<i- aria"))


def test_postmortem_is_text(console: Any) -> None:
    """Markdown becomes headings, lists and tables; markup in it stays text."""
    text = console.get("/incidents/INC-1").text
    assert "<h4>" not in text
    assert "<h3>Impact</h3>" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<li>detected by p99_latency &lt;= 2 * champion</li>" in text
    assert '<td class="text">rolled back</td>' in text


def test_postmortem_that_is_not_written(told: Any, pages: Any) -> None:
    """Without one, the page says how to get it."""
    assert "fairlead incident postmortem INC-1" in pages(told).get("/incidents/INC-1").text


def test_empty_home_says_what_to_do(story: Any, pages: Any) -> None:
    """The first page a newcomer sees leads on."""
    text = pages(story).get("/").text
    assert "fairlead register" in text
    assert "fairlead demo" in text


def test_new_model_says_what_to_do(story: Any, pages: Any) -> None:
    """Each empty part of a model's page says what fills it."""
    story.register(1, "bookings")
    text = pages(story).get("/").text
    for said in ("fairlead gate", "POST /v1/outcomes", "fairlead up", "told here and on your channels", "unmeasured"):
        assert said in text, said
    assert "<form" not in text


def test_several_models_are_listed(told: Any, pages: Any) -> None:
    """With more than one model, the first page compares them."""
    told.tell(VersionRegistered("churn", 1, "b", "d"), AliasMoved("churn", "champion", 1, None))
    text = pages(told).get("/").text
    assert "<h1>Models</h1>" in text
    assert 'href="/models/churn"' in text


@pytest.mark.parametrize("path", ["/models/none", "/rollouts/none", "/incidents/none", "/fragments/models/none", "/x"])
def test_what_does_not_exist(console: Any, path: str) -> None:
    """404 is a page that leads back, under the same policy."""
    answer = console.get(path)
    assert answer.status_code == 404
    assert "All models" in answer.text
    assert "content-security-policy" in answer.headers


def test_store_that_cannot_be_read(call: Any) -> None:
    """What fairlead says of its home is what the page says."""

    def read() -> Overview:
        raise StateError("the journal x.db cannot be used")

    answer = call(build_console(read)).get("/")
    assert answer.status_code == 503
    assert "the journal x.db cannot be used" in answer.text


def test_fragment_is_only_drawn_when_something_changed(console: Any, told: Any) -> None:
    """A poll that has seen everything costs nothing; a new fact or ten seconds bring the part again."""
    text = console.get("/fragments/home").text
    assert "<html" not in text
    seen = re.search(r'name="seen" value="([^"]+)"', text)
    assert seen
    assert console.get("/fragments/home", params={"seen": seen[1]}).status_code == 204
    told.clock.advance(10)
    assert console.get("/fragments/home", params={"seen": seen[1]}).status_code == 200


def test_form_asks_and_leads_back(console: Any, told: Any) -> None:
    """The operator's form writes to the journal and returns to the model."""
    answer = console.post(f"/models/{MODEL}/rollback", data={"reason": " too slow "})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/models/{MODEL}")
    assert told.asked == [(MODEL, "rollback", "too slow", "console")]


@pytest.mark.parametrize(
    ("path", "body", "kind", "status"),
    [
        (f"/models/{MODEL}/explode", b"", "application/x-www-form-urlencoded", 404),
        (f"/models/{MODEL}/pause", b"{}", "application/json", 415),
        (f"/models/{MODEL}/pause", b"reason=" + b"x" * 10_001, "application/x-www-form-urlencoded", 413),
        (f"/models/{MODEL}/pause", b"\xff", "application/x-www-form-urlencoded", 400),
        (f"/models/{MODEL}/pause", b"a=1&" * 30, "application/x-www-form-urlencoded", 400),
    ],
)
def test_forms_that_cannot_be_taken(console: Any, told: Any, path: str, body: bytes, kind: str, status: int) -> None:
    """Each wrong form gets its own answer, and nothing is asked."""
    assert console.post(path, content=body, headers={"content-type": kind}).status_code == status
    assert told.asked == []


@pytest.mark.parametrize(("error", "status"), [(NotFound("no rollout"), 404), (Refused("not now"), 409)])
def test_form_that_is_refused(told: Any, pages: Any, error: Exception, status: int) -> None:
    """What was refused is said on the page."""

    def ask(model: str, verb: str, reason: str, *, actor: str) -> None:
        raise error

    answer = pages(told, ask=ask).post(f"/models/{MODEL}/pause", data={"reason": ""})
    assert answer.status_code == status
    assert str(error) in answer.text


def test_console_without_a_hand(told: Any, pages: Any) -> None:
    """Without `ask` there are no controls, and the address does nothing."""
    console = pages(told)
    assert "<form" not in console.get("/").text
    assert console.post(f"/models/{MODEL}/pause", data={"reason": ""}).status_code == 404


@pytest.mark.parametrize("name", NAMES)
def test_assets_are_shipped(console: Any, name: str) -> None:
    """Each asset is served with its type; one that is asked for by digest may be kept."""
    assert console.get(f"/assets/{name}").headers["cache-control"] == "no-cache"
    kept = console.get(f"/assets/{name}", params={"v": "1"})
    assert "immutable" in kept.headers["cache-control"]
    assert kept.headers["content-type"].split(";")[0] in ("text/css", "text/javascript", "image/svg+xml")
    assert console.post(f"/assets/{name}").status_code == 405


@pytest.mark.parametrize("name", ["NOTICE.md", "__init__.py", "..%2Fapp.py", "x"])
def test_other_files_are_not_served(console: Any, name: str) -> None:
    """Only the named files leave the folder."""
    assert console.get(f"/assets/{name}").status_code == 404


def test_third_party_file_is_the_one_in_the_notice() -> None:
    """The notice names the version, licence and digest of what is shipped."""
    folder = files("fairlead.faces.console.assets")
    notice = (folder / "NOTICE.md").read_text()
    assert sha256((folder / "htmx.min.js").read_bytes()).hexdigest() in notice
    assert "4.0.1" in notice
    assert "Zero-Clause BSD" in notice


def test_several_arms_stand_on_one_card(told: Any, pages: Any) -> None:
    """Each with its version, share, requests and reason; the operator's hand means the arm whose card it is, and leads
    back to the model."""
    among = Among(f"{MODEL}-ab-9", (ArmShare(8, 0.25), ArmShare(9, 0.25)))
    for version in (8, 9):
        plan = Plan("ab", (Step(0.25),), (), among=among)
        rollout = f"{MODEL}-{version}-{version}"
        told.tell(RolloutStarted(MODEL, rollout, version, "b", 3, plan, Raw(b"{}")))
        stay = (Phase.CANARY, Phase.CANARY)
        kept = Decision(rollout, told.clock.now(), Call.NOT_YET, *stay, 0, 0.25, (), None, "", f"arm {version} is kept")
        told.look(rollout, kept, {"champion": 40, "canary": 20 + version}, {})
    console = pages(told, ask=told.ask)
    text = console.get(f"/models/{MODEL}").text
    for version in (8, 9):
        assert f"v{version}, 25" in text
        assert f"arm {version} is kept" in text
        assert f"{20 + version} requests" in text
    assert f'formaction="/models/{MODEL}%409/promote"' in text
    answer = console.post(f"/models/{MODEL}%409/promote", data={"reason": "better"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/models/{MODEL}")
    assert told.asked[-1] == (f"{MODEL}@9", "promote", "better", "console")
    assert "arm 8 is kept" in console.get(f"/rollouts/{MODEL}-8-8").text


def test_the_ladder_leads_from_impact_to_cause(told: Any, pages: Any) -> None:
    """The view of a window names its rungs, features and what changed; links stay below the console's own root."""
    console = pages(told)
    text = console.get(f"/models/{MODEL}/ladder").text
    for said in (
        "From impact to cause",
        "Layer by layer",
        "what may cause it below",
        "v3 was rolled back",
        "lead_time",
    ):
        assert said in text, said
    windows = re.findall(r'href="(/models/[^"]*window=[^"#]*)', text)
    assert len(set(windows)) > 20
    assert console.get(windows[0].replace("&amp;", "&")).status_code == 200
    assert console.get(f"/fragments/models/{MODEL}/ladder?window=2017-07&seen=x").status_code == 200


@pytest.mark.parametrize(
    "path",
    [f"/models/{MODEL}/ladder?window=2099-01", f"/models/{MODEL}/ladder?feature=none", "/models/none/ladder"],
)
def test_an_unknown_window_feature_or_model_is_a_404(told: Any, pages: Any, path: str) -> None:
    """What is not there is said on a page, with what was asked for."""
    answer = pages(told).get(path)
    assert answer.status_code == 404
    assert "2099-01" in answer.text or "none" in answer.text


def test_a_feature_is_drawn_against_its_reference(told: Any, pages: Any) -> None:
    """The histogram of the picked feature is in the page; where there is none, the reason is."""
    shape = FeatureShape("lead_time", (Bar("0", 0.5, 0.2), Bar("above 9", 0.5, 0.8, "above")), 1_000, 200)
    drawn = pages(told, shape=lambda evidence, name: shape).get(f"/models/{MODEL}/ladder").text
    assert "0: reference 50 %, this window 20 %" in drawn
    gone = pages(told, shape=lambda evidence, name: FeatureShape(name, why="it was removed")).get(
        f"/models/{MODEL}/ladder"
    )
    assert "No histogram: it was removed" in gone.text


def test_a_home_without_windows_has_a_ladder_too(story: Any, pages: Any) -> None:
    """A model that was only registered shows what will be looked at."""
    story.register(1, "bookings")
    answer = pages(story).get(f"/models/{MODEL}/ladder")
    assert answer.status_code == 200
    assert "No window has closed yet" in answer.text
