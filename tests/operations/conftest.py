"""What tests of pages share."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest


class _Page(HTMLParser):
    """An HTML text as it is read: every tag must be closed, in order. Collects the tags, and what is referred to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in ("meta", "br"):  # those HTML never closes
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def read_page() -> Callable[[str], list[str]]:
    """The tags of a page that is whole, refers to nothing, runs nothing, and shows no number that is none."""

    def read(text: str) -> list[str]:
        page = _Page()
        page.feed(text)
        page.close()
        assert (page.open, page.links) == ([], [])
        assert "script" not in page.tags
        assert "http" not in text
        assert not any(f">{sign}{word}<" in text for sign in ("", "-", "+") for word in ("nan", "inf"))
        return page.tags

    return read
