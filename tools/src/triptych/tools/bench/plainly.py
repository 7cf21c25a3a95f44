"""What several benchmarks need: a plain server, and the name of the machine."""

import os
import platform
import socket
import sys

import orjson
import uvicorn
from fastapi import FastAPI


def serve(app: FastAPI) -> None:
    """Serve, on a free port that is announced as the services announce theirs."""
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", log_level="warning", access_log=False
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print(orjson.dumps({"event": "http.listening", "url": url}).decode(), file=sys.stderr)
        uvicorn.Server(config).run(sockets=[listener])


def machine() -> dict[str, object]:
    """What numbers are true of."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
