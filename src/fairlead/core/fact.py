"""The base of every fact in the journal."""

from __future__ import annotations

from msgspec import Struct


class Fact(Struct, frozen=True, tag_field="kind", omit_defaults=True):
    """Something that happened to a model. The entry around it says when, and who did it."""

    model: str
