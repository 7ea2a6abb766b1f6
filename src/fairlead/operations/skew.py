"""Does a model see in production what it was trained on? Value by value where requests are known to both, else as
distributions: `value_skew` and `distribution_skew`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Raw, Struct

from fairlead.adapters.cells import values_of
from fairlead.adapters.tables import as_table, read_table, to_columns
from fairlead.core.bundle import PROFILE
from fairlead.core.check import judge_drift
from fairlead.core.decode import shown
from fairlead.core.inference import label_text
from fairlead.core.listing import counted
from fairlead.core.record import Prediction
from fairlead.core.report import SCORE
from fairlead.core.skew import TOLERANCE, judge_skew, same
from fairlead.core.verdict import Verdict
from fairlead.errors import BundleError, TableError, UsageError
from fairlead.flows.score import BATCH
from fairlead.flows.watching.features import profile_rows
from fairlead.operations.context import Context
from fairlead.operations.drift_report import DriftReport, check_alpha
from fairlead.operations.models import resolve
from fairlead.operations.report_output import as_json, frame_of
from fairlead.stats.columns import NumericColumn
from fairlead.stats.drift import compare, ranked
from fairlead.stats.profile import TableProfile
from fairlead.stats.skew import Disagreement, disagreements

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CHUNK = 4_096  # requests whose features are counted together
EXAMPLES = 3
REQUEST_ID = "request_id"
_OBJECT = msgspec.json.Decoder(dict[str, Any])

Key = str | tuple[str, int]


class Unequal(Struct, frozen=True):
    """One request in which a feature differs, as both sides have it."""

    request_id: str
    served: str
    trained: str


class FeatureSkew(Struct, frozen=True):
    """A feature's unequal values, with the first of them."""

    found: Disagreement
    examples: tuple[Unequal, ...] = ()


class SkewReport(Struct, frozen=True):
    """Served values against training values, the worst feature first.

    Of the `served` requests of the log `joined` were found in the training data; `ambiguous` of its rows share their
    key with another and were left out. `absent` names features that requests hold and the training data lack.
    """

    verdict: Verdict
    model: str
    key: str
    served: int
    joined: int
    ambiguous: int
    limit: float
    alpha: float
    features: tuple[FeatureSkew, ...]
    absent: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        for one, feature in zip(plain["features"], self.features, strict=True):
            one |= {**one.pop("found"), "share": feature.found.share}
        return plain

    def to_json(self) -> str:
        """`to_dict` as one JSON document."""
        return as_json(self.to_dict())

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame, one row for each feature, worst first. Raises `MissingExtra`."""
        names = ("name", "pairs", "unequal", "share", "low", "high", "place")
        rows = [{name: getattr(one.found, name) for name in names} for one in self.features]
        return frame_of(rows, "SkewReport.to_frame()", names)


class Matching(Struct, frozen=True):
    """What a training row and a request are both known by: the column of the request ids, or with `time` the columns of
    the unit ids and of the event times, to the millisecond."""

    on: str = REQUEST_ID
    time: str | None = None

    @property
    def said(self) -> str:
        """In words."""
        return self.on if self.time is None else f"{self.on} with {self.time}"


def value_skew(
    context: Context,
    model: str,
    training: Any,
    matching: Matching = Matching(),  # noqa: B008 - a frozen value
    *,
    limit: float = 0.01,
    alpha: float = 0.01,
    since: float = 0.0,
) -> SkewReport:
    """Compares each logged request with the row of the training data that is known by the same key, feature by feature.

    `limit` is the share of unequal values that is allowed, in [0, 1); both errors of the verdict are at most `alpha`.
    `since` leaves out requests with an earlier event time. Of a request that was answered several times the first
    counts; shadows see the same values and do not count, nor do rows that `fairlead score` wrote: no caller sent
    them, and the verdict says how many they are. Raises `TableError`, `UsageError`, `StateError`.
    """
    if not 0.0 <= limit < 1.0 or not 0.0 < alpha < 0.5:
        raise UsageError(f"limit {limit:g} and alpha {alpha:g}: the one is a share below 1, the other below 0.5")
    table = read_table(training) if isinstance(training, str | Path) else as_table(training)
    rows = _Trained(table, matching)
    pairs, served = _Pairs(rows), _Served(context, model, since)
    for record in served:
        pairs.add(record)
    found = disagreements(pairs.counts(), limit=limit, alpha=alpha)
    verdict = judge_skew(found, pairs.joined, pairs.served, limit=limit, alpha=alpha, key=matching.said)
    return SkewReport(
        served.said_with(verdict),
        model,
        matching.said,
        pairs.served,
        pairs.joined,
        rows.ambiguous,
        limit,
        alpha,
        tuple(FeatureSkew(one, tuple(pairs.examples.get(one.name, ()))) for one in found),
        pairs.absent(),
    )


def distribution_skew(
    context: Context, model: str, version: str = "champion", *, alpha: float = 0.01, since: float = 0.0
) -> DriftReport:
    """Compares what a model's callers sent with the reference that a version was registered with, feature by feature:
    the library's drift report, now and over all of the log, where `fairlead drift NAME` shows the windows that were
    judged. Raises `NotFound`, `BundleError`, `UsageError`, `StateError`.
    """
    check_alpha(alpha)
    info = resolve(context, f"{model}@{version}")
    path = context.bundles.path(info.bundle) / PROFILE
    try:
        whole = msgspec.json.decode(path.read_bytes(), type=TableProfile)
    except (OSError, msgspec.MsgspecError) as error:
        raise BundleError(f"the profile of {model}@{version} cannot be read ({error}): register it again") from error
    reference = TableProfile(whole.rows, tuple(one for one in whole.columns if one.grid.name != SCORE))
    current = profile_rows([], np.empty(0), reference)
    waiting: list[Raw] = []
    served = _Served(context, model, since)
    for record in served:
        waiting.append(record.features)
        if len(waiting) == CHUNK:
            current, waiting = current + profile_rows(waiting, np.full(CHUNK, np.nan), reference), []
    if waiting:
        current += profile_rows(waiting, np.full(len(waiting), np.nan), reference)
    columns = compare(reference, current, alpha=alpha)
    return DriftReport(served.said_with(judge_drift(columns)), ranked(columns), reference, current, alpha)


class _Served:
    """A model's requests as they were sent, each once. What a version failed on and another answered is one request.
    `left_out`: rows that were scored from a table, and no request."""

    def __init__(self, context: Context, model: str, since: float) -> None:
        self._context, self._model, self._since = context, model, since
        self.left_out = 0

    def __iter__(self) -> Iterator[Prediction]:
        seen: set[int] = set()
        for record in self._records():
            if record.arm == BATCH:
                self.left_out += 1
                continue
            key = hash((record.request_id, record.unit_id))
            if key not in seen:
                seen.add(key)
                yield record

    def _records(self) -> Iterator[Prediction]:
        reader = self._context.open_log()
        while True:
            records, outcomes = reader.poll()
            if not records and not outcomes:
                return
            for record in records:
                if record.model_name == self._model and record.shadow_of is None and record.timestamp >= self._since:
                    yield record

    def said_with(self, verdict: Verdict) -> Verdict:
        """The verdict, and how many rows it leaves out."""
        if not self.left_out:
            return verdict
        left_out = f"{counted(self.left_out, 'row')} scored by `fairlead score` left out"
        return msgspec.structs.replace(verdict, reason=f"{verdict.reason}; {left_out}")


class _Trained:
    """The training data by key."""

    def __init__(self, table: pa.Table, matching: Matching) -> None:
        for name in (matching.on, *([matching.time] if matching.time else [])):
            if name not in table.column_names:
                raise TableError(
                    f"the training data has no column {name!r}: it has {', '.join(table.column_names[:10])}"
                )
        self._table = table
        self.of: Callable[[Prediction], Key] = _by_request if matching.time is None else _by_unit
        keys = _keys(table, matching)
        counts = Counter(key for key in keys if key is not None)
        self.ambiguous = sum(count for count in counts.values() if count > 1)
        self.rows = {key: at for at, key in enumerate(keys) if key is not None and counts[key] == 1}
        aside = {matching.on, matching.time}
        self.names = tuple(name for name in table.column_names if name not in aside)
        self._held: dict[str, list[Any]] = {}

    def value(self, name: str, at: int) -> object:
        """One value; a column is read when it is first asked for."""
        held = self._held.get(name)
        if held is None:
            held = self._held[name] = values_of(self._table.column(name))
        return held[at]


class _Pairs:
    """Counts over the log."""

    def __init__(self, trained: _Trained) -> None:
        self._trained = trained
        self._known = frozenset(trained.names)
        self._unequal: Counter[str] = Counter()
        self._sent: dict[str, None] = {}  # every field that a joined request held, in the order of their coming
        self.examples: dict[str, list[Unequal]] = {}
        self._joined: list[tuple[int, str]] = []  # rows of the training data, and the requests that found them
        self.served = 0

    @property
    def joined(self) -> int:
        """Requests that are in the training data."""
        return len(self._joined)

    def add(self, record: Prediction) -> None:
        self.served += 1
        at = self._trained.rows.get(self._trained.of(record))
        row = None if at is None else _row(record)
        if at is None or row is None:
            return
        for name in row:
            if name not in self._sent:
                self._sent[name] = None
                for earlier, request in self._joined if name in self._known else ():
                    self._compare(name, None, earlier, request)
        self._joined.append((at, record.request_id))
        for name in self._sent:
            if name in self._known:
                self._compare(name, row.get(name), at, record.request_id)

    def counts(self) -> dict[str, tuple[int, int]]:
        """(unequal, pairs) by feature; what a request leaves out is null."""
        return {name: (self._unequal[name], self.joined) for name in self._sent if name in self._known}

    def absent(self) -> tuple[str, ...]:
        """Features that the training data lack."""
        return tuple(name for name in self._sent if name not in self._known)

    def _compare(self, name: str, served: object, at: int, request: str) -> None:
        trained = self._trained.value(name, at)
        if same(served, trained, TOLERANCE):
            return
        self._unequal[name] += 1
        known = self.examples.setdefault(name, [])
        if len(known) < EXAMPLES:
            known.append(Unequal(request, shown(served), shown(trained)))


def _row(record: Prediction) -> Mapping[str, Any] | None:
    """A request's features; None where they are no object, which no version has answered."""
    try:
        return _OBJECT.decode(record.features)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _by_request(record: Prediction) -> Key:
    return record.request_id


def _by_unit(record: Prediction) -> Key:
    return record.unit_id, round(record.timestamp * 1000.0)


def _keys(table: pa.Table, matching: Matching) -> Sequence[Key | None]:
    """Each row's key; None for one without. Raises `TableError` for times that are none."""
    names = [None if one is None else label_text(one) for one in values_of(table.column(matching.on))]
    if matching.time is None:
        return names
    (column,) = to_columns(table, [matching.time])
    if not isinstance(column, NumericColumn):
        raise TableError(f"column {matching.time!r} holds text: event times are timestamps, or seconds since 1970")
    times = column.values.tolist()
    return [
        None if name is None or isnan(at) else (name, round(at * 1000.0)) for name, at in zip(names, times, strict=True)
    ]
