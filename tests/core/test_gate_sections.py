"""The parts of the gate."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.environment import ENVIRONMENTS, before, looser
from fairlead.core.gate import CHECKS
from fairlead.core.gate_sections import (
    ASKED,
    LISTED,
    NEVER_WAIVED,
    SECTIONS,
    TITLES,
    chosen,
    is_listed,
    section_of,
)


def test_every_check_stands_in_a_part_that_has_a_title() -> None:
    """A new check's part is a line in `core.gate_sections`; no part lists what is no check."""
    assert sorted(LISTED) == sorted(CHECKS)
    assert all(is_listed(name) for name in CHECKS)
    assert {section_of(name) for name in CHECKS} <= set(SECTIONS) == set(TITLES)


def test_a_check_that_no_part_lists_is_asked_for_everywhere() -> None:
    """Forgetting to place it makes nothing easier."""
    assert section_of("brand_new") == "contents"
    assert all("contents" in asked for asked in ASKED.values())


def test_each_environment_asks_for_more_than_the_one_before() -> None:
    """dev for what the bundle and its data are, production for everything."""
    asked = [chosen(ASKED[one]) for one in ENVIRONMENTS]
    assert set(asked[0]) < set(asked[1]) < set(asked[2]) == set(CHECKS)
    assert [before(one) for one in ENVIRONMENTS] == [None, "dev", "staging"]


@given(st.lists(st.sampled_from([*SECTIONS, *CHECKS])))
def test_what_is_chosen_is_in_order_and_holds_the_digest(words: list[str]) -> None:
    """Each check that is named, or whose part is; and a bundle that nobody changed, whatever is asked for."""
    found = chosen(words)
    assert list(found) == [name for name in CHECKS if name in found]
    assert set(found) == {"digest_holds"} | {name for name in CHECKS if name in words or section_of(name) in words}


def test_what_nobody_waives_is_there_and_asked_for_in_production() -> None:
    """Names that are checks, or the rule would guard nothing."""
    assert {*NEVER_WAIVED} <= {*CHECKS}


def test_a_word_that_is_no_environment_is_the_loosest() -> None:
    """Nothing is asked for where nothing is named."""
    assert looser("", "dev")
    assert not looser("dev", "")
    assert not looser("staging", "staging")
