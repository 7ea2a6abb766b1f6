"""Slots in a folder: whole or not there, whoever writes and whatever breaks."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.slot_file import MARK, frames_of, written
from fairlead.adapters.slot_folder import SlotFolder
from fairlead.core.slot import Slot
from fairlead.core.window import DAY
from fairlead.errors import StateError
from fairlead.testing.slots import HOUR, START, check_slots, make_slot


def rows(folder: Path) -> list[int]:
    """The rows of each slot of the first days."""
    return [one.rows for one in SlotFolder(folder).read("hotel", 1, "", START, START + 9 * DAY)]


def day(folder: Path) -> Path:
    """The first day's file."""
    return folder / "hotel" / "2016-01-04.slots"


def test_a_folder_keeps_what_every_store_keeps(tmp_path: Path) -> None:
    """It passes the check of all stores."""
    check_slots(SlotFolder(tmp_path), lambda: SlotFolder(tmp_path))


@settings(deadline=None, max_examples=15)
@given(st.data())
def test_a_torn_end_is_passed_over_and_cut_off(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Wherever a machine died while it wrote: what was there before is read, and the next slot is kept."""
    folder = tmp_path_factory.mktemp("torn")
    SlotFolder(folder).put([make_slot(0, 3)])
    whole, more = day(folder).read_bytes(), written([make_slot(1, 4)])
    cut = data.draw(st.integers(0, len(more) - 1))
    zeros = data.draw(st.sampled_from([0, 1, 40]))
    torn = b"\0" * zeros if zeros else more[:cut]
    day(folder).write_bytes(whole + torn)
    assert rows(folder) == [3]
    SlotFolder(folder).put([make_slot(2, 5)])
    assert rows(folder) == [3, 5]
    assert day(folder).read_bytes() == whole + written([make_slot(2, 5)])


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2_000), st.integers(1, 255))
def test_a_changed_byte_is_told(where: int, by: int) -> None:
    """Anywhere in a file of whole frames: it is told, never read as other counts."""
    slots = [make_slot(hour, 3 + hour) for hour in range(3)]
    text = bytearray(MARK + written(slots))
    where %= len(text)
    text[where] ^= by
    with pytest.raises(StateError, match=r"damaged at byte|another program"):
        frames_of(bytes(text), "day")


def test_a_damaged_day_harms_no_other(tmp_path: Path) -> None:
    """It is named with the fix; other days are read, and its bytes stay as they are."""
    store = SlotFolder(tmp_path)
    store.put([make_slot(0), make_slot(1), make_slot(25, 7)])
    text = bytearray(day(tmp_path).read_bytes())
    text[-5] ^= 1
    day(tmp_path).write_bytes(bytes(text))
    with pytest.raises(StateError, match=r"2016-01-04\.slots is damaged at byte .* `fairlead windows backfill`"):
        store.read("hotel", 1, "", START, START + DAY)
    assert [one.rows for one in store.read("hotel", 1, "", START + DAY, START + 2 * DAY)] == [7]
    with pytest.raises(StateError, match="damaged"):
        SlotFolder(tmp_path).put([make_slot(2)])
    assert day(tmp_path).read_bytes() == bytes(text)


def test_a_back_fill_sets_what_is_damaged_aside(tmp_path: Path) -> None:
    """What lay before the damage is kept, the day is whole again, and the damaged file is still there."""
    store = SlotFolder(tmp_path)
    store.put([make_slot(0, 3)])
    store.put([make_slot(5, 4, version=2), make_slot(6, 4)])
    text = bytearray(day(tmp_path).read_bytes())
    text[-5] ^= 1
    day(tmp_path).write_bytes(bytes(text))
    store.replace("hotel", 1, (START + HOUR, START + DAY), lambda _before: [make_slot(6, 9)])
    assert rows(tmp_path) == [3, 9]
    assert [one.rows for one in store.read("hotel", 2, "", START, START + DAY)] == [4]
    assert (tmp_path / "hotel" / "2016-01-04.slots.damaged").read_bytes() == bytes(text)


def test_what_others_put_there_is_left_alone(tmp_path: Path) -> None:
    """A file of no day's name is passed over; one of a day's name is refused, and not written to."""
    (tmp_path / "hotel").mkdir()
    for name in ("notes.txt", "backup.slots"):
        (tmp_path / "hotel" / name).write_text("mine")
    store = SlotFolder(tmp_path, keep_seconds=DAY)
    store.put([make_slot(0)])
    store.put([make_slot(24 * 8, 4)])
    assert rows(tmp_path) == [4]
    store.prune("hotel", START + 400 * DAY)
    assert sorted(path.name for path in (tmp_path / "hotel").iterdir()) == [".lock", "backup.slots", "notes.txt"]
    day(tmp_path).write_text("mine")
    with pytest.raises(StateError, match="holds no slots: another program wrote it"):
        store.put([make_slot(1)])
    with pytest.raises(StateError, match="another program"):
        store.read("hotel", 1, "", START, START + DAY)
    assert day(tmp_path).read_text() == "mine"


def test_old_days_go_when_a_day_begins(tmp_path: Path) -> None:
    """Counted back from the newest day of event time, whatever the clock says."""
    store = SlotFolder(tmp_path, keep_seconds=2 * DAY)
    for place in range(5):
        store.put([make_slot(24 * place, place + 1)])
    assert rows(tmp_path) == [4, 5]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With the folder; a file in its place is no folder."""
    (tmp_path / "slots").write_text("")
    with pytest.raises(StateError, match="slots cannot be written to"):
        SlotFolder(tmp_path / "slots").put([make_slot()])


def test_a_model_may_have_any_name(tmp_path: Path) -> None:
    """Names that no file may bear do not leave the folder, nor meet each other."""
    names = ["..", ".", "a/b", "a%2Fb", "", "x" * 400, "x" * 401, "ü", ".lock"]
    store = SlotFolder(tmp_path / "slots")
    for place, name in enumerate(names):
        store.put([make_slot(0, place + 1, model=name)])
    found = [store.read(name, 1, "", START, START + DAY)[0].rows for name in names]
    assert found == list(range(1, len(names) + 1))
    assert [path.name for path in tmp_path.iterdir()] == ["slots"]


def add(folder: Path, version: int, hours: range) -> None:
    """What one process writes."""
    store = SlotFolder(folder)
    for hour in hours:
        store.put([make_slot(hour, hour + 1, version=version)])
        store.replace("hotel", version, (START, START + HOUR), lambda before: before)


def test_two_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    """They add to the same days, and replace them, at the same time."""
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=add, args=(tmp_path, version, range(15))) for version in (1, 2)]
    for one in others:
        one.start()
    for one in others:
        one.join()
    for version in (1, 2):
        found: tuple[Slot, ...] = SlotFolder(tmp_path).read("hotel", version, "", START, START + 3 * DAY)
        assert [one.rows for one in found] == list(range(1, 16))
