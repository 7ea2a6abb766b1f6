"""The error tree. Every message says what happened, to what, and the fix, in one line.

FairleadError
├── UsageError            wrong usage or unusable input: the command line answers it with exit 2
│   ├── SettingsError     a setting that cannot be read
│   ├── TableError        a data file or frame that cannot be used
│   ├── ContractError     rows that break a model's schema contract
│   ├── NotFound          a model, version, rollout or incident that does not exist
│   ├── Refused           an action that a rule forbids, such as deploying without passed gates
│   └── MissingExtra      an optional dependency that is not installed
├── BundleError           a bundle whose content cannot be trusted or loaded
│   ├── DigestMismatch    a file is not the one that was registered
│   └── UntrustedFormat   a format that runs code when it is loaded, and was not allowed by name
└── StateError            the home folder or a service behind it cannot be read or written
    └── JournalBroken     the journal's hash chain does not hold
"""

from __future__ import annotations


class FairleadError(Exception):
    """Anything that fairlead raises on purpose."""

    @property
    def line(self) -> str:
        """The message on one line."""
        return " ".join(str(self).split())


class UsageError(FairleadError):
    """Wrong usage or unusable input."""


class SettingsError(UsageError, ValueError):
    """A setting that cannot be read. It is a `ValueError`, so that whoever reads the file adds the place."""


class TableError(UsageError):
    """A data file or frame that cannot be used."""


class ContractError(UsageError):
    """Rows that break a model's schema contract. `path` names the field, as in `features.age`.

    `what` is the kind of the breach (missing, wrong_type, out_of_range, unseen, extra, broken_rule), empty for what is
    no row at all; `field` the feature, or the rule.
    """

    def __init__(self, message: str, path: str = "", what: str = "", field: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.what = what
        self.field = field


class NotFound(UsageError):
    """A model, version, rollout or incident that does not exist."""


class Refused(UsageError):
    """An action that a rule forbids."""


class MissingExtra(UsageError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install 'fairlead[{extra}]'")


class BundleError(FairleadError):
    """A bundle whose content cannot be trusted or loaded."""


class DigestMismatch(BundleError):
    """A file is not the one that was registered."""


class UntrustedFormat(BundleError):
    """A format that runs code when it is loaded, and was not allowed by name."""


class StateError(FairleadError):
    """The home folder or a service behind it cannot be read or written."""


class JournalBroken(StateError):
    """The journal's hash chain does not hold."""
