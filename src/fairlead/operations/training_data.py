"""The rows of a training run, frozen: written once under the run's key, and read again by whoever goes on with it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from fairlead.adapters.arrow_dataset import ArrowDataset
from fairlead.adapters.tables import as_table
from fairlead.core.contract import Contract
from fairlead.flows.labelled import Labelled, as_columns

HELDOUT_SHARE = 0.25
_MARK = "dataset.json"


class Frozen(Struct, frozen=True):
    """What was frozen: rows to train on, later ones held out, and the last row of all, by event time and request id.
    `digest` is that of both files. `without`: the spans (event time, the end excluded) whose data were broken, so that
    nothing is learned from them."""

    rows: int
    heldout: int
    last_at: float
    last_id: str
    digest: str
    without: tuple[tuple[float, float], ...] = ()


class TrainingData(Struct, frozen=True):
    """A run's frozen rows, and where they are."""

    train: Path
    heldout: Path
    frozen: Frozen


def kept(folder: Path) -> TrainingData | None:
    """What an earlier process froze for this run; None where it did not get that far, or where the files are not those
    any more."""
    try:
        frozen = msgspec.json.decode((folder / _MARK).read_bytes(), type=Frozen)
        data = TrainingData(folder / "train.parquet", folder / "heldout.parquet", frozen)
        return data if _digest(data.train, data.heldout) == frozen.digest else None
    except (OSError, msgspec.MsgspecError):
        return None


def freeze(
    folder: Path, rows: Sequence[Labelled], contract: Contract, without: tuple[tuple[float, float], ...] = ()
) -> TrainingData:
    """Writes the older rows to train on, and the newest quarter by event time to be held out. `rows` are in order, and
    of no span in `without`."""
    cut = len(rows) - int(len(rows) * HELDOUT_SHARE)
    train, heldout = folder / "train.parquet", folder / "heldout.parquet"
    for path, part in ((train, rows[:cut]), (heldout, rows[cut:])):
        data = ArrowDataset(as_table(as_columns(part, contract)), str(path))
        data.write(path, data.names)
    last = rows[-1]
    frozen = Frozen(cut, len(rows) - cut, last.at, last.request_id, _digest(train, heldout), without)
    # Last, and in one piece: with it the rows are frozen.
    mark = folder / f"{_MARK}.part"
    mark.write_bytes(msgspec.json.encode(frozen))
    mark.replace(folder / _MARK)
    return TrainingData(train, heldout, frozen)


def later(rows: Sequence[Labelled], frozen: Frozen) -> list[Labelled]:
    """The labelled rows that lie after the last frozen one, in order."""
    return [row for row in rows if (row.at, row.request_id) > (frozen.last_at, frozen.last_id)]


def _digest(*paths: Path) -> str:
    found = sha256()
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()
