"""How bad it is, as settings and channels say it."""

from __future__ import annotations

from typing import Literal

Severity = Literal["critical", "high", "medium", "low"]
