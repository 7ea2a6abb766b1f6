"""What a batch keeps beside its output until it is whole: the parts that are done, and what it was begun with.

.NAME.scoring/    beside the output NAME
  batch.json      what was asked, of which input, by which bundle: whoever asks for anything else is refused
  parts/          the parts, each under its own name when it is whole
  done/           a note of each part that is done
  found/          what was looked up for the parts that are at work, where that is logged
  whole           every part is done
  made            the output has been made, and waits for its name
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from fairlead.adapters.file_lock import held
from fairlead.adapters.sinks.opening import Form, Output, check_free
from fairlead.adapters.sinks.parts import commit_delta, join, no_space, put
from fairlead.adapters.sources.delta import is_delta
from fairlead.errors import Refused, StateError
from fairlead.operations.scoring_answers import schema_of
from fairlead.operations.scoring_part import loaded
from fairlead.operations.scoring_values import Batch, PartDone, Plan, Told

Champion = Callable[[], tuple[int, str] | None]

_MEANINGS = {
    "model": "the model {}",
    "version": "version {}",
    "digest": "the bundle {:.12}",
    "input": "the input {}",
    "fingerprint": "an input that has changed since",
    "options": "the options {}",
    "output": "the output {}",
    "settings": "the settings {}",
}


class Workplace:
    """The folder of a batch that is not finished."""

    def __init__(self, output: Output, locks: Path) -> None:
        """`locks` is a folder for what says that a process is at work."""
        self._output, self._locks = output, locks
        self.folder = output.path.parent / f".{output.path.name}.scoring"
        self.parts, self._done = self.folder / "parts", self.folder / "done"
        self._whole, self._made = self.folder / "whole", self.folder / "made"
        self._batch = self.folder / "batch.json"

    @contextmanager
    def opened(
        self, told: Told, began: float, champion: Champion, *, restart: bool, overwrite: bool
    ) -> Iterator[Batch]:
        """Begins a batch, or goes on with the one that was begun with the same. One process at a time. `champion` is
        asked who may stand in when one is begun: whoever it is stands in to the end.

        Raises `Refused` for one that was begun with something else and for an output that is there; `StateError`.
        """
        name = sha256(str(self._output.path).encode()).hexdigest()
        try:
            self._locks.mkdir(parents=True, exist_ok=True)
            with held(self._locks / f"{name}.lock", f"another process is writing {self._output.path}: wait for it"):
                yield self._begun(told, began, champion, restart=restart, overwrite=overwrite)
        except OSError as error:
            raise StateError(no_space(self._output, error)) from error

    def _begun(self, told: Told, began: float, champion: Champion, *, restart: bool, overwrite: bool) -> Batch:
        if restart:
            shutil.rmtree(self.folder, ignore_errors=True)
        known = self._known()
        if known is not None:
            _check_same(known.told, told, self._output)
            if not self._made.exists():
                check_free(self._output, overwrite=overwrite)
            return known
        shutil.rmtree(self.folder, ignore_errors=True)
        check_free(self._output, overwrite=overwrite)
        batch = Batch(told, f"batch-{secrets.token_hex(6)}", _number(began), began, champion())
        for folder in (self.parts, self._done):
            folder.mkdir(parents=True)
        fresh = self._batch.with_suffix(".tmp")
        fresh.write_bytes(msgspec.json.encode(batch))
        fresh.rename(self._batch)
        return batch

    def _known(self) -> Batch | None:
        try:
            return msgspec.json.decode(self._batch.read_bytes(), type=Batch)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def done(self) -> dict[int, PartDone]:
        """The parts that are done, by place."""
        notes = sorted(self._done.glob("*.json"))
        found = [msgspec.json.decode(note.read_bytes(), type=PartDone) for note in notes]
        return {one.place: one for one in found}

    @property
    def whole(self) -> bool:
        """Whether every part was done by an earlier run."""
        return self._whole.exists()

    def finish(self, plan: Plan, parts: int) -> None:
        """Makes the output of the parts and gives it its name. Cut off anywhere, it can be called again."""
        self._whole.touch()
        there = self._output.form is Form.DELTA and is_delta(str(self._output.path))
        if there and not self._made.exists():
            commit_delta(self._output, self._output.path, self._paths(parts), _schema(plan), plan.batch.batch)
        else:
            self._put(plan, parts)
        self.remove()

    def _put(self, plan: Plan, parts: int) -> None:
        form = self._output.form
        target = self.parts if form is Form.FOLDER else self.folder / f"output{self._output.suffix}"
        if not self._made.exists():
            if form is Form.DELTA:
                shutil.rmtree(target, ignore_errors=True)  # what a run that was cut off has left has no end
                commit_delta(self._output, target, self._paths(parts), _schema(plan), plan.batch.batch)
            elif form is not Form.FOLDER:
                join(self._output, self._paths(parts), target, _schema(plan))
            self._made.touch()
        if target.exists():
            put(target, self._output, self.folder / "replaced")

    def _paths(self, parts: int) -> list[Path]:
        return [self.parts / f"part-{place:06d}{self._output.suffix}" for place in range(parts)]

    def remove(self) -> None:
        """Leaves nothing. Without its first file the rest of a folder is rubbish, which the next batch removes."""
        self._batch.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def _number(began: float) -> int:
    """Nanoseconds since 1970; those of two batches are far apart, whatever the clock says."""
    return int(began) * 10**9 + secrets.randbelow(10**9 - 10**6)


def _schema(plan: Plan) -> Any:
    return schema_of(loaded(plan).manifest.contract, plan.kept)


def _check_same(known: Told, told: Told, output: Output) -> None:
    for field, said in _MEANINGS.items():
        one, two = getattr(known, field), getattr(told, field)
        if one != two:
            raise Refused(
                f"{output.path} was begun with {said.format(one)}, and this is {_now(field, two)}: run what was begun, "
                "or begin again with --restart"
            )


def _now(field: str, value: object) -> str:
    return "another" if field == "fingerprint" else str(value)[:200]
