"""The smallest slice that explains a change: `find_slices(reference, current)`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.adapters.tables import as_table, read_table, to_columns, unreadable
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome, Verdict
from fairlead.errors import TableError, UsageError
from fairlead.operations.report_output import as_json, frame_of
from fairlead.stats.columns import LARGEST, CategoricalColumn, Column, NumericColumn
from fairlead.stats.slices.scan import FEWEST, Scan, Slice, scan

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Floats = NDArray[np.float64]
CLIP = 1e-15


class SliceReport(Struct, frozen=True):
    """What a scan found: a verdict, the slices strongest first, those against the total, and the total change.

    `measure` names what changed: the mean of a loss, or `inputs`, the summed Jensen-Shannon divergence of the columns.
    """

    verdict: Verdict
    measure: str
    found: Scan
    alpha: float

    @property
    def slices(self) -> tuple[Slice, ...]:
        """The slices that are significant and explain the change, strongest first."""
        return self.found.slices

    @property
    def opposing(self) -> tuple[Slice, ...]:
        """The slices that are as significant and explain nothing of the total change, or work against it."""
        return self.found.opposing

    @property
    def sentences(self) -> tuple[str, ...]:
        """One plain sentence a slice, those that oppose the total change last."""
        return tuple(sentence(one, self.measure, self.found.change) for one in (*self.slices, *self.opposing))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        rows = self._rows()
        return {
            "verdict": msgspec.to_builtins(self.verdict),
            "measure": self.measure,
            "alpha": self.alpha,
            "change": {"value": self.found.change, "low": self.found.low, "high": self.found.high},
            "candidates": self.found.candidates,
            "rows": {"searched": self.found.searched, "tested": self.found.tested},
            "slices": rows[: len(self.slices)],
            "opposing": rows[len(self.slices) :],
        }

    def to_json(self) -> str:
        """`to_dict` as one JSON document."""
        return as_json(self.to_dict())

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame, one row for each slice, strongest first; those that `opposes` marks come last.

        Raises `MissingExtra` without pandas.
        """
        return frame_of(self._rows(), "SliceReport.to_frame()", list(_row(_EMPTY, "")))

    def _rows(self) -> list[dict[str, Any]]:
        named = (*self.slices, *self.opposing)
        return [_row(one, text) for one, text in zip(named, self.sentences, strict=True)]

    def __str__(self) -> str:
        return "\n".join(self.sentences or (self.verdict.reason,))


def find_slices(  # noqa: PLR0913 - every argument after the tables is named and has a default
    reference: Any,
    current: Any,
    *,
    loss: str | tuple[Any, Any] | None = None,
    target: str | None = None,
    prediction: str | None = None,
    score: str | None = None,
    columns: Sequence[str] | None = None,
    max_conditions: int = 3,
    alpha: float = 0.05,
    seed: int = 0,
) -> SliceReport:
    """Finds the smallest slices that explain a change between two tables.

    Each is a pandas, polars or Arrow table, a dict of columns, or the path of a Parquet, CSV or JSON lines file. What
    changed is the mean of `loss` (the name of a column, or two arrays), or of a loss made of `target` with `score`
    (probability of 1: log loss) or `prediction` (numbers of more than two values: absolute error; otherwise the error
    rate); without any of them the inputs are scanned. Rows without a loss are left out. `columns` names what slices are
    made of (default: all that both tables share, those above left out); `alpha` bounds the chance of naming a slice
    where nothing changed; one `seed` gives one answer. Raises `TableError` for a table or a column that cannot be
    used, `UsageError` for arguments that do not go together.

    >>> rng = np.random.default_rng(0)
    >>> plan = rng.choice(["basic", "plus", "pro"], 4_000)
    >>> wrong = (rng.random(4_000) < np.where(plan == "pro", 0.4, 0.1)).astype(float)
    >>> before = {"plan": plan, "wrong": (rng.random(4_000) < 0.1).astype(float)}
    >>> find_slices(before, {"plan": plan, "wrong": wrong}, loss="wrong").slices[0].text
    'plan = pro'
    """
    if not 0.0 < alpha < 1.0:
        raise UsageError(f"alpha is {alpha}: a false alarm rate lies between 0 and 1, as in 0.05")
    if max_conditions not in (1, 2, 3):
        raise UsageError(f"max_conditions is {max_conditions}: a slice has 1 to 3 conditions")
    left, right = _table(reference, "reference"), _table(current, "current data")
    measure, losses = _losses(left, right, loss, (target, prediction, score))
    used = {name for name in (loss if isinstance(loss, str) else None, target, prediction, score) if name}
    before, after = _pairs(left, right, columns, used)
    if losses is not None:
        before, losses_before = _known(before, losses[0], "reference")
        after, losses_after = _known(after, losses[1], "current data")
        losses = losses_before, losses_after
    rng = np.random.default_rng(seed)
    found = scan(before, after, rng, losses=losses, max_conditions=max_conditions, alpha=alpha)
    return SliceReport(_verdict(found, measure), measure, found, alpha)


def sentence(one: Slice, measure: str, change: float) -> str:
    """A slice as a plain sentence."""
    rows = f"({_percent(one.share_current)} of rows, {_percent(one.share_reference)} before)"
    if measure == "inputs":
        share = "" if one.explained is None else f" and carries {_percent(one.explained)} of the drift"
        if one.opposes:
            share = ", and the drift of the columns is no smaller without that"
        return f"{one.text} grew from {_percent(one.share_reference)} to {_percent(one.share_current)} of rows{share}"
    moved = f"from {_level(one.reference_mean)} to {_level(one.current_mean)}"
    if one.explained is None:
        return f"{one.text}: {measure} went {moved} {rows}, while the mean of all rows did not evidently change"
    way = "rise" if change > 0 else "fall"
    if one.opposes:
        against = one.explained_high is not None and one.explained_high < 0.0
        does = "works against" if against else "explains nothing of"
        return f"{one.text} {does} the {way} in {measure} of all rows: it went {moved} inside it {rows}"
    return f"{one.text} carries {_percent(one.explained)} of the {way} in {measure} {rows}: {moved} inside it"


def _verdict(found: Scan, measure: str) -> Verdict:
    if found.short:
        return Verdict(Outcome.UNMEASURED, found.short)
    named = (*found.slices, *found.opposing)
    if named:
        return Verdict(Outcome.BREACHED, sentence(named[0], measure, found.change))
    looked = f"{counted(found.candidates, 'slice')} of {counted(found.searched + found.tested, 'row')}"
    if measure != "inputs" and found.moved:
        return Verdict(
            Outcome.UNDECIDED,
            f"{measure} changed by {found.change:.3g}, and none of {looked} stands out: all rows share the change, or "
            "no column tells the affected ones apart",
        )
    return Verdict(Outcome.HOLDS, f"none of {looked} stands out")


def _losses(
    left: pa.Table, right: pa.Table, loss: str | tuple[Any, Any] | None, names: tuple[str | None, ...]
) -> tuple[str, tuple[Floats, Floats] | None]:
    target, prediction, score = names
    if loss is not None:
        if any(names):
            raise UsageError("loss was passed together with target, prediction or score: pass one or the other")
        return _given(left, right, loss)
    if target is None:
        if prediction or score:
            raise UsageError("a prediction or a score says nothing of a loss without the target: name its column")
        return "inputs", None
    if (prediction is None) == (score is None):
        raise UsageError("pass either score (the probability of 1) or prediction beside the target")
    if score is not None:
        return "log loss", (_log_loss(left, target, score), _log_loss(right, target, score))
    return _of_predictions(left, right, target, str(prediction))


def _given(left: pa.Table, right: pa.Table, loss: str | tuple[Any, Any]) -> tuple[str, tuple[Floats, Floats]]:
    if isinstance(loss, str):
        return loss, (_numbers(left, loss), _numbers(right, loss))
    if not isinstance(loss, tuple | list) or len(loss) != 2:
        raise UsageError("loss is no column's name and no pair: pass a name, or (reference losses, current losses)")
    sides = []
    for values, table, role in zip(loss, (left, right), ("reference", "current data"), strict=True):
        try:
            array = np.asarray(values, np.float64)
        except (TypeError, ValueError) as error:
            raise TableError(f"the losses of the {role} are not numbers: {error}") from error
        if array.shape != (table.num_rows,):
            raise TableError(
                f"the losses of the {role} have shape {array.shape}: pass one for each of "
                f"{counted(table.num_rows, 'row')}"
            )
        sides.append(array)
    return "loss", (sides[0], sides[1])


def _log_loss(table: pa.Table, target: str, score: str) -> Floats:
    y, p = _numbers(table, target), _numbers(table, score)
    known = np.isfinite(y) & np.isfinite(p)
    if not np.isin(y[known], (0.0, 1.0)).all():
        raise TableError(f"target {target!r} holds values other than 0 and 1: a score needs a binary target")
    if ((p[known] < 0.0) | (p[known] > 1.0)).any():
        raise TableError(f"score {score!r} leaves [0, 1]: pass the probability of 1")
    p = np.clip(p, CLIP, 1.0 - CLIP)
    return np.asarray(np.where(known, -(y * np.log(p) + (1.0 - y) * np.log1p(-p)), np.nan), np.float64)


def _of_predictions(left: pa.Table, right: pa.Table, target: str, prediction: str) -> tuple[str, tuple[Floats, Floats]]:
    sides = [(_column(table, target), _column(table, prediction)) for table in (left, right)]
    numeric = all(isinstance(one, NumericColumn) for side in sides for one in side)
    if numeric:
        truths = np.concatenate([side[0].values for side in sides if isinstance(side[0], NumericColumn)])
        with np.errstate(over="ignore", invalid="ignore"):
            errors = [
                np.abs(y.values - p.values)
                for y, p in sides
                if isinstance(y, NumericColumn) and isinstance(p, NumericColumn)
            ]
        if np.unique(truths[np.isfinite(truths)]).size > 2:
            return "absolute error", (errors[0], errors[1])
        wrong = [np.where(np.isnan(one), np.nan, one != 0.0) for one in errors]
        return "error rate", (wrong[0], wrong[1])
    return "error rate", (_mismatch(*sides[0]), _mismatch(*sides[1]))


def _mismatch(truth: Column, predicted: Column) -> Floats:
    if not isinstance(truth, CategoricalColumn) or not isinstance(predicted, CategoricalColumn):
        raise TableError(f"{truth.name!r} and {predicted.name!r} hold numbers and text: make both one kind")
    names = {name: place for place, name in enumerate(dict.fromkeys((*truth.categories, *predicted.categories)))}
    y, p = (np.array([*(names[name] for name in one.categories), -1])[one.codes] for one in (truth, predicted))
    return np.asarray(np.where((y < 0) | (p < 0), np.nan, y != p), np.float64)


def _numbers(table: pa.Table, name: str) -> Floats:
    column = _column(table, name)
    if not isinstance(column, NumericColumn):
        raise TableError(f"column {name!r} holds text: a loss is made of numbers")
    return column.values


def _column(table: pa.Table, name: str) -> Column:
    return to_columns(table, [name])[0]


def _pairs(
    left: pa.Table, right: pa.Table, columns: Sequence[str] | None, used: set[str]
) -> tuple[list[Column], list[Column]]:
    """The columns that both sides have and that hold one kind; named ones must be there."""
    if isinstance(columns, str):
        raise TableError(f"columns is the text {columns!r}: pass a list of names")
    unread = {**unreadable(left), **unreadable(right)}
    shared = [name for name in left.column_names if name in right.column_names and name not in unread]
    names = list(dict.fromkeys(columns)) if columns is not None else [name for name in shared if name not in used]
    missing = [name for name in names if name not in shared]
    if missing:
        for table, role in ((left, "reference"), (right, "current data")):
            if missing[0] not in table.column_names:
                raise TableError(f"the {role} has no column {missing[0]!r}: name columns that both tables have")
        raise TableError(f"column {missing[0]!r} {unread[missing[0]]}, which is no single value a row")
    pairs = [_alike(a, b) for a, b in zip(to_columns(left, names), to_columns(right, names), strict=True)]
    kept = [(a, b) for a, b in pairs if type(a) is type(b)]
    odd = next(
        (f"column {a.name!r} holds numbers in one, text in the other" for a, b in pairs if type(a) is not type(b)), ""
    )
    if columns is not None and odd:
        raise TableError(f"{odd} table: make both one kind")
    if not kept:
        raise TableError(f"the two tables share no column that slices can be made of{odd and ': '}{odd}")
    return [a for a, _ in kept], [b for _, b in kept]


def _alike(one: Column, two: Column) -> tuple[Column, Column]:
    """A side without a value holds whatever kind the other does."""
    if type(one) is type(two) or not (one.empty or two.empty):
        return one, two
    return (_nulls(two, one.rows), two) if one.empty else (one, _nulls(one, two.rows))


def _nulls(like: Column, rows: int) -> Column:
    if isinstance(like, NumericColumn):
        return NumericColumn(like.name, np.full(rows, np.nan))
    return CategoricalColumn(like.name, np.full(rows, -1, np.int32), ())


def _known(columns: list[Column], losses: Floats, role: str) -> tuple[list[Column], Floats]:
    """The rows that have a loss; one of 1e70 or more is as good as infinite, its powers do not fit a float."""
    kept = np.abs(losses) < LARGEST
    if not kept.any():
        raise TableError(f"no row of the {role} has a loss: its columns are null or infinite")
    if kept.all():
        return columns, losses
    return [
        NumericColumn(one.name, one.values[kept])
        if isinstance(one, NumericColumn)
        else CategoricalColumn(one.name, one.codes[kept], one.categories)
        for one in columns
    ], losses[kept]


def _table(data: Any, role: str) -> pa.Table:
    table = read_table(data) if isinstance(data, str | Path) else as_table(data)
    if table.num_rows < FEWEST:
        raise TableError(f"the {role} has {counted(table.num_rows, 'row')}: a scan for slices needs at least {FEWEST}")
    return table


def _row(one: Slice, text: str) -> dict[str, Any]:
    plain = msgspec.to_builtins(one)
    return {"slice": one.text, **{name: plain[name] for name in Slice.__struct_fields__ if name != "conditions"}} | {
        "opposes": one.opposes,
        "conditions": plain["conditions"],
        "sentence": text,
    }


def _level(mean: float | None) -> str:
    return "no row" if mean is None else f"{mean:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"


_EMPTY = Slice((), 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
