"""YAML files that people write: read safely into a model, with errors that name file and line.

YAML 1.2, so that `NO` is Norway and not false. Anchors, aliases and tags are refused, keys may not
come twice, and the size is bounded: a document is exactly what it looks like.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, DocumentStartEvent, NodeEvent, ScalarEvent

from triptych.core.errors import Kind, TriptychError

MAX_BYTES = 1024 * 1024

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
Step = str | int


class UnreadableFile(TriptychError):
    """The file cannot be read."""

    kind = Kind.INVALID
    hint = "Check the path and its permissions."


class WrongDocument(TriptychError):
    """The file does not say what it should"""

    kind = Kind.INVALID
    hint = "Mend the places that are named."


class Part(BaseModel):
    """The base of what a document is read into. An unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Document:
    """A piece of a YAML file that knows where each of its keys stands."""

    path: Path
    value: Any
    trail: tuple[Step, ...] = ()
    root: Any = field(default=None, repr=False)

    def at(self, *steps: Step) -> "Document":
        """The part that lies under these keys and indexes."""
        value = self.value
        for step in steps:
            value = value[step]
        return Document(self.path, value, (*self.trail, *steps), self.root)

    def over(self, defaults: Mapping[str, Any]) -> "Document":
        """This part, a mapping or nothing, with what it does not say taken from `defaults`."""
        return replace(self, value={**defaults, **(self.value or {})})

    def to(self, model: type[M], context: Mapping[str, object] | None = None) -> M:
        """This part as `model`, whose validators see the context.

        Raises:
            WrongDocument: with every problem, its file, line and column, and the nearest name.
        """
        try:
            return model.model_validate(self.value, context=context)
        except ValidationError as error:
            raise self.wrong(list(_problems(error, model))) from None

    def wrong(self, problems: Sequence[tuple[Sequence[Step], str]]) -> WrongDocument:
        """The error that names these problems, each given as the steps to it and a message."""
        lines = [f"{self.where(*steps)}: {message}" for steps, message in problems]
        return WrongDocument("\n  ".join(lines))

    def where(self, *steps: Step) -> str:
        """`file:line:column` of the key that `steps` lead to, or of the last one that exists."""
        line, column, value = 1, 1, self.root
        for step in (*self.trail, *steps):
            if isinstance(value, CommentedMap) and step in value:
                line, column = (n + 1 for n in value.lc.key(step))
            elif isinstance(value, CommentedSeq) and isinstance(step, int) and step < len(value):
                line, column = (n + 1 for n in value.lc.item(step))
            else:
                break
            value = value[step]
        return f"{self.path}:{line}:{column}"


class Problems:
    """Gathers what is wrong with the parts of a document, so that all of it is told at once."""

    def __init__(self) -> None:
        self._found: list[WrongDocument] = []

    def attempt(self, read: Callable[[], T]) -> list[T]:
        """What is read, or nothing: then the problem is told by `check`."""
        try:
            return [read()]
        except WrongDocument as problem:
            self.add(problem)
            return []

    def add(self, problem: WrongDocument) -> None:
        """Tell this, too."""
        self._found.append(problem)

    def check(self) -> None:
        """Tell what was found.

        Raises:
            WrongDocument: with all of it.
        """
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise WrongDocument("\n  ".join(map(str, self._found)))


def load(path: Path) -> Document:
    """The document in a file.

    Raises:
        UnreadableFile: it is missing, forbidden, too large or no text.
        WrongDocument: it is no YAML, or uses what is refused here.
    """
    text = read_text(path)
    yaml = YAML(typ="rt", pure=True)
    try:
        for event in yaml.parse(text):
            if problem := _refused(event):
                mark = event.start_mark
                raise WrongDocument(f"{path}:{mark.line + 1}:{mark.column + 1}: {problem}")
        value = yaml.load(text)
    except MarkedYAMLError as error:
        spot = error.problem_mark or error.context_mark
        where = f"{path}:{spot.line + 1}:{spot.column + 1}" if spot else str(path)
        raise WrongDocument(f"{where}: {str(error.problem).splitlines()[0]}") from None
    # What ruamel.yaml lets out for odd scalars and for nesting beyond all reason.
    except (IndexError, KeyError, RecursionError, TypeError) as error:
        raise WrongDocument(f"{path}: it is no YAML ({type(error).__name__})") from None
    except (YAMLError, ValueError) as error:
        raise WrongDocument(f"{path}: {str(error).splitlines()[0]}") from None
    return Document(path, value, (), value)


def read_text(path: Path) -> str:
    """The text of a small file that a person wrote.

    Raises:
        UnreadableFile: it is missing, forbidden, too large or no text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UnreadableFile(f"{str(path)!r} is larger than {MAX_BYTES} bytes")
        return content.decode("utf-8")
    except OSError as error:
        raise UnreadableFile(f"{str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{str(path)!r} is not UTF-8 text (byte {error.start})") from None


def nearest(name: str, known: Mapping[str, object] | Sequence[str]) -> str:
    """What to say of a name that is unknown: the nearest one, or all that there are."""
    names = sorted(known)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean {close[0]!r}?"
    return f"there are: {', '.join(names)}" if names else "there are none"


def _refused(event: object) -> str | None:
    if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
        return "anchors and aliases are not allowed here"
    if isinstance(event, DocumentStartEvent) and event.version not in (None, (1, 2)):
        return "only YAML 1.2 is read"
    if isinstance(event, ScalarEvent) and event.value == "<<" and event.style is None:
        return "merge keys are not allowed here"
    if getattr(event, "tag", None) is not None:
        return "tags are not allowed here"
    return None


def _problems(
    error: ValidationError, model: type[BaseModel]
) -> Iterator[tuple[tuple[Step, ...], str]]:
    for problem in error.errors(include_url=False):
        if problem["loc"][-1:] == ("[key]",):  # it is the name that is wrong
            problem["loc"] = problem["loc"][:-1]
        yield problem["loc"], _message(problem, model)


def _message(problem: ErrorDetails, model: type[BaseModel]) -> str:
    name = problem["loc"][-1] if problem["loc"] else ""
    match problem["type"]:
        case "extra_forbidden":
            known = _fields_at(model, problem["loc"][:-1])
            return f"unknown key {name!r}: {nearest(str(name), known)}"
        case "missing":
            return f"{name!r} is missing"
        case "value_error":
            return str(problem["ctx"]["error"])
        case _:
            return f"{name!r}: {problem['msg'][:1].lower()}{problem['msg'][1:]}"


def _fields_at(model: type[BaseModel], steps: Sequence[Step]) -> list[str]:
    """The keys that are known where `steps` lead, as far as the models' own fields tell."""
    for step in steps:
        if inner := model.model_fields.get(str(step)):  # else an index, or a key of a mapping
            model = next(_models(inner.annotation), model)
    return _all_fields(model)


def _all_fields(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)
