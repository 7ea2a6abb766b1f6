"""The parts of the gate: which checks stand together, which environment asks for which part, and what nobody waives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from fairlead.core.environment import Environment
from fairlead.core.gate import CHECKS, CheckName

Section = Literal["contents", "data", "model", "serving", "operation"]
SECTIONS: tuple[Section, ...] = get_args(Section)
TITLES: dict[Section, str] = {
    "contents": "What the bundle holds",
    "data": "The data it was trained on",
    "model": "How well it answers",
    "serving": "How it is served",
    "operation": "How it is watched and taken back",
}

_OF: dict[Section, tuple[str, ...]] = {
    "contents": (
        "digest_holds",
        "model_card_complete",
        "schema_equals_training",
        "schema_compatible",
        "loads_in_clean_process",
        "portable_agrees",
        "dataset_pinned",
    ),
    "data": (
        "null_rates",
        "ranges_plausible",
        "categories_known",
        "row_count",
        "rules_hold",
        "missing_strategy",
        "no_leakage",
        "no_duplicates",
        "temporal_order",
        "split_documented",
        "heldout_locked",
        "personal_data",
    ),
    "model": (
        "better_than_champion",
        "simpler_not_better",
        "overfitting_gap",
        "slices_hold",
        "fairness_holds",
        "calibrated",
        "features_useful",
        "robust_to_bad_input",
    ),
    "serving": (
        "latency_and_memory",
        "memory_stable",
        "load_sustained",
        "load_spike",
        "edge_cases_answered",
        "golden_over_http",
    ),
    "operation": (
        "logging_proven",
        "errors_logged",
        "log_volume",
        "monitors_alive",
        "rollback_rehearsed",
    ),
}
LISTED: tuple[str, ...] = tuple(name for names in _OF.values() for name in names)
_SECTION_OF: dict[str, Section] = {name: section for section, names in _OF.items() for name in names}

# What an environment asks for unless its settings say otherwise.
ASKED: dict[Environment, tuple[Section, ...]] = {
    "dev": ("contents", "data"),
    "staging": ("contents", "data", "model", "serving"),
    "production": SECTIONS,
}

# Without these a report says nothing of what would be served, or nothing would end a bad release.
NEVER_WAIVED: frozenset[str] = frozenset(
    {"digest_holds", "loads_in_clean_process", "portable_agrees", "logging_proven", "rollback_rehearsed"}
)


def section_of(name: str) -> Section:
    """The part that a check belongs to. One that no part lists belongs to the contents: it is asked for everywhere.

    >>> section_of("no_leakage"), section_of("never_heard_of")
    ('data', 'contents')
    """
    return _SECTION_OF.get(name, "contents")


def is_listed(name: str) -> bool:
    """Whether a part lists the check."""
    return name in _SECTION_OF


def asked_for(environment: Environment) -> tuple[CheckName, ...]:
    """The checks that an environment asks for, in their order, unless its settings say otherwise."""
    return chosen(ASKED[environment])


def chosen(words: Iterable[str]) -> tuple[CheckName, ...]:
    """The checks that parts and names mean, in their order; the digest is always among them.

    >>> chosen(["rollback_rehearsed"])
    ('digest_holds', 'rollback_rehearsed')
    """
    wanted = {"digest_holds", *words}
    return tuple(name for name in CHECKS if name in wanted or section_of(name) in wanted)
