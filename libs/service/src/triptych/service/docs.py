"""`/docs`, which works without the internet: a page that comes from here alone."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse

_SCRIPT: Final = "swagger-ui-bundle.js"
_STYLE: Final = "swagger-ui.css"
_ICON: Final = "favicon-32x32.png"


def docs_routes(title: str) -> APIRouter:
    """`/docs` and what its page needs; all names in it are relative, so it may lie below a prefix."""
    router = APIRouter(include_in_schema=False)
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=title,
        swagger_js_url=f"docs/{_SCRIPT}",
        swagger_css_url=f"docs/{_STYLE}",
        swagger_favicon_url=f"docs/{_ICON}",
        swagger_ui_parameters={"validatorUrl": None},  # else it asks a stranger about the document
    ).body

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(page)

    for name in (_SCRIPT, _STYLE, _ICON):
        router.get(f"/docs/{name}")(_sending(name))
    return router


def _sending(name: str) -> Callable[[], FileResponse]:
    path = Path(str(files("fastapi_swagger.resources") / name))
    return lambda: FileResponse(path)
