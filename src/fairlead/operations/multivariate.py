"""Drift that no single column shows: `multivariate_drift(reference, current)`, for tables and for embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.core.listing import counted
from fairlead.core.multivariate import judge_multivariate
from fairlead.core.verdict import Outcome, Verdict, worst
from fairlead.errors import UsageError
from fairlead.operations.multivariate_sides import Sides, read_sides, slot_rows
from fairlead.operations.report_output import as_json, frame_of
from fairlead.stats.columns import NumericColumn
from fairlead.stats.multivariate.classifier import Scores, discriminate
from fairlead.stats.multivariate.correlation import correlation_shift, standard
from fairlead.stats.multivariate.encoding import for_kernel, for_model
from fairlead.stats.multivariate.evidence import Evidence, Suspect
from fairlead.stats.multivariate.fourier import fourier_mmd
from fairlead.stats.multivariate.mmd import mmd
from fairlead.stats.multivariate.scores import score_shift
from fairlead.stats.profile import profile

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["mmd", "classifier", "scores", "correlation"]

EXACT_ROWS = 5_000  # rows on a side up to which every pair of rows is compared
LIMIT_ROWS = 500  # rows of both sides from which a limit law may stand in for permutations
LEARNT_ROWS = 20_000  # rows of a side that a discriminator is shown, at most
LEAST_ROWS = {"mmd": 2, "classifier": 10, "scores": 2, "correlation": 4}
PERMUTATIONS = 500
MANY_COLUMNS = 50


class MultivariateReport(Struct, frozen=True):
    """What one test of many columns found.

    `evidence` is None where nothing could be tested. `reference_rows` and `current_rows` are those that were;
    `left_out` says which columns (or rows) were not, and why.
    """

    verdict: Verdict
    method: Method
    alpha: float
    evidence: Evidence | None
    columns: tuple[str, ...]
    reference_rows: int
    current_rows: int
    left_out: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON: an infinite `detectable` is null."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        if self.evidence is not None and not isfinite(self.evidence.detectable):
            plain["evidence"]["detectable"] = None
        return plain

    def to_json(self) -> str:
        """`to_dict` as one JSON document."""
        return as_json(self.to_dict())

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame, one row for each suspect, worst first; one row for the test where it names none.

        Raises `MissingExtra` without pandas.
        """
        if self.evidence is None:
            return frame_of(
                [], "MultivariateReport.to_frame()", ["method", "suspect", "value", "effect", "limit", "p_value"]
            )
        found = self.evidence
        named = found.suspects or (Suspect("all columns", found.effect),)
        rows = [{"method": self.method, "suspect": one.name, "value": one.value} for one in named]
        return frame_of(rows, "MultivariateReport.to_frame()").assign(
            effect=found.effect, limit=found.limit, p_value=found.p_value
        )


def multivariate_drift(
    reference: Any,
    current: Any,
    *,
    method: Method = "mmd",
    columns: Sequence[str] | None = None,
    slots: int | str = 20,
    alpha: float = 0.01,
    seed: int = 0,
) -> MultivariateReport:
    """Compares two tables, or two sets of embeddings, all columns at once.

    Each side is a pandas, polars or Arrow table, a dict of columns, the path of a Parquet, CSV or JSON lines file, or
    both are 2-D arrays of numbers, (n, d) and (m, d). `columns` names what is compared (default: all that both have).

    - `mmd`: do the rows come from one distribution? Tables are standardised; arrays are taken as they are, less the
      rows with a missing or infinite value. Exact up to 5,000 rows on a side; in linear time beyond, or, where the
      other side has fewer than 500, exact on 5,000 of them.
    - `classifier`: can gradient boosting tell the sides apart, and by which columns? Needs the extra `sklearn`.
    - `scores`: did a model's output vector move? The columns are its dimensions.
    - `correlation`: did the numbers' correlations change? `slots` is the column that says which slot (say, day) a row
      is of, or into how many slots the smaller side is cut in its order: slots, not rows, are exchangeable.

    `alpha` in (0, 1) is the chance of calling no change one; `seed` fixes all that is random. Raises `TableError` for
    tables that cannot be read, have no rows or share no column that the method can use, for a named column that neither
    has or that the method cannot use, and for arrays that do not fit; `UsageError` for an unknown method or an `alpha`
    or number of slots that makes no sense.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(1_000, 2))
    >>> y = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=1_000)  # each column is as before
    >>> multivariate_drift(x, y, method="correlation").verdict.reason
    'p = 0.002, with a change of a correlation by 0.81 (limit 0.1): 0 ~ 1 (0.81)'
    """
    _check(method, slots, alpha)
    slot = slots if isinstance(slots, str) and method == "correlation" else None
    kinds = {"numbers_only": method in {"scores", "correlation"}, "complete": method == "mmd"}
    sides = read_sides(reference, current, columns, slot=slot, **kinds)
    unmeasured = [Verdict(Outcome.UNMEASURED, f"{name} not measured: {why}") for name, why in sides.lost.items()]
    evidence, verdict = _tested(method, sides, slots, alpha, seed) if sides.names else (None, worst(unmeasured))
    return MultivariateReport(
        verdict=worst([verdict, *unmeasured]),
        method=method,
        alpha=alpha,
        evidence=evidence,
        columns=sides.names,
        reference_rows=sides.rows[0],
        current_rows=sides.rows[1],
        left_out={**sides.lost, **sides.left_out},
    )


def _tested(method: Method, sides: Sides, slots: int | str, alpha: float, seed: int) -> tuple[Evidence | None, Verdict]:
    few = sides.few(LEAST_ROWS[method])
    if few:
        return None, Verdict(Outcome.UNDECIDED, few)
    rng = np.random.default_rng(seed)
    if method == "correlation":
        return _correlation(sides, slots, alpha, rng)
    evidence = _classifier(sides, alpha, seed) if method == "classifier" else _by_rows(method, sides, alpha, rng)
    return evidence, judge_multivariate(evidence, alpha)


def _check(method: str, slots: int | str, alpha: float) -> None:
    if method not in get_args(Method):
        raise UsageError(f"method is {method!r}: choose {', '.join(get_args(Method))}")
    if not 0.0 < alpha < 1.0:
        raise UsageError(f"alpha is {alpha}: a chance lies between 0 and 1, as in 0.01")
    if isinstance(slots, int) and slots < 2:
        raise UsageError(f"slots is {slots}: each side needs 2 at least, as in 20, or name the column that holds them")


def _by_rows(method: Method, sides: Sides, alpha: float, rng: np.random.Generator) -> Evidence:
    if method == "scores":
        one = profile(sides.reference)
        return score_shift(one, profile(sides.current, one.grids), alpha=alpha)
    if sides.arrays is not None:
        left, right = sides.arrays
    else:
        encoded = for_kernel(sides.reference, sides.current)
        left, right = encoded.reference, encoded.current
    if min(sides.rows) >= LIMIT_ROWS and max(sides.rows) > EXACT_ROWS:
        return fourier_mmd(left, right, rng, alpha=alpha)
    left, right = (_thinned(side, rng, EXACT_ROWS) for side in (left, right))
    return mmd(left, right, rng, permutations=max(PERMUTATIONS, ceil(5.0 / alpha)), alpha=alpha)


def _classifier(sides: Sides, alpha: float, seed: int) -> Evidence:
    from fairlead.adapters.boosting import cross_fit

    encoded = for_model(sides.reference, sides.current)
    rng = np.random.default_rng(seed)
    parts = [_thinned(part, rng, LEARNT_ROWS) for part in (encoded.reference, encoded.current)]
    features = np.vstack(parts)
    side = np.repeat([False, True], [len(part) for part in parts])
    found = cross_fit(features, side, task="binary", categorical=encoded.categorical, seed=seed)
    scores = Scores(side, found.folds, found.predictions, found.forward(features, side))
    evidence = discriminate(scores, alpha=alpha)
    if evidence.p_value > alpha:
        return evidence
    repeats = 3 if len(encoded.names) <= MANY_COLUMNS else 1
    values = found.importances(features, side, repeats=repeats, seed=seed)
    order = np.argsort(-values, kind="stable")
    named = tuple(Suspect(encoded.names[at], float(values[at])) for at in order.tolist() if values[at] > 0.0)
    return msgspec.structs.replace(evidence, suspects=named)


def _thinned(rows: NDArray[np.float64], rng: np.random.Generator, most: int) -> NDArray[np.float64]:
    return rows if len(rows) <= most else rows[np.sort(rng.choice(len(rows), most, replace=False))]


def _correlation(
    sides: Sides, slots: int | str, alpha: float, rng: np.random.Generator
) -> tuple[Evidence | None, Verdict]:
    matrices = [_matrix(side) for side in (sides.reference, sides.current)]
    fixed = standard(matrices[0], sides.names)
    one, two = (
        [fixed.co_moments(matrix[rows]) for rows in parts]
        for matrix, parts in zip(matrices, slot_rows(sides.rows, slots, sides.slots), strict=True)
    )
    if min(len(one), len(two)) < 2:
        counts = f"{len(one):,} against {counted(len(two), 'slot')}"
        return None, Verdict(Outcome.UNDECIDED, f"{counts}: dealing them anew needs 2 on each side, and more to decide")
    changes = sum(two[1:], two[0]).correlations - sum(one[1:], one[0]).correlations
    if not np.isfinite(changes[np.triu_indices(len(changes), 1)]).any():
        return None, Verdict(Outcome.UNMEASURED, "no two columns vary together on both sides")
    deals = max(PERMUTATIONS, ceil(5.0 / alpha))
    evidence = correlation_shift(one, two, sides.names, rng, permutations=deals, alpha=alpha)
    return evidence, judge_multivariate(evidence, alpha)


def _matrix(side: Sequence[Any]) -> NDArray[np.float64]:
    return np.column_stack([column.values for column in side if isinstance(column, NumericColumn)])
