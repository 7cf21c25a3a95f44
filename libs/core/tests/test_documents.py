"""YAML that is exactly what it looks like, and errors that name the place."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, field_validator

from triptych.core.documents import (
    MAX_BYTES,
    Document,
    Part,
    UnreadableFile,
    WrongDocument,
    load,
    nearest,
    read_text,
)
from triptych.core.errors import TriptychError


class Lamp(Part):
    """A part that is chosen by its kind."""

    kind: Literal["lamp"]
    watts: int


class Chair(Part):
    """Another one."""

    kind: Literal["chair"]
    colour: str


class Shelf(Part):
    """A part with parts of its own."""

    label: str
    height: int = 0
    from_: str = Field(default="", alias="from")


class Room(Part):
    """What a document is read into."""

    name: str
    shelves: list[Shelf] = Field(default=[])
    corners: dict[str, Shelf] = Field(default={})
    things: list[Annotated[Lamp | Chair, Field(discriminator="kind")]] = Field(default=[])

    @field_validator("name")
    @classmethod
    def _is_no_secret(cls, name: str) -> str:
        if name == "secret":
            raise ValueError("a room has a name that everybody may know")
        return name


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the document of the test lies."""
    return tmp_path / "room.yaml"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that the examples of hypothesis write one after the other."""
    return tmp_path_factory.mktemp("documents") / "any.yaml"


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path: Path, text: str) -> str:
    """What is said of a document that cannot be loaded."""
    with pytest.raises(WrongDocument) as error:
        load(written(path, text))
    return str(error.value)


def problems(path: Path, text: str) -> list[str]:
    """What is said of a document that can be loaded, but is no room."""
    document = load(written(path, text))
    with pytest.raises(WrongDocument) as error:
        document.to(Room)
    return [line.strip() for line in str(error.value).splitlines()]


def read(path: Path) -> TriptychError | None:
    """The error of reading a room, if there is one; any other exception is a bug."""
    try:
        load(path).to(Room)
    except TriptychError as error:
        return error
    return None


def test_a_document_is_read_into_a_model(path: Path) -> None:
    text = """
        name: Library
        shelves:
          - label: History
            height: 3
          - {label: Maps, from: attic}
    """

    room = load(written(path, text)).to(Room)

    assert room == Room(
        name="Library",
        shelves=[
            Shelf(label="History", height=3),
            Shelf.model_validate({"label": "Maps", "from": "attic"}),
        ],
    )


# YAML 1.2, core schema.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("true", True),
        ("010", 10),
        ("0o10", 8),
        ("1e3", 1000.0),
        ("'1'", "1"),
        ("~", None),
        ("2030-01-01", date(2030, 1, 1)),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(path: Path, text: str, value: object) -> None:
    document = load(written(path, f"value: {text}"))

    assert document.value["value"] == value


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "---\n"])
def test_an_empty_document_holds_nothing(path: Path, text: str) -> None:
    assert load(written(path, text)).value is None


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("a: &x 1\n", "1:4", "anchors and aliases are not allowed here"),
        ("a: 1\nb: *x\n", "2:4", "anchors and aliases are not allowed here"),
        ("a: 1\nb:\n  - !!str 2\n", "3:5", "tags are not allowed here"),
        ("a: !!python/object:os.system {}\n", "1:4", "tags are not allowed here"),
        ("a: ! 1\n", "1:4", "tags are not allowed here"),
        ("a: 1\nb: 2\na: 3\n", "3:1", 'found duplicate key "a"'),
        ("a:\n  b: 1\n  b: 2\n", "3:3", 'found duplicate key "b"'),
        ("a: 1\n---\nb: 2\n", "2:1", "found another document"),
        ("a: [1, 2\n", "2:1", "expected"),
        ("a: 'b\n", "2:1", "found unexpected end of stream"),
        ("a:\n\t- b\n", "2:1", "cannot start any token"),
        ("a: 1\n b: 2\n", "2:3", "not allowed here"),
    ],
)
def test_what_is_refused_is_named_with_its_line_and_column(
    path: Path, text: str, place: str, problem: str
) -> None:
    message = refusal(path, text)

    assert message.startswith(f"{path}:{place}: ")
    assert problem in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["a: \x00\n", "a: b\x07\n", "a: 2030-13-01\n"], ids=ascii)
def test_what_has_no_place_is_named_with_its_file(path: Path, text: str) -> None:
    assert refusal(path, text).startswith(f"{path}: ")


def test_a_bomb_of_aliases_does_not_go_off(path: Path) -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 64)]

    assert "anchors and aliases" in refusal(path, "\n".join(lines))


def test_a_file_that_is_too_large_is_refused(path: Path) -> None:
    written(path, "#" * (MAX_BYTES + 1))

    with pytest.raises(UnreadableFile, match=f"larger than {MAX_BYTES} bytes"):
        load(path)


def test_a_file_of_just_the_size_is_read(path: Path) -> None:
    written(path, "#" * MAX_BYTES)

    assert len(read_text(path)) == MAX_BYTES


def test_text_that_is_not_utf_8_is_refused_with_the_place(path: Path) -> None:
    written(path, "name: Bücherei".encode("latin-1"))

    with pytest.raises(UnreadableFile, match=r"room\.yaml' is not UTF-8 text \(byte 7\)"):
        load(path)


def test_a_file_that_is_missing_is_named(path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"room\.yaml': No such file"):
        load(path)


def test_a_folder_is_no_document(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="directory"):
        load(tmp_path)


@given(st.lists(st.sampled_from([*"-: \n[]{},&*!|>'\"%#a1~.", "- ", ": ", "\n  "]), max_size=12))
def test_any_punctuation_is_a_document_or_says_why_not(shared: Path, pieces: list[str]) -> None:
    outcome = read(written(shared, "".join(pieces)))

    assert outcome is None or str(shared) in str(outcome)


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("nmae: Library\nname: Hall\n", "1:1", "unknown key 'nmae': did you mean 'name'?"),
        ("name: Hall\n\nxyz: 1\n", "3:1", "unknown key 'xyz': there are: corners, name, shelves"),
        ("shelves: []\n", "1:1", "'name' is missing"),
        ("name: 5\n", "1:1", "'name': input should be a valid string"),
        ("name: secret\n", "1:1", "a room has a name that everybody may know"),
        (
            "name: Hall\nshelves:\n  - label: Maps\n    height: tall\n",
            "4:5",
            "'height': input should be a valid integer",
        ),
        ("name: Hall\nshelves:\n  - label: Maps\n  - {}\n", "4:5", "'label' is missing"),
        (
            "name: Hall\nshelves: [{label: a, form: attic}]\n",
            "2:22",
            "unknown key 'form': did you mean 'from'?",
        ),
        (
            "name: Hall\ncorners:\n  north:\n    label: a\n    lable: b\n",
            "5:5",
            "unknown key 'lable': did you mean 'label'?",
        ),
        ("name: Hall\nshelves: 5\n", "2:1", "'shelves': input should be a valid list"),
    ],
)
def test_a_problem_is_named_with_its_line_and_column(
    path: Path, text: str, place: str, problem: str
) -> None:
    (only,) = problems(path, text)

    assert only.startswith(f"{path}:{place}: {problem}")


def test_every_problem_of_a_document_is_named_at_once(path: Path) -> None:
    found = problems(path, "nam: Hall\nshelves:\n  - height: tall\n    depth: 1\n")

    assert sorted(line.removeprefix(f"{path}:").split(": ")[0] for line in found) == [
        "1:1",  # no name
        "1:1",  # but a nam
        "3:5",  # no label
        "3:5",  # a height that is no number
        "4:5",  # a depth
    ]


@pytest.mark.parametrize("text", ["", "- Library\n", "Library\n"])
def test_a_document_of_another_shape_is_refused(path: Path, text: str) -> None:
    (only,) = problems(path, text)

    assert only.startswith(f"{path}:1:1: ")
    assert "valid dictionary" in only


def test_a_choice_that_does_not_exist_names_those_that_do(path: Path) -> None:
    (only,) = problems(path, "name: Hall\nthings:\n  - kind: table\n")

    assert only.startswith(f"{path}:3:5: ")
    assert "'lamp', 'chair'" in only


def test_a_part_of_a_document_knows_its_place_in_the_file(path: Path) -> None:
    text = "name: Hall\nshelves:\n  - label: Maps\n  - label: History\n    height: tall\n"
    shelf = load(written(path, text)).at("shelves").at(1)

    with pytest.raises(WrongDocument) as error:
        shelf.to(Shelf)

    assert shelf.value == {"label": "History", "height": "tall"}
    assert str(error.value).startswith(f"{path}:5:5: 'height': ")


@pytest.mark.parametrize(
    ("steps", "place"),
    [
        ([], "1:1"),
        (["name"], "1:1"),
        (["shelves"], "2:1"),
        (["shelves", 0], "3:5"),
        (["shelves", 0, "label"], "3:5"),
        (["shelves", 0, "height"], "4:5"),
        (["shelves", 0, "depth"], "3:5"),
        (["shelves", 7, "label"], "2:1"),
        (["cellar", "shelves"], "1:1"),
    ],
    ids=str,
)
def test_a_place_is_that_of_the_last_key_that_exists(
    path: Path, steps: list[str | int], place: str
) -> None:
    document = load(written(path, "name: Hall\nshelves:\n  - label: Maps\n    height: 3\n"))

    assert document.where(*steps) == f"{path}:{place}"


def test_problems_that_only_a_caller_can_see_are_named_the_same_way(path: Path) -> None:
    document = load(written(path, "name: Hall\nshelves:\n  - label: Maps\n"))

    error = document.wrong([(["name"], "is taken"), (["shelves", 0, "label"], "is torn")])

    assert [line.strip() for line in str(error).splitlines()] == [
        f"{path}:1:1: is taken",
        f"{path}:3:5: is torn",
    ]


def test_a_document_has_its_path_and_value() -> None:
    value: Any = {"name": "Hall"}

    assert Document(Path("room.yaml"), value).at("name").value == "Hall"


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("nmae", ["name", "shelves"], "did you mean 'name'?"),
        ("colour", ["name", "shelves"], "there are: name, shelves"),
        ("b", {"shelves": 1, "name": 2}, "there are: name, shelves"),
        ("name", [], "there are none"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_with_all(
    name: str, known: list[str] | dict[str, object], said: str
) -> None:
    assert nearest(name, known) == said


@given(st.binary() | st.text().map(str.encode))
def test_any_file_is_a_document_or_says_why_not(shared: Path, content: bytes) -> None:
    outcome = read(written(shared, content))

    assert outcome is None or str(shared) in str(outcome)


@pytest.mark.parametrize("text", ["+_", "a: 0x_", "?\n- :", "- " * 2000, "%YAML 1.1\n---\na: NO"])
def test_what_the_parser_stumbles_over_is_no_document(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)

    with pytest.raises(WrongDocument, match=r"odd\.yaml"):
        load(path)


def test_merge_keys_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text("<<: {a: x}\nb: 2\n")

    with pytest.raises(WrongDocument, match=r"merged\.yaml:1:1"):
        load(path)
