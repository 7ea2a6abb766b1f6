"""From impact to cause and back: what one window's view holds, and where its links lead."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from fairlead.core import event
from fairlead.core.facts_act import UpstreamChanged
from fairlead.core.impact import Figure, ImpactReport, fact_of_impact
from fairlead.core.report import (
    Change,
    FeatureShift,
    Harm,
    Layer,
    MetricReading,
    Performance,
    Stage,
    WindowReport,
    fact_of,
)
from fairlead.core.verdict import Outcome
from fairlead.errors import NotFound
from fairlead.operations.ladder_links import Drill, address, drill
from fairlead.operations.overview import LiveOverview
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.routes import MemoryBoard

DAY = 86_400.0
T0 = 1_700_000_000.0 // DAY * DAY


def judged(day: int, *, bad: bool = False) -> WindowReport:
    """A day's report; a bad one has a suspect, a segment and a fallen metric."""
    outcome = Outcome.BREACHED if bad else Outcome.HOLDS
    starts = T0 + day * DAY
    drift = (
        FeatureShift("lead_time", "none", "psi", 0.01, 0.25),
        FeatureShift(
            "adr", "critical" if bad else "none", "psi", 1.2 if bad else 0.02, 0.25, broken="x100" if bad else ""
        ),
    )
    harm = Harm(harmful=bad, change=Change("auroc", 0.07, 0.05, 0.09) if bad else None, segment="Groups" if bad else "")
    return WindowReport(
        "shop", 1, f"day-{day}", starts, starts + DAY, starts + DAY, Stage.MATURED, 500, outcome, "said", drift,
        (Layer("data", outcome, "of the data"), Layer("model", outcome, "of the model")),
        Performance("auroc", 0.81, realised=0.74 if bad else 0.81, verdict=outcome), harm=harm,
        suspects=("adr",) if bad else (),
    )  # fmt: skip


def impact(day: int, outcome: Outcome = Outcome.HOLDS, layer: str = "business") -> ImpactReport:
    """A day's figures."""
    starts = T0 + day * DAY
    figure = Figure("revenue", layer, 1.0, 500, outcome, "revenue 1 (usual 2, 1.8 to 2.2)", 2.0, 1.8, 2.2, -0.5, 9)
    layers = (Layer(layer, outcome, figure.reason),)
    return ImpactReport("shop", f"day-{day}", starts, starts + DAY, starts + DAY, 500, (figure,), layers)


@pytest.fixture
def live() -> LiveOverview:
    """Five days, the fourth of which was bad after a deploy, and what was done."""
    journal, clock = MemoryJournal(), ManualClock(T0)
    for day in range(5):
        at = T0 + (day + 1) * DAY
        if day == 3:
            journal.append(
                [event.AliasMoved("shop", "champion", 2, 1, "better")], actor="controller", at=at - 0.9 * DAY
            )
        bad = day == 3
        journal.append(
            [fact_of(judged(day, bad=bad)), fact_of_impact(impact(day, Outcome.BREACHED if bad else Outcome.HOLDS))],
            actor="watch", at=at,
        )  # fmt: skip
        if bad:
            opened = event.IncidentOpened("shop", "INC-7", "high", "adr is broken", "data", "x100", window="day-3")
            alert = event.AlertRaised(
                "shop", "data-quality", "high", "Broken data, window day-3", "x100", "ann", "data-quality"
            )
            journal.append([opened, alert], actor="respond", at=at + 1.0)
    return LiveOverview(journal, MemoryBoard(), clock)


def seen(live: LiveOverview, window: str = "", feature: str = "") -> Drill:
    """The view."""
    overview = live.read()
    return drill(overview.models[0], overview.workers, window, feature)


def test_the_bad_window_is_chosen_and_linked_from_impact_to_runbook(live: LiveOverview) -> None:
    """Without a choice the newest breached window is shown, with every step of the way and where it leads."""
    found = seen(live)
    assert found.name == "day-3"
    assert [(link.kind, link.title) for link in found.links] == [
        ("impact", "revenue"), ("window", "day-3"), ("metric", "AUROC"), ("segment", "Groups"), ("feature", "adr"),
        ("change", "v2 became champion"), ("incident", "adr is broken"), ("runbook", "data-quality"),
    ]  # fmt: skip
    assert found.links[4].href == "/models/shop/ladder?window=day-3&feature=adr#feature"
    assert found.links[6].href == "/incidents/INC-7"
    assert "worse by 0.05 to 0.09" in found.links[2].text
    assert all(link.href for link in found.links)


def test_bottom_up_a_feature_leads_to_its_windows(live: LiveOverview) -> None:
    """The chosen feature says in which windows it moved; the rungs above have their figures."""
    found = seen(live, "day-3", "adr")
    assert found.feature is not None
    assert (found.feature.name, found.feature.broken, found.moved) == ("adr", "x100", ("day-3",))
    assert [one.name for one in found.figures("Business")] == ["revenue"]
    assert [incident.id for incident in found.incidents] == ["INC-7"]


def test_rungs_over_time_are_impact_first(live: LiveOverview) -> None:
    """Four rows, business on top, a cell a window; nobody looked at product, and it says so by no outcome."""
    strips = seen(live).strips
    assert [strip.name for strip in strips] == ["Business", "Product", "Model", "Data and features"]
    bad, good = Outcome.BREACHED, Outcome.HOLDS
    assert [cell.outcome for cell in strips[0].cells] == [good, good, good, bad, good]
    assert {cell.outcome for cell in strips[1].cells} == {None}
    assert [cell.outcome for cell in strips[3].cells] == [good, good, good, bad, good]


def test_an_earlier_window_shows_its_own_rungs_not_those_of_now(live: LiveOverview) -> None:
    """The rungs of day 1 hold, in the order top-down, whatever came later."""
    found = seen(live, "day-1")
    assert [(rung.number, rung.outcome) for rung in found.rungs] == [
        (4, Outcome.HOLDS), (3, Outcome.UNMEASURED), (2, Outcome.HOLDS), (1, Outcome.HOLDS),
    ]  # fmt: skip
    assert not [link for link in found.links if link.kind in ("impact", "change", "runbook")]


@pytest.mark.parametrize(("window", "feature"), [("day-9", ""), ("day-3", "nothing"), ("<script>", "")])
def test_unknown_windows_and_features_are_not_found(live: LiveOverview, window: str, feature: str) -> None:
    """Who types a wrong address is told so, with what it was."""
    with pytest.raises(NotFound, match=window if window != "day-3" else feature):
        seen(live, window, feature)


def test_addresses_are_quoted() -> None:
    """Names with slashes, blanks and ampersands stay one address."""
    assert address("a/b", "w&1", "x y") == "/models/a%2Fb/ladder?window=w%261&feature=x+y"


def test_values_are_sent_as_json(live: LiveOverview) -> None:
    """The overview with figures and links encodes for the API."""
    text = msgspec.json.encode(live.read())
    assert b'"revenue"' in text
    assert b'"segment":"Groups"' in text


def test_what_changed_elsewhere_is_named(live: LiveOverview) -> None:
    """A change upstream on the day before is no mark of ours, and yet may be the cause; one of long ago is not."""
    live._journal.append([UpstreamChanged("shop", "loader", "prices in cents", T0)], actor="ann", at=T0 + 2.5 * DAY)
    assert [note.title for note in seen(live, "day-3").changes] == ["loader changed"]
    assert [link.title for link in seen(live, "day-3").links if link.kind == "change"][-1] == "loader changed"
    assert seen(live, "day-0").changes == ()


def replayed() -> LiveOverview:
    """An old log, judged within minutes of the wall clock a year later: three bad windows, of which each opened an
    incident and raised an alert; the first incident is over."""
    journal, now = MemoryJournal(), T0 + 365 * DAY
    for day in range(6):
        report = judged(day, bad=day % 2 == 1)
        journal.append([fact_of(report)], actor="watch", at=now + day)
        if day % 2:
            title = f"Broken data reaches shop version 1, window day-{day}"
            alert = event.AlertRaised(
                "shop", "data-quality", "high", title, "x100", "ann", f"runbook-{day}", event_at=report.judged_at
            )
            opened = event.IncidentOpened(
                "shop", f"INC-{day}", "high", title, "data", "x100", began_at=report.starts_at, window=f"day-{day}"
            )
            journal.append([opened, alert], actor="respond", at=now + day)
    note = "Still harmful in window day-4: worse"
    journal.append([event.IncidentNoted("shop", "INC-3", note)], actor="respond", at=now + 7)
    journal.append([event.IncidentNoted("shop", "INC-1", "over", state="resolved")], actor="ann", at=now + 8)
    late = event.AlertRaised("shop", "slow", "low", "slow answers", "94 ms", "ann", "slow", event_at=T0 + 4.1 * DAY)
    journal.append([late], actor="respond", at=now + 9)
    return LiveOverview(journal, MemoryBoard(), ManualClock(now + 10))


@pytest.mark.parametrize("day", [1, 3, 5])
def test_a_window_leads_to_its_own_incident_and_runbook(day: int) -> None:
    """Whatever else stands open, and whatever the wall clock says: the incident that the window opened, and the runbook
    of the alert that names it."""
    found = seen(replayed(), f"day-{day}")
    links = {link.kind: (link.title, link.href) for link in found.links}
    assert links["incident"] == (f"Broken data reaches shop version 1, window day-{day}", f"/incidents/INC-{day}")
    assert links["runbook"][0] == f"runbook-{day}"
    assert found.incidents[0].id == f"INC-{day}"
    assert {one.window for one in found.alerts} <= {f"day-{day}", ""}
    assert {one.id for one in found.elsewhere} == {"INC-3", "INC-5"} - {f"INC-{day}"}


def test_a_calm_window_leads_to_no_incident() -> None:
    """Incidents of other windows are told under a heading of their own, and are no step of its way."""
    found = seen(replayed(), "day-0")
    assert (found.incidents, found.alerts) == ((), ())
    assert not [link for link in found.links if link.kind in ("incident", "runbook")]
    assert [one.id for one in found.elsewhere] == ["INC-5", "INC-3"]


def test_an_incident_belongs_to_the_windows_that_its_notes_name() -> None:
    """Harm that goes on is noted on the incident that is open, with the window's name."""
    assert [one.id for one in seen(replayed(), "day-4").incidents] == ["INC-3"]
    assert seen(replayed(), "day-2").incidents == ()


def test_an_alert_of_no_window_belongs_to_the_one_that_had_closed() -> None:
    """A condition is looked at by itself: what it is told of is the newest window of that time."""
    assert [one.alert for one in seen(replayed(), "day-3").alerts] == ["data-quality", "slow"]
    assert "slow" not in [one.alert for one in seen(replayed(), "day-4").alerts]


@pytest.mark.parametrize("layer", ["model", "data"])
@pytest.mark.parametrize("own", list(Outcome))
@pytest.mark.parametrize("beside", list(Outcome))
def test_the_card_and_the_map_say_the_same(layer: str, own: Outcome, beside: Outcome) -> None:
    """Of the newest window and of the one before: the worse of what the watch and the figures say of a layer."""
    journal = MemoryJournal()
    for day in range(2):
        report = replace(judged(day), layers=(Layer(layer, own, "of the watch"),))
        journal.append([fact_of(report), fact_of_impact(impact(day, beside, layer))], actor="watch", at=T0 + day)
    live = LiveOverview(journal, MemoryBoard(), ManualClock(T0 + 9))
    name = {"model": "Model", "data": "Data and features"}[layer]
    for place in range(2):
        found = seen(live, f"day-{place}")
        (rung,) = [one for one in found.rungs if one.name == name]
        (strip,) = [one for one in found.strips if one.name == name]
        assert strip.cells[place].outcome is rung.outcome
        if Outcome.BREACHED in (own, beside):
            assert rung.outcome is Outcome.BREACHED
        elif own is not Outcome.UNMEASURED and beside is Outcome.UNDECIDED:
            assert rung.outcome is Outcome.UNDECIDED


def test_a_window_of_figures_alone_has_no_card_of_another_one() -> None:
    """A window that only the figures speak of shows them, and nothing of the windows that the watch judged."""
    journal = MemoryJournal()
    journal.append(
        [fact_of(judged(0, bad=True)), fact_of_impact(impact(1)), fact_of_impact(impact(2))], actor="w", at=T0
    )
    found = seen(LiveOverview(journal, MemoryBoard(), ManualClock(T0)), "day-1")
    assert {one.name: one.outcome for one in found.rungs} == {
        "Business": Outcome.HOLDS, "Product": Outcome.UNMEASURED, "Model": Outcome.UNMEASURED,
        "Data and features": Outcome.UNMEASURED,
    }  # fmt: skip


def test_the_cost_of_decisions_stands_on_the_business_layer_of_each_window() -> None:
    """In the card and on the map alike, of an old window and of the newest."""
    journal = MemoryJournal()
    for day in range(2):
        report = judged(day)
        assert report.performance is not None
        cost = MetricReading("cost", 5.0, 4.8, 5.2, None, None, None, 5.0 + day, 4.9 + day, 5.1 + day)
        change = Change("auroc", 0.0, -0.1, 0.1, realised=True)
        report = replace(report, performance=replace(report.performance, also=(cost,)), harm=Harm(change=change))
        journal.append([fact_of(report)], actor="watch", at=T0 + day)
    live = LiveOverview(journal, MemoryBoard(), ManualClock(T0 + 9))
    for day, outcome in enumerate((Outcome.HOLDS, Outcome.UNDECIDED)):
        found = seen(live, f"day-{day}")
        assert (found.rungs[0].name, found.rungs[0].outcome) == ("Business", outcome)
        assert f"day-{day}: decisions cost about {500 * (5 + day):,} units of cost a day" in found.rungs[0].reason
        assert found.strips[0].cells[day].outcome is outcome
