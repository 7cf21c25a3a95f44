"""Reading a request's body without trusting its sender."""

from collections.abc import AsyncIterator

from fastapi import Request

from triptych.core.errors import Kind, TriptychError


class BodyTooLarge(TriptychError):
    """The request's body is too large."""

    kind = Kind.TOO_LARGE
    hint = "Send it in smaller parts."


async def read_body(request: Request, *, limit: int, seconds: float) -> bytes:
    """The whole body, of at most `limit` bytes.

    Raises:
        BodyTooLarge: it is larger; the rest of it is never read.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(f"it has more than {limit} bytes")
    return bytes(body)


async def stream_body(request: Request, *, limit: int, seconds: float) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        yield chunk
