"""The console in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from fairlead.core.event import AliasMoved

MODEL = "hotel-cancellation"


class Visit:
    """A page with everything it asked for and complained of."""

    def __init__(self, browser: Browser, origin: str, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page: Page = self.context.new_page()
        self.origin = origin
        self.outside: list[str] = []
        self.complaints: list[str] = []
        self.page.route("**/*", self._pass)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _pass(self, route: Route) -> None:
        if route.request.url.startswith(f"{self.origin}/"):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def go(self, path: str) -> Page:
        """Opens an address and waits until the page stands."""
        answer = self.page.goto(self.origin + path)
        assert answer is not None
        assert answer.status == 200
        return self.page


@pytest.fixture
def visit(browser: Browser, served: str) -> Iterator[Visit]:
    """A desktop visit that must end without a complaint and without a request elsewhere."""
    visit = Visit(browser, served, viewport={"width": 1360, "height": 900})
    yield visit
    visit.context.close()
    assert visit.outside == []
    assert visit.complaints == []


def sideways(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize(
    "path", ["/", f"/models/{MODEL}", f"/models/{MODEL}/ladder", f"/rollouts/{MODEL}-3-1", "/incidents/INC-1"]
)
def test_page_stands_alone(visit: Visit, path: str) -> None:
    """Every page loads whole from its own port, without an error in the console."""
    page = visit.go(path)
    expect(page.locator("h1")).to_be_visible()
    assert page.evaluate("typeof htmx") == "object"
    assert sideways(page) == 0


@pytest.mark.parametrize("width", [1400, 1100, 1000])
def test_nothing_of_the_ladder_is_cut_off(visit: Visit, width: int) -> None:
    """No table has a column out of sight, and no label of a chart leaves its drawing."""
    visit.page.set_viewport_size({"width": width, "height": 900})
    page = visit.go(f"/models/{MODEL}/ladder")
    wide = "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.ariaLabel)"
    assert page.locator(".scroll:not(.wide)").evaluate_all(wide) == []
    assert page.locator("table.features thead th").last.inner_text() == "Level"
    assert sideways(page) == 0


def test_drift_map_has_a_row_for_each_feature(visit: Visit) -> None:
    """Eighteen features over twenty-two months, each cell with its value on hover."""
    page = visit.go("/")
    assert page.locator(".heat-names text").count() == 18
    assert page.locator(".heat g").count() == 18
    assert page.locator(".heat rect").count() == 18 * 22
    assert page.locator(".heat rect title").count() == 18 * 22
    first, names = page.locator(".heat g rect").first, page.locator(".heat-names text").first
    row, name = first.bounding_box(), names.bounding_box()
    assert row is not None
    assert name is not None
    assert abs(row["y"] + row["height"] / 2 - name["y"] - name["height"] / 2) < 5, "names and rows are level"


def test_evidence_is_drawn_against_its_threshold(visit: Visit) -> None:
    """Each guardrail's chart has the threshold line, and the broken one ends above it."""
    page = visit.go(f"/rollouts/{MODEL}-3-1")
    assert page.locator(".evidence .threshold").count() == 3
    broken = page.locator("figure", has_text="p99_latency").locator("svg.evidence")
    threshold = broken.locator(".threshold").get_attribute("y1")
    last = broken.locator("circle.dot").get_attribute("cy")
    assert threshold is not None
    assert last is not None
    assert float(last) <= float(threshold)
    assert "has crossed the threshold" in (broken.get_attribute("aria-label") or "")


def test_page_follows_the_journal(visit: Visit, told: Any) -> None:
    """New facts appear without a reload, an opened table stays open, and typed words stay typed."""
    page = visit.go("/")
    expect(page.locator("#champion")).to_have_text("v2")
    summary = page.get_by_text("Drift as a table")
    summary.click()
    told.tell(AliasMoved(MODEL, "champion", 3, 2, "an operator's wish"))
    expect(page.locator("#champion")).to_have_text("v3")
    expect(page.get_by_role("region", name="Drift as a table")).to_be_visible()
    expect(page.locator("#seq")).to_have_text(str(told.live.read().seq))
    told.begin(4, 3)
    expect(page.locator("#rollout-title")).to_contain_text("v4")
    page.get_by_label("Your hand").fill("because")
    told.tell(AliasMoved(MODEL, "champion", 2, 3, "and back"))
    expect(page.locator("#champion")).to_have_text("v2")
    expect(page.get_by_label("Your hand")).to_have_value("because")


def test_operator_acts_from_the_page(visit: Visit, told: Any) -> None:
    """The button writes the operator's wish with its reason, under the page's own policy."""
    told.begin(4, 2)
    page = visit.go("/")
    page.get_by_label("Your hand").fill("checkout is slow")
    page.get_by_role("button", name="Roll back").click()
    page.wait_for_url(f"**/models/{MODEL}")
    assert told.asked == [(MODEL, "rollback", "checkout is slow", "console")]
    expect(page.get_by_text("Asked to rollback")).to_be_visible()


def test_lost_server_is_said(browser: Browser, served: str) -> None:
    """When the port stops answering, the page says that it shows the past."""
    visit = Visit(browser, served)
    page = visit.go("/")
    expect(page.locator("#link-state")).to_have_text("live")
    visit.context.set_offline(True)
    expect(page.locator("#link-state")).to_contain_text("no answer")
    expect(page.locator("#champion")).to_have_text("v2")
    visit.context.set_offline(False)
    expect(page.locator("#link-state")).to_have_text("live")
    visit.context.close()


def luminance(page: Page) -> float:
    """How bright the page's ground is, from 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour.strip("rgb()").split(",")[:3]) / 3


@pytest.mark.parametrize(("scheme", "bright"), [("light", True), ("dark", False)])
def test_light_and_dark(browser: Browser, served: str, scheme: Any, bright: bool) -> None:
    """The page follows the reader's colour scheme, ground and letters both."""
    visit = Visit(browser, served, color_scheme=scheme)
    page = visit.go("/")
    assert (luminance(page) > 128) is bright
    ink = page.evaluate("getComputedStyle(document.querySelector('h1')).color")
    assert (sum(int(part) for part in ink.strip("rgb()").split(",")[:3]) / 3 > 128) is not bright
    visit.context.close()


@pytest.mark.parametrize(
    "path", ["/", f"/models/{MODEL}/ladder", f"/rollouts/{MODEL}-3-1", "/incidents/INC-1", "/models/none"]
)
def test_phone(browser: Browser, served: str, path: str) -> None:
    """At 390 pixels nothing makes the page scroll sideways."""
    visit = Visit(browser, served, viewport={"width": 390, "height": 844}, is_mobile=True)
    visit.page.goto(served + path)
    expect(visit.page.locator("h1")).to_be_visible()
    assert sideways(visit.page) == 0
    visit.context.close()


def test_keyboard_reaches_everything(visit: Visit) -> None:
    """The first stop skips to the content; what scrolls sideways can be focused; every control has a name."""
    page = visit.go("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    unreachable = page.evaluate(
        """[...document.querySelectorAll('main *')]
            .filter(e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX))
            .filter(e => e.scrollWidth > e.clientWidth && e.tabIndex < 0).map(e => e.className)"""
    )
    assert unreachable == []
    nameless = page.evaluate(
        "[...document.querySelectorAll('a, button, input:not([type=hidden])')]"
        ".filter(e => !(e.textContent.trim() || e.labels?.length || e.ariaLabel)).length"
    )
    assert nameless == 0


def test_empty_home(browser: Browser, served_empty: str) -> None:
    """A newcomer's page stands too."""
    visit = Visit(browser, served_empty)
    expect(visit.go("/").get_by_text("Bring your first model")).to_be_visible()
    assert visit.complaints == []
    visit.context.close()
