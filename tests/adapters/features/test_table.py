"""A feature function over a whole table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fairlead.adapters.arrow_dataset import ArrowDataset
from fairlead.adapters.features.code import PackagedFeatures, packaged
from fairlead.adapters.features.table import computed, with_columns
from fairlead.errors import UsageError

TABLE = ArrowDataset(
    pa.table({"nights": [1, 2, 3], "adr": [10.0, float("nan"), 30.0], "hotel": ["City", None, "Resort"]}),
    "rows.parquet",
)


def source(folder: Path, code: str) -> PackagedFeatures:
    """A function of that code."""
    (folder / "made.py").write_text(code)
    return packaged(folder / "made.py:features", None)


def test_every_row_is_computed_in_order(tmp_path: Path) -> None:
    """A null and a NaN are None for the function; a NaN that it returns is null in the table."""
    code = "def features(row): return {'twice': 2 * row['nights'], 'adr_or_nan': row['adr'] or float('nan')}"
    made = computed(source(tmp_path, code), TABLE, TABLE.names, "rows.parquet")
    assert made.columns == {"twice": [2, 4, 6], "adr_or_nan": [10.0, None, 30.0]}
    assert made.read == {"nights", "adr"}


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("def features(row): return {'n': row.get('nights'), 'is': 'hotel' in row}", {"nights", "hotel"}),
        ("def features(row): return {'all': len({**row})}", {"nights", "adr", "hotel"}),
        ("def features(row): return {'n': row['adr'] if row['nights'] > 2 else 0.0}", {"nights", "adr"}),
        ("INPUTS = ('nights',)\ndef features(row): return {'n': len(row)}", {"nights"}),
        ("def features(row): return {'one': 1}", set()),
    ],
)
def test_what_is_read_is_known(code: str, read: set[str], tmp_path: Path) -> None:
    """By name, by `get` and by `in`, in any row; who walks through a row has read all of it; INPUTS is believed."""
    assert computed(source(tmp_path, code), TABLE, TABLE.names, "rows.parquet").read == read


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("def features(row): return {'n': len(row['hotel'])}", r"fails on row 1 of rows.parquet .TypeError: object"),
        ("def features(row): return {'n': row['y']}", r"row 0 of rows.parquet .KeyError: 'y'. .a row has the table"),
        (
            "def features(row): return {'n': 1} if row['nights'] < 3 else {'m': 1}",
            r"does not compute m, n for every row",
        ),
        ("def features(row): return 3", r"TypeError: made.py:features returned int, not a mapping"),
        ("INPUTS = ('other',)\ndef features(row): return {}", r"made.py:features reads other, which rows.parquet does"),
    ],
)
def test_a_row_that_cannot_be_computed_is_named(code: str, what: str, tmp_path: Path) -> None:
    """With what went wrong, on one line."""
    with pytest.raises(UsageError, match=what) as caught:
        computed(source(tmp_path, code), TABLE, TABLE.names, "rows.parquet")
    assert caught.value.line == str(caught.value)


def test_a_table_without_rows_computes_nothing(tmp_path: Path) -> None:
    """It says so."""
    empty = ArrowDataset(pa.table({"nights": pa.array([], pa.int64())}), "none.csv")
    with pytest.raises(UsageError, match=r"none.csv has no rows"):
        computed(source(tmp_path, "def features(row): return {}"), empty, empty.names, "none.csv")


def test_columns_join_the_table(tmp_path: Path) -> None:
    """NumPy's scalars as Python's; a column of a name that is there takes its place; mixed kinds are refused."""
    code = "import numpy as np\ndef features(row): return {'nights': np.float64(row['nights']), 'new': np.int64(7)}"
    code = code.replace("row['nights']", "row['nights'] / 2")
    function = source(tmp_path, code)
    joined = with_columns(TABLE, computed(function, TABLE, TABLE.names, "x").columns, function)
    assert joined.names == ("nights", "adr", "hotel", "new")
    assert joined.tuples(["nights", "new"], slice(None)) == [(0.5, 7), (1.0, 7), (1.5, 7)]
    assert joined.table.schema.field("nights").type == pa.float64()
    assert np.isnan(joined.table.column("adr")[1].as_py())
    for cells in (["a", 1], [1, "a"], [2**70]):
        with pytest.raises(UsageError, match=r"computes 'odd' of several kinds .*: return numbers, or texts"):
            with_columns(TABLE, {"odd": cells}, function)
