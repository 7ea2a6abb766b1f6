"""A postmortem's Markdown as blocks of plain text. The templates escape every block, so nothing in it is markup."""

from __future__ import annotations

import re

from msgspec import Struct

_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?(.*)")
_RULE = re.compile(r"\|?[\s:|-]+\|?")


class Block(Struct):
    """A heading (`level` 1 to 6), a paragraph, a list, a table (its first row is the head) or a code block."""

    kind: str  # heading | text | list | table | code
    level: int = 0
    lines: list[str] = []
    rows: list[list[str]] = []


def blocks(markdown: str | None) -> list[Block]:
    """Splits Markdown into blocks. Emphasis marks are dropped; what is not understood stays as it was written.

    >>> [(block.kind, block.lines) for block in blocks("# What happened\\n\\nv3 was **slow**.\\n- one\\n- two")]
    [('heading', ['What happened']), ('text', ['v3 was slow.']), ('list', ['one', 'two'])]
    """
    found: list[Block] = []
    fenced = False
    for line in (markdown or "").splitlines():
        if line.strip().startswith("```"):
            fenced = not fenced
            if fenced:
                found.append(Block("code"))
        elif fenced:
            found[-1].lines.append(line)
        else:
            _take(found, line.rstrip())
    return [block for block in found if block.lines or block.rows]


def _take(found: list[Block], line: str) -> None:
    if not line.strip():
        found.append(Block("text"))
    elif heading := _HEADING.fullmatch(line):
        found.append(Block("heading", len(heading[1]), [_plain(heading[2])]))
    elif line.lstrip().startswith("|"):
        if not _RULE.fullmatch(line.strip()):
            cells = [_plain(cell.strip()) for cell in line.strip().strip("|").split("|")]
            _last(found, "table").rows.append(cells)
    elif item := _ITEM.fullmatch(line):
        _last(found, "list").lines.append(_plain(item[1]))
    else:
        block = _last(found, "text")
        block.lines = [" ".join([*block.lines, _plain(line.strip())])]


def _last(found: list[Block], kind: str) -> Block:
    if not found or found[-1].kind != kind:
        found.append(Block(kind))
    return found[-1]


def _plain(text: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*|`(.+?)`", lambda match: match[1] or match[2], text)
