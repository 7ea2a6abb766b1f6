"""CSV as MLflow's scoring server takes it: what `DataFrame.to_csv(index=False)` writes.

CSV has no types, so each cell is read as the kind that the contract gives its column, and what pandas takes for a
missing value is missing, unless the contract knows it as a category. What cannot be read so goes on as text, for the
contract to refuse or to let through.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from io import StringIO
from itertools import islice
from math import isfinite
from typing import Any

import msgspec
from msgspec import Raw

from fairlead.core.contract import Contract, Feature, Kind
from fairlead.faces.gateway.mlflow_rows import ReadRow, Table, check_columns, check_width
from fairlead.faces.gateway.wire import MOST_ROWS, Refusal, check_count

PATH = "csv"
MISSING = frozenset(
    (
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
        *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    )
)
TRUTH = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}

_number = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_integer = re.compile(r"\s*[+-]?\d{1,19}\s*", re.ASCII)
_encode = msgspec.json.Encoder().encode


def read_csv(body: bytes) -> Table:
    """The rows below the header. Raises `Refusal` (400, 413)."""
    lines = _lines(body)
    if not lines:
        raise Refusal(400, f"{PATH}: the body is empty: send a header and at least one row", PATH)
    header, rows = lines[0], lines[1:]
    check_columns(header, f"{PATH}.header")
    if header[0] == "":
        said = "the first column has no name: write the table without its index, to_csv(index=False)"
        raise Refusal(400, f"{PATH}.header: {said}", f"{PATH}.header")
    if not rows:
        raise Refusal(400, f"{PATH}: the batch is empty: send at least one row below the header", PATH)
    check_count(rows, PATH)
    return Table(rows, PATH, lambda contract: _reader(header, contract))


def _lines(body: bytes) -> list[list[str]]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal(400, f"the body is not UTF-8 (byte {error.start}): send CSV in UTF-8") from None
    try:
        lines = (line for line in csv.reader(StringIO(text, newline=""), strict=True) if line)
        return list(islice(lines, MOST_ROWS + 2))  # one more than is taken
    except csv.Error as error:
        raise Refusal(400, f"{PATH}: broken CSV: {error}", PATH) from None


def _reader(header: Sequence[str], contract: Contract) -> ReadRow:
    features = {feature.name: feature for feature in contract.features}
    converters = [_converter(features.get(name)) for name in header]

    def read(cells: Sequence[str], path: str) -> Raw:
        check_width(cells, header, path)
        values = [convert(cell) for convert, cell in zip(converters, cells, strict=True)]
        return Raw(_encode(dict(zip(header, values, strict=True))))

    return read


def _converter(feature: Feature | None) -> Callable[[str], Any]:
    if feature is None:
        return str
    if feature.kind is Kind.CATEGORY:
        missing = MISSING.difference(feature.categories)
        return lambda cell: None if cell in missing else cell
    return _truth if feature.kind is Kind.BOOLEAN else _numeric


def _truth(cell: str) -> bool | str | None:
    return None if cell in MISSING else TRUTH.get(cell.strip(), cell)


def _numeric(cell: str) -> float | int | str | None:
    """Whole numbers stay whole, as far as 64 bits hold them; what is no finite number stays text."""
    if cell in MISSING:
        return None
    if _integer.fullmatch(cell):
        whole = int(cell)
        return whole if -(2**63) <= whole < 2**63 else float(cell)
    if _number.fullmatch(cell) and isfinite(number := float(cell)):
        return number
    return cell
