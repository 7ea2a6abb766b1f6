"""Errors as RFC 9457 problem details."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from msgspec import Struct
from starlette.responses import Response

from fairlead.errors import FairleadError, NotFound, Refused, UsageError

MEDIA_TYPE = "application/problem+json"


class Problem(Struct, frozen=True):
    """What went wrong: `title` is the status in words, `detail` says what happened, to what, and the fix."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    instance: str = ""


def problem(status: int, detail: str, instance: str = "", headers: dict[str, str] | None = None) -> Response:
    """The answer for a problem."""
    body = Problem(HTTPStatus(status).phrase, status, detail, instance=instance)
    return Response(msgspec.json.encode(body), status, headers, media_type=MEDIA_TYPE)


def status_of(error: FairleadError) -> int:
    """404 for what does not exist, 409 for what a rule forbids, 400 for other wrong usage, 503 for a failing store."""
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, Refused):
        return 409
    return 400 if isinstance(error, UsageError) else 503
