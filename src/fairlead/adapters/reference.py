"""The data that a version was trained on, as something that cannot change: a file, or a Delta table at a version."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path

from fairlead.adapters.arrow_dataset import ArrowDataset, open_dataset
from fairlead.adapters.bundle_folder import file_sha256
from fairlead.adapters.sources.delta import is_delta, open_version
from fairlead.errors import TableError

VERSION = "?version="


@dataclass(frozen=True)
class Reference:
    """A table with what it is called and the SHA-256 of what it is. `pinned`: its name says which version it is."""

    data: ArrowDataset
    name: str
    digest: str
    pinned: bool = False


def open_reference(path: Path) -> Reference:
    """A Parquet, CSV or JSON lines file, or a local Delta table: `orders?version=3` as it was, `orders` as it is now.

    A table is read at one version, which is in its name from then on; its digest is over that version's files, names
    and bytes, so that no later write and no other table has it. Raises `TableError` for what cannot be read,
    `MissingExtra` for a Delta table without deltalake.
    """
    location, _, version = str(path).partition(VERSION)
    if not version and not is_delta(location):
        return Reference(open_dataset(path), path.name, file_sha256(path))
    if version and not (version.isascii() and version.isdecimal()):
        raise TableError(f"{path}: a version is a whole number, as in {location}{VERSION}3")
    if not is_delta(location):
        raise TableError(f"{location} is no Delta table: {VERSION}{version} is only for one")
    table, number, files = open_version(location, int(version) if version else None)
    name = f"{Path(location).name}{VERSION}{number}"
    return Reference(ArrowDataset(table, name), name, _digest(files), pinned=True)


def _digest(files: list[Path]) -> str:
    """Over each file's name and bytes, in the names' order."""
    whole = sha256()
    for path in sorted(files):
        try:
            with path.open("rb") as file:
                held = file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise TableError(f"the file {path} of the Delta table cannot be read: {error.strerror}") from error
        whole.update(f"{path.name}\n{held}\n".encode())
    return whole.hexdigest()
