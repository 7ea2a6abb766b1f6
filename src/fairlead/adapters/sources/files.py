"""The Parquet files of a path: one file, a folder, a pattern; or of a location with a scheme that Arrow knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from msgspec import Struct

from fairlead.errors import TableError

if TYPE_CHECKING:
    import pyarrow.fs

SUFFIXES = (".parquet", ".pq")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


class File(Struct, frozen=True):
    """A file, and the columns that its folders' names give (`year=2024/`), with the value that holds in each row."""

    path: str
    partition: tuple[tuple[str, float | str | None], ...] = ()
    system: Any = None  # an Arrow file system; None: this machine's

    def open(self) -> Any:
        """What Arrow reads: a path, or an open file."""
        return self.path if self.system is None else self.system.open_input_file(self.path)


def find_files(location: str) -> list[File]:
    """The files, sorted by path. Raises `TableError` where there is none."""
    if "://" in location:
        system, path = arrow_system(location)
        if system is None:
            return find_files(path)
        return _partitioned([File(one, system=system) for one in _listed(system, path)], path)
    root = Path(location)
    if any(sign in location for sign in "*?[") and not root.exists():
        base = str(Path(location[: min(location.index(sign) for sign in "*?[" if sign in location)] + "x").parent)
        found = sorted(str(path) for path in Path(base).glob(str(Path(location).relative_to(base))) if path.is_file())
        if not found:
            raise TableError(f"no file matches {location}: check the pattern")
        return _partitioned([File(path) for path in found], base)
    if root.is_dir():
        found = sorted(str(path) for path in root.rglob("*") if _wanted(path.relative_to(root)) and path.is_file())
        if not found:
            raise TableError(f"{location} holds no Parquet file: name a folder of {' or '.join(SUFFIXES)} files")
        return _partitioned([File(path) for path in found], location)
    if not root.is_file():
        raise TableError(f"{location} does not exist: check the path")
    return [File(location)]


def arrow_system(location: str) -> tuple[Any, str]:
    """The file system of a location with a scheme (None: this machine's), and the path in it. Raises `TableError`."""
    import pyarrow as pa
    from pyarrow.fs import FileSystem, LocalFileSystem

    try:
        system, path = FileSystem.from_uri(location)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TableError(f"{location} cannot be opened: {str(error).splitlines()[0]}") from error
    return None if isinstance(system, LocalFileSystem) else system, path


def typed(files: Sequence[File]) -> list[File]:
    """Partition values as numbers, where all of a column's values over the files are."""
    columns = {name for file in files for name, _ in file.partition}
    numbers = {
        name for name in columns if all(_is_number(value) for f in files for n, value in f.partition if n == name)
    }
    return [
        File(
            file.path,
            tuple(
                (name, float(value) if name in numbers and value is not None else value)
                for name, value in file.partition
            ),
            file.system,
        )
        for file in files
    ]


def _is_number(value: float | str | None) -> bool:
    return value is None or isinstance(value, float) or value.removeprefix("-").isdecimal()


def _wanted(path: Path) -> bool:
    """Hidden files and folders, and those that begin with an underscore, are somebody's notes."""
    return path.suffix.lower() in SUFFIXES and not any(part.startswith((".", "_")) for part in path.parts)


def _partitioned(files: list[File], base: str) -> list[File]:
    return typed([File(one.path, _partition(one.path.removeprefix(base)), one.system) for one in files])


def _partition(path: str) -> tuple[tuple[str, str | None], ...]:
    pairs = [folder.partition("=") for folder in path.split("/")[:-1] if "=" in folder]
    return tuple((unquote(name), None if value == _NO_VALUE else unquote(value)) for name, _, value in pairs)


def _listed(system: pyarrow.fs.FileSystem, path: str) -> list[str]:
    from pyarrow.fs import FileSelector, FileType

    if system.get_file_info(path).type == FileType.File:
        return [path]
    infos = system.get_file_info(FileSelector(path, recursive=True, allow_not_found=True))
    found = sorted(one.path for one in infos if one.is_file and _wanted(Path(one.path.removeprefix(path).lstrip("/"))))
    if not found:
        raise TableError(f"{path} holds no Parquet file: check the location")
    return found
