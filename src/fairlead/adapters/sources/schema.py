"""The kinds of a source's columns, where its files do not agree.

| one file has | another | the source has |
|---|---|---|
| a column | not | the column; null in the rows of the file that lacks it |
| integers, floats, booleans or decimals | another of these | numbers |
| text | a dictionary of text | text |
| anything | nothing but nulls | what the other has |
| numbers | text, or instants | a column that cannot be compared, with the reason |
| lists, structs, bytes | anything | a column that cannot be compared, with the reason |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from fairlead.adapters.tables import to_columns, unreadable
from fairlead.errors import TableError
from fairlead.ports.engine import INSTANT, NULL, NUMBER, TEXT
from fairlead.stats.columns import CategoricalColumn

if TYPE_CHECKING:
    import pyarrow as pa

_SAID = {NUMBER: "numbers", INSTANT: "dates or times", TEXT: "text", NULL: "nulls"}


class Kinds(Struct, frozen=True):
    """What a source's columns are: those that can be compared, and the others with the reason."""

    readable: dict[str, str]
    unreadable: dict[str, str]


class Described:
    """What every source says of its columns."""

    def __init__(self, kinds: Kinds) -> None:
        """`kinds` are those of the whole source."""
        self._kinds = kinds

    @property
    def kinds(self) -> Mapping[str, str]:
        """The columns that can be compared."""
        return self._kinds.readable

    @property
    def unreadable(self) -> Mapping[str, str]:
        """The others, with the reason."""
        return self._kinds.unreadable


def kinds_of(schema: pa.Schema) -> Kinds:
    """The kinds of one schema. Raises `TableError` where two columns share a name."""
    import pyarrow as pa
    import pyarrow.types as t

    names = schema.names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise TableError(f"two columns are called {twice!r}: rename one")
    none = pa.Table.from_batches([], schema)
    reasons = {name: f"{held}, which is no single value a row" for name, held in unreadable(none).items()}
    kinds: dict[str, str] = {}
    for name in names:
        if name in reasons:
            continue
        held = schema.field(name).type
        inner = held.value_type if t.is_dictionary(held) else held
        if t.is_null(inner):
            kinds[name] = NULL
        elif isinstance(to_columns(none, [name])[0], CategoricalColumn):
            kinds[name] = TEXT
        else:
            kinds[name] = INSTANT if t.is_temporal(inner) else NUMBER
    return Kinds(kinds, reasons)


def join_kinds(files: Sequence[tuple[str, Kinds]], all_null: Callable[[str, str], bool]) -> Kinds:
    """The kinds over all files, each given by its label. `all_null(label, column)` is asked where files disagree."""
    first: dict[int, tuple[str, Kinds]] = {}
    for file in files:
        first.setdefault(id(file[1]), file)  # of thousands of files, few differ
    distinct = list(first.values())
    names = list(dict.fromkeys(name for _, kinds in distinct for name in (*kinds.readable, *kinds.unreadable)))
    readable: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for name in names:
        reason = next((one.unreadable[name] for _, one in distinct if name in one.unreadable), "")
        held = {one.readable[name]: label for label, one in reversed(distinct) if name in one.readable}
        if len(held.keys() - {NULL}) > 1 and not reason:
            found = _where_not_null(name, files, all_null)
            held = found or held
            reason = _disagreement(held) if len(found) > 1 else ""
        if reason:
            reasons[name] = reason
        else:
            readable[name] = next(iter(held.keys() - {NULL}), NULL)
    return Kinds(readable, reasons)


def _where_not_null(
    name: str, files: Iterable[tuple[str, Kinds]], all_null: Callable[[str, str], bool]
) -> dict[str, str]:
    """The kinds that hold a value somewhere, each with the first file of it."""
    found: dict[str, str] = {}
    for label, kinds in files:
        kind = kinds.readable.get(name, NULL)
        if kind != NULL and kind not in found and not all_null(label, name):
            found[kind] = label
    return found


def _disagreement(held: dict[str, str]) -> str:
    """What two files hold, in words."""
    (one, first), (two, second) = [(kind, label) for kind, label in held.items() if kind != NULL][:2]
    return f"holds {_SAID[one]} in {first}, {_SAID[two]} in {second}"
