"""Structured logging: one way for our records, the standard library's and uvicorn's.

Log a constant event name and fields: `log.info("events.stored", accepted=3)`. Lines go to standard
error, as JSON unless a terminal reads them. What `bind` adds (a request id, a run id) stands on
every line of the task. Secrets are redacted wherever they hide.
"""

import dataclasses
import json
import logging
import re
import sys
from collections.abc import Collection, Mapping, MutableMapping
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, Final

import orjson
import structlog
from pydantic import BaseModel, SecretBytes, SecretStr
from structlog.contextvars import (
    bind_contextvars,
    bound_contextvars,
    merge_contextvars,
    unbind_contextvars,
)
from structlog.stdlib import BoundLogger, ProcessorFormatter
from structlog.types import EventDict, Processor

from triptych.core.config import LogSettings

REDACTED: Final = "[redacted]"

_SECRET_KEY = re.compile(
    r"passw|passphrase|passcode|^pass$|(^|_)(pwd|dsn|jwt)$|secret|token|bearer|authorization"
    r"|credential|cookie|session_?id|connection_?string"
    r"|(api|access|account|private|signing|encryption)_?key",
    re.IGNORECASE,
)
# Everything between the scheme and the last @ of the authority: a password may hold : and /.
_USER_INFO = re.compile(r"(?<=://)(?:[^\s/]*|[^\s/:]*:[^\s@]*)(?=@)")
_PLAIN: Final = frozenset({type(None), bool, int, float})
_DEEPEST = 20  # levels: deeper than any field that is worth logging


def configure_logging(settings: LogSettings) -> None:
    """Send every record of the process, whoever makes it, through one formatter to standard error.

    Call it once, at the entry point.
    """
    shared: list[Processor] = [
        merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    terminal = sys.stderr.isatty()
    as_json = settings.format == "json" or (settings.format == "auto" and not terminal)
    render: Processor = (
        structlog.processors.JSONRenderer(serializer=_dump)
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=terminal, exception_formatter=structlog.dev.plain_traceback
        )
    )
    handler = logging.StreamHandler()
    handler.addFilter(_CleanArguments())
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                ProcessorFormatter.remove_processors_meta,
                _drop_color,
                structlog.processors.format_exc_info,
                redact,  # last, so that it sees the text of tracebacks, too
                render,
            ],
        )
    )
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=BoundLogger,
    )


def get_logger(name: str) -> BoundLogger:
    """The logger of a module: `log = get_logger(__name__)`."""
    logger: BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def bind(**fields: object) -> AbstractContextManager[None]:
    """Put fields on every line that is logged inside the `with` block, by this task."""
    return bound_contextvars(**fields)


def tag(**fields: object) -> None:
    """Put fields on every line that this task logs from now on, until they are taken off."""
    bind_contextvars(**fields)


def untag(*fields: str) -> None:
    """Take fields off; it does not matter whether they are there."""
    unbind_contextvars(*fields)


def redact(_: object, __: str, event: EventDict) -> EventDict:
    """The structlog processor that hides secrets: by key, by type, and in URLs."""
    return {key: REDACTED if _is_secret(key) else _clean(value) for key, value in event.items()}


def _drop_color(_: object, __: str, event: EventDict) -> EventDict:
    event.pop("color_message", None)  # uvicorn's copy of the message for its own terminal output
    return event


class _CleanArguments(logging.Filter):
    """Hides the secrets in what the standard library's `log.info("%s", …)` is going to format."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, Mapping):
            record.args = {str(k): v for k, v in _mapping(record.args, frozenset()).items()}
        elif record.args:
            # A number stays one: the message may ask for its digits.
            record.args = tuple(
                _clean(a) if isinstance(a, Collection | BaseModel) else a for a in record.args
            )
        return True


def _is_secret(key: object) -> bool:
    if isinstance(key, bytes):
        key = key.decode("latin-1")
    return isinstance(key, str) and _is_secret_name(key)


@lru_cache(maxsize=1024)  # a few names are on every line
def _is_secret_name(name: str) -> bool:
    return bool(_SECRET_KEY.search(re.sub("[-. ]", "_", name)))


def _clean(value: object, above: frozenset[int] = frozenset()) -> object:
    """The same value, as plain data, with every secret in it hidden.

    `above` are the identities of the values that hold this one: nothing is followed in circles.
    """
    if type(value) in _PLAIN or (type(value) is str and "://" not in value):
        return value  # nearly all fields are so, and this is on every line's way
    if len(above) > _DEEPEST or id(value) in above:
        return "…"
    within = above | {id(value)}
    if (fields := _fields(value)) is not None:
        return _mapping(fields, within)
    match value:
        case SecretStr() | SecretBytes():
            return REDACTED
        case str():
            return _USER_INFO.sub(REDACTED, value)
        case None | bool() | int() | float():
            return value
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"  # context, not blobs
        case (key, _) if _is_secret(key):  # a pair, such as a header
            return [_clean_key(key), REDACTED]
        case Collection():
            return [_clean(item, within) for item in value]
        case _:
            return _USER_INFO.sub(REDACTED, _text(value))


def _fields(value: object) -> Mapping[Any, object] | None:
    """The named parts of a value, if it has any."""
    match value:
        case Mapping():
            return value
        case BaseModel():
            return dict(value)
        case tuple() if hasattr(value, "_asdict"):
            named: dict[str, object] = value._asdict()
            return named
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        case _:
            return None


def _mapping(value: Mapping[Any, object], within: frozenset[int]) -> dict[str, object]:
    return {
        _clean_key(k): REDACTED if _is_secret(k) else _clean(v, within) for k, v in value.items()
    }


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  # a broken __str__ must not stop the line
        return f"<{type(value).__name__}: {type(error).__name__}>"


def _clean_key(key: object) -> str:
    return str(_clean(key if isinstance(key, str | SecretStr) else _text(key)))


def _dump(event: MutableMapping[str, Any], **_: object) -> str:
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:  # a lone surrogate, or an integer beyond 64 bits
        return json.dumps(event, default=str)
