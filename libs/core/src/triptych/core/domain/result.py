"""Failure as data: what a function returns when failing is an expected answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")
E = TypeVar("E")


@dataclass(frozen=True)
class Ok(Generic[T]):
    """It worked, and this came of it."""

    value: T


@dataclass(frozen=True)
class Err(Generic[E]):
    """It did not work, and this is why."""

    error: E


Result: TypeAlias = Ok[T] | Err[E]
"""Either `Ok` or `Err`; take it apart with `match`.

An expected failure of one row is a `Result`; a broken invariant or a dead database is raised.
"""


def partition(results: Iterable[Result[T, E]]) -> tuple[list[T], list[E]]:
    """The values and the errors of `results`, each in their order.

    >>> partition([Ok(1), Err("odd"), Ok(2)])
    ([1, 2], ['odd'])
    """
    values: list[T] = []
    errors: list[E] = []
    for result in results:
        match result:
            case Ok(value):
                values.append(value)
            case Err(error):
                errors.append(error)
    return values, errors
