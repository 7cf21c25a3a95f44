"""Errors that say what happened and what to do, and what a command makes of them."""

from typing import cast

import pytest

from triptych.core.config import WrongConfiguration
from triptych.core.documents import UnreadableFile, WrongDocument
from triptych.core.domain.contract import NotASchema
from triptych.core.domain.event import InvalidEvent
from triptych.core.domain.time import EmptyRange, NaiveTime
from triptych.core.errors import Kind, TriptychError, exit_on_error

OF_THE_CALLER = [
    Kind.MALFORMED,
    Kind.INVALID,
    Kind.UNAUTHENTICATED,
    Kind.FORBIDDEN,
    Kind.NOT_FOUND,
    Kind.TOO_LARGE,
    Kind.UNSUPPORTED,
]
OF_ANOTHER = [
    Kind.GONE,
    Kind.CONFLICT,
    Kind.NOT_ACCEPTABLE,
    Kind.TOO_SLOW,
    Kind.LIMITED,
    Kind.TIMED_OUT,
    Kind.UNAVAILABLE,
    Kind.FAILED,
]


class NoSuchShelf(TriptychError):
    """There is no such
    shelf.

    What stands here is for developers.
    """

    kind = Kind.NOT_FOUND
    hint = "List them with: shelves list."


class Untitled(TriptychError): ...


def a_class(name: str, **members: object) -> type[TriptychError]:
    return cast("type[TriptychError]", type(name, (TriptychError,), members))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Full", "full"),
        ("NoSuchShelf", "no-such-shelf"),
        ("Sha256Mismatch", "sha256-mismatch"),
    ],
)
def test_the_code_of_an_error_is_made_of_its_classs_name(name: str, code: str) -> None:
    assert a_class(name).code == code


def test_an_error_inherits_no_code() -> None:
    class NoTopShelf(NoSuchShelf): ...

    assert NoTopShelf.code == "no-top-shelf"
    assert NoSuchShelf.code == "no-such-shelf"


def test_the_title_of_an_error_is_the_first_paragraph_of_its_docstring() -> None:
    assert NoSuchShelf("blue").title == "There is no such shelf."


def test_the_text_of_an_error_is_its_message_alone() -> None:
    assert str(NoSuchShelf("shelf 'blue'")) == "shelf 'blue'"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            NoSuchShelf("shelf 'blue'"),
            "There is no such shelf: shelf 'blue'. List them with: shelves list.",
        ),
        (NoSuchShelf(), "There is no such shelf. List them with: shelves list."),
        (
            NoSuchShelf("shelf 'blue'.", hint="Buy one."),
            "There is no such shelf: shelf 'blue'. Buy one.",
        ),
        (NoSuchShelf("shelf 'blue'", hint=""), "There is no such shelf: shelf 'blue'."),
    ],
    ids=["all", "no-message", "full-stop", "no-hint"],
)
def test_the_sentence_of_an_error_says_everything_once(error: NoSuchShelf, sentence: str) -> None:
    assert error.sentence == sentence


def test_an_error_may_have_a_hint_of_its_own() -> None:
    error = NoSuchShelf("shelf 'blue'", hint="Buy one.")

    assert error.hint == "Buy one."
    assert NoSuchShelf("shelf 'red'").hint == NoSuchShelf.hint


def test_an_error_that_names_no_kind_has_failed() -> None:
    assert Untitled.kind is Kind.FAILED


@pytest.mark.parametrize(
    "error",
    [
        EmptyRange,
        InvalidEvent,
        NaiveTime,
        NotASchema,
        UnreadableFile,
        WrongConfiguration,
        WrongDocument,
    ],
)
def test_the_cores_own_errors_lie_with_the_caller_and_name_the_next_step(
    error: type[TriptychError],
) -> None:
    assert error.__doc__
    assert error.kind is Kind.INVALID
    assert error.hint.endswith(".")


@pytest.mark.parametrize(
    ("kind", "code"),
    [*((kind, 2) for kind in OF_THE_CALLER), *((kind, 1) for kind in OF_ANOTHER)],
)
def test_the_exit_code_of_a_command_tells_whose_fault_it_is(kind: Kind, code: int) -> None:
    with pytest.raises(SystemExit) as end, exit_on_error("shelves"):
        raise a_class("Trouble", kind=kind)

    assert end.value.code == code


def test_every_kind_of_error_is_somebodys_fault() -> None:
    assert {*OF_THE_CALLER, *OF_ANOTHER} == set(Kind)


def test_a_foreseen_error_is_one_message_without_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit), exit_on_error("shelves"):
        raise NoSuchShelf("shelf 'blue'")

    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "shelves: error: There is no such shelf: shelf 'blue'. List them with: shelves list.\n"
    )


@pytest.mark.parametrize("error", [ValueError, KeyError, AssertionError, KeyboardInterrupt])
def test_an_unforeseen_error_passes_through(
    error: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error), exit_on_error("shelves"):
        raise error

    assert capsys.readouterr() == ("", "")


def test_a_command_that_succeeds_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with exit_on_error("shelves"):
        pass

    assert capsys.readouterr() == ("", "")
