"""What every report's page shares: its style, the document around a body, the fragment for a notebook, a table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

STYLE = """
.fl{--ink:#1c2430;--soft:#5b6675;--line:#dfe4ea;--card:#fff;--back:#f5f7f9;--ref:#aab4c0;--cur:#0b6bcb;
--bad:#b42318;--warn:#a15c07;--good:#19713d;--mute:#5b6675;
font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:var(--ink);background:var(--back)}
@media (prefers-color-scheme:dark){.fl{--ink:#e7ebf0;--soft:#9aa6b4;--line:#2c3540;--card:#171d25;--back:#0f141a;
--ref:#5c6876;--cur:#58a6ff;--bad:#ff8a7d;--warn:#f2b35e;--good:#63d08f;--mute:#9aa6b4}}
.fl *{box-sizing:border-box}
.fl main{max-width:1120px;margin:0 auto;padding:32px 24px 48px}
.fl h1{font-size:22px;margin:0 0 2px;letter-spacing:-.01em}.fl h2{font-size:15px;margin:32px 0 12px}
.fl p{margin:0}.fl .soft{color:var(--soft)}
.fl .verdict{background:var(--card);border:1px solid var(--line);border-left:5px solid var(--tone);border-radius:8px;
padding:16px 20px;margin-top:20px}
.fl .verdict b{color:var(--tone);text-transform:uppercase;letter-spacing:.06em;font-size:13px}
.fl .verdict p{font-size:16px;margin-top:2px}
.fl .breached,.fl .critical{--tone:var(--bad)}.fl .unmeasured,.fl .undecided,.fl .warning{--tone:var(--warn)}
.fl .holds{--tone:var(--good)}.fl .none{--tone:var(--mute)}
.fl .cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(320px,1fr));gap:14px}
.fl .card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px 16px 8px;min-width:0}
.fl .card header{display:flex;flex-wrap:wrap;gap:0 8px;align-items:baseline;justify-content:space-between}
.fl .card svg{margin-top:8px}
.fl .card header b{overflow-wrap:anywhere}
.fl .tag{color:var(--tone);font-size:12px;font-weight:600;white-space:nowrap}
.fl svg{display:block;width:100%;height:auto;overflow:visible}.fl svg text{font-size:10.5px;fill:var(--soft)}
.fl .ref{fill:var(--ref)}.fl rect.cur{fill:var(--cur)}.fl .cur-fill{fill:var(--cur);fill-opacity:.18}
.fl .cur-line{fill:none;stroke:var(--cur);stroke-width:1.8;stroke-linejoin:round}.fl .axis{stroke:var(--line)}
.fl .key{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 5px 0 14px}
.fl .scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px}
.fl table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums;color:var(--ink)}
.fl th,.fl td{padding:7px 7px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap;background:none}
.fl th{color:var(--soft);font-weight:600}.fl tr:last-child td{border-bottom:0}
.fl th:first-child,.fl td:first-child,.fl td.text{text-align:left}.fl td.text{white-space:normal;color:var(--soft)}
.fl td .tag{font-size:12px}
.fl.note main{padding:12px 0;max-width:960px;margin:0}.fl.note{background:none}
@media print{.fl{--back:#fff}.fl .card{break-inside:avoid}}
"""


def document(title: str, style: str, body: str) -> str:
    """A whole document, with no script and nothing to fetch; light and dark follow the reader's system.

    `title` is plain text and is escaped; `style` follows `STYLE`, and `body` is HTML.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>body{{margin:0}}{STYLE}{style}</style></head>"
        f'<body class="fl">{body}</body></html>'
    )


def note(style: str, body: str) -> str:
    """What a notebook shows: `body` with its style, `STYLE` first, and no document around it."""
    return f'<style>{STYLE}{style}</style><div class="fl note">{body}</div>'


def table(heads: Sequence[str], rows: str) -> str:
    """A table that scrolls where it is wider than the page. `heads` are plain text and are escaped; `rows` is HTML.

    >>> table(["a"], "<tr><td>1</td></tr>").count("<tr>")
    2
    """
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
