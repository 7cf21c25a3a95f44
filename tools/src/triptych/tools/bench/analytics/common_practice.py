"""Common practice: an endpoint, the ORM's engine on SQLite, a cache with a time to live.

It answers what it is asked from a cache of the standard library, whatever has been committed since; it has
no limits, no pages that stay consistent, and one format.

`DATABASE=… python -m triptych.tools.bench.analytics.common_practice` serves until SIGTERM.
"""

import os
import time
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from fastapi import FastAPI

from triptych.tools.bench.plainly import serve

_KEEP_SECONDS: Final = 60
_DAILY: Final = sa.text(
    "SELECT day, category, sum(amount) AS revenue, count(*) AS orders FROM orders"
    " WHERE ordered_at >= :start GROUP BY day, category ORDER BY day, category"
)


def create_app(file: str) -> FastAPI:
    """The application."""
    app, engine = FastAPI(), sa.create_engine(f"sqlite:///{file}")

    @lru_cache(maxsize=1000)
    def daily(start: str, _minute: int) -> list[dict[str, Any]]:
        with engine.connect() as connection:
            found = connection.execute(_DAILY, {"start": start}).mappings()
            return [dict(row) for row in found]

    @app.get("/daily")
    def get_daily(start: str) -> list[dict[str, Any]]:
        return daily(start, int(time.time() / _KEEP_SECONDS))

    return app


def main() -> None:
    """Serve."""
    serve(create_app(os.environ["DATABASE"]))


if __name__ == "__main__":
    main()
