"""Personal data in the clear, by the shape of values and by the names of columns."""

from __future__ import annotations

import pytest

from fairlead.core.personal import kind_of_name, kind_of_value, personal


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("ana.silva+x@mail.example.org", "an e-mail address"),
        ("DE89 3704 0044 0532 0130 00", "a bank account"),
        ("4111 1111 1111 1111", "a card number"),
        ("192.168.10.7", "an IP address"),
        ("+49 (0)30 123456", "a telephone number"),
        ("0171 / 555 1234", "a telephone number"),
    ],
)
def test_values_are_known_by_their_shape(value: str, kind: str) -> None:
    """Accounts and cards by their check digits, too."""
    assert kind_of_value(value) == kind


@pytest.mark.parametrize(
    "value",
    [
        "",
        "BB",
        "City Hotel",
        "2016-07-01",
        "1467331200000",
        "DE89370400440532013001",
        "4111111111111112",
        "a@b",
        "300.1.1.1",
        "3.141592653589",
        "A-1000-2000",
        "18-25",
    ],
)
def test_other_values_are_left_alone(value: str) -> None:
    """Dates, codes, numbers, times in milliseconds, and numbers whose check digit is wrong."""
    assert kind_of_value(value) == ""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("email", "an e-mail address"),
        ("homePhone", "a telephone number"),
        ("guest-last-name", "a person's name"),
        ("DateOfBirth", "a date of birth"),
        ("ssn", "an official number"),
        ("email_opened_count", "an e-mail address"),
        ("hotel", ""),
        ("headphones", ""),
        ("streets_nearby", ""),
        ("country", ""),
    ],
)
def test_columns_are_known_by_whole_words_of_their_names(name: str, kind: str) -> None:
    """Not by parts of words."""
    assert kind_of_name(name) == kind


def test_a_share_of_the_values_is_enough_and_digests_are_none() -> None:
    """One value in a hundred; a column of digests holds nothing in the clear, whatever its name."""
    many = [f"code {number}" for number in range(99)]
    assert personal("code", [*many, "ana@example.org"], share=0.01) == ("an e-mail address", 0.01)
    assert personal("code", [*many, *many, "ana@example.org"], share=0.01) == ("", 0.0)
    assert personal("email", ["a" * 64, "0" * 64], share=0.01) == ("", 0.0)
    assert personal("email", [], share=0.01) == ("an e-mail address", 0.0)
