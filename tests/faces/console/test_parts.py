"""Classes, groups and fairness over windows: as lines, worst first, and as steps from impact to cause."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.operations.test_ladder_links import DAY, T0, judged

from fairlead.core.groups import ClassReading, FairnessReading, GroupReading, GroupReport, Rated
from fairlead.core.report import Correlation, WindowReport, fact_of
from fairlead.core.verdict import Outcome
from fairlead.faces.cli.parts import bars, show_parts
from fairlead.faces.console.app import build_console
from fairlead.operations.ladder_links import drill
from fairlead.operations.overview import LiveOverview
from fairlead.operations.overview_parts import MOST_WINDOWS, Parts, parts_of, raw_parts
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.routes import MemoryBoard

HOLDS, BAD = Outcome.HOLDS, Outcome.BREACHED


def groups(*, bad: bool = False) -> GroupReport:
    """Two classes, three groups of which one is small, and one protected column."""
    figure = Rated(0.5, 0.4, 0.6, 0.7)
    outcome, said = (BAD, "accuracy where city = <west> is 0.5") if bad else (HOLDS, "")
    return GroupReport(
        "accuracy",
        (
            ClassReading("no", figure, 40, figure, figure, figure, HOLDS, "recall of no is 0.5"),
            ClassReading("yes", figure, 60, figure, figure, figure, HOLDS, "precision of yes is 0.5"),
        ),
        (
            GroupReading("city", "east", 90, 80, figure, 0.6, HOLDS),
            GroupReading("city", "<west>", 90, 80, figure, 0.6, outcome, said),
            GroupReading("city", "isle", 3, 2, figure, 0.6, Outcome.UNDECIDED, "undecided: 2 labels"),
        ),
        (
            FairnessReading("sex", "yes", "impact", Rated(0.5, 0.4, 0.6, 0.9), ("f", "m"), 0.8, 44, outcome, said),
            FairnessReading("sex", "yes", "tpr", None, (), 0.1, 4, Outcome.UNDECIDED, "undecided: 4 rows"),
        ),
        9,
    )


def window(day: int, *, bad: bool = False) -> WindowReport:
    """A day's report with its parts; on the bad one two numbers came apart."""
    apart = Correlation(
        "critical", 6, 0.1, 1e-9, 0.4, "adr", ("adr", "lead_time"), 0.6, 0.1, "adr no longer goes with lead_time"
    )  # fmt: skip
    calm = Correlation("none", 6, 0.01, 0.5)
    return msgspec.structs.replace(judged(day), groups=groups(bad=bad), correlation=apart if bad else calm)


@pytest.fixture
def live() -> LiveOverview:
    """Four days; on the third a group became worse. The first has no parts: an earlier fairlead judged it."""
    journal = MemoryJournal()
    for day in range(4):
        report = judged(day) if not day else window(day, bad=day == 2)
        journal.append([fact_of(report)], actor="watch", at=T0 + (day + 1) * DAY)
    return LiveOverview(journal, MemoryBoard(), ManualClock(T0))


def test_lines_go_over_the_windows_and_the_worst_come_first() -> None:
    """Each figure of each class, each group, each measure of a protected column; shares have a bound where they do."""
    found = parts_of({"w1": raw_parts(fact_of(window(1))), "w2": raw_parts(fact_of(window(2, bad=True)))})
    assert found.windows == ("w1", "w2")
    assert [(one.part, one.what) for one in found.of("class")][:4] == [
        ("no", "share of the answers"), ("no", "precision"), ("no", "recall"), ("no", "F1"),
    ]  # fmt: skip
    assert [one.part for one in found.of("group")] == ["city = <west>", "city = isle", "city = east"]
    impact = found.of("fairness")[0]
    assert (impact.part, impact.bound, [one.outcome for one in impact.seen]) == ("sex", 0.8, [HOLDS, BAD])
    assert impact.last.before == 0.9


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'{"groups": 3}'])
def test_what_cannot_be_read_is_left_out(text: bytes) -> None:
    """The others are told."""
    good = raw_parts(fact_of(window(1)))
    assert len(parts_of({"w0": text, "w1": good}).lines) == len(parts_of({"w1": good}).lines)


def test_only_the_newest_windows_are_held() -> None:
    """A year of windows does not fill the memory."""
    journal = MemoryJournal()
    journal.append([fact_of(window(day)) for day in range(40)], actor="watch", at=T0)
    (model,) = LiveOverview(journal, MemoryBoard(), ManualClock(T0)).read().models
    assert model.parts.windows == tuple(f"day-{day}" for day in range(40 - MOST_WINDOWS, 40))


def test_a_step_leads_to_each_part_that_became_worse_and_to_the_pair_that_came_apart(live: LiveOverview) -> None:
    """With the figure now and before; the column of the pair is the feature that is shown."""
    found = drill(live.read().models[0], (), "day-2")
    steps = {link.kind: link for link in found.links}
    assert (steps["group"].title, steps["group"].text) == ("city = <west>", "accuracy 50.0 %, was 70.0 %")
    assert steps["group"].href == "#parts-group"
    assert steps["fairness"].text == "selection rate, lowest by highest 50.0 %, was 90.0 %"
    assert steps["pair"].href == "/models/shop/ladder?window=day-2&feature=adr#feature"
    assert found.few == ("sex, true positive rates apart (4)", "city = isle (2)")
    assert [label for label, _ in found.classes] == ["no", "yes"]
    assert not {"group", "fairness", "pair"} & {link.kind for link in drill(live.read().models[0], (), "day-3").links}


def test_the_page_shows_every_part_and_leads_to_other_windows(live: LiveOverview, call: Any) -> None:
    """What a caller named is escaped; a window that an earlier fairlead judged has no such section."""
    console = call(build_console(live.read))
    text = console.get("/models/shop/ladder?window=day-2").text
    for said in ("Parts of the model", "By class", "By group", "city = &lt;west&gt;", "Too few rows to tell", "spark"):
        assert said in text, said
    assert "<west>" not in text
    assert "adr and lead_time" in text
    assert "Parts of the model" not in console.get("/models/shop/ladder?window=day-0").text


def test_the_terminal_shows_the_last_window_and_the_others_as_bars(
    live: LiveOverview, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people and for programs; nothing yet is said so."""
    (model,) = live.read().models
    show_parts(model, json=False)
    said = capsys.readouterr().out
    assert "Groups that must be treated alike" in said
    assert bars(model.parts.of("group")[0]) == "▄▄▄"
    show_parts(model, json=True)
    view: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert view["windows"] == ["day-1", "day-2", "day-3"]
    assert [one["seen"][0].get("value") for one in view["lines"]][:2] == [None, 0.5]
    show_parts(msgspec.structs.replace(model, parts=Parts()), json=False)
    assert "no window was judged by class" in capsys.readouterr().out
