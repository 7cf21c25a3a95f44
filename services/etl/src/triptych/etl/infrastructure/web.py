"""Ask a server on the internet, as safely as a configuration that strangers may write demands.

Addresses are looked up once, checked, and connected to as they were checked, so that no name can
mean one host to the check and another to the connection (DNS rebinding).
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final

import httpx2
import stamina

from triptych.core.domain.clock import Clock, SystemClock
from triptych.core.errors import Kind, TriptychError

ATTEMPTS: Final = 6
RETRY_SECONDS: Final = 120
_TRANSIENT: Final = frozenset({429, 502, 503, 504})
_MOST_REDIRECTS: Final = 5


class ServerAway(TriptychError):
    """A server that a pipeline reads from does not answer now."""

    kind = Kind.UNAVAILABLE
    hint = "What was read before is kept. Run it again later: it goes on from there."


class Refused(TriptychError):
    """A server that a pipeline reads from refuses what it is asked."""

    kind = Kind.FAILED
    hint = "Check the address, the parameters and the credentials in the pipeline."


class ForbiddenAddress(TriptychError):
    """A pipeline may not connect to this address."""

    kind = Kind.FORBIDDEN
    hint = "If it is meant to be on a private network, say so: `private: true`."


class AnswerTooLarge(TriptychError):
    """A server's answer is larger than the pipeline allows."""

    kind = Kind.FAILED
    hint = "Ask for smaller pages, or allow larger ones with `page_bytes`."


@dataclass(slots=True)
class _Transient(Exception):
    """Worth another try."""

    told: str
    seconds: float | None
    """How long the server asks to wait for it."""


@dataclass(slots=True)
class Browser:
    """Sends GET requests to one server, never more often than it may."""

    client: httpx2.Client
    private: bool
    """Whether addresses that only a private network knows are allowed."""
    page_bytes: int
    interval: float = 0
    """The least seconds from one request to the next."""
    clock: Clock = field(default_factory=SystemClock)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _next_at: float = 0

    def get(
        self, url: httpx2.URL, headers: Mapping[str, str], auth: httpx2.Auth | None
    ) -> tuple[bytes, httpx2.Response]:
        """The body of the answer, unpacked, and the answer.

        Raises:
            ServerAway: after several attempts, there was none.
            Refused: it was an error that another attempt would not mend.
            ForbiddenAddress: the server, or where it leads to, may not be connected to.
            AnswerTooLarge: the body is.
        """
        retries = stamina.retry_context(_worth_it, attempts=ATTEMPTS, timeout=RETRY_SECONDS)
        try:
            for attempt in retries:
                with attempt:
                    return self._follow(url, headers, auth)
        except _Transient as error:
            raise ServerAway(f"{_shown(url)}: {error.told}") from None
        raise ServerAway(_shown(url))

    def _follow(
        self, url: httpx2.URL, headers: Mapping[str, str], auth: httpx2.Auth | None
    ) -> tuple[bytes, httpx2.Response]:
        asked = url
        for _ in range(_MOST_REDIRECTS):
            body, answer = self._once(asked, headers, auth)
            if not answer.has_redirect_location:
                return body, answer
            asked = asked.join(answer.headers["Location"])
            if _origin(asked) != _origin(url):
                raise ForbiddenAddress(f"{_shown(url)} leads to another server, {_shown(asked)}")
        raise Refused(f"{_shown(url)}: more than {_MOST_REDIRECTS} redirects")

    def _once(
        self, url: httpx2.URL, headers: Mapping[str, str], auth: httpx2.Auth | None
    ) -> tuple[bytes, httpx2.Response]:
        self._wait()
        address = _address(url.host, url.port or _PORTS[url.scheme], private=self.private)
        request = self.client.build_request(
            "GET",
            url.copy_with(host=address),
            headers={**headers, "Host": url.netloc.decode()},
            extensions={"sni_hostname": url.host},
        )
        try:
            answer = self.client.send(request, auth=auth, stream=True)
            try:
                self._check(url, answer)
                return self._body(url, answer), answer
            finally:
                answer.close()
        except httpx2.TransportError as error:
            raise _Transient(str(error) or type(error).__name__, None) from None

    def _wait(self) -> None:
        if (left := self._next_at - self.monotonic()) > 0:
            self.sleep(left)
        self._next_at = self.monotonic() + self.interval

    def _check(self, url: httpx2.URL, answer: httpx2.Response) -> None:
        if answer.status_code in _TRANSIENT:
            told = f"it answers {answer.status_code}"
            raise _Transient(told, _retry_after(answer.headers.get("Retry-After"), self.clock))
        if answer.is_error:
            raise Refused(f"{_shown(url)} answers {answer.status_code} {answer.reason_phrase}")

    def _body(self, url: httpx2.URL, answer: httpx2.Response) -> bytes:
        body = bytearray()
        try:
            for part in answer.iter_bytes():
                body += part
                if len(body) > self.page_bytes:
                    raise AnswerTooLarge(f"{_shown(url)}: more than {self.page_bytes:,} bytes")
        except httpx2.DecodingError as error:
            raise Refused(f"{_shown(url)}: the answer cannot be unpacked: {error}") from None
        return bytes(body)


_PORTS: Final = {"http": 80, "https": 443}


def _worth_it(error: Exception) -> bool | float:
    if not isinstance(error, _Transient):
        return False
    return True if error.seconds is None else error.seconds


def _retry_after(value: str | None, clock: Clock) -> float | None:
    """How many seconds a server asks to wait: a number of them, or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if value.isdigit():
        return min(float(value), RETRY_SECONDS)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return min(max(0.0, (moment - clock.now()).total_seconds()), RETRY_SECONDS)


def _address(host: str, port: int, *, private: bool) -> str:
    """An address of a host that may be connected to.

    Raises:
        ForbiddenAddress: one of its addresses may not: it could be the one that is taken.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _Transient(f"no such host: {error}", None) from None
    addresses = [str(info[4][0]) for info in found]
    for address in addresses:
        if not private and not ipaddress.ip_address(address.partition("%")[0]).is_global:
            raise ForbiddenAddress(f"{host!r} is {address}, on a private network")
    return addresses[0]


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme, 0)


def _shown(url: httpx2.URL) -> str:
    """An address without what may be secret in it."""
    return str(url.copy_with(query=None, userinfo=b"", fragment=None))
