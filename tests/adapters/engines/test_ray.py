from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.adapters.engines.local import LocalEngine
from fairlead.adapters.engines.ray import RayEngine
from fairlead.errors import MissingExtra, StateError, TableError, UsageError
from fairlead.operations import passes
from fairlead.operations.drift import profile
from fairlead.operations.streaming import drift_sources, profile_source
from fairlead.ports.engine import Engine
from fairlead.testing.engine import check_engine

ROWS = 5_000


@pytest.fixture(scope="module")
def ray() -> Iterator[Engine]:
    """One Ray for all tests here, of this machine's processes."""
    engine = RayEngine(2)
    yield engine
    engine.close()


def table(shift: float = 0.0) -> pa.Table:
    """Numbers and text."""
    rng = np.random.default_rng(1)
    return pa.table(
        {
            "price": rng.lognormal(3, 0.8, ROWS) + shift,
            "score": pa.array(rng.normal(size=ROWS), mask=rng.random(ROWS) < 0.1),
            "city": pa.array(np.array(["Oslo", "Rome", "Lima"])[rng.integers(0, 3, ROWS)]),
        }
    )


def cut(folder: Path, data: pa.Table, files: int, group: int) -> str:
    """A table in files of row groups."""
    folder.mkdir()
    step = -(-data.num_rows // files)
    for place in range(files):
        pq.write_table(data.slice(place * step, step), folder / f"{place}.parquet", row_group_size=group)
    return str(folder)


def listening(process: str) -> Iterator[str]:
    """The addresses, in hexadecimal as Linux writes them, at which a process and its children accept connections."""
    below: set[str] = set()
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # that thread has ended meanwhile
            below.update(children.read_text().split())
    for child in below:
        yield from listening(child)
    links = set()
    with suppress(FileNotFoundError):  # the process has ended meanwhile
        for link in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):  # it was closed meanwhile
                links.add(link.readlink().name)
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in links:
                yield fields[1].partition(":")[0]


def test_a_ray_of_our_own_cannot_be_reached_from_outside(ray: Engine) -> None:
    """Its processes listen on the loopback address only: 127.0.0.1, also as IPv6 writes it."""
    found = set(listening(str(os.getpid())))
    assert found
    assert found <= {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def test_a_connected_cluster_is_used_and_stays(ray: Engine) -> None:
    """It keeps the port; an engine that did not start Ray does not stop it."""
    import ray as library

    assert library.is_initialized()
    check_engine(RayEngine())
    assert library.is_initialized()


@pytest.mark.parametrize(("files", "group"), [(1, 10_000), (3, 400), (8, 1_000)])
def test_ray_equals_local_equals_memory(ray: Engine, tmp_path: Path, files: int, group: int) -> None:
    """Byte for byte, for several partitionings."""
    where = cut(tmp_path / "data", table(), files, group)
    far = msgspec.json.encode(profile_source(where, engine=ray))
    assert far == msgspec.json.encode(profile_source(where))
    assert far == msgspec.json.encode(profile(table()))


@pytest.mark.parametrize(("files", "group"), [(1, 300), (4, 170)])
def test_ray_equals_local_where_the_grid_is_sampled(
    ray: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, group: int
) -> None:
    """Two passes over many jobs, merged: the result does not know who did them. So does a report."""
    monkeypatch.setattr(passes, "SIZE", 1_000)
    monkeypatch.setattr(passes, "SLAB", 600)
    monkeypatch.setattr("fairlead.adapters.sources.parquet.SLAB", 300)
    where = cut(tmp_path / "data", table(), files, group)
    far, near = (profile_source(where, engine=engine) for engine in (ray, LocalEngine(3)))
    assert msgspec.json.encode(far) == msgspec.json.encode(near)
    assert far == profile_source(table(), engine=LocalEngine(1)), "nor how the rows were cut"
    moved = cut(tmp_path / "moved", table(3.0), files, group)
    reports = [drift_sources(where, moved, engine=engine).to_json() for engine in (ray, "local")]
    assert reports[0] == reports[1]


def test_a_stream_is_worked_on_by_ray(ray: Engine) -> None:
    """Batches travel."""
    like = profile(table())
    far = profile_source(table(1.0).to_reader(700), like, engine=ray)
    assert msgspec.json.encode(far) == msgspec.json.encode(profile_source(table(1.0).to_reader(700), like))


def test_a_part_that_fails_is_named(ray: Engine, tmp_path: Path) -> None:
    """File and row group, as the same error that it is here."""
    where = cut(tmp_path / "data", table(), 1, 1_000)
    path = Path(where) / "0.parquet"
    chunk = pq.read_metadata(path).row_group(2).column(0)
    start, raw = chunk.dictionary_page_offset or chunk.data_page_offset, bytearray(path.read_bytes())
    raw[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(bytes(raw))
    with pytest.raises(TableError, match=r"column 'price' of .*0\.parquet, row group 2 cannot be read") as caught:
        profile_source(where, engine=ray)
    assert "\n" not in caught.value.line


def test_a_worker_that_dies_is_said(ray: Engine) -> None:
    """Not a hang, and nothing of a table."""
    with pytest.raises(StateError, match="Ray lost a task"):
        list(ray.map(os._exit, [1]))


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"fairlead\[ray\]"):
        RayEngine()


def test_a_ray_that_does_not_start_is_said(ray: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few tries, for a busy machine may be slow; in one line."""
    import ray as library

    tries: list[int] = []

    def fail(**_: object) -> None:
        tries.append(1)
        raise Exception("The current node timed out during startup.\nAnd more.")  # noqa: TRY002 - what Ray raises

    monkeypatch.setattr(library, "is_initialized", lambda: False)
    monkeypatch.setattr(library, "init", fail)
    monkeypatch.setattr(library, "shutdown", lambda: None)
    with pytest.raises(StateError, match="Ray does not start: The current node timed out during startup") as caught:
        RayEngine(1)
    assert len(tries) == 3
    assert "\n" not in caught.value.line


def test_no_worker_is_no_engine() -> None:
    """Somebody has to do the work."""
    with pytest.raises(UsageError, match="workers is 0"):
        RayEngine(0)
