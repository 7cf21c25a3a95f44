"""Who asks: by key, or by address while there are none."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fastapi import Request

from triptych.core.errors import Kind, TriptychError
from triptych.service.access import Requirement

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class WrongProxy(TriptychError):
    """A trusted proxy is no address and no network."""

    kind = Kind.INVALID
    hint = 'Write TRIPTYCH_LIMIT__TRUSTED_PROXIES as ["10.0.0.0/8"].'


@dataclass(frozen=True, slots=True)
class Clients:
    """Tells clients apart."""

    trusted: Sequence[Network]
    reader: Requirement

    @classmethod
    def of(cls, proxies: Iterable[str], reader: Requirement) -> "Clients":
        """Clients that may come through these proxies, with keys that may read.

        Raises:
            WrongProxy: one of them is none.
        """
        try:
            return cls([ipaddress.ip_network(proxy) for proxy in proxies], reader)
        except ValueError as error:
            raise WrongProxy(str(error)) from None

    async def name(self, request: Request) -> str:
        """By what a client is told from others: its key's id, or while there are no keys its address.

        Raises:
            NoKey, NotAllowed, KeysUnknown: it may not read.
        """
        caller = await self.reader(request)
        return caller.name or self._address(request)

    def _address(self, request: Request) -> str:
        # As the last trusted proxy saw it.
        address = request.client.host if request.client else ""
        if not self.trusted:
            return address
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
