"""What every protocol says of a request that it does not answer: the status, the header, the method, the version."""

from __future__ import annotations

from fairlead.errors import ContractError, FairleadError, NotFound, StateError
from fairlead.faces.gateway.wire import Header, Refusal, Scope
from fairlead.flows.serve import NotReady, Overloaded

# How each protocol answers a row that breaks the contract.
V1_REFUSAL, V2_REFUSAL = 422, 400
RETRY = (b"retry-after", b"1")  # the log is tried once a second, and so is a bundle that could not be loaded


def only(scope: Scope, *methods: str) -> None:
    """Raises `Refusal` (405) for a request by any other method."""
    if scope["method"] not in methods:
        allow = (b"allow", ", ".join(methods).encode())
        raise Refusal(405, f"{scope['method']} is not taken here: use {methods[0]}", header=allow)


def version_number(version: str) -> int:
    """The version that a path names. Raises `NotFound`."""
    if not version.isascii() or not version.isdigit() or len(version) > 9:
        raise NotFound(f"no version {version[:40]!r}: versions are whole numbers")
    return int(version)


def status_of(error: FairleadError, contract: int) -> int:
    """The status of an error; `contract` is the protocol's for a row that breaks the contract."""
    if isinstance(error, Refusal):
        return error.status
    if isinstance(error, ContractError):
        return contract
    if isinstance(error, NotFound):
        return 404
    return 503 if isinstance(error, NotReady | StateError) else 500


def path_of(error: FairleadError) -> str:
    """The field that an error is about; empty where it is about none."""
    return error.path if isinstance(error, Refusal | ContractError) else ""


def header_of(error: FairleadError) -> Header | None:
    """The header that goes with an error."""
    if isinstance(error, Overloaded):
        return b"retry-after", b"%d" % error.retry_seconds
    if isinstance(error, NotReady | StateError):
        return RETRY
    return error.header if isinstance(error, Refusal) else None
