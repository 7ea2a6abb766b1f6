"""What is asked of a batch inference, what its workers are told, and what it came to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from fairlead.adapters.sinks.opening import Output
from fairlead.adapters.sources.rows import RowPart
from fairlead.core.fallback import OnFailure
from fairlead.core.lookup import LookupRules
from fairlead.core.quarantine import QuarantineLimits

MAX_ERRORS = 0.01


class Scoring(Struct, frozen=True):
    """A table to be answered by a version. `source` and `output` are paths, see `docs/batch.md`.

    `id`, `unit` and `timestamp` name the columns of request ids, units and event times; `keep` those that go into the
    output as they are. `strict` ends at the first row that has no answer. `max_errors` is the share of such rows above
    which the batch is bad. `log`: the predictions go to the log, as arm `batch`.
    `lookup`: features that the settings look up are looked up; without it the rows hold them.
    """

    version: str
    source: str
    output: str
    id: str | None = None
    unit: str | None = None
    timestamp: str | None = None
    keep: tuple[str, ...] = ()
    engine: str = "local"
    workers: int | None = None
    strict: bool = False
    max_errors: float = MAX_ERRORS
    log: bool = True
    lookup: bool = True
    overwrite: bool = False
    restart: bool = False


class Scored(Struct, frozen=True):
    """What it came to. `refused` rows broke the contract (status 422), the model failed on `failed` ones (500); of
    those with an answer, `fell_back` rows have it from another than the version. `quarantined` refused rows are kept.

    `resumed` rows were answered by an earlier run that was cut off. `strange` counts, by `feature what`, the values
    that a policy let through; `looked_up` entities, by what became of the look-up. `seconds` is this run's time.
    """

    model: str
    version: int
    digest: str
    source: str
    output: str
    rows: int
    refused: int
    failed: int
    resumed: int
    seconds: float
    rows_per_second: float
    max_errors: float
    batch: str
    logged: bool
    strange: dict[str, int]
    fell_back: int
    quarantined: int
    looked_up: dict[str, int]

    @property
    def errors(self) -> float:
        """The share of rows without an answer."""
        return (self.refused + self.failed) / self.rows if self.rows else 0.0

    @property
    def bad(self) -> bool:
        """Whether more rows have no answer than was allowed."""
        return self.errors > self.max_errors


class Told(Struct, frozen=True):
    """What decides an output, beside the code: a run that was cut off goes on only where all of it is the same."""

    model: str
    version: int
    digest: str
    input: str
    fingerprint: str
    options: str
    output: str
    settings: str = ""


class Batch(Struct, frozen=True):
    """A batch as it was begun. `began` is in seconds since 1970; `number` names the log's segments of
    its first part, the next one that of the next. `champion`, its version and bundle, may stand in."""

    told: Told
    batch: str
    number: int
    began: float
    champion: tuple[int, str] | None = None


class Plan(Struct, frozen=True):
    """What a worker needs to answer a part; it can be pickled. Paths are those of every worker."""

    batch: Batch
    asked: Scoring
    output: Output
    parts: Path
    home: Path
    bundles: Path
    trust: tuple[str, ...]
    log: Path | None
    columns: tuple[str, ...]
    kept: dict[str, Any]  # the Arrow type of each kept column
    lookups: LookupRules | None = None
    on_failure: OnFailure = OnFailure.ERROR
    quarantine: QuarantineLimits | None = None


class PartJob(Struct, frozen=True):
    """A part, its place among the parts and its first row's place among the rows, counted from 0."""

    place: int
    first: int
    part: RowPart


class PartDone(Struct, frozen=True):
    """What became of a part. All counts are of rows, but `strange`, of values, and `looked_up`, of entities."""

    place: int
    first: int
    rows: int
    refused: int
    failed: int
    strange: dict[str, int]
    fell_back: int = 0
    quarantined: int = 0
    looked_up: dict[str, int] = {}
