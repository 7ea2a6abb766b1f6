"""Reads `fairlead.yaml`: the environment's overlay, variables, the nearest known key, and the line of every error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import inspect

from fairlead.config.alert_names import check_alert_names
from fairlead.config.conditions import condition
from fairlead.config.database import DatabaseUrl
from fairlead.config.fields import Bare, Comparison, Delay, Duration, Secret, Share, Size, Span, ZoneName
from fairlead.config.grammar import duration, guardrail, share, size, span
from fairlead.config.settings import Settings
from fairlead.config.watched import watchable
from fairlead.config.zones import known_zone
from fairlead.errors import SettingsError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_AT = re.compile(r" - at `\$([^`]*)`$")
_NAMED = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")
_PART = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")
_NO_CHOICE = re.compile(r"Invalid enum value '?([^']*)'?")


def load_settings(path: Path | None, environ: Mapping[str, str], environment: str = "") -> Settings:
    """The settings of a file, with `fairlead.{environment}.yaml` beside it merged over it. No file: the defaults.

    Raises `SettingsError` with the file, the line, what was expected and the nearest known key.
    """
    if path is None:
        return Settings()
    tree, node = _read(path, environ)
    overlay = path.with_name(f"{path.stem}.{environment}{path.suffix}")
    if environment and overlay.exists():
        over, _ = _read(overlay, environ)
        return _convert(_merged(tree, over), overlay, None)
    return _convert(tree, path, node)


def parse_settings(text: str, environ: Mapping[str, str] | None = None, name: str = "fairlead.yaml") -> Settings:
    """The settings of a text."""
    tree, node = _parse(text, name, environ or {})
    return _convert(tree, Path(name), node)


def _read(path: Path, environ: Mapping[str, str]) -> tuple[dict[str, Any], yaml.Node | None]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file: pass another with --config, or leave it out") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as text: {error}") from None
    return _parse(text, str(path), environ)


def _parse(text: str, name: str, environ: Mapping[str, str]) -> tuple[dict[str, Any], yaml.Node | None]:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(f"{name}{place}: this is not YAML: {getattr(error, 'problem', error)}") from None
    if tree is None:
        return {}, None
    if not isinstance(tree, dict):
        raise SettingsError(f"{name}: expected keys and values, found a {type(tree).__name__}")
    try:
        return _expanded(tree, environ), node
    except _Unset as unset:
        line = text[: text.find("${" + unset.variable)].count("\n") + 1
        said = f"the environment has no {unset.variable}: set it, or write ${{{unset.variable}:-default}}"
        raise SettingsError(f"{name}, line {line}: {said}") from None


class _Unset(Exception):
    """A variable that the environment lacks."""

    def __init__(self, variable: str) -> None:
        super().__init__(variable)
        self.variable = variable


def _expanded(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {str(key): _expanded(item, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, environ) for item in value]
    if not isinstance(value, str):
        return value

    def lookup(match: re.Match[str]) -> str:
        variable, default = match.groups()
        found = environ.get(variable, default)
        if found is None:
            raise _Unset(variable)
        return str(found)

    return _VARIABLE.sub(lookup, value)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _spelt_out(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with what may be written in short written in full: a budget of pages as `1/30d`."""
    alerting = tree.get("alerting")
    text = alerting.get("budget") if isinstance(alerting, dict) else None
    if not isinstance(alerting, dict) or not isinstance(text, str):
        return tree
    pages, _, per = (part.strip() for part in text.partition("/"))
    wrong = SettingsError(f"alerting.budget is {text!r}: write 1/30d, or {{pages: 1, per: 30d}}")
    if not pages.isdecimal():
        raise wrong
    try:
        span(per)
    except SettingsError:
        raise wrong from None
    return {**tree, "alerting": {**alerting, "budget": {"pages": int(pages), "per": per}}}


def _hook(kind: type, value: Any) -> Any:
    """A value of the grammar. What it cannot read is a `ValueError`, to which msgspec adds the place."""
    try:
        return _read_as(kind, value)
    except SettingsError as error:
        raise ValueError(error.line) from None


_READ_AS: dict[type, Callable[[Any], Any]] = {
    Duration: duration,
    Span: span,
    Delay: lambda value: inf if value == "auto" else span(value),
    Share: share,
    Size: size,
    Comparison: lambda value: watchable(condition(_text(value))).text,
    ZoneName: lambda value: known_zone(_text(value, "a time zone such as Europe/Lisbon")),
    Bare: lambda value: _text(value, "a comparison such as '>500ms'"),
    Secret: lambda value: _text(value, "a text, such as ${NAME} of the environment"),
    DatabaseUrl: lambda value: _text(value, "a text: write postgresql://user@host/name, or leave it out"),
}


def _text(value: Any, expected: str = "a comparison such as 'error_rate > 5%'") -> str:
    """A text. What else it is, is not shown: it may be a secret."""
    if not isinstance(value, str):
        raise SettingsError(f"a {type(value).__name__} is not {expected}")
    return value


def _read_as(kind: type, value: Any) -> Any:
    read = _READ_AS.get(kind)
    if read is not None:
        return kind(read(value))
    raise SettingsError(f"{value!r} cannot be read as {kind.__name__}")


def _convert(tree: dict[str, Any], path: Path, node: yaml.Node | None) -> Settings:
    try:
        found = msgspec.convert(_bounds(_spelt_out(tree)), Settings, dec_hook=_hook, str_keys=True)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    except msgspec.ValidationError as error:
        raise SettingsError(_explain(str(error), path, node)) from None
    try:
        check_alert_names(found)
    except SettingsError as error:
        raise SettingsError(_explain(str(error), path, node)) from None
    return found


def _bounds(tree: dict[str, Any]) -> dict[str, Any]:
    """Guardrails and the window are written as text: the text becomes the value here, where the types are known."""
    rollout = tree.get("rollout")
    if isinstance(rollout, dict) and isinstance(rollout.get("guardrails"), list):
        rules = [{"rule": msgspec.to_builtins(guardrail(str(text)))} for text in rollout["guardrails"]]
        tree = {**tree, "rollout": {**rollout, "guardrails": rules}}
    return tree


def _explain(message: str, path: Path, node: yaml.Node | None) -> str:
    found = _AT.search(message)
    said = message[: found.start()] if found else message
    named = _NAMED.match(said)  # what is wrong of the file as a whole begins with the place
    where = found.group(1) if found else f".{named.group()}" if named else ""
    unknown = _UNKNOWN.search(message)
    if unknown:
        key = unknown.group(1)
        known = _keys_at(where)
        close = get_close_matches(key, known, n=1)
        said = f"unknown key {key!r}" + (
            f" (did you mean {close[0]!r}?)" if close else f": known are {', '.join(known)}"
        )
        where = f"{where}.{key}"
    elif choice := _NO_CHOICE.match(said):
        words = _choices_at(where)
        said = f"expected {'one of ' if len(words) > 1 else ''}{', '.join(words)}, got {choice.group(1)!r}"
    line = _line(node, where)
    place = f"{path}, line {line}" if line else str(path)
    return f"{place}: {said}" + (f" (at {where.lstrip('.')})" if where and not unknown else "")


def _keys_at(where: str) -> list[str]:
    """The keys that the settings know at a place such as `.rollout.steps[...]`."""
    info = _type_at(where)
    return [entry.encode_name for entry in info.fields] if isinstance(info, inspect.StructType) else []


def _choices_at(where: str) -> list[str]:
    """The words that may stand at a place."""
    info = _type_at(where)
    if isinstance(info, inspect.EnumType):
        return [str(choice.value) for choice in info.cls]
    return [str(choice) for choice in info.values] if isinstance(info, inspect.LiteralType) else []


def _type_at(where: str) -> inspect.Type:
    info: inspect.Type = inspect.type_info(Settings)
    for name, _ in _PART.findall(where):
        info = _descend(info, name)
    return info


def _descend(info: inspect.Type, name: str) -> inspect.Type:
    """The type of a struct's field, or (no name) of a collection's items."""
    if isinstance(info, inspect.StructType) and name:
        info = next((entry.type for entry in info.fields if entry.encode_name == name), info)
    elif isinstance(info, inspect.VarTupleType):
        info = info.item_type
    elif isinstance(info, inspect.DictType):
        info = info.value_type
    if isinstance(info, inspect.UnionType):
        told = (inspect.StructType, inspect.EnumType, inspect.LiteralType)
        info = next((option for option in info.types if isinstance(option, told)), info)
    return info


def _line(node: yaml.Node | None, where: str) -> int | None:
    """The line of a place; where msgspec says `[...]`, the first item that has what follows."""
    found = _lines(node, _PART.findall(where)) if node is not None and where else []
    return found[0] if found else None


def _lines(node: yaml.Node, parts: list[tuple[str, str]]) -> list[int]:
    if not parts:
        return [node.start_mark.line + 1]
    (name, place), rest = parts[0], parts[1:]
    lines: list[int] = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not name or key.value == name:
                lines += [key.start_mark.line + 1] if name and not rest else _lines(value, rest)
    elif isinstance(node, yaml.SequenceNode) and not name:
        for item in node.value[int(place) : int(place) + 1] if place.isdigit() else node.value:
            lines += _lines(item, rest)
    return lines
