"""The gate's settings: the bounds that hold everywhere, and what each environment asks for."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal

import msgspec
from msgspec import field

from fairlead.config.fields import Duration, Section, Size, Span
from fairlead.config.grammar import share
from fairlead.core.environment import ENVIRONMENTS, Environment
from fairlead.core.gate import CHECKS, DAY_SECONDS, GatePolicy
from fairlead.core.gate_sections import ASKED, NEVER_WAIVED, SECTIONS, chosen
from fairlead.errors import SettingsError

# What the policy has beside these: they are settings of their own, in units that people write.
_OWN = ("required", "p99_ms", "peak_memory_mb", "against_champion", "margin", "max_age_days")
Comparison = Literal["better", "not_worse"]


class EnvironmentGates(Section, frozen=True):
    """What one environment asks for otherwise; what is left out is as everywhere.

    `require` names parts of the gate (contents, data, model, serving, operation) or single checks; those of `advise`
    are measured and shown, and do not decide.
    """

    require: tuple[str, ...] | None = None
    advise: tuple[str, ...] = ()
    p99: Duration | None = None
    peak_memory: Size | None = None
    against_champion: Comparison | None = None
    margin: float | None = None
    valid_for: Span | None = None
    bounds: dict[str, Any] = field(default_factory=dict)


class Gates(Section, frozen=True):
    """What a version must measure up to before it may be deployed.

    `bounds` are the policy's further figures by name, as docs/gates.md lists them; a share may be written as 5%.
    """

    p99: Duration = Duration(0.05)
    peak_memory: Size = Size(1_000_000_000)
    against_champion: Comparison = "better"
    margin: float = 0.01
    valid_for: Span = Span(30 * DAY_SECONDS)
    bounds: dict[str, Any] = field(default_factory=dict)
    longest_waiver: Span = Span(90 * DAY_SECONDS)
    stepwise: bool = False  # only what entered an environment (`promote --to`) is deployed in it
    dev: EnvironmentGates = EnvironmentGates()
    staging: EnvironmentGates = EnvironmentGates()
    production: EnvironmentGates = EnvironmentGates()

    def __post_init__(self) -> None:
        """Refuses now what could only fail when a version is measured."""
        for environment in ENVIRONMENTS:
            self.policy(environment)

    def policy(self, environment: Environment) -> GatePolicy:
        """The policy of an environment. Raises `SettingsError` naming the key."""
        own: EnvironmentGates = getattr(self, environment)
        place = f"gates.{environment}"
        words = ASKED[environment] if own.require is None else _known(own.require, f"{place}.require")
        spared = _known(own.advise, f"{place}.advise")
        if refused := sorted(NEVER_WAIVED.intersection(spared)):
            raise SettingsError(f"{place}.advise: {', '.join(refused)} cannot be spared, leave it out")
        advised = set(chosen(spared)) - NEVER_WAIVED
        bounds = {**_bounds(self.bounds, "gates.bounds"), **_bounds(own.bounds, f"{place}.bounds")}
        return _policy(
            {
                **bounds,
                "required": tuple(name for name in chosen(words) if name not in advised),
                "p99_ms": float(_either(own.p99, self.p99)) * 1000.0,
                "peak_memory_mb": _either(own.peak_memory, self.peak_memory) / 1e6,
                "against_champion": _either(own.against_champion, self.against_champion),
                "margin": _either(own.margin, self.margin),
                "max_age_days": float(_either(own.valid_for, self.valid_for)) / DAY_SECONDS,
            },
            place,
        )


def _either(own: Any, everywhere: Any) -> Any:
    return everywhere if own is None else own


def _known(words: tuple[str, ...], place: str) -> tuple[str, ...]:
    known = (*SECTIONS, *CHECKS)
    for word in words:
        if word not in known:
            near = get_close_matches(word, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"write a check, or one of {', '.join(SECTIONS)}"
            raise SettingsError(f"{place} names {word!r}, which is no check: {hint}")
    return words


def _bounds(stated: Mapping[str, Any], place: str) -> dict[str, Any]:
    known = [name for name in GatePolicy.__struct_fields__ if name not in _OWN]
    for name in stated:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise SettingsError(f"{place}.{name} is no bound: {hint}")
    return {name: _value(value) for name, value in stated.items()}


def _value(value: Any) -> Any:
    """What is written as a share becomes one, in maps too."""
    if isinstance(value, dict):
        return {key: _value(one) for key, one in value.items()}
    return share(value) if isinstance(value, str) and value.strip().endswith("%") else value


def _policy(values: dict[str, Any], place: str) -> GatePolicy:
    try:
        return msgspec.convert(values, GatePolicy)
    except msgspec.ValidationError as error:
        said, _, name = str(error).partition(" - at `$.")
        raise SettingsError(f"{place}.bounds.{name.rstrip('`')}: {said[0].lower()}{said[1:]}") from None
