"""The one report of a comparison of two tables: a value, a frame, JSON, a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from fairlead.core.verdict import Verdict
from fairlead.errors import UsageError
from fairlead.operations.drift_html import fragment, page
from fairlead.operations.report_output import as_json, frame_of, written
from fairlead.stats.distances import DEFAULT
from fairlead.stats.drift import ColumnDrift
from fairlead.stats.profile import TableProfile

if TYPE_CHECKING:
    import pandas as pd


class DriftReport(Struct, frozen=True):
    """What a comparison found: a verdict, the columns worst first, and the two profiles that it was computed from.

    `alpha` is the false discovery rate. A column that only the current table has is listed as unmeasured and does not
    weigh on the verdict: the reference says nothing of it.
    """

    verdict: Verdict
    columns: tuple[ColumnDrift, ...]
    reference: TableProfile
    current: TableProfile
    alpha: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON. `distances` is keyed by name."""
        columns = []
        for column in self.columns:
            plain = msgspec.to_builtins(column)
            plain["evident"], plain["nulls"] = list(column.evident), column.nulls and list(column.nulls)
            plain["distances"] = {one.pop("name"): one for one in plain["distances"]}
            columns.append(plain)
        return {
            "verdict": msgspec.to_builtins(self.verdict),
            "alpha": self.alpha,
            "rows": {"reference": self.reference.rows, "current": self.current.rows},
            "columns": columns,
        }

    def to_json(self) -> str:
        """`to_dict` as one JSON document."""
        return as_json(self.to_dict())

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame, one row for each column, worst first; distances as the field defines them, uncorrected.

        Raises `MissingExtra` without pandas.
        """
        return frame_of([_row(column) for column in self.columns], "DriftReport.to_frame()")

    def save_html(self, path: str | Path) -> Path:
        """Writes one self-contained page. Raises `UsageError` where the file cannot be written."""
        return written(path, page(self.verdict, self.columns, self.reference, self.current))

    def _repr_html_(self) -> str:
        return fragment(self.verdict, self.columns, self.reference, self.current)


def check_alpha(alpha: float) -> None:
    """Raises `UsageError` for what is no false discovery rate."""
    if not 0.0 < alpha < 1.0:
        raise UsageError(f"alpha is {alpha}: a false discovery rate lies between 0 and 1, as in 0.01")


def _row(column: ColumnDrift) -> dict[str, Any]:
    values = {one.name: one.value for one in column.distances}
    return {
        "column": column.name,
        "kind": column.kind,
        "level": str(column.level),
        "p_value": column.p_value,
        "q_value": column.q_value,
        **{name: values.get(name) for name in DEFAULT.__struct_fields__},
        "detectable_psi": column.detectable,
        "reference_rows": column.reference_rows,
        "current_rows": column.current_rows,
        "unmeasured": column.unmeasured,
    }
