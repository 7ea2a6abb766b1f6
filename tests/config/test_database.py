"""A database's URL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.database import DatabaseUrl
from fairlead.config.load import parse_settings
from fairlead.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ana@db/churn", "postgresql://ana@db/churn"),
        ("postgresql://ana:hush@db:6432/churn?sslmode=require", "postgresql://ana@db:6432/churn"),
        ("postgres://db/churn", "postgresql://db/churn"),
        ("postgresql:///churn?host=/run/postgresql&password=hush", "postgresql:///run/postgresql/churn"),
        ("postgresql://ana:hush@[::1]:5432/churn", "postgresql://ana@[::1]:5432/churn"),
        ("postgresql://ana%40corp:h%2Fush@db/churn", "postgresql://ana@corp@db/churn"),
    ],
)
def test_shows_everything_but_the_password(text: str, shown: str) -> None:
    """User, host, port and name; the driver gets it all."""
    url = DatabaseUrl(text)
    assert url.shown == repr(url) == str(url) == f"{url}" == shown
    assert url.reveal() == text
    assert "hush" not in url.shown


@pytest.mark.parametrize(
    "text",
    [
        "mysql://ana:hush@db/churn",
        "sqlite:///hush",
        "db.example/hush",
        "postgresql://ana:hu/sh@db/churn",
        "postgresql://ana:hu#sh@db/churn",
        "postgresql://ana:hu@sh@db/churn",
        "postgresql://ana:hush@db:port/churn",
        "postgresql://ana:hush@[db/churn",
        "postgresql://ana:hu\nsh@db/churn",
    ],
)
def test_what_is_no_url_is_told_without_a_part_of_it(text: str) -> None:
    """The error names the setting and the fix, and quotes nothing: any part may hold the password."""
    with pytest.raises(SettingsError, match="database") as told:
        DatabaseUrl(text)
    assert not any(part in told.value.line for part in ("hush", "hu@", "sh@", "hu/", "hu#"))


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=4))
def test_no_message_shows_a_password_that_was_encoded(secret: str) -> None:
    """Whatever it is: encoded or not, it is replaced."""
    from urllib.parse import quote

    url = DatabaseUrl(f"postgresql://ana:{quote(secret, safe='')}@db/churn")
    said = url.redacted(f"<{quote(secret, safe='')}> or <{secret}>")
    assert said == "<***> or <***>"


def test_tags_tell_databases_apart_and_not_users() -> None:
    """The name of a file is the same for every user and password of a database."""
    tags = [DatabaseUrl(f"postgresql://{rest}").tag for rest in ("a:p@h/d", "b@h/d", "a:p@h/e", "a:p@g/d")]
    assert tags[0] == tags[1]
    assert len(set(tags)) == 3


def test_settings_hold_it_and_do_not_show_it() -> None:
    """`database` takes its password from the environment; neither the settings nor an error show it."""
    settings = parse_settings("database: postgresql://ana:${SECRET}@db/churn", {"SECRET": "hush"})
    assert settings.database == DatabaseUrl("postgresql://ana:hush@db/churn")
    assert "hush" not in repr(settings)
    assert not parse_settings("database: ''").database
    assert not parse_settings("project: churn").database


@pytest.mark.parametrize("value", ["5", "[a]", "{url: x}", "null", "mysql://u:hush@h/d"])
def test_what_no_database_is_named_by_is_told(value: str) -> None:
    """The file and the fix."""
    with pytest.raises(SettingsError, match=r"fairlead\.yaml.*database") as told:
        parse_settings(f"database: {value}")
    assert "hush" not in told.value.line
