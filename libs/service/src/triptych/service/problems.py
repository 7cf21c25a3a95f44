"""Every error as a problem document (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from triptych.core.errors import Kind, TriptychError

PROBLEM_JSON: Final = "application/problem+json"

STATUS: Final[Mapping[Kind, HTTPStatus]] = {
    Kind.MALFORMED: HTTPStatus.BAD_REQUEST,
    Kind.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.GONE: HTTPStatus.GONE,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.UNSUPPORTED: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Kind.NOT_ACCEPTABLE: HTTPStatus.NOT_ACCEPTABLE,
    Kind.TOO_SLOW: HTTPStatus.REQUEST_TIMEOUT,
    Kind.LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.TIMED_OUT: HTTPStatus.GATEWAY_TIMEOUT,
    Kind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Kind.FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
}
RETRY_AFTER_SECONDS: Final = 1


class Problem(BaseModel):
    """A problem document (RFC 9457, 3.1), with what to do next."""

    type: str = Field(examples=["urn:triptych:problem:unknown-metric"])
    title: str
    status: int
    detail: str = ""
    hint: str = ""


_KNOWN_STATUSES: Final = frozenset(status.value for status in HTTPStatus)
_HINTS: Final[Mapping[int, str]] = {
    404: "The service's /docs lists every path.",
    405: "The Allow field lists the methods of this path.",
    408: "Send it faster, or in smaller parts.",
    431: "Send fewer or shorter header fields.",
    500: "It is a fault of the service: report it with the answer's X-Request-ID.",
}

ANY_PROBLEM: Final[dict[str, Any]] = {
    "description": "A problem (RFC 9457).",
    "content": {PROBLEM_JSON: {"schema": Problem.model_json_schema()}},
}
"""What OpenAPI documents say of all errors."""


class WrongParameter(TriptychError):
    """A parameter of the request is wrong."""

    kind = Kind.INVALID
    hint = "The service's /docs lists every parameter."


def problem(error: TriptychError) -> Response:
    """The answer that says what `error` says, with the error's `headers`, if it has any."""
    status = STATUS[error.kind]
    body = Problem(
        type=f"urn:triptych:problem:{error.code}",
        title=error.title,
        status=status,
        detail=str(error),
        hint=error.hint,
    )
    headers = dict(getattr(error, "headers", {}))
    if error.kind is Kind.UNAVAILABLE:
        headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    return JSONResponse(body.model_dump(), status, headers, media_type=PROBLEM_JSON)


def http_problem(
    status: int, headers: Mapping[str, str] | None = None, detail: str = ""
) -> Response:
    """The answer to what HTTP itself finds wrong, such as a path that does not exist."""
    phrase = HTTPStatus(status).phrase if status in _KNOWN_STATUSES else "Error"
    code = phrase.lower().replace(" ", "-")
    body = Problem(
        type=f"urn:triptych:problem:{code}",
        title=phrase,
        status=status,
        detail="" if detail == phrase else detail,
        hint=_HINTS.get(status, ""),
    )
    return JSONResponse(body.model_dump(), status, headers, media_type=PROBLEM_JSON)


def answer_with_problems(app: FastAPI) -> None:
    """Make `app` answer every error as a problem document."""

    async def foreseen(_: Request, error: Exception) -> Response:
        assert isinstance(error, TriptychError)  # noqa: S101  # what it is registered for
        return problem(error)

    async def wrong_request(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return problem(WrongParameter("; ".join(map(_sentence, error.errors()))))

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        return http_problem(error.status_code, error.headers, error.detail)

    app.add_exception_handler(TriptychError, foreseen)
    app.add_exception_handler(RequestValidationError, wrong_request)
    app.add_exception_handler(HTTPException, http)


def _sentence(error: Mapping[str, Any]) -> str:
    name = ".".join(str(step) for step in error["loc"][1:])
    return f"{name}: {error['msg'][:1].lower()}{error['msg'][1:]}"
