"""Where the journal and the route board live when a team outgrows the folder: the URL of a PostgreSQL database."""

from __future__ import annotations

from hashlib import blake2b
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from fairlead.errors import SettingsError

_EXPECTED = "expected postgresql://user@host:5432/name; leave it out for SQLite in the home folder"
_ENCODE = (
    "a password with one of / ? # @ : in it must be percent-encoded, "
    "or left out of the URL and given in PGPASSWORD or a pgpass file"
)
_SCHEMES = ("postgresql", "postgres")
_SECRETS = ("password", "sslpassword")


class DatabaseUrl:
    """A database's URL, whose password nothing shows. Empty, and false, where none is set.

    >>> url = DatabaseUrl("postgresql://ana:hush@db.example/churn?sslmode=require")
    >>> url
    postgresql://ana@db.example/churn
    >>> url.redacted("no entry for ana with hush")
    'no entry for ana with ***'
    """

    __slots__ = ("_secrets", "_text", "shown", "tag")

    def __init__(self, text: str) -> None:
        """Raises `SettingsError` for what is no such URL. It quotes nothing of it: any part may hold the password."""
        self._text = text
        self._secrets: tuple[str, ...] = ()
        self.shown = ""  # user, host and name: what people may see
        if text:
            self._read(text)
        # Tells databases apart in names of files, whoever the user is.
        self.tag = blake2b(self.shown.rpartition("@")[2].encode(), digest_size=6).hexdigest()

    def _read(self, text: str) -> None:
        try:
            parts = urlsplit(text)
            port, asked = parts.port, parse_qsl(parts.query, keep_blank_values=True)
        except ValueError:
            raise SettingsError(f"database cannot be read as a URL: {_ENCODE}") from None
        if parts.scheme not in _SCHEMES:
            raise SettingsError(f"database is no PostgreSQL URL: {_EXPECTED}")
        if parts.netloc.count("@") > 1 or parts.fragment or any(not letter.isprintable() for letter in text):
            raise SettingsError(f"database cannot be read as a URL: {_ENCODE}")
        secrets = [parts.password or "", *(value for key, value in asked if key in _SECRETS)]
        found = {form for secret in secrets if secret for form in (secret, unquote(secret))}
        self._secrets = tuple(sorted(found, key=len, reverse=True))
        self.shown = _shown(parts, port)

    def reveal(self) -> str:
        """The URL as it is, for the driver alone."""
        return self._text

    def redacted(self, message: str) -> str:
        """A message without the password, on one line."""
        for secret in self._secrets:
            message = message.replace(secret, "***")
        return " ".join(message.split())

    def __bool__(self) -> bool:
        """Whether a database is set."""
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        """Whether it is the same URL, password and all."""
        return isinstance(other, DatabaseUrl) and other.reveal() == self._text

    def __hash__(self) -> int:
        """Of the whole URL."""
        return hash(self._text)

    def __repr__(self) -> str:
        """What people may see."""
        return self.shown


def _shown(parts: SplitResult, port: int | None) -> str:
    """The URL without password and options. The host may be in the options: a folder with a socket."""
    host = parts.hostname or dict(parse_qsl(parts.query)).get("host", "")
    place = f"[{host}]" if ":" in host else host
    user = f"{unquote(parts.username)}@" if parts.username else ""
    return f"postgresql://{user}{place}{f':{port}' if port else ''}{parts.path}"
