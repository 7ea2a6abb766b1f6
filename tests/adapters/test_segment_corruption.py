"""Whatever becomes of the bytes of a segment: each record whose bytes are whole is read once, in order, and none is
made up."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.adapters.segment_frame import HEAD, MAGIC, PREDICTIONS
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.adapters.segment_store import SegmentStore
from fairlead.testing.log import make_prediction

# What a caller may put into a record: text that looks like the beginning of one, above all.
TEXTS = st.one_of(st.text(max_size=40), st.just('\\u0000{"request_id":"forged"}'), st.just('{"request_id":"forged"}'))
SIZES = st.lists(st.tuples(TEXTS, st.integers(0, 300)), min_size=2, max_size=8)


class Frame(NamedTuple):
    """Where a record's bytes are."""

    request_id: str
    start: int
    end: int


def written(folder: Path, texts: list[tuple[str, int]]) -> tuple[Path, list[Frame]]:
    """A segment as the log writes it."""
    log = SegmentLog(folder, 0, sync_seconds=60.0)
    for number, (text, size) in enumerate(texts):
        features = Raw(b'{"n":"' + b"x" * size + b'"}')
        log.predictions([make_prediction(f"r{number}", error=text, features=features)])
    log.close()
    (path,) = (folder / PREDICTIONS).iterdir()
    data, at = path.read_bytes(), len(MAGIC)
    frames: list[Frame] = []
    while at < len(data):
        end = at + HEAD.size + HEAD.unpack_from(data, at)[0]
        frames.append(Frame(f"r{len(frames)}", at, end))
        at = end
    return path, frames


def read_all(folder: Path) -> list[str]:
    """What a follower reads; what the compactor reads is the same."""
    reader = SegmentReader(folder)
    found = [record.request_id for record in reader.poll()[0]]
    assert reader.poll()[0] == [], "a record is read once"
    batch = SegmentStore(folder).read(PREDICTIONS, lambda _: 0, 10_000)
    assert [record.request_id for record in batch.records] == found
    return found


@settings(max_examples=80, deadline=None)
@given(SIZES, st.data())
def test_a_corrupt_end_costs_the_last_record_at_most(texts: list[tuple[str, int]], data: st.DataObject) -> None:
    """Cut, flipped, zeroed as after a power cut, or followed by rubbish: every record before it is read."""
    with TemporaryDirectory() as name:
        path, frames = written(Path(name), texts)
        content, last = bytearray(path.read_bytes()), frames[-1]
        at = data.draw(st.integers(last.start, last.end - 1), "at")
        how = data.draw(st.sampled_from(["cut", "flip", "zeros", "zeros beyond", "rubbish"]), "how")
        if how == "cut":
            del content[at:]
        elif how == "flip":
            content[at] ^= data.draw(st.integers(1, 255), "bits")
        elif how == "zeros":
            content[at:] = bytes(len(content) - at)
        elif how == "zeros beyond":
            content += bytes(data.draw(st.integers(1, 9000), "count"))
        else:
            content += data.draw(st.binary(min_size=1, max_size=200), "rubbish")
        path.write_bytes(content)
        found = read_all(Path(name))
        whole = [frame.request_id for frame in frames]
        assert found in (whole, whole[:-1])
        if "beyond" in how or how == "rubbish":
            assert found == whole


@settings(max_examples=80, deadline=None)
@given(SIZES, st.data())
def test_damage_costs_the_records_that_it_touches(texts: list[tuple[str, int]], data: st.DataObject) -> None:
    """A stretch of zeros, or of anything, anywhere behind the file's head: all others are read, those after it too."""
    with TemporaryDirectory() as name:
        path, frames = written(Path(name), texts)
        content = bytearray(path.read_bytes())
        start = data.draw(st.integers(len(MAGIC), len(content) - 1), "start")
        end = data.draw(st.integers(start + 1, min(start + 600, len(content))), "end")
        filling = data.draw(
            st.one_of(st.just(bytes(end - start)), st.binary(min_size=end - start, max_size=end - start))
        )
        content[start:end] = filling
        path.write_bytes(content)
        untouched = [frame.request_id for frame in frames if frame.end <= start or frame.start >= end]
        found = read_all(Path(name))
        assert [one for one in found if one in untouched] == untouched
        assert set(found) <= {frame.request_id for frame in frames}
        assert len(found) == len(set(found))
