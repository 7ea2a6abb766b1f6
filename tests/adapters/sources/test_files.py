from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.adapters.sources.files import File, arrow_system, find_files, typed
from fairlead.adapters.sources.parquet import open_parquet
from fairlead.errors import TableError
from fairlead.ports.engine import NUMBER, TEXT


def written(*paths: Path) -> None:
    """Small files."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"x": [1.0, 2.0]}), path)


def names(files: list[File], base: Path) -> list[str]:
    """Paths below a folder."""
    return [str(Path(file.path).relative_to(base)) for file in files]


def test_a_file_a_folder_and_a_pattern_are_found(tmp_path: Path) -> None:
    """Sorted; notes and hidden files are left alone."""
    written(
        tmp_path / "b.parquet", tmp_path / "a.pq", tmp_path / "in" / "c.parquet", tmp_path / "_temporary" / "0.parquet"
    )
    written(tmp_path / ".hidden.parquet")
    (tmp_path / "_SUCCESS").touch()
    assert names(find_files(str(tmp_path)), tmp_path) == ["a.pq", "b.parquet", "in/c.parquet"]
    assert names(find_files(str(tmp_path / "b.parquet")), tmp_path) == ["b.parquet"]
    assert names(find_files(str(tmp_path / "*.parquet")), tmp_path) == [".hidden.parquet", "b.parquet"]
    assert names(find_files(str(tmp_path / "**" / "[bc].parquet")), tmp_path) == ["b.parquet", "in/c.parquet"]
    assert names(find_files(tmp_path.as_uri()), tmp_path) == ["a.pq", "b.parquet", "in/c.parquet"]


def test_a_file_may_be_called_like_a_pattern(tmp_path: Path) -> None:
    """What is there is meant."""
    written(tmp_path / "a[1].parquet")
    assert names(find_files(str(tmp_path / "a[1].parquet")), tmp_path) == ["a[1].parquet"]


def test_folders_names_are_columns(tmp_path: Path) -> None:
    """Numbers where all are, text else, null where a writer had none; only below the folder that is named."""
    base = tmp_path / "run=7"
    written(base / "year=2023" / "city=Oslo" / "0.parquet", base / "year=2024" / "city=New%20York" / "0.parquet")
    written(base / "year=2024" / "city=__HIVE_DEFAULT_PARTITION__" / "0.parquet")
    files = find_files(str(base))
    assert [dict(file.partition) for file in files] == [
        {"year": 2023.0, "city": "Oslo"},
        {"year": 2024.0, "city": "New York"},
        {"year": 2024.0, "city": None},
    ]
    source = open_parquet(files)
    assert source.kinds == {"x": NUMBER, "year": NUMBER, "city": TEXT}
    assert [dict(file.partition) for file in find_files(str(base / "*" / "city=Oslo" / "*.parquet"))] == [
        {"year": 2023.0, "city": "Oslo"}
    ]


def test_a_column_of_the_file_outranks_its_folder() -> None:
    """Numbers are told over all files together."""
    files = [File("a", (("n", "1"), ("t", "1"))), File("b", (("n", "-2"), ("t", "x"))), File("c", (("n", None),))]
    assert [dict(file.partition) for file in typed(files)] == [{"n": 1.0, "t": "1"}, {"n": -2.0, "t": "x"}, {"n": None}]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("nothing", "does not exist: check the path"),
        ("empty", "holds no Parquet file: name a folder"),
        ("*.parquet", "no file matches .*: check the pattern"),
    ],
)
def test_nothing_found_is_an_error(tmp_path: Path, where: str, message: str) -> None:
    """It names what was looked for."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableError, match=message):
        find_files(str(tmp_path / where))


def test_a_location_that_arrow_cannot_open_is_refused(tmp_path: Path) -> None:
    """A scheme that nobody knows, and a place where nothing is."""
    with pytest.raises(TableError, match="nothing://here cannot be opened"):
        find_files("nothing://here")
    with pytest.raises(TableError, match="does not exist"):
        find_files((tmp_path / "none").as_uri())


def test_another_file_system_is_read_through_arrow(tmp_path: Path) -> None:
    """Any that Arrow has: here one within a folder, and one in memory."""
    written(tmp_path / "k=1" / "a.parquet")
    system, path = arrow_system("mock://bucket/day")
    assert system is not None
    system.create_dir(path, recursive=True)
    with system.open_output_stream(f"{path}/a.parquet") as stream:
        stream.write((tmp_path / "k=1" / "a.parquet").read_bytes())
    (part,) = open_parquet([File(f"{path}/a.parquet", system=system)]).parts()
    assert sum(column.rows for column in part.read(["x"])) == 2
