"""The facts of the journal, as everybody who reads it over HTTP or from its file finds them."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from fairlead.core.event import AnyFact, Entry, canonical

FACTS = get_args(AnyFact)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.__name__)
def test_a_facts_schema_can_be_written(fact: type[AnyFact]) -> None:
    """The control port describes every fact when it starts: a default that JSON has no word for would keep it down."""
    (schema,), known = msgspec.json.schema_components([fact], ref_template="{name}")
    written = msgspec.json.decode(msgspec.json.encode({**schema, "known": known}))
    assert set(written["known"][fact.__name__]["properties"]) >= {"kind", "model"}


def test_every_fact_is_told_apart_by_its_kind() -> None:
    """In the schema of an entry too, which holds any of them."""
    _, known = msgspec.json.schema_components([Entry], ref_template="{name}")
    kinds = known["Entry"]["properties"]["fact"]["discriminator"]["mapping"]
    assert sorted(kinds.values()) == sorted(fact.__name__ for fact in FACTS)
    assert canonical(kinds)
