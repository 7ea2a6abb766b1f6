"""Drift of a served model over any time: what its slots say, against whatever one asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.operations.slot_home import MONDAY, ROWS, SETTINGS, WEEK, answers, outcomes, slot_home, watched, write

from fairlead.adapters.slot_folder import SLOTS, SlotFolder
from fairlead.core.facts_act import SlotsFilled
from fairlead.core.verdict import Outcome
from fairlead.core.window import DAY
from fairlead.errors import FairleadError, NotFound, StateError, UsageError
from fairlead.faces.cli.app import build, run
from fairlead.operations.context import Context
from fairlead.operations.drift_bases import WEEKS
from fairlead.operations.drift_model import Asked, ModelDrift, model_drift
from fairlead.operations.known import NOW, known
from fairlead.operations.slot_store import open_slots, slot_keeping
from fairlead.operations.windows import backfill, kept
from fairlead.stats.drift import Level

LATE = range(0, ROWS, 50)  # rows that the watch never saw, and the log holds
END = MONDAY + 4 * WEEK


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Four weeks, watched by the day."""
    made = slot_home(tmp_path_factory.mktemp("slots"), versions=2)
    told = answers(range(ROWS))
    early = [number for number in range(ROWS) if number not in LATE]
    write(made, told, outcomes(range(ROWS)))
    watched(made, [told[number] for number in early], END, outcomes(early))
    return made


def moved(found: ModelDrift) -> set[str]:
    """The columns that are flagged."""
    return {column.name for column in found.report.columns if column.level is not Level.NONE}


def test_a_week_is_compared_with_the_training_data(home: Context) -> None:
    """By default the last one that is kept, of all rows; nights are short, and in the last week guests are older."""
    found = model_drift(home, "stay", Asked(window="7d"))
    assert (found.version, found.starts_at, found.ends_at, found.slots) == (1, END - WEEK, END, 168)
    assert found.rows == len([number for number in range(ROWS * 3 // 4, ROWS) if number not in LATE])
    assert found.verdict.outcome is Outcome.BREACHED
    assert moved(found) == {"age", "nights"}
    assert found.notes == ()
    assert found.said[1] == "against the training data of version 1"


def test_a_segment_is_compared_with_its_own_held_out_rows(home: Context) -> None:
    """Only berlin moved, so of the other cities nothing is flagged but the short nights."""
    asked = Asked(window="7d", segment="city=berlin")
    berlin = model_drift(home, "stay", asked)
    assert "age" in moved(berlin)
    assert "held-out rows of city=berlin" in berlin.against
    cairo = model_drift(home, "stay", replace(asked, segment="city=cairo"))
    assert "age" not in moved(cairo)
    both = sum(one.rows for one in (berlin, cairo, model_drift(home, "stay", replace(asked, segment="city=aspen"))))
    assert both == model_drift(home, "stay", Asked(window="7d")).rows


def test_the_time_before_and_the_season_know_what_nights_are_like(home: Context) -> None:
    """Against the training data nights have drifted; against the week before, or the same hours, they have not, and
    what is new stands out."""
    night = Asked(window="6h", until="2015-12-15T06:00")
    assert "nights" in moved(model_drift(home, "stay", night))
    season = model_drift(home, "stay", replace(night, reference="season"))
    assert moved(season) == set()
    assert season.against == "the same hours of the day, 15 earlier days"
    for kind in ("previous", "season"):
        found = model_drift(home, "stay", Asked(window="7d", reference=kind))
        assert "age" in moved(found)
        assert "nights" not in moved(found)
    calm = model_drift(home, "stay", Asked(since="2015-12-14", until="2015-12-21", reference="previous"))
    assert moved(calm) == set()


def test_another_versions_training_data(home: Context) -> None:
    """Brought onto one grid: the same distances as if the rows had been counted there, nearly."""
    own = model_drift(home, "stay", Asked(window="7d", reference="v1"))
    pinned = model_drift(home, "stay", Asked(window="7d", reference="v2"))
    assert own.against == "the training data of version 1"
    assert pinned.against == "the training data of version 2"
    assert moved(pinned) == moved(own)
    assert pinned.report.reference.grids == pinned.report.current.grids


@pytest.mark.parametrize("segment", ["nights=1", "city=berlin"])
def test_what_has_no_slots_is_counted_from_the_log(home: Context, segment: str) -> None:
    """And gives the same as slots do, with the rows that came late; whoever cannot wait is told to ask elsewhere."""
    bare = slot_home_without_segments(home)
    found = model_drift(bare, "stay", Asked(window="7d", segment=segment))
    assert any(f"no slots are kept of {segment}: its rows were counted from the log" in note for note in found.notes)
    assert found.rows > 0
    if segment == "city=berlin":
        before = len(
            [1 for number in LATE if number >= ROWS * 3 // 4 and b"berlin" in bytes(answers([number])[0].features)]
        )
        assert found.rows == model_drift(home, "stay", Asked(window="7d", segment=segment)).rows + before
    with pytest.raises(UsageError, match=r"no slots are kept of .* monitoring\.slots\.cells"):
        model_drift(bare, "stay", Asked(window="7d", segment=segment, at_once=True))


def slot_home_without_segments(home: Context) -> Context:
    """The same home, whose slots are of all rows only, in another folder."""
    import shutil
    from dataclasses import replace as changed

    from fairlead.config.load import parse_settings

    folder = home.home.with_name("bare")
    if not folder.exists():
        shutil.copytree(home.home, folder)
        store = SlotFolder(folder / SLOTS)
        whole = store.read("stay", 1, "", 0.0, END)
        store.replace("stay", 1, (0.0, END), lambda _before: [replace(slot, by=()) for slot in whole])
    return changed(home, home=folder, settings=parse_settings(SETTINGS + "log: {table: ''}\n"))


def test_what_is_not_there_yet_is_unmeasured(home: Context) -> None:
    """With what there is instead, or what to do."""
    for asked, said in (
        (Asked(since="2014-01-01", until="2014-02-01"), "slots run from 2015-11-30 to 2015-12-28"),
        (Asked(window="7d", segment="city=paris"), "the training data hold cairo, berlin, aspen"),
        (Asked(since="2015-11-30", until="2015-12-01", reference="previous"), "nothing is kept of the time before"),
        (Asked(since="2015-11-30", until="2015-12-01", reference="season"), f"of the {WEEKS} weeks before 2015-11-30"),
    ):
        found = model_drift(home, "stay", asked)
        assert found.verdict.outcome is Outcome.UNMEASURED
        assert "not enough data yet" in found.verdict.reason
        assert said in found.verdict.reason
    other = model_drift(home, "stay@2", Asked(window="7d"))
    assert "nothing is kept of that time" in other.verdict.reason or "nothing is kept yet" in other.verdict.reason


@pytest.mark.parametrize(
    ("name", "asked", "error", "said"),
    [
        ("nobody", Asked(), NotFound, "there is no model 'nobody'"),
        ("stay@9", Asked(), NotFound, "stay has no version 9: there are 1, 2; write stay@2"),
        ("stay@", Asked(), NotFound, "stay has no version of that name"),
        ("stay", Asked(window="0s"), UsageError, "at least a second"),
        ("stay", Asked(window="soon"), UsageError, "window"),
        ("stay", Asked(window="7d", since="2015-12-01", until="2015-12-02"), UsageError, "says one of them twice"),
        ("stay", Asked(since="2016-01-02", until="2016-01-01"), UsageError, "give an end after the start"),
        ("stay", Asked(since="2016-01-02"), UsageError, "give an end after the start"),
        ("stay", Asked(until="yesterday"), UsageError, "'yesterday' is no instant"),
        ("stay", Asked(segment="berlin"), UsageError, "'berlin' is no segment: write COLUMN=VALUE"),
        ("stay", Asked(segment="ciyt=berlin"), NotFound, "no feature 'ciyt': did you mean city"),
        ("stay", Asked(segment="__score__=1"), NotFound, "no feature '__score__'"),
        ("stay", Asked(reference="last"), UsageError, "no reference 'last': write training, previous, season"),
        ("stay", Asked(reference="v9"), NotFound, "no version 9 of stay to compare with: there are v1, v2"),
        ("stay", Asked(reference="v0"), UsageError, "no reference 'v0'"),
        ("stay", Asked(window="93d", at_once=True), UsageError, "takes long to add up"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    home: Context, name: str, asked: Asked, error: type[FairleadError], said: str
) -> None:
    """In one line, with what to write."""
    with pytest.raises(error) as raised:
        model_drift(home, name, asked)
    assert said in raised.value.line


def test_slots_are_whole(home: Context) -> None:
    """A start within one is its start; an end within one is said, and so is what nothing is kept of."""
    found = model_drift(home, "stay", Asked(since="2015-12-20T10:30", until="2015-12-20T12:30"))
    assert (found.starts_at % DAY / 3_600, found.slots) == (10.0, 3)
    assert found.notes[0] == "slots are whole: the last one ends at 2015-12-20 13:00:00 UTC"
    over = model_drift(home, "stay", Asked(since="2015-12-27", until="2015-12-29"))
    assert over.notes == ("of 1 day of it nothing is kept: nothing was answered, or no slot was made",)


def test_instants_are_those_of_the_settings_clocks(tmp_path: Path) -> None:
    """A day in Lisbon's summer begins an hour before UTC's."""
    made = slot_home(tmp_path, "monitoring: {zone: Europe/Lisbon}")
    found = model_drift(made, "stay", Asked(since="2016-07-01", until="2016-07-02T00:00:00Z"))
    assert (found.starts_at % DAY, found.ends_at % DAY) == (DAY - 3_600, 0.0)


def test_counts_of_another_bundle_are_refused(home: Context, tmp_path: Path) -> None:
    """They lie on other grids, whatever their numbers."""
    from dataclasses import replace as changed

    other = changed(home, home=tmp_path)
    slot = SlotFolder(home.home / SLOTS).read("stay", 1, "", 0.0, END)[0]
    open_slots(other).put([replace(slot, bundle="f" * 64)])
    with pytest.raises(StateError, match="were counted for bundle ffffffffffff"):
        model_drift(other, "stay", Asked())


def test_none_are_kept_where_the_settings_say_so(tmp_path: Path) -> None:
    """A watch without them judges all the same."""
    made = slot_home(tmp_path, "monitoring: {window: 1d, slots: {keep: 0s}}")
    assert slot_keeping(made, "stay") is None
    watched(made, answers(range(72)), MONDAY + DAY)
    assert len(list(made.journal.read(kinds=["window_judged"]))) == 1
    assert not (made.home / SLOTS).exists()
    assert kept(made, "stay") == ()


# -- back-fill -----------------------------------------------------------------------------------------------------


def test_rows_that_came_later_are_added_and_told(tmp_path: Path) -> None:
    """A day's late rows: what was judged stays in the journal, what is kept is what a watch that saw all would keep;
    twice is the same."""
    late, straight = (slot_home(tmp_path / name) for name in ("late", "straight"))
    told = answers(range(144))
    write(late, told)
    watched(late, told[::2], MONDAY + 2 * DAY)
    watched(straight, told, MONDAY + 2 * DAY)
    before = list(late.journal.read(kinds=["window_judged"]))
    for _ in range(2):
        (found,) = backfill(late, "stay", reason="a late file")
        assert (found.slots, found.rows, found.late, found.stayed) == (48, 144, 72, 0)
    sides = [SlotFolder(one.home / SLOTS).read("stay", 1, "", 0.0, END) for one in (late, straight)]
    assert [slot.sums for slot in sides[0]] == [slot.sums for slot in sides[1]]
    assert list(late.journal.read(kinds=["window_judged"])) == before
    drift = model_drift(late, "stay", Asked(window="1d"))
    assert (drift.rows, drift.late) == (72, 36)
    assert "36 rows came later than the judgement, which stands: the journal has it" in drift.said
    fact = list(late.journal.read(kinds=["slots_filled"]))[-1].fact
    assert isinstance(fact, SlotsFilled)
    assert (fact.rows, fact.late, fact.reason) == (144, 72, "a late file")
    assert [(one.rows, one.late) for one in kept(late, "stay")] == [(144, 72)]


def test_a_log_without_a_watch_is_filled_up_to_now(tmp_path: Path) -> None:
    """And one of which nothing came is not filled at all."""
    made = slot_home(tmp_path)
    assert backfill(made, "stay") == ()
    write(made, answers(range(72)))
    (found,) = backfill(made, "stay")
    assert (found.rows, found.late) == (72, 0)
    (again,) = backfill(made, "stay", "2015-11-30T06:10", "2015-11-30T07:10")
    assert (again.starts_at - MONDAY, again.ends_at - MONDAY, again.rows) == (6 * 3_600, 8 * 3_600, 6)


def test_what_the_log_forgot_stays_until_it_is_to_shrink(tmp_path: Path) -> None:
    """A log of fewer rows than were counted."""
    made = slot_home(tmp_path)
    told = answers(range(72))
    write(made, told[:36])
    watched(made, told, MONDAY + DAY)
    (found,) = backfill(made, "stay", "2015-11-30")
    assert (found.rows, found.stayed) == (72, 12)
    (found,) = backfill(made, "stay", "2015-11-30", shrink=True)
    assert (found.rows, found.slots, found.stayed) == (36, 12, 0)


@pytest.mark.parametrize(
    ("name", "since", "until", "said"),
    [
        ("nobody", None, None, "there is no model 'nobody'"),
        ("stay", "soon", None, "'soon' is no instant"),
        ("stay", "2015-12-02", "2015-12-01", "give an end after the start"),
        ("stay", "2030-01-01", None, "what was judged ends before it"),
    ],
)
def test_a_back_fill_asked_wrongly(home: Context, name: str, since: str | None, until: str | None, said: str) -> None:
    """Is told in one line."""
    with pytest.raises(UsageError) as raised:
        backfill(home, name, since, until)
    assert said in raised.value.line


# -- performance ---------------------------------------------------------------------------------------------------


def test_the_performance_of_segments_adds_up_to_the_whole(home: Context) -> None:
    """Rows and labels of all segments are those of each window, and of all windows as one; nothing was judged of a
    segment by itself."""
    whole = known(home, "stay", "7d", NOW, in_all=True)
    parts = [known(home, "stay", "7d", NOW, f"city={city}", in_all=True) for city in ("aspen", "berlin", "cairo")]
    for place, window in enumerate(whole):
        mine = [part[place] for part in parts]
        assert {one.window for one in mine} == {window.window}
        assert sum(one.rows for one in mine) == window.rows
        assert sum(one.performance.labels for one in mine) == window.performance.labels
        assert all(one.then is None for one in mine)
    assert (whole[-1].window, whole[-1].rows) == ("in all", sum(one.rows for one in whole[:-1]))
    assert whole[-1].late == sum(one.late for one in whole[:-1]) > 0
    assert len(known(home, "stay", "2015-12-21", NOW, in_all=True)) == 1


def test_a_segment_as_known_then(home: Context) -> None:
    """Labels that had not come are not counted; before the answers there is nothing."""
    then = known(home, "stay", "2015-12-21", "2015-12-22T12:00", "city=berlin")[0]
    now = known(home, "stay", "2015-12-21", NOW, "city=berlin")[0]
    assert 0 < then.performance.labels < now.performance.labels == now.rows
    assert known(home, "stay", "2015-12-21", "2015-12-20", "city=berlin")[0].rows == 0


# -- as typed ------------------------------------------------------------------------------------------------------


@pytest.fixture
def typed(home: Context) -> Callable[..., int]:
    """Runs a command over the home; returns its exit code."""
    app = build(lambda *_: home, "0")
    return lambda *arguments: run(app, ["--home", str(home.home), *arguments])


def test_drift_as_typed(
    typed: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    read_page: Callable[[str], list[str]],
) -> None:
    """Exit 1 for what moved, 3 for what is not there yet; JSON with the same figures, and a page that is whole."""
    page = tmp_path / "drift.html"
    assert typed("drift", "stay", "--window", "7d", "--segment", "city=berlin", "--html", str(page)) == 1
    said = capsys.readouterr().out
    assert "rows of city=berlin in" in said
    assert "held-out rows of city=berlin" in said
    assert "model score" in said
    assert "svg" in read_page(page.read_text())
    assert "held-out rows of city=berlin" in page.read_text()
    assert typed("drift", "stay@1", "--window", "7d", "--json") == 1
    seen = json.loads(capsys.readouterr().out)
    assert (seen["model"], seen["version"], seen["slots"], seen["verdict"]["outcome"]) == ("stay", 1, 168, "breached")
    assert seen["columns"][0]["name"] in ("age", "nights")
    assert typed("drift", "stay", "--to", "2014-01-01", "--html", str(page)) == 3
    assert "not enough data yet" in capsys.readouterr().out
    read_page(page.read_text())
    assert typed("performance", "stay", "--window", "7d", "--segment", "city=berlin") == 0
    said = capsys.readouterr().out
    assert "of city=berlin; the reference is of all rows" in said
    assert "in all" in said
    assert typed("performance", "stay", "--segment", "city=paris") == 3
    assert "not enough data yet" in capsys.readouterr().out
    assert typed("drift", "stay", "--json") == 3
    assert json.loads(capsys.readouterr().out)["name"] == "2015-12-27"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["drift", "stay", "--window", "7d", "--current", "x.csv"], "compare files"),
        (["drift", "stay", "--window", "7d", "--column", "age"], "compare files"),
        (["drift", "--reference", "x.csv", "--current", "y.csv", "--segment", "a=b"], "are of a served model"),
        (["drift", "stay", "--reference", "nothing"], "there is no reference 'nothing'"),
        (["windows", "list", "nobody"], "no model 'nobody'"),
        (["performance", "stay", "--segment", "berlin"], "'berlin' is no segment"),
        (["performance", "stay", "--segment", "town=berlin"], "no feature 'town'"),
        (["windows", "backfill", "stay", "--from", "soon"], "no instant"),
    ],
)
def test_what_is_typed_wrongly(
    typed: Callable[..., int], capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Is exit 2 and one line."""
    assert typed(*arguments) == 2
    told = capsys.readouterr().err.strip()
    assert said in told
    assert "\n" not in told


def test_windows_as_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is kept, and filling it: exit 3 where there is nothing yet."""
    made = slot_home(tmp_path)
    app = build(lambda *_: made, "0")

    def type_(*arguments: str) -> int:
        return run(app, ["--home", str(made.home), *arguments])

    assert type_("windows", "list", "stay") == 3
    assert type_("windows", "backfill", "stay") == 3
    assert "nothing to fill" in capsys.readouterr().out
    write(made, answers(range(72)))
    watched(made, answers(range(36)), MONDAY + DAY)
    assert type_("windows", "backfill", "stay") == 0
    assert "72 rows in 24 slots" in capsys.readouterr().out
    assert type_("windows", "list", "stay") == 0
    assert "city=aspen, city=berlin" in capsys.readouterr().out
    assert type_("windows", "list", "stay", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["rows"] == 72
