"""Personal data in the clear, as far as a machine can tell: by the shape of values, and by the names of columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_EMAIL = re.compile(r"[^@\s]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
_PHONE = re.compile(r"(\+|00)[1-9][0-9 ()./-]{7,18}[0-9]|\(?0[1-9][0-9]{1,4}\)?[ ./-][0-9 ./-]{4,12}[0-9]")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_CARD = re.compile(r"[0-9]{13,19}")
_IP = re.compile(r"((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])")
_HASHED = re.compile(r"[0-9a-fA-F]{32,128}")

# Names of columns that hold such data, whole or as their parts.
_NAMED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("an e-mail address", ("email", "e_mail", "mail_address")),
    ("a telephone number", ("phone", "telephone", "mobile_number", "cell_number", "fax")),
    ("a bank account", ("iban", "account_number", "sort_code")),
    ("a card number", ("credit_card", "card_number", "cvv")),
    (
        "a person's name",
        ("first_name", "last_name", "surname", "full_name", "given_name", "family_name", "maiden_name"),
    ),
    ("an address", ("street", "street_address", "home_address", "postal_address", "ip_address")),
    ("an official number", ("ssn", "social_security", "passport", "passport_number", "tax_id", "national_id")),
    ("a date of birth", ("date_of_birth", "birth_date", "birthdate", "dob", "birthday")),
)


def kind_of_value(text: str) -> str:
    """What a value looks like; empty for nothing personal.

    >>> [kind_of_value(text) for text in ("ana@example.org", "+351 912 345 678", "GB82WEST12345698765432", "BB")]
    ['an e-mail address', 'a telephone number', 'a bank account', '']
    """
    plain = text.strip()
    compact = plain.replace(" ", "").replace("-", "")
    tests: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("an e-mail address", lambda: bool(_EMAIL.fullmatch(plain))),
        ("a bank account", lambda: bool(_IBAN.fullmatch(compact)) and _iban_checks(compact)),
        ("a card number", lambda: bool(_CARD.fullmatch(compact)) and _luhn(compact)),
        ("an IP address", lambda: bool(_IP.fullmatch(plain))),
        ("a telephone number", lambda: bool(_PHONE.fullmatch(plain))),
    )
    return next((kind for kind, test in tests if test()), "")


def kind_of_name(name: str) -> str:
    """What a column's name says it holds; empty for nothing personal.

    >>> kind_of_name("customerEmail"), kind_of_name("first-name"), kind_of_name("hotel")
    ('an e-mail address', "a person's name", '')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    plain = "_" + re.sub(r"[^a-z0-9]+", "_", words).strip("_") + "_"
    return next((kind for kind, names in _NAMED if any(f"_{one}_" in plain for one in names)), "")


def personal(name: str, values: Sequence[str], *, share: float) -> tuple[str, float]:
    """What a column holds and the share of its distinct values that look so, where that reaches `share`; by its name
    alone the share is 0. Values that are all digests hold nothing in the clear.

    >>> personal("contact", ["ana@example.org", "rui@example.org"], share=0.01), personal("plan", ["a"], share=0.01)
    (('an e-mail address', 1.0), ('', 0.0))
    """
    kinds = [kind for kind in map(kind_of_value, values) if kind]
    if kinds and len(kinds) >= share * len(values):
        return max(set(kinds), key=kinds.count), len(kinds) / len(values)
    if values and all(_HASHED.fullmatch(value.strip()) for value in values):
        return "", 0.0
    return kind_of_name(name), 0.0


def _luhn(digits: str) -> bool:
    """The check digit of card numbers (Luhn, 1960). Thirteen digits beginning with 1 are times in milliseconds."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return digits[0] in "3456" and sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _iban_checks(text: str) -> bool:
    """ISO 7064, modulo 97."""
    turned = text[4:] + text[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1
