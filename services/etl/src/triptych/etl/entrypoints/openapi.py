"""What the OpenAPI document says of answers: an example of each."""

from typing import Any, Final

from triptych.service.problems import PROBLEM_JSON, Problem

Responses = dict[int | str, dict[str, Any]]

RUN_EXAMPLE: Final[dict[str, Any]] = {
    "id": "0f8a3c1e5b7d4a6f9c2e8b1d3f5a7c90",
    "pipeline": "sales",
    "status": "done",
    "started_at": "2030-01-01T02:00:00Z",
    "ended_at": "2030-01-01T02:00:04Z",
    "outputs": [
        "sales: 3 read = 2 written + 1 quarantined + 0 filtered + 0 duplicates -> sales version 0"
    ],
    "error": None,
}
PIPELINE_EXAMPLE: Final[dict[str, Any]] = {
    "name": "sales",
    "description": "",
    "file": "pipelines/sales.yaml",
    "schedule": {"cron": "0 2 * * *", "timezone": "Europe/Berlin", "on": None},
    "next_at": "2030-01-02T01:00:00Z",
    "running": False,
    "last_run": RUN_EXAMPLE,
    "positions": {"main": 3},
    "trouble": None,
}


def json_answer(description: str, example: object) -> dict[str, Any]:
    """What is said of an answer in JSON."""
    return {"description": description, "content": {"application/json": {"example": example}}}


def _problem(description: str, code: str, title: str, detail: str, hint: str, status: int) -> Any:
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


AWAY: Final[Responses] = {
    503: _problem(
        "The service's own database is away.",
        "database-interrupted",
        "The event log's database broke off.",
        "database is locked",
        "The same may succeed in a moment: try it again.",
        503,
    )
}
NO_RUN: Final[Responses] = {
    404: _problem(
        "There was none with this id.",
        "no-such-run",
        "There was no such run.",
        "'0f8a3c1e'",
        "GET /v1/runs lists them.",
        404,
    )
}
WRONG_CURSOR: Final[Responses] = {
    400: _problem(
        "The cursor leads nowhere.",
        "wrong-cursor",
        "The cursor leads nowhere.",
        "the cursor belongs to another query",
        "Take `next` of the page before, with the same filters; or begin without a cursor.",
        400,
    )
}
