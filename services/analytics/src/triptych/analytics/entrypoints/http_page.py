"""`/`: the dashboard. It is served from here alone, and may load nothing from elsewhere."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

_FOLDER: Final = Path(str(files("triptych.analytics.entrypoints") / "page"))
_ASSETS: Final = (
    *("page.css", "page.js", "views.js", "filters.js", "service.js"),
    *("vendor/uplot.css", "vendor/uplot.js"),
)
_HEADERS: Final = {
    # Content Security Policy, level 3: scripts and styles of its own, and answers of this service.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def page_routes() -> APIRouter:
    """`/` and what the page needs."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page() -> FileResponse:
        return FileResponse(_FOLDER / "index.html", headers=_HEADERS)

    @router.get("/page/{name:path}")
    async def asset(name: str) -> FileResponse:
        if name not in _ASSETS:
            raise HTTPException(404)
        return FileResponse(_FOLDER / name, headers=_HEADERS)

    return router
