"""Who asks: by address, until there is a key."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fastapi import Request

from triptych.core.errors import Kind, TriptychError

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class WrongProxy(TriptychError):
    """A trusted proxy is no address and no network."""

    kind = Kind.INVALID
    hint = 'Write TRIPTYCH_LIMIT__TRUSTED_PROXIES as ["10.0.0.0/8"].'


@dataclass(frozen=True, slots=True)
class Clients:
    """Tells clients apart."""

    trusted: Sequence[Network]

    @classmethod
    def of(cls, proxies: Iterable[str]) -> "Clients":
        """Clients that may come through these proxies.

        Raises:
            WrongProxy: one of them is none.
        """
        try:
            return cls([ipaddress.ip_network(proxy) for proxy in proxies])
        except ValueError as error:
            raise WrongProxy(str(error)) from None

    def name(self, request: Request) -> str:
        """By what a client is told from others: its address, as the last trusted proxy saw it."""
        address = request.client.host if request.client else ""
        forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
        for before in reversed([text.strip() for text in forwarded if text.strip()]):
            if not self._trusts(address):
                break
            address = before
        return address

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.trusted)
