"""What settings are made of: fields that the grammar reads, and sections that refuse unknown keys."""

from __future__ import annotations

from msgspec import Struct

from fairlead.core.rollout import Guardrail


class Duration(float):
    """Seconds, written as 250ms or 30s. Only of what is short may a bare number be seconds."""


class Span(Duration):
    """A duration of minutes, hours or days: a number without its unit is refused, since nobody means seconds by it."""


class Delay(Span):
    """A span, or auto, which is infinite."""


class Share(float):
    """A share of one, written as 5% or 0.05."""


class Size(int):
    """Bytes, written as 512MB."""


class ZoneName(str):
    """A time zone's name, such as Europe/Lisbon; it was looked up once, so that a wrong one is told at the start."""

    __slots__ = ()


class Comparison(str):
    """A condition, written as in `error_rate > 5%`; it was read once, so that a wrong one is told at the start."""

    __slots__ = ()


class Bare(str):
    """A comparison without its metric, written as in `>500ms`."""

    __slots__ = ()


class Secret:
    """A text that nothing shows: an address that holds a token, a key, a password. Empty, and false, where none is set.

    >>> Secret("hush"), bool(Secret(""))
    (***, False)
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text as it is, for whom it is meant alone."""
        return self._text

    def __bool__(self) -> bool:
        """Whether one is set."""
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        """Whether it is the same text."""
        return isinstance(other, Secret) and other.reveal() == self._text

    def __hash__(self) -> int:
        """Of the text."""
        return hash(self._text)

    def __repr__(self) -> str:
        """What people may see."""
        return "***" if self._text else ""


class Bound(Struct, frozen=True):
    """A guardrail, written as in `error_rate <= 1.25 * champion`."""

    rule: Guardrail


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the file. Unknown keys are errors."""
