"""How a table fits a terminal: names and figures stay whole in their columns, and sentences that would be squeezed
beside them go below their row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_GAP = 2
_SENTENCE = 24  # what is longer, and has spaces, reads as well over several lines
_READABLE = 36  # a column that is narrower makes a ladder of a sentence
_INDENT = 4


class Columns(Struct, frozen=True):
    """A table's columns as they are laid out: all their headers, the width of each, and the places of those that hold
    sentences, which go below where `stacked`; `fold` says that even the others do not fit."""

    headers: tuple[str, ...]
    widths: tuple[int, ...]
    sentences: tuple[int, ...] = ()
    stacked: bool = False
    fold: bool = False

    @property
    def beside(self) -> tuple[int, ...]:
        """The places of the columns that stand side by side."""
        return tuple(place for place in range(len(self.headers)) if not (self.stacked and place in self.sentences))


def laid_out(headers: Sequence[str], rows: Sequence[Sequence[Text]], right: Sequence[str], width: int) -> Columns:
    """How columns fit into so many cells of a terminal's line."""
    cells = [[cell_len(row[place].plain) for row in rows] for place in range(len(headers))]
    widths = tuple(max([cell_len(header), *lengths]) for header, lengths in zip(headers, cells, strict=True))
    if _beside(widths) <= width:
        return Columns(tuple(headers), widths)
    wide = [place for place in range(1, len(headers)) if widths[place] > _SENTENCE and headers[place] not in right]
    long = [place for place in wide if any(" " in row[place].plain for row in rows)]
    if _beside(widths, long) > width:
        long = wide  # paths and digests, too, are read whole below their row
    short = _beside(widths, long)
    stacked = bool(long) and (width - short) // len(long) - _GAP < _READABLE
    return Columns(tuple(headers), widths, tuple(long), stacked, short > width)


def drawn(title: str, columns: Columns, rows: Sequence[Sequence[Text]], right: Sequence[str]) -> RenderableType:
    """The table. Where sentences go below, each row is followed by its own."""
    if not columns.stacked:
        return _grid(title, columns, rows, right, header=True)
    parts: list[RenderableType] = [_grid(title, columns, (), right, header=True)]
    for row in rows:
        parts.append(_grid("", columns, [row], right, header=False))
        parts += [Padding(text, (0, 0, 0, _INDENT)) for text in _sentences(columns, row)]
    return Group(*parts)


def _beside(widths: Sequence[int], without: Sequence[int] = ()) -> int:
    """What columns take side by side."""
    kept = [each for place, each in enumerate(widths) if place not in without]
    return sum(kept) + _GAP * max(len(kept) - 1, 0)


def _sentences(columns: Columns, row: Sequence[Text]) -> Iterable[Text]:
    """Those of a row; where there are several, each says which it is."""
    for place in columns.sentences:
        if row[place].plain:
            named = len(columns.sentences) > 1 and columns.headers[place]
            yield Text.assemble((f"{columns.headers[place]}: ", "dim"), row[place]) if named else row[place]


def _grid(title: str, columns: Columns, rows: Sequence[Sequence[Text]], right: Sequence[str], *, header: bool) -> Table:
    grid = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, _GAP, 0, 0),
        show_header=header,
    )
    for place in columns.beside:
        name, whole = columns.headers[place], not columns.fold and place not in columns.sentences
        grid.add_column(
            name,
            justify="right" if name in right else "left",
            header_style="dim",
            overflow="fold",
            no_wrap=whole,
            min_width=columns.widths[place] if whole else None,
        )
    for row in rows:
        grid.add_row(*(row[place] for place in columns.beside))
    return grid
