"""Configuration from the environment, with an explicit schema.

What wins, first to last: the environment; a file that `VARIABLE_FILE` names; `.env` in the working
folder (for a developer's machine only); a directory of secrets; a cloud's secret manager; the
default. Every variable begins with `TRIPTYCH_`, sections are joined with `__`.
"""

import os
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    AWSSecretsManagerSettingsSource,
    AzureKeyVaultSettingsSource,
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    GoogleSecretManagerSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from triptych.core.errors import Kind, TriptychError

PREFIX = "TRIPTYCH_"
DELIMITER = "__"
SECRETS_DIR = f"{PREFIX}SECRETS_DIR"
"""Names a folder with a file per secret, each called like the variable that it stands for."""
SECRETS_FROM = f"{PREFIX}SECRETS_FROM"
"""Switches on a cloud's secret manager: `aws`, `azure` or `gcp`."""
SECRETS_IN = f"{PREFIX}SECRETS_IN"
"""Where in that cloud: the secret's id (AWS), the vault's URL (Azure) or the project (Google)."""


class WrongConfiguration(TriptychError):
    """The configuration is wrong"""

    kind = Kind.INVALID
    hint = "To see every setting: triptych config explain SERVICE."


class Section(BaseModel):
    """A group of settings that share a prefix. An unknown name in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class LogSettings(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error", "critical"] = Field(
        default="info", description="The least serious level that is logged.", examples=["debug"]
    )
    format: Literal["auto", "json", "console"] = Field(
        default="auto",
        description="`json` lines or a readable `console`; `auto` asks if there is a terminal.",
        examples=["json"],
    )


class Settings(BaseSettings):
    """The base of every service's settings. Build it at the entry point with `load`, pass it on."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",  # services share one environment, and each reads its own part of it
        frozen=True,
        hide_input_in_errors=True,
    )

    log: LogSettings = LogSettings()

    @classmethod
    def load(cls) -> Self:
        """The settings that the environment gives.

        Raises:
            WrongConfiguration: one message with every problem; it never shows a value.
        """
        try:
            return cls()
        except ValidationError as error:
            lines = sorted(set(_problems(cls, error)))
        except SettingsError as error:
            lines = [str(error)]
        except Exception as error:  # noqa: BLE001  # what nobody foresaw is raised again
            lines = [_foreseen(error)]
        raise WrongConfiguration("".join(f"\n  {line}" for line in lines) + "\n")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, *_sources(settings_cls).values()


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, for a person to read."""

    variable: str
    type: str
    default: str
    source: str
    """Where its present value comes from; never the value itself."""
    meaning: str
    example: str


def explain(settings: type[Settings]) -> list[Setting]:
    """Every setting of a service, in the order of their declaration.

    Raises:
        WrongConfiguration: a source of secrets that is switched on cannot be read.
    """
    try:
        found = {name: source() for name, source in _sources(settings).items()}
    except SettingsError as error:
        raise WrongConfiguration(str(error)) from None
    except Exception as error:  # noqa: BLE001  # what nobody foresaw is raised again
        raise WrongConfiguration(_foreseen(error)) from None
    return [
        Setting(
            variable=_variable(path),
            type=_type_name(field.annotation),
            default=_default(field),
            source=next((name for name, values in found.items() if _has(values, path)), "default"),
            meaning=field.description or "",
            example=_example(field),
        )
        for path, field in _leaves(settings)
    ]


class _FromEnvironment(EnvSettingsSource):
    """The environment, without the variables that name files."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        found = super()._load_env_vars()
        return {name: value for name, value in found.items() if not name.endswith("_file")}


class _FromFiles(EnvSettingsSource):
    """`VARIABLE_FILE=path` gives VARIABLE the content of a file, as Docker's secrets do."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {
            name.lower().removesuffix("_file"): _read_secret(name, Path(path))
            for name, path in os.environ.items()
            if name.upper().startswith(PREFIX) and name.upper().endswith("_FILE") and path
        }


def _foreseen(error: Exception) -> str:
    """What to say of an error that a source raised; one that nobody foresaw is raised again."""
    if isinstance(error, UnicodeDecodeError):
        return f".env, or a file in {SECRETS_DIR}, is not UTF-8 text (byte {error.start})"
    if isinstance(error, OSError) and error.filename:
        return f"cannot read {error.filename!r}: {error.strerror}"
    # A cloud's client raises errors of its own: no network, no credentials, no such secret.
    if cloud := os.environ.get(SECRETS_FROM):
        return f"{SECRETS_FROM}={cloud}: {type(error).__name__}: {error}"
    raise error


def _read_secret(variable: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"{variable}: cannot read {str(path)!r}: {reason}") from None


def _sources(settings: type[BaseSettings]) -> dict[str, PydanticBaseSettingsSource]:
    """Where values come from, by name, the strongest first."""
    sources: dict[str, PydanticBaseSettingsSource] = {
        "environment": _FromEnvironment(settings),
        "file": _FromFiles(settings),
        ".env": DotEnvSettingsSource(settings),
    }
    if folder := os.environ.get(SECRETS_DIR):
        sources["secrets directory"] = NestedSecretsSettingsSource(
            settings,  # type: ignore[arg-type]  # it takes the class too, for compatibility
            secrets_dir=folder,
            secrets_dir_missing="error",
            secrets_prefix=PREFIX,
            secrets_nested_delimiter=DELIMITER,
        )
    if cloud := os.environ.get(SECRETS_FROM):
        sources[cloud] = _cloud(settings, cloud, os.environ.get(SECRETS_IN, ""))
    return sources


def _cloud(settings: type[BaseSettings], cloud: str, place: str) -> PydanticBaseSettingsSource:
    if not place:
        raise SettingsError(f"{SECRETS_IN} is missing: it says where in {cloud!r} the secrets are")
    try:
        match cloud:
            case "aws":
                return AWSSecretsManagerSettingsSource(
                    settings, place, case_sensitive=False, env_nested_delimiter=DELIMITER
                )
            case "azure":
                from azure.identity import DefaultAzureCredential  # noqa: PLC0415

                return AzureKeyVaultSettingsSource(
                    settings, place, DefaultAzureCredential(), dash_to_underscore=True
                )
            case "gcp":
                return GoogleSecretManagerSettingsSource(
                    settings, project_id=place, case_sensitive=False
                )
            case _:
                raise SettingsError(f"{SECRETS_FROM}: {cloud!r} is none of aws, azure, gcp")
    except ImportError:
        message = f"{SECRETS_FROM}={cloud} needs an extra: pip install 'triptych-core[{cloud}]'"
        raise SettingsError(message) from None


Path_ = tuple[str, ...]


def _leaves(model: type[BaseModel], above: Path_ = ()) -> Iterator[tuple[Path_, FieldInfo]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _leaves(inner, (*above, name))
        else:
            yield (*above, name), field


def _problems(settings: type[Settings], error: ValidationError) -> Iterator[str]:
    fields = dict(_leaves(settings))
    for problem in error.errors(include_input=False, include_url=False):
        path = tuple(str(step) for step in problem["loc"])
        field = fields.get(path)
        example = f"; for example {_variable(path)}={_example(field)}" if field else ""
        yield f"{_variable(path)}: {problem['msg'].lower()}{example}"


def _variable(path: Path_) -> str:
    return PREFIX + DELIMITER.join(path).upper()


def _has(values: object, path: Path_) -> bool:
    for step in path:
        if not isinstance(values, Mapping) or step not in values:
            return False
        values = values[step]
    return True


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "(secret)" if isinstance(value, SecretStr) else "(none)" if value is None else str(value)


def _example(field: FieldInfo) -> str:
    return str(field.examples[0]) if field.examples else _default(field)


_UNIONS: tuple[object, ...] = (Union, types.UnionType)


def _type_name(annotation: object) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(map(str, arguments))
    if origin in _UNIONS:
        return " or ".join(_type_name(a) for a in arguments if a is not type(None))
    names: dict[object, str] = {SecretStr: "secret text", str: "text", Path: "path"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))
