"""Where settings come from, and what is said when they are wrong."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pydantic import BaseModel, Field, SecretStr, ValidationError

from triptych.core.config import (
    LogSettings,
    Section,
    Setting,
    Settings,
    WrongConfiguration,
    explain,
)

CANARY = "canary-7f3a9c"


class Till(Section):
    """A section of a shop's settings."""

    coins: int = Field(default=50, ge=0, description="How many coins.", examples=[10])
    key: SecretStr = Field(default=SecretStr("none"), description="What opens it.", examples=["k"])


class Shop(Settings):
    """The settings of a shop."""

    name: str = Field(default="default", description="What it is called.", examples=["Corner"])
    shelves: int = Field(default=3, ge=1, description="How many shelves.", examples=[5])
    safe: SecretStr | None = Field(default=None, description="What opens the safe.")
    books: list[int] = Field(default=[], description="What is for sale.")
    cellar: Path | None = Field(default=None, description="Where the stock is.")
    till: Till = Till()


class Bakery(Settings):
    """Settings with one that has no default."""

    oven: int = Field(description="How hot.", examples=[220])


class Unreachable(Exception):
    """What the client of a cloud raises: a class that only it knows."""


class Stormy(Settings):
    """Settings whose cloud cannot be reached."""

    @classmethod
    def settings_customise_sources(cls, *sources: Any, **more: Any) -> NoReturn:
        raise Unreachable("no route to the vault")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without a `.env`, in an environment without our variables."""
    for name in os.environ:
        if name.upper().startswith("TRIPTYCH_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of secrets that is switched on."""
    directory = folder / "secrets"
    directory.mkdir()
    monkeypatch.setenv("TRIPTYCH_SECRETS_DIR", str(directory))
    return directory


def problems(settings: type[Settings]) -> str:
    """What is said of settings that are wrong."""
    with pytest.raises(WrongConfiguration) as error:
        settings.load()
    return str(error.value)


def explained(settings: type[Settings]) -> dict[str, Setting]:
    return {setting.variable: setting for setting in explain(settings)}


# Where a value comes from, the strongest source first.


def from_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_NAME", "environment")


def from_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "name.txt").write_text("file\n", encoding="utf-8")
    monkeypatch.setenv("TRIPTYCH_NAME_FILE", "name.txt")


def from_dotenv(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("TRIPTYCH_NAME=.env\n", encoding="utf-8")


def from_secrets_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "secrets").mkdir()
    (folder / "secrets" / "TRIPTYCH_NAME").write_text("secrets directory\n", encoding="utf-8")
    monkeypatch.setenv("TRIPTYCH_SECRETS_DIR", "secrets")


def from_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pass


SOURCES: list[tuple[str, Callable[[Path, pytest.MonkeyPatch], None]]] = [
    ("environment", from_environment),
    ("file", from_file),
    (".env", from_dotenv),
    ("secrets directory", from_secrets_directory),
    ("default", from_default),
]


@pytest.mark.parametrize("place", range(len(SOURCES)), ids=[name for name, _ in SOURCES])
def test_a_stronger_source_wins_over_all_that_are_weaker(
    place: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _, put in SOURCES[place:]:
        put(folder, monkeypatch)

    strongest = SOURCES[place][0]
    assert Shop.load().name == strongest
    assert explained(Shop)["TRIPTYCH_NAME"].source == strongest


def test_sources_complete_each_other_within_a_section(
    secrets: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (secrets / "TRIPTYCH_TILL__KEY").write_text("open sesame\n", encoding="utf-8")
    (folder / ".env").write_text("TRIPTYCH_LOG__FORMAT=json\n", encoding="utf-8")
    monkeypatch.setenv("TRIPTYCH_TILL__COINS", "7")
    monkeypatch.setenv("TRIPTYCH_LOG__LEVEL", "debug")

    shop = Shop.load()

    assert shop.till.coins == 7
    assert shop.till.key.get_secret_value() == "open sesame"
    assert shop.log == LogSettings(level="debug", format="json")


def test_a_section_may_come_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_TILL", json.dumps({"coins": 7}))

    assert Shop.load().till.coins == 7


def test_a_file_holds_the_value_without_the_line_break_at_its_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "safe").write_text("open sesame\n", encoding="utf-8")
    monkeypatch.setenv("TRIPTYCH_SAFE_FILE", str(folder / "safe"))

    safe = Shop.load().safe

    assert safe is not None
    assert safe.get_secret_value() == "open sesame"


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_SHELVES", "")

    assert Shop.load().shelves == 3


def test_the_case_of_a_variable_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("triptych_shelves", "7")

    assert Shop.load().shelves == 7


def test_variables_of_other_services_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_FLORIST__ROSES", "7")

    assert Shop.load() == Shop()


def test_settings_do_not_change() -> None:
    shop = Shop.load()

    with pytest.raises(ValidationError):
        shop.shelves = 7
    with pytest.raises(ValidationError):
        shop.till.coins = 7


def test_settings_print_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_SAFE", CANARY)
    monkeypatch.setenv("TRIPTYCH_TILL__KEY", CANARY)

    shop = Shop.load()

    assert CANARY not in f"{shop!r} {shop} {shop.model_dump()} {shop.model_dump_json()}"


# What is wrong.


def test_every_problem_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_SHELVES", "0")
    monkeypatch.setenv("TRIPTYCH_TILL__COINS", "many")
    monkeypatch.setenv("TRIPTYCH_TILL__BANKNOTES", "7")
    monkeypatch.setenv("TRIPTYCH_LOG__LEVEL", "loud")

    found = problems(Shop)

    assert [line.split(":")[0].strip() for line in found.strip().splitlines()] == [
        "TRIPTYCH_LOG__LEVEL",
        "TRIPTYCH_SHELVES",
        "TRIPTYCH_TILL__BANKNOTES",
        "TRIPTYCH_TILL__COINS",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "problem", "example"),
    [
        ("TRIPTYCH_SHELVES", "many", "valid integer", "TRIPTYCH_SHELVES=5"),
        ("TRIPTYCH_SHELVES", "0", "greater than or equal to 1", "TRIPTYCH_SHELVES=5"),
        ("TRIPTYCH_TILL__COINS", "-1", "greater than or equal to 0", "TRIPTYCH_TILL__COINS=10"),
        ("TRIPTYCH_LOG__LEVEL", "loud", "'debug', 'info'", "TRIPTYCH_LOG__LEVEL=debug"),
        ("TRIPTYCH_LOG__FORMAT", "xml", "'json' or 'console'", "TRIPTYCH_LOG__FORMAT=json"),
    ],
)
def test_a_problem_names_the_variable_what_is_wrong_and_an_example(
    variable: str, value: str, problem: str, example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    found = problems(Shop)

    assert f"{variable}: " in found
    assert problem in found
    assert f"for example {example}" in found


def test_a_setting_without_a_default_has_to_be_given() -> None:
    assert "TRIPTYCH_OVEN: field required; for example TRIPTYCH_OVEN=220" in problems(Bakery)


def test_a_name_that_a_section_does_not_know_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_TILL__COIN", "7")

    assert "TRIPTYCH_TILL__COIN: extra inputs are not permitted" in problems(Shop)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TRIPTYCH_SHELVES", CANARY),
        ("TRIPTYCH_TILL__COINS", CANARY),
        ("TRIPTYCH_TILL__UNKNOWN", CANARY),
        ("TRIPTYCH_TILL", f'{{"coins": "{CANARY}"'),
        ("TRIPTYCH_TILL", f'{{"key": {{"{CANARY}": 1}}}}'),
        ("TRIPTYCH_BOOKS", CANARY),
        ("TRIPTYCH_BOOKS", f'["{CANARY}"]'),
        ("TRIPTYCH_LOG__LEVEL", CANARY),
    ],
)
def test_a_problem_never_shows_the_value(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPTYCH_SAFE", CANARY)
    monkeypatch.setenv(variable, value)

    with pytest.raises(WrongConfiguration) as error:
        Shop.load()

    assert CANARY not in error.value.sentence
    assert error.value.__cause__ is None
    assert error.value.__context__ is None  # so that a traceback does not show it either


@pytest.mark.parametrize("model", [Shop, Till])
def test_an_error_of_pydantics_own_does_not_show_it_either(model: type[BaseModel]) -> None:
    with pytest.raises(ValidationError) as error:
        model.model_validate({"shelves": CANARY, "coins": CANARY})

    assert CANARY not in str(error.value)


@pytest.mark.parametrize("put", ["nothing", "a folder", "no text"])
def test_a_file_that_cannot_be_read_is_a_problem(
    put: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "name.txt"
    if put == "a folder":
        path.mkdir()
    if put == "no text":
        path.write_bytes(b"\xff\xfe")
    monkeypatch.setenv("TRIPTYCH_NAME_FILE", str(path))

    assert f"TRIPTYCH_NAME_FILE: cannot read {str(path)!r}: " in problems(Shop)


def test_a_directory_of_secrets_that_is_missing_is_a_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPTYCH_SECRETS_DIR", str(folder / "nowhere"))

    assert str(folder / "nowhere") in problems(Shop)


def test_a_name_in_the_directory_of_secrets_that_a_section_does_not_know_is_a_problem(
    secrets: Path,
) -> None:
    (secrets / "TRIPTYCH_TILL__UNKNOWN").write_text(CANARY, encoding="utf-8")

    found = problems(Shop)

    assert "TRIPTYCH_TILL__UNKNOWN: " in found
    assert CANARY not in found


# Secrets from a cloud.


def test_a_cloud_that_is_unknown_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_SECRETS_FROM", "moon")
    monkeypatch.setenv("TRIPTYCH_SECRETS_IN", "crater")

    assert "TRIPTYCH_SECRETS_FROM: 'moon' is none of aws, azure, gcp" in problems(Shop)


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_a_cloud_without_a_place_in_it_is_a_problem(
    cloud: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPTYCH_SECRETS_FROM", cloud)

    assert "TRIPTYCH_SECRETS_IN is missing" in problems(Shop)


@pytest.mark.parametrize("ask", [Shop.load, lambda: explain(Shop)], ids=["load", "explain"])
@pytest.mark.parametrize(
    ("cloud", "library"), [("aws", "boto3"), ("azure", "azure.identity"), ("gcp", "google.auth")]
)
def test_a_missing_extra_is_a_problem_that_names_how_to_install_it(
    cloud: str,
    library: str,
    ask: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, library, None)  # as if it were not installed
    monkeypatch.setenv("TRIPTYCH_SECRETS_FROM", cloud)
    monkeypatch.setenv("TRIPTYCH_SECRETS_IN", "somewhere")

    with pytest.raises(WrongConfiguration) as error:
        ask()

    assert f"pip install 'triptych-core[{cloud}]'" in str(error.value)


def test_an_error_of_a_clouds_own_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_SECRETS_FROM", "aws")

    found = problems(Stormy)

    assert "TRIPTYCH_SECRETS_FROM=aws: Unreachable: no route to the vault" in found


def test_without_a_cloud_an_error_that_nobody_foresaw_passes_through() -> None:
    with pytest.raises(Unreachable):
        Stormy.load()


# Settings, explained.


def test_every_setting_is_explained_in_the_order_of_its_declaration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRIPTYCH_TILL__COINS", "7")

    assert explain(Shop)[2:] == [
        Setting("TRIPTYCH_NAME", "text", "default", "default", "What it is called.", "Corner"),
        Setting("TRIPTYCH_SHELVES", "int", "3", "default", "How many shelves.", "5"),
        Setting(
            "TRIPTYCH_SAFE", "secret text", "(none)", "default", "What opens the safe.", "(none)"
        ),
        Setting("TRIPTYCH_BOOKS", "list", "[]", "default", "What is for sale.", "[]"),
        Setting("TRIPTYCH_CELLAR", "path", "(none)", "default", "Where the stock is.", "(none)"),
        Setting("TRIPTYCH_TILL__COINS", "int", "50", "environment", "How many coins.", "10"),
        Setting("TRIPTYCH_TILL__KEY", "secret text", "(secret)", "default", "What opens it.", "k"),
    ]


def test_every_service_has_the_settings_of_logging() -> None:
    explained_ = explained(Shop)

    assert explained_["TRIPTYCH_LOG__LEVEL"].default == "info"
    assert explained_["TRIPTYCH_LOG__FORMAT"].type == "auto, json, console"


def test_a_setting_without_a_default_is_explained_as_required() -> None:
    assert explained(Bakery)["TRIPTYCH_OVEN"].default == "(required)"


def test_settings_that_are_wrong_can_be_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_SHELVES", "many")

    assert explained(Shop)["TRIPTYCH_SHELVES"].source == "environment"


def test_an_explanation_shows_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NAME", "SHELVES", "SAFE", "CELLAR", "TILL__COINS", "TILL__KEY"):
        monkeypatch.setenv(f"TRIPTYCH_{variable}", CANARY)

    assert CANARY not in repr(explain(Shop))


def test_an_unreadable_file_leaves_nothing_to_explain(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPTYCH_NAME_FILE", str(folder / "nowhere"))

    with pytest.raises(WrongConfiguration, match="TRIPTYCH_NAME_FILE: cannot read"):
        explain(Shop)


def test_a_secret_of_a_section_may_come_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    path.write_text("s3cret\n")
    monkeypatch.setenv("TRIPTYCH_TILL__KEY_FILE", str(path))

    assert Shop.load().till.key.get_secret_value() == "s3cret"


def test_a_dotenv_that_is_no_text_is_a_problem(tmp_path: Path) -> None:
    Path(".env").write_bytes(b"\xff")

    with pytest.raises(WrongConfiguration, match="UTF-8"):
        Shop.load()
