"""API keys: who may do what.

A key is a name that everybody may know, and a secret of 256 random bits. Of the secret only its
SHA-256 is kept. A slow hash, with salt, protects what people choose and others guess; for 112 random bits
and more a plain one is enough (NIST SP 800-63B-3, 5.1.2.2; OWASP ASVS 4.0.3, 2.6.2).
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
        """Every key that was ever made, the oldest first.

        Raises:
            TriptychError: of kind UNAVAILABLE, when the store is away; so do all others.
        """
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
        """Remember when keys were last used, unless a later use is known."""
        ...


@dataclass
class MemoryKeys:
    """Keeps keys until the process ends: for trying things out, and for tests."""

    keys: dict[str, ApiKey] = field(default_factory=dict)

    def all(self) -> Sequence[ApiKey]:
        """See `KeyStore.all`."""
        return sorted(self.keys.values(), key=lambda key: (key.created_at, key.id))

    def add(self, key: ApiKey) -> None:
        """See `KeyStore.add`."""
        self.keys[key.id] = key

    def revoke(self, id_: str, at: datetime) -> bool:
        """See `KeyStore.revoke`."""
        return self._change(id_, lambda key: replace(key, revoked_at=key.revoked_at or at))

    def expire(self, id_: str, at: datetime) -> bool:
        """See `KeyStore.expire`."""
        return self._change(id_, lambda key: replace(key, expires_at=min(at, key.expires_at or at)))

    def used(self, moments: Mapping[str, datetime]) -> None:
        """See `KeyStore.used`."""
        for id_ in moments.keys() & self.keys.keys():
            key, at = self.keys[id_], moments[id_]
            self.keys[id_] = replace(key, last_used_at=max(at, key.last_used_at or at))

    def _change(self, id_: str, how: Callable[[ApiKey], ApiKey]) -> bool:
        if id_ not in self.keys:
            return False
        self.keys[id_] = how(self.keys[id_])
        return True


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


def claimed_id(text: str) -> str | None:
    """The id of the key that this is the text of, if it is true: nobody has compared the secret."""
    match = _TEXT.fullmatch(text)
    return match[1] if match else None


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
