from __future__ import annotations

from fairlead.operations.page_style import STYLE, document, note, table


def test_a_document_is_whole_and_fetches_nothing() -> None:
    """A document holds the common style, then its own, then the body; there is no script, link or address in it."""
    page = document("Drift", ".fl .own{color:red}", "<main>body</main>")
    assert page.startswith("<!doctype html><html")
    assert f"<style>body{{margin:0}}{STYLE}.fl .own{{color:red}}</style></head>" in page
    assert page.endswith('<body class="fl"><main>body</main></body></html>')
    assert not any(word in page for word in ("<script", "<link", "http", "url(", "@import"))


def test_a_title_is_text() -> None:
    """What stands in a title is escaped, so that no name can close it."""
    assert "<title>a &lt;/title&gt; &amp; b</title>" in document("a </title> & b", "", "")


def test_a_notebook_gets_a_fragment() -> None:
    """A note holds both styles and the body, and sets no rule for the page that it stands in."""
    found = note(".fl .own{color:red}", "<main>body</main>")
    assert found == f'<style>{STYLE}.fl .own{{color:red}}</style><div class="fl note"><main>body</main></div>'
    assert "body{" not in found


def test_a_table_escapes_its_heads() -> None:
    """Heads are text, rows are HTML; it scrolls in its own box."""
    found = table(("a<b", "c"), "<tr><td>1</td><td>2</td></tr>")
    assert found.startswith('<div class="scroll"><table><thead><tr><th>a&lt;b</th><th>c</th></tr></thead>')
    assert found.endswith("<tbody><tr><td>1</td><td>2</td></tr></tbody></table></div>")
