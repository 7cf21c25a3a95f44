"""The bare chassis: it reads a request's body, and answers. No service on it can be faster.

`python -m triptych.tools.bench.no_op` serves until SIGTERM.
"""

from fastapi import APIRouter, Request

from triptych.core.config import LogSettings
from triptych.core.logging import configure_logging
from triptych.service.app import create_app
from triptych.service.server import serve
from triptych.service.settings import HttpSettings


def main() -> None:
    """Serve."""
    router = APIRouter()

    @router.post("/v1/events")
    async def post_events(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @router.get("/v1/nothing")
    async def get_nothing() -> dict[str, int]:
        return {"bytes": 0}

    configure_logging(LogSettings(format="json"))
    app = create_app(
        title="No-op",
        description="Does nothing.",
        version="0",
        routers=[router],
        probes={},
        quiet={"/v1/events", "/v1/nothing"},  # as the services' own
    )
    serve(app, HttpSettings(), section="no_op")


if __name__ == "__main__":
    main()
