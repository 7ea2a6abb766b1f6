"""CSV is read by the contract's kinds."""

from __future__ import annotations

import csv
from contextlib import suppress
from io import StringIO
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.faces.gateway.mlflow_csv import MISSING, read_csv
from fairlead.faces.gateway.wire import Refusal

CONTRACT = Contract(
    (
        Feature("number", Kind.NUMBER),
        Feature("whole", Kind.INTEGER),
        Feature("truth", Kind.BOOLEAN),
        Feature("kind", Kind.CATEGORY, categories=("NA", "x")),
        Feature("free", Kind.CATEGORY),
    ),
    Task.REGRESSION,
    "y",
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=8)  # which Python writes bare
ROW = st.fixed_dictionaries(
    {
        "number": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
        "truth": st.none() | st.booleans(),
        "kind": st.none() | st.sampled_from(["NA", "x"]),
        "free": st.none() | TEXT.filter(lambda text: text not in MISSING),
    }
)


def read(text: str) -> list[Any]:
    """The rows as they go on to the contract."""
    table = read_csv(text.encode())
    reader = table.reader(CONTRACT)
    return [msgspec.json.decode(reader(row, "row")) for row in table.rows]


@given(st.lists(ROW, min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "NaN", "<NA>"]))
def test_what_was_written_is_read(rows: list[dict[str, Any]], ending: str, gap: str) -> None:
    """Numbers to the last bit, text with quotes and line ends in it; a missing value is null."""
    out = StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), lineterminator=ending)
    writer.writeheader()
    writer.writerows({name: gap if cell is None else cell for name, cell in row.items()} for row in rows)
    assert read(out.getvalue()) == rows


def test_a_known_category_is_no_missing_value() -> None:
    """`NA` may be a country; where the contract does not know it, it is missing as in pandas."""
    assert read("kind,free\nNA,NA\n") == [{"kind": "NA", "free": None}]


def test_what_is_no_value_of_its_kind_goes_on_as_text() -> None:
    """For the contract to refuse; so does a column that it does not know."""
    assert read("number,whole,truth,more\n1_0,0x1,2,3\ninf,1.5,yes,\n") == [
        {"number": "1_0", "whole": "0x1", "truth": "2", "more": "3"},
        {"number": "inf", "whole": 1.5, "truth": "yes", "more": ""},
    ]


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """With a refusal, and never another error."""
    for whole in (body, b"number,whole\n" + body):
        with suppress(Refusal):
            table = read_csv(whole)
            reader = table.reader(CONTRACT)
            for row in table.rows:
                assert bytes(reader(row, "row"))[:1] == b"{"
