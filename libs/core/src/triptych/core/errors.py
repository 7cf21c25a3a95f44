"""One hierarchy of typed errors. It knows neither HTTP nor exit codes: the edges translate.

A class's docstring is its title, its message holds the values, its hint names the next step:

>>> class NoSuchShelf(TriptychError):
...     \"\"\"There is no such shelf.\"\"\"
...     kind = Kind.NOT_FOUND
...     hint = "List the shelves with: shelves list."
>>> error = NoSuchShelf("shelf 'blue'")
>>> error.code, error.title, str(error)
('no-such-shelf', 'There is no such shelf.', "shelf 'blue'")
>>> error.sentence
"There is no such shelf: shelf 'blue'. List the shelves with: shelves list."
"""

import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum, auto
from typing import ClassVar


class Kind(StrEnum):
    """What sort of failure it is, which is all that an edge needs to choose its answer."""

    MALFORMED = auto()
    """The caller's input cannot be read at all."""
    INVALID = auto()
    """The caller's input is wrong; the same call will fail again."""
    UNAUTHENTICATED = auto()
    """The caller does not say who it is, or is not believed."""
    FORBIDDEN = auto()
    """The caller is known, and may not do this."""
    NOT_FOUND = auto()
    """What the caller named does not exist."""
    GONE = auto()
    """What the caller named was there once, and is not any more."""
    CONFLICT = auto()
    """It contradicts what is there already; look again and decide."""
    TOO_LARGE = auto()
    """It is bigger than a limit allows."""
    UNSUPPORTED = auto()
    """It is of a form that is not understood here."""
    NOT_ACCEPTABLE = auto()
    """The caller wants its answer in a form that is not spoken here."""
    TOO_SLOW = auto()
    """The caller took longer to say it than a limit allows."""
    LIMITED = auto()
    """The caller has asked for more than it may in this time."""
    TIMED_OUT = auto()
    """It took longer to do than a limit allows."""
    UNAVAILABLE = auto()
    """Something that is needed is away for now; the same call may succeed later."""
    FAILED = auto()
    """It could not be done, for a reason that lies with neither caller nor time."""


class TriptychError(Exception):
    """Something that Triptych foresees went wrong."""

    kind: ClassVar[Kind] = Kind.FAILED
    hint: str = ""
    """The next step: what whoever reads this should do."""
    code: ClassVar[str] = "triptych-error"
    """A stable name, made of the class's: renaming the class changes the public interface."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.code = re.sub(
            r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__
        ).lower()

    def __init__(self, message: str = "", *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint

    @property
    def title(self) -> str:
        """The kind of problem in one sentence: the same for every instance of the class."""
        return inspect.cleandoc(type(self).__doc__ or "").partition("\n\n")[0].replace("\n", " ")

    @property
    def sentence(self) -> str:
        """Everything there is to say, for a person: what happened, with which values, what next."""
        what = f"{self.title.rstrip('.')}: {self}" if str(self) else self.title
        if "\n" in what:  # a list of problems, a line each: the hint is another
            return f"{what.rstrip()}\n{self.hint}".strip()
        stop = "" if what.endswith(("?", "!")) else "."
        return f"{what.rstrip('.')}{stop} {self.hint}".strip()


USAGE_ERROR = 2
FAILURE = 1
_OF_THE_CALLER = {
    Kind.MALFORMED,
    Kind.INVALID,
    Kind.UNAUTHENTICATED,
    Kind.FORBIDDEN,
    Kind.NOT_FOUND,
    Kind.TOO_LARGE,
    Kind.UNSUPPORTED,
}


@contextmanager
def exit_on_error(program: str) -> Iterator[None]:
    """Turn a foreseen error of a command into one message on standard error and an exit code.

    The code is 2 when the caller's words or files are at fault, else 1; the errors of a person's
    making show no traceback. Anything unforeseen passes through, traceback and all: it is a bug.
    """
    try:
        yield
    except TriptychError as error:
        sys.stderr.write(f"{program}: error: {error.sentence}\n")
        sys.exit(USAGE_ERROR if error.kind in _OF_THE_CALLER else FAILURE)
