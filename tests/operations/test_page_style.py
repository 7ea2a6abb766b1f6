from __future__ import annotations

from fairlead.operations.page_style import STYLE, document, note


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
