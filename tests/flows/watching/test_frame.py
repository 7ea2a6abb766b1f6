"""Records read into a sheet give the profile that reading them one by one gives."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.core.report import SCORE
from fairlead.flows.watching.features import profile_rows
from fairlead.flows.watching.frame import Frame
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.profile import profile

RNG = np.random.default_rng(3)
REFERENCE = profile(
    (
        NumericColumn("x", RNG.normal(size=900)),
        CategoricalColumn("city", np.array([0, 1, 1] * 300, np.int32), ("lisbon", "porto")),
        NumericColumn("years old", RNG.integers(18, 90, 900).astype(float)),
        NumericColumn(SCORE, RNG.random(900)),
    )
)
FRAME = Frame(REFERENCE)
NUMBERS = st.one_of(st.none(), st.floats(-5, 5), st.integers(-(10**30), 10**30), st.sampled_from([1e300, -0.0]))
STRANGE = st.one_of(st.booleans(), st.text(max_size=3), st.lists(st.integers(), max_size=2))
CITIES = st.one_of(st.none(), st.sampled_from(["lisbon", "porto", "faro"]), st.integers(0, 3), st.booleans())
PLAIN = st.fixed_dictionaries({}, optional={"x": NUMBERS, "city": CITIES, "years old": NUMBERS, "other": STRANGE})
ODD = st.one_of(st.fixed_dictionaries({}, optional={"x": STRANGE, "city": STRANGE}), st.integers(), st.none())


def raws(rows: list[object]) -> list[Raw]:
    """Rows as they are logged."""
    return [Raw(msgspec.json.encode(row)) for row in rows]


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.one_of(PLAIN, PLAIN, PLAIN, ODD), max_size=12), seed=st.integers(0, 99))
def test_a_sheet_gives_the_plain_profile(rows: list[object], seed: int) -> None:
    """For any records, those that are no objects and those of other types among them, and scores that are null."""
    score = np.random.default_rng(seed).random(len(rows))
    score[::3] = np.nan
    seen: list[dict[str, list[float]]] = []

    def look(columns: Sequence[Column]) -> None:
        numbers = {one.name: one.values for one in columns if isinstance(one, NumericColumn)}
        seen.append({name: np.nan_to_num(values, nan=-9.0).tolist() for name, values in numbers.items()})

    assert FRAME.profile(raws(rows), score, look) == profile_rows(raws(rows), score, REFERENCE, look)
    assert seen[0] == seen[1]


def test_plain_records_are_read_into_a_sheet() -> None:
    """Numbers, nulls and what is missing are all that a sheet needs; a truth value sends the batch the plain way."""
    assert len(FRAME._decoded(raws([{"x": 1, "city": "faro"}, {"years old": None}]))) == 2
    assert not FRAME._decoded(raws([{"x": True}]))


def test_many_records_are_counted_by_their_columns() -> None:
    """5,000 records at once give the plain profile too."""
    rng = np.random.default_rng(1)
    rows = [{"x": x, "years old": place % 99} for place, x in enumerate(rng.normal(size=5_000).tolist())]
    score = rng.random(5_000)
    assert FRAME.profile(raws(list(rows)), score) == profile_rows(raws(list(rows)), score, REFERENCE)


def test_a_name_that_no_type_takes_is_read_all_the_same() -> None:
    """A feature with a quotation mark in its name."""
    reference = profile((NumericColumn('the "x"', np.arange(50.0)),))
    rows = raws([{'the "x"': 3.0}, {}])
    assert Frame(reference).profile(rows, np.zeros(2)) == profile_rows(rows, np.zeros(2), reference)
