"""What holding a contract against a table found: a value, a frame, JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from fairlead.core.verdict import Verdict
from fairlead.operations.report_output import as_json, frame_of

if TYPE_CHECKING:
    import pandas as pd


class Example(Struct, frozen=True):
    """A row, counted from 0, that breaches something, and its value; empty for a rule."""

    row: int
    what: str
    value: str = ""


class FieldReport(Struct, frozen=True):
    """A feature, or a rule (`kind` is rule), and the rows in which something is strange about it.

    `refused` are those in which its own policy rejects. `examples` are the first rows of each kind.
    """

    name: str
    kind: str
    missing: int = 0
    wrong_type: int = 0
    out_of_range: int = 0
    unseen: int = 0
    broken_rule: int = 0
    refused: int = 0
    examples: tuple[Example, ...] = ()

    @property
    def strange(self) -> int:
        """All of them; a row may count for several fields, and for one field once."""
        return self.missing + self.wrong_type + self.out_of_range + self.unseen + self.broken_rule


class ContractReport(Struct, frozen=True):
    """What a contract makes of a table: of each row what the gateway would make of it, and of each field why.

    `clean` + `warned` + `imputed` + `fallback` + `refused` are all `rows`. `unread` of the refused are lines that are
    no object. The verdict is `breached` where more than the share `allow` of the rows is refused or falls back.
    """

    verdict: Verdict
    contract: str
    rows: int
    clean: int
    warned: int
    imputed: int
    fallback: int
    refused: int
    unread: int
    allow: float
    fields: tuple[FieldReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    def to_json(self) -> str:
        """`to_dict` as one JSON document."""
        return as_json(self.to_dict())

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame, one row for each feature and rule, in the contract's order. Raises `MissingExtra`."""
        names = [name for name in FieldReport.__struct_fields__ if name != "examples"]
        rows = [{name: getattr(one, name) for name in names} for one in self.fields]
        return frame_of(rows, "ContractReport.to_frame()", names)
