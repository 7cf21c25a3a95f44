"""API keys: who may do what.

A key is a name that everybody may know, and a secret of 256 random bits. Of the secret only its
SHA-256 is kept. A slow hash protects what people choose and others guess (NIST SP 800-63B, 5.1.1.2);
nobody guesses 256 random bits.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, auto
from typing import Final, Protocol

_PREFIX: Final = "triptych"  # by which scanners find keys that were published
_ID_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that looks like something else
_ID_LENGTH: Final = 12
_SECRET_BYTES: Final = 32
_TEXT: Final = re.compile(rf"{_PREFIX}_([{_ID_ALPHABET}]{{{_ID_LENGTH}}})_([A-Za-z0-9_-]{{43}})")


class Scope(StrEnum):
    """What a key is for."""

    WRITE = auto()
    """Hand something in."""
    READ = auto()
    """See what is there."""
    ADMIN = auto()
    """Change what is there; includes the other two."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, without its secret."""

    id: str
    name: str
    """What it is for, for a person."""
    scopes: frozenset[Scope]
    digest: bytes
    """The SHA-256 of its secret."""
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    event_types: tuple[str, ...] = ()
    """The types of events that it may send; one may end in `*`. Empty: all."""
    last_used_at: datetime | None = None
    """To the minute."""

    def allows(self, scope: Scope) -> bool:
        """Whether it is for this."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def active(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def may_send(self, event_type: str) -> bool:
        """Whether it may send events of a type."""
        return not self.event_types or any(
            event_type.startswith(allowed[:-1]) if allowed.endswith("*") else event_type == allowed
            for allowed in self.event_types
        )


class KeyStore(Protocol):
    """Keeps keys. Thread-safe."""

    def all(self) -> Sequence[ApiKey]:
        """Every key that was ever made, the oldest first."""
        ...

    def add(self, key: ApiKey) -> None:
        """Keep a new key."""
        ...

    def revoke(self, id_: str, at: datetime) -> bool:
        """End a key; whether there is one."""
        ...

    def expire(self, id_: str, at: datetime) -> bool:
        """Let a key end then, unless it ends earlier; whether there is one."""
        ...

    def used(self, moments: Mapping[str, datetime]) -> None:
        """Remember when keys were last used."""
        ...


def mint(
    name: str,
    scopes: Iterable[Scope],
    *,
    now: datetime,
    expires_at: datetime | None = None,
    event_types: Sequence[str] = (),
) -> tuple[ApiKey, str]:
    """A new key, and its text: the only time that anybody sees it."""
    id_ = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
    secret = base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).rstrip(b"=").decode()
    key = ApiKey(
        id=id_,
        name=name,
        scopes=frozenset(scopes),
        digest=_digest(secret),
        created_at=now,
        expires_at=expires_at,
        event_types=tuple(event_types),
    )
    return key, f"{_PREFIX}_{id_}_{secret}"


def rotate(key: ApiKey, *, now: datetime) -> tuple[ApiKey, str]:
    """A new key with the same rights, and its text."""
    return mint(
        key.name, key.scopes, now=now, expires_at=key.expires_at, event_types=key.event_types
    )


def authenticate(text: str, keys: Mapping[str, ApiKey], now: datetime) -> ApiKey | None:
    """The active key that this is the text of. It takes as long for keys that do not exist."""
    match = _TEXT.fullmatch(text)
    id_, secret = match.groups() if match else ("", "")
    key = keys.get(id_, _NOBODY)
    right = hmac.compare_digest(key.digest, _digest(secret))
    return key if right and key.active(now) else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


_NOBODY: Final = ApiKey("", "", frozenset(), bytes(32), datetime.min)  # noqa: DTZ901  # never told
