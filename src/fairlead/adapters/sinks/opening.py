"""What a person calls an output: its kind, by its name, and whether it may be written."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from fairlead.adapters.sources.delta import is_delta
from fairlead.adapters.sources.files import SUFFIXES
from fairlead.errors import MissingExtra, Refused, TableError

_SCHEME = "delta:"


class Form(StrEnum):
    """What an output is."""

    PARQUET = "parquet"
    FOLDER = "folder"
    CSV = "csv"
    DELTA = "delta"


class Output(Struct, frozen=True):
    """An output and where it lies, absolutely."""

    form: Form
    path: Path

    @property
    def suffix(self) -> str:
        """How a part's file name ends."""
        return ".csv" if self.form is Form.CSV else ".parquet"


def output_of(said: str) -> Output:
    """`.parquet` and `.pq` are one Parquet file, `.csv` is CSV, `.delta`, `delta:PATH` and a folder that is a Delta
    table already are a Delta table, a name without a suffix is a folder of Parquet files.

    Raises `TableError` for another, `MissingExtra` for a Delta table without deltalake.
    """
    location = said.removeprefix(_SCHEME).removeprefix("//") if said.startswith(_SCHEME) else said
    if "://" in location:
        raise TableError(f"{said} is no path on this machine: write to one, then copy the output")
    if not location.strip():
        raise TableError("the output has no name: give a path, as in scored.parquet")
    path = Path(location).absolute()
    form = Form.DELTA if location != said or is_delta(location) else _by_suffix(path, said)
    if form is Form.DELTA:
        try:
            import deltalake  # noqa: F401 - to know now, not at the end
        except ImportError as error:
            raise MissingExtra("deltalake", "delta", f"writing the Delta table {location}") from error
    if not path.parent.is_dir():
        raise TableError(f"the folder {path.parent} of the output does not exist: make it first")
    return Output(form, path)


def _by_suffix(path: Path, said: str) -> Form:
    suffix = path.suffix.lower()
    known = {**dict.fromkeys(SUFFIXES, Form.PARQUET), ".csv": Form.CSV, ".delta": Form.DELTA, "": Form.FOLDER}
    if suffix not in known:
        ending = ", ".join(one for one in known if one)
        raise TableError(f"{said} is no output that can be written: end it with {ending}, or name a folder")
    return known[suffix]


def check_free(output: Output, *, overwrite: bool) -> None:
    """Raises `Refused` for an output that is there and may not be replaced, or that is somebody's folder."""
    path = output.path
    if not path.exists() and not path.is_symlink():
        return
    if not overwrite:
        raise Refused(f"{path} exists: name another output, or replace it with --overwrite")
    file = output.form in (Form.PARQUET, Form.CSV)
    if file and not path.is_file():
        raise Refused(f"{path} is a folder: name a file, or remove it first")
    if not file and not path.is_dir():
        raise Refused(f"{path} is no folder: name another output, or remove it first")
    if not file:
        _check_own(output)


def _check_own(output: Output) -> None:
    """Only what scoring has written is replaced, or what is a table as a whole."""
    path = output.path
    if output.form is Form.FOLDER:
        strange = sorted(one.name for one in path.iterdir() if not one.match("part-*.parquet"))
        if strange:
            raise Refused(f"{path} holds {strange[0]}, which scoring did not write: name another output")
    elif not is_delta(str(path)) and any(path.iterdir()):
        raise Refused(f"{path} is a folder and no Delta table: name another output")
