"""Where a stream is, as a URL."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.stream_url import StreamUrl, dead_letters_beside, is_same, parse_stream_url
from fairlead.errors import SettingsError


def source(text: str, **environ: str) -> StreamUrl:
    """What `--from` takes."""
    return parse_stream_url(text, "--from", environ)


def sink(text: str, **environ: str) -> StreamUrl:
    """What `--to` takes."""
    return parse_stream_url(text, "--to", environ)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nats://h/S/a.b", StreamUrl("nats", (("h", 4222),), "S", "a.b")),
        ("nats://h/S/orders.*.new", StreamUrl("nats", (("h", 4222),), "S", "orders.*.new")),
        ("nats://h/S/orders.>", StreamUrl("nats", (("h", 4222),), "S", "orders.>")),
        ("nats://h/S", StreamUrl("nats", (("h", 4222),), "S")),
        (
            "natss://ana:pw@h:1,i:2/S/a?group=g",
            StreamUrl("nats", (("h", 1), ("i", 2)), "S", "a", True, "ana", "pw", "g"),
        ),
        ("redis://h/a/b:c", StreamUrl("redis", (("h", 6379),), "a/b:c")),
        ("redis://[::1]:7/x?db=3&field=data", StreamUrl("redis", (("[::1]", 7),), "x", db=3, field="data")),
        ("redis://[::1]/x", StreamUrl("redis", (("[::1]", 6379),), "x")),
        ("rediss://:p%40w@h/x?retry=500ms", StreamUrl("redis", (("h", 6379),), "x", "", True, "", "p@w", retry=0.5)),
        ("kafka://h,i:1/t?start=new", StreamUrl("kafka", (("h", 9092), ("i", 1)), "t", start="new")),
        ("kafkas://u:p@h/t", StreamUrl("kafka", (("h", 9092),), "t", "", True, "u", "p")),
    ],
)
def test_each_form_is_read(text: str, found: StreamUrl) -> None:
    """Ports, groups and options have defaults."""
    assert source(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "this is no URL"),
        ("requests", "this is no URL"),
        ("http://h/x", "there is no broker 'http'"),
        ("nats://[::1/x", "this is no URL"),
        ("nats:///S/a", "names no host"),
        ("nats://h", "end it with /STREAM/SUBJECT"),
        ("redis://h/", "end it with /STREAM"),
        ("kafka://h", "end it with /TOPIC"),
        ("nats://h/a.b/c", "'a.b' is no name of a nats stream"),
        ("kafka://h/a b", "no name of a kafka stream"),
        ("nats://h/S/a..b", "no NATS subject"),
        ("nats://h/S/", "no NATS subject"),
        ("kafka://h/t/more", "no part after a slash"),
        ("redis://h,i/x", "redis takes one host"),
        ("redis://h:0/x", "'0' is no port"),
        ("redis://h:70000/x", "'70000' is no port"),
        ("redis://h:/x", "'' is no port"),
        ("redis://h_!/x", "is no host's name"),
        ("redis://h/x#y", "write %23"),
        ("redis://:p/w@h/x", "%40, %2F or %3F"),
        ("redis://h/x?gruop=g", "has no option 'gruop' here (did you mean group?)"),
        ("nats://h/S/a?db=1", "has no option 'db' here: it takes group, retry, start"),
        ("redis://h/x?group=a&group=b", "group is given twice"),
        ("redis://h/x?group=", "group='' is no name"),
        ("nats://h/S/a?group=a.b", "group='a.b' is no name"),
        ("redis://h/x?retry=soon", "retry: 'soon' is not a duration"),
        ("redis://h/x?retry=1ms", "out of range: from 100ms to 1d"),
        ("redis://h/x?start=middle", "start=middle is not known"),
        ("redis://h/x?db=one", "db=one is no whole number"),
        ("redis://:${NOPE}@h/x", "the environment has no NOPE"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    """The option, what is wrong and what is right."""
    with pytest.raises(SettingsError, match=r"^--from: ") as caught:
        source(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nats://h/S", "a subject to publish to is missing"),
        ("nats://h/S/a.>", "is a pattern"),
        ("nats://h/S/a?group=g", "has no option 'group' here: it takes none"),
        ("redis://h/x?start=new", "has no option 'start' here: it takes db, field, maxlen"),
    ],
)
def test_a_sink_takes_less(text: str, said: str) -> None:
    """Nobody reads from it."""
    with pytest.raises(SettingsError) as caught:
        sink(text)
    assert said in str(caught.value)


WRONG = ("redis://u:{}@h/x?nope=1", "redis://u:{}@h:x/x", "redis://u:{}@h/", "nats://u:{}@h/a.b/c", "u:{}@h/x", "{}")


@given(st.text(min_size=4, max_size=30).filter(lambda text: text.strip() == text))
def test_a_password_is_read_and_never_shown(password: str) -> None:
    """Not in the text, not in what is printed by accident, and in no error; typed, or from the environment."""
    secret = f"Zq{password}Zq"
    for text, environ in (
        (f"redis://ana:{quote(secret, safe='')}@h/x", {}),
        ("redis://ana:${SECRET}@h/x", {"SECRET": secret}),
    ):
        found = source(text, **environ)
        assert found.password == secret
        assert secret not in f"{found}{found!r}{dead_letters_beside(found)}"
    for form in WRONG:
        with pytest.raises(SettingsError) as caught:
            source(form.format(quote(secret, safe="")))
        assert secret not in str(caught.value)
        assert quote(secret, safe="") not in str(caught.value)


@pytest.mark.parametrize(
    "raw", ["Zq/secretZq", "Zq?secretZq", "Zq#secretZq", "Zq@secretZq", "Zq:secretZq", "Zq[secretZq"]
)
def test_a_password_that_was_not_quoted_is_not_shown_either(raw: str) -> None:
    """Whether the URL can be read or not."""
    try:
        told: Any = source(f"redis://ana:{raw}@h:6379/x?nope=1")
    except SettingsError as error:
        told = error
    assert "secret" not in str(told)


def test_dead_letters_are_beside_the_answers() -> None:
    """With their name and `.dead`; NATS has the dot in the subject, and any stream that takes it will do."""
    assert dead_letters_beside(sink("redis://h/a?maxlen=9")) == sink("redis://h/a.dead?maxlen=9")
    found = dead_letters_beside(sink("nats://h/A/a.b"))
    assert (found.stream, found.subject, found.anywhere) == ("A-dead", "a.b.dead", True)


def test_the_same_stream_is_known_by_two_urls() -> None:
    """Whatever the options and the user; not another host, database or name."""
    assert is_same(source("redis://h/x?group=a"), sink("redis://u:p@h:6379/x"))
    assert is_same(source("nats://h/S/a"), sink("nats://h/T/a"))
    assert not is_same(source("redis://h/x"), sink("redis://h/x?db=1"))
    assert not is_same(source("redis://h/x"), sink("kafka://h/x"))
