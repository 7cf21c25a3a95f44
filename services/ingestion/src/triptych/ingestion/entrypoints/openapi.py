"""What the OpenAPI document says of answers: an example of each."""

from typing import Any, Final

from triptych.ingestion.entrypoints.cloudevents import BATCH, NDJSON, STRUCTURED
from triptych.ingestion.entrypoints.receipts import Receipt
from triptych.service.problems import PROBLEM_JSON, Problem

Responses = dict[int | str, dict[str, Any]]

EVENT_EXAMPLE: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "type": "shop.invoice",
    "source": "urn:example:till",
    "id": "1001",
    "time": "2030-01-01T09:30:00Z",
    "data": {"invoice": "100001", "country": "France", "quantity": 2, "unit_price": "3.50"},
}
OUTCOME_EXAMPLE: Final[dict[str, Any]] = {
    "index": 0,
    "status": "accepted",
    "source": "urn:example:till",
    "id": "1001",
    "reason": None,
    "contract": "shop.invoice/1",
    "violations": [],
}
_REJECTED: Final[dict[str, Any]] = {
    "index": 1,
    "status": "rejected",
    "source": "urn:example:till",
    "id": "1002",
    "reason": "contract",
    "contract": "shop.invoice/1",
    "violations": [
        {
            "pointer": "/data/quantity",
            "keyword": "minimum",
            "message": "0 is less than the minimum of 1",
        }
    ],
}


def _receipt(accepted: int, rejected: int, *outcomes: dict[str, Any]) -> dict[str, Any]:
    counts = {"accepted": accepted, "duplicate": 0, "conflict": 0, "rejected": rejected}
    return {**counts, "outcomes": [{**one, "index": n} for n, one in enumerate(outcomes)]}


def problem(description: str, code: str, title: str, detail: str, hint: str, status: int) -> Any:
    """What is said of an answer that is a problem."""
    example = {
        "type": f"urn:triptych:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "hint": hint,
    }
    schema = Problem.model_json_schema()
    return {
        "description": description,
        "content": {PROBLEM_JSON: {"schema": schema, "example": example}},
    }


def json_answer(description: str, example: object) -> dict[str, Any]:
    """What is said of an answer in JSON."""
    return {"description": description, "content": {"application/json": {"example": example}}}


ACCESS: Final[Responses] = {
    401: problem(
        "There is no valid key.",
        "no-key",
        "A key is needed, and this is none.",
        "",
        "Send a valid key: Authorization: Bearer KEY. The operator makes them.",
        401,
    ),
    403: problem(
        "The key is not for this.",
        "not-allowed",
        "The key is not for this.",
        "abcdefghjkmn has not the scope 'write'",
        "Use a key that has this scope.",
        403,
    ),
}
RECEIPTS: Final[Responses] = {
    **ACCESS,
    200: json_answer("Every event is stored, now or before.", _receipt(1, 0, OUTCOME_EXAMPLE)),
    207: {
        "model": Receipt,
        **json_answer("Some events were refused.", _receipt(1, 1, OUTCOME_EXAMPLE, _REJECTED)),
    },
    422: {
        "description": "All events were refused, or the Idempotency-Key was used for another body.",
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Receipt"},
                "example": _receipt(0, 1, _REJECTED),
            },
            PROBLEM_JSON: {"schema": Problem.model_json_schema()},
        },
    },
    400: problem(
        "The body cannot be read. Nothing was stored.",
        "not-json",
        "The body is not JSON.",
        "unexpected end of data: line 1 column 2 (char 1)",
        "Nothing was stored. Send one JSON object, or an array of them as a batch.",
        400,
    ),
    409: problem(
        "The same request, by its Idempotency-Key, is still being answered.",
        "request-in-flight",
        "The request with this idempotency key is still being answered.",
        "",
        "Send it again in a moment: you get the answer of the first.",
        409,
    ),
    406: problem(
        "The answer is JSON, and `Accept` does not want it.",
        "not-acceptable",
        "The answer is not to be had in a form that the client accepts.",
        "text/html",
        "Accept application/json.",
        406,
    ),
    408: problem(
        "The body comes too slowly.",
        "slow-body",
        "The request's body comes too slowly.",
        "its time is over",
        "Send it faster, or in smaller parts.",
        408,
    ),
    413: problem(
        "There is too much of it.",
        "body-too-large",
        "The request's body is too large.",
        "it has more than 10485760 bytes",
        "Send it in smaller parts.",
        413,
    ),
    415: problem(
        "The body is of another media type or encoding.",
        "not-understood",
        "The body is of a media type that is not understood here.",
        "'text/plain'",
        f"Send {STRUCTURED}, or {BATCH} for several events.",
        415,
    ),
    503: problem(
        "It cannot be stored now; `Retry-After` says when to send it again.",
        "overloaded",
        "More waits to be stored than may.",
        "20000 events, 8740000 bytes",
        "Nothing of this was stored. Send it again later, and more slowly.",
        503,
    ),
}
POST_EVENTS: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": "A request that is sent again under its key gets its first answer, for as long "
            "as TRIPTYCH_IDEMPOTENCY__HOURS says. Events are stored once without it, too.",
        },
        {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": "`return=minimal` tells of refused events only (RFC 7240).",
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            STRUCTURED: {"schema": {"type": "object"}, "example": EVENT_EXAMPLE},
            BATCH: {
                "schema": {"type": "array", "items": {"type": "object"}},
                "example": [EVENT_EXAMPLE],
            },
            NDJSON: {"schema": {"type": "string"}},
        },
    },
}
HANDSHAKE: Final[Responses] = {
    200: {"description": "`WebHook-Allowed-Origin` and `-Rate` say what is permitted."}
}
EVENT: Final[Responses] = {
    **ACCESS,
    200: {
        "description": "The event.",
        "content": {STRUCTURED: {"schema": {"type": "object"}, "example": EVENT_EXAMPLE}},
    },
    404: problem(
        "There is no event of this name.",
        "no-such-event",
        "There is no event of this name.",
        "source 'urn:example:till', id '1003'",
        "Write /v1/events/SOURCE/ID, both percent-encoded, also their slashes (%2F).",
        404,
    ),
}
CONTRACT_EXAMPLE: Final[dict[str, Any]] = {
    "type": "shop.invoice",
    "version": 1,
    "id": "shop.invoice/1",
    "uri": "urn:triptych:shop.invoice:1",
    "title": "An invoice of the shop",
}
REJECTION_EXAMPLE: Final[dict[str, Any]] = {
    "id": 17,
    "reason": "contract",
    "source": "urn:example:till",
    "event_id": "1002",
    "type": "shop.invoice",
    "contract": "shop.invoice/1",
    "violations": _REJECTED["violations"],
    "origin": "http",
    "first_at": "2030-01-01T09:30:00Z",
    "last_at": "2030-01-01T09:30:00Z",
    "times": 1,
    "replayed_at": None,
    "raw": '{"specversion":"1.0","id":"1002"}',
}
NO_REJECTION: Final[Responses] = {
    404: problem(
        "There is none with this id.",
        "no-such-rejection",
        "There is no such rejection.",
        "17",
        "GET /v1/rejections lists all there are.",
        404,
    )
}
WRONG_CURSOR: Final[Responses] = {
    400: problem(
        "The cursor leads nowhere.",
        "wrong-cursor",
        "The cursor leads nowhere.",
        "the cursor belongs to another query",
        "Take `next` of the page before, with the same filters; or begin without a cursor.",
        400,
    )
}
