from __future__ import annotations

from fairlead.core.listing import counted, first_of


def test_few_names_are_all_listed() -> None:
    """Up to ten names are listed whole, with nothing behind them; of none there is nothing to say."""
    assert first_of([]) == ""
    assert first_of(("age", "city")) == "age, city"
    assert first_of([str(n) for n in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"


def test_of_many_names_the_first_are_listed() -> None:
    """Of eleven names the first ten are listed, and an ellipsis says there are more; a caller may ask for fewer."""
    names = [str(n) for n in range(11)]
    assert first_of(names) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"
    assert first_of(names, 3) == "0, 1, 2, …"


def test_one_is_no_plural() -> None:
    """A count of one takes the noun as it is, any other its plural: an s, or the word given."""
    assert [counted(n, "row") for n in (0, 1, 2, 1_000)] == ["0 rows", "1 row", "2 rows", "1,000 rows"]
    assert [counted(n, "held-out row") for n in (1, 2)] == ["1 held-out row", "2 held-out rows"]
    assert [counted(n, "entry", "entries") for n in (1, 2)] == ["1 entry", "2 entries"]
