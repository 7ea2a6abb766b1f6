"""A model card in YAML or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fairlead.core.bundle import ModelCard
from fairlead.errors import UsageError

_FIELDS = ModelCard.__struct_fields__


def read_card(path: Path) -> ModelCard:
    """Reads a card. Raises `UsageError` naming the file and the field that is wrong."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the model card {path} cannot be read: {getattr(error, 'strerror', error)}") from error
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
        raise UsageError(f"the model card {path} is neither YAML nor JSON: {text}") from error
    if not isinstance(found, Mapping):
        raise UsageError(f"the model card {path} holds no fields: write `owner: …` and so on, one for each field")
    return as_card(found, f"the model card {path}")


def as_card(fields: Mapping[Any, Any], source: str = "the model card") -> ModelCard:
    """A card of a mapping. Numbers and dates are taken as text; raises `UsageError` for any other name or value."""
    texts: dict[str, str] = {}
    for name, value in fields.items():
        if name not in _FIELDS:
            near = get_close_matches(str(name), _FIELDS, 1)
            hint = f"did you mean {near[0]}?" if near else f"its fields are {', '.join(_FIELDS)}"
            raise UsageError(f"{source} has an unknown field {name!r}: {hint}")
        if isinstance(value, Mapping | list | tuple):
            raise UsageError(f"{source} has no text in {name!r}: write it as one text")
        texts[name] = "" if value is None else str(value).strip()
    return ModelCard(**texts)
