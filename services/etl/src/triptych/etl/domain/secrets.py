"""Secrets in a pipeline: named in its file, taken from the environment, and never shown."""

import re
from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator, SecretStr, ValidationInfo, WithJsonSchema
from sqlglot import exp

_REFERENCE: Final = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")
_HIDDEN: Final = "secret"


def resolve(value: object, info: ValidationInfo) -> object:
    """Text in which `${NAME}` stands for the environment variable of that name.

    Raises:
        ValueError: there is no such variable, or the text holds no reference.
    """
    if not isinstance(value, str):
        return value
    environment: Mapping[str, str] = (info.context or {}).get("environment", {})

    def look_up(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in environment:
            raise ValueError(f"the environment variable {name} is not set")
        return environment[name]

    return _REFERENCE.sub(look_up, value)


def _referred(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str) and not _REFERENCE.search(value):
        raise ValueError("a secret does not belong in a file: write ${NAME}, and set that variable")
    return resolve(value, info)


Secret: TypeAlias = Annotated[
    SecretStr,
    BeforeValidator(_referred),
    WithJsonSchema({"type": "string", "pattern": _REFERENCE.pattern}),
]
"""A field that holds a secret: a reference to a variable of the environment."""
FromEnvironment: TypeAlias = Annotated[str, BeforeValidator(resolve)]
"""A field of text that may refer to variables of the environment."""
Hidden: TypeAlias = Annotated[SecretStr, BeforeValidator(resolve)]
"""Such text, where it may be a secret: it is not shown."""


def hidden(secret: str) -> exp.Literal:
    """A secret in a query: `show` does not show it."""
    literal = exp.Literal.string(secret)
    literal.meta[_HIDDEN] = True
    return literal


def is_hidden(node: exp.Expr) -> bool:
    """Whether a part of a query is a secret."""
    return bool(node.meta.get(_HIDDEN))


def show(query: exp.Expr, dialect: str, *, pretty: bool = False) -> str:
    """The text of a query for a person, without the secrets in it."""

    def hide(node: exp.Expr) -> exp.Expr:
        return exp.Literal.string("***") if is_hidden(node) else node

    return query.transform(hide).sql(dialect, pretty=pretty)
