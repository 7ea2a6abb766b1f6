"""What another policy would have earned, from the log of the one that ran: `evaluate_policy(...) -> PolicyReport`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.adapters.tables import as_table, read_table, to_columns
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome, Verdict
from fairlead.errors import TableError, UsageError
from fairlead.operations.experiment_data import labelled, unit_keys
from fairlead.operations.policies_html import fragment, page
from fairlead.operations.policy_reading import PolicyReading
from fairlead.operations.report_output import as_json, frame_of, written
from fairlead.stats.columns import CategoricalColumn
from fairlead.stats.experiment.units import units_of
from fairlead.stats.policy.log import Log, Support, normalised, support, weights
from fairlead.stats.policy.values import Estimator, Value, bernstein, gain, logged_value, value

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Floats = NDArray[np.float64]
LEAST_EFFECTIVE = 100


class PolicyReport(PolicyReading, frozen=True):
    """A `PolicyReading` as a dict, JSON, a frame and a page."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def to_json(self) -> str:
        """`to_dict` as one JSON document."""
        return as_json(self)

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame: a row for each estimate that there is. Raises `MissingExtra` without pandas."""
        found = [{"estimate": name} | msgspec.to_builtins(one) for name, one in self.estimates.items()]
        return frame_of(found, "PolicyReport.to_frame()")

    def save_html(self, path: str | Path) -> Path:
        """Writes one self-contained page. Raises `UsageError` where the file cannot be written."""
        return written(path, page(self))

    def _repr_html_(self) -> str:
        return fragment(self)


def evaluate_policy(  # noqa: PLR0913 - the options of a reading; all but four have a default
    data: Any,
    *,
    reward: str,
    propensity: str,
    target: str | Mapping[Any, str],
    action: str | None = None,
    unit: str | None = None,
    model: tuple[str, str] | None = None,
    estimator: str = "snips",
    clip: float | None = None,
    reward_range: tuple[float, float] | None = None,
    largest_weight: float | None = None,
    least_effective: float = LEAST_EFFECTIVE,
    alpha: float = 0.05,
) -> PolicyReport:
    """Values a policy from a log: `reward` and `propensity` (that of the logged action, in (0, 1]) are columns.

    `target` says what the new policy does: the column of its probability of the logged action, or, with the column
    `action`, a column of its probability for each action, as {"a": "p_a", "b": "p_b"}; those must add up to 1. A row
    is a decision: a position of a slate is one, and `unit` says which rows belong together. `model` names two columns
    of a reward model: its prediction for the logged action and its mean over the new policy's actions (dr, switch).
    `estimator` is ips, snips, dr, clipped or switch; the last two need a `clip`. With a `reward_range` and the
    `largest_weight` that can occur, the exact bounds of Maurer and Pontil are given too.

    Fewer than `least_effective` effective rows are refused: the verdict is undecided and no value is shown. Raises
    `TableError` for a table that lacks a column, `UsageError` for impossible probabilities or options.

    >>> log = {"won": [1, 0, 0, 1] * 200, "p": [0.5] * 800, "new": [0.9, 0.1, 0.1, 0.9] * 200}
    >>> report = evaluate_policy(log, reward="won", propensity="p", target="new")
    >>> report.verdict.outcome.value, round(report.value.value, 2)
    ('holds', 0.9)
    """
    how = _How(_estimator(estimator), clip, reward_range, largest_weight, least_effective, alpha)
    table = read_table(data) if isinstance(data, str | Path) else as_table(data)
    if table.num_rows == 0:
        raise TableError("the log has no rows: nothing can be said of another policy")
    try:
        probabilities = _numbers(table, propensity)
        log = _log(table, reward, weights(probabilities, _targets(table, target, action)), unit, model)
        return _evaluate(log, probabilities, how)
    except ValueError as error:
        raise UsageError(str(error)) from error


class _How(Struct, frozen=True):
    estimator: Estimator
    clip: float | None
    rewards: tuple[float, float] | None
    largest: float | None
    least: float
    alpha: float


def _evaluate(log: Log, probabilities: Floats, how: _How) -> PolicyReport:
    found = support(probabilities, log.weights)
    if how.estimator in (Estimator.CLIPPED, Estimator.SWITCH) and how.clip is not None:
        clipped = support(probabilities, np.minimum(log.weights, how.clip))
        found = msgspec.structs.replace(found, effective=clipped.effective)
    report = PolicyReport(
        _refused(found, how.least) or Verdict(Outcome.HOLDS, ""),
        how.estimator.value,
        how.alpha,
        found,
        logged_value(log, how.alpha),
    )
    if report.verdict.outcome is not Outcome.HOLDS:
        return report
    more = gain(log, how.estimator, how.alpha, how.clip)
    bounds = None
    if how.rewards is not None and how.largest is not None:
        bounds = bernstein(log, how.largest, how.alpha, how.rewards)
    return msgspec.structs.replace(
        report,
        verdict=_verdict(more, found),
        value=value(log, how.estimator, how.alpha, how.clip),
        gain=more,
        bernstein=bounds,
        notes=_notes(log, how.estimator, how.clip),
    )


def _estimator(name: str) -> Estimator:
    try:
        return Estimator(name)
    except ValueError:
        raise UsageError(f"there is no estimator {name!r}: use {', '.join(Estimator)}") from None


def _refused(found: Support, least: float) -> Verdict | None:
    """Why nothing is read: no support, or too few effective rows."""
    if found.covered_high < 1.0:
        if found.certain == 1.0:
            return Verdict(
                Outcome.UNMEASURED,
                f"the policy that ran took every action for sure, and the new one agrees in {found.covered:.1%} of its "
                "decisions: the log holds nothing of the others. Let a stated share of the traffic explore",
            )
        return Verdict(
            Outcome.UNMEASURED,
            f"{1.0 - found.covered:.1%} of the new policy's decisions are ones that the policy that ran never takes: "
            "the log has no support for them. Let a stated share of the traffic explore",
        )
    if found.effective < least:
        factor = least / max(found.effective, 1e-9)
        return Verdict(
            Outcome.UNDECIDED,
            f"{counted(found.rows, 'row')}, worth {found.effective:,.1f} of equal weight, and {least:g} are needed: "
            f"about {factor:,.0f} times as long a log, a policy closer to the one that ran, or clipped weights, biased",
        )
    return None


def _verdict(more: Value, found: Support) -> Verdict:
    said = (
        f"{more.value:+.4g} a decision ({more.low:+.4g} to {more.high:+.4g}), from {counted(found.rows, 'row')}, "
        f"worth {found.effective:,.0f} of equal weight"
    )
    if more.low > 0.0:
        return Verdict(Outcome.HOLDS, f"the new policy earns more than the one that ran: {said}")
    if more.high < 0.0:
        return Verdict(Outcome.BREACHED, f"the new policy earns less than the one that ran: {said}")
    return Verdict(Outcome.UNDECIDED, f"neither policy is shown to earn more: {said}")


def _notes(log: Log, chosen: Estimator, clip: float | None) -> tuple[str, ...]:
    if chosen not in (Estimator.CLIPPED, Estimator.SWITCH) or clip is None:
        return ()
    share = float((log.weights > clip).mean())
    what = "were clipped" if chosen is Estimator.CLIPPED else "were left to the model"
    return (f"{share:.2%} of the weights exceed {clip:g} and {what}: the value is biased by what they hold",)


def _log(table: pa.Table, reward: str, found: Floats, unit: str | None, model: tuple[str, str] | None) -> Log:
    rewards = _numbers(table, reward)
    figures = (None, None) if model is None else tuple(_numbers(table, name) for name in model)
    units = None
    if unit is not None:
        keys = unit_keys(table, unit)
        if (keys < 0).any():
            raise TableError(
                f"column {unit!r} has no unit in {counted(int((keys < 0).sum()), 'row')}: name one for each decision"
            )
        units = units_of(keys).of_row
    return Log(rewards, found, figures[0], figures[1], units)


def _targets(table: pa.Table, target: str | Mapping[Any, str], action: str | None) -> Floats:
    """The new policy's probability of each logged action."""
    if isinstance(target, str):
        return _numbers(table, target)
    if action is None:
        raise UsageError("target has a column for each action: name the column of the logged action, too")
    columns = {f"{name:g}" if isinstance(name, int | float) else str(name): held for name, held in target.items()}
    names, codes = labelled(to_columns(table, [action])[0])
    strange = [name for name in names if name not in columns]
    if strange or (codes < 0).any():
        raise UsageError(
            f"column {action!r} holds {strange[0] if strange else 'nulls'}, for which target names no column: it has "
            f"{', '.join(columns)}"
        )
    table_of = normalised(np.column_stack([_numbers(table, columns[name]) for name in columns]))
    place = np.array([list(columns).index(name) for name in names])
    return np.asarray(table_of[np.arange(codes.size), place[codes]], dtype=np.float64)


def _numbers(table: pa.Table, name: str) -> Floats:
    column = to_columns(table, [name])[0]
    if isinstance(column, CategoricalColumn):
        raise TableError(f"column {name!r} holds text, not numbers")
    bad = ~np.isfinite(column.values)
    if bad.any():
        raise TableError(
            f"column {name!r} has no number in {counted(int(bad.sum()), 'row')}, the first is row {int(bad.argmax())}"
        )
    return column.values
