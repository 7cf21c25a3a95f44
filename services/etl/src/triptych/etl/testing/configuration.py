"""What every plugin promises of its configuration, whatever its kind."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.fields import FieldInfo

_UNKNOWN = "no_plugin_has_this_field"


class Conformance:
    """The tests that each plugin's author inherits: see the class for the plugin's kind."""

    plugin: ClassVar[type[BaseModel]]
    """What the entry point names."""
    configuration: ClassVar[Mapping[str, Any]] = {}
    """A configuration of it, as a pipeline's file says it."""
    environment: ClassVar[Mapping[str, str]] = {}
    """The variables that the configuration refers to, those that hold secrets aside."""
    secrets: ClassVar[Mapping[str, str]] = {}
    """The variables that hold secrets."""

    def configured(self, **changes: Any) -> Any:
        """The plugin, with some fields of its configuration changed."""
        context = {"environment": {**self.environment, **self.secrets}}
        return self.plugin.model_validate({**self.configuration, **changes}, context=context)

    def test_an_unknown_field_is_refused(self) -> None:
        try:
            self.configured(**{_UNKNOWN: 1})
        except ValidationError as error:
            if any(problem["type"] == "extra_forbidden" for problem in error.errors()):
                return
        pytest.fail(
            "a field that it does not know is not refused, so a slip of the pen goes unnoticed:"
            " derive it from triptych.core.documents.Part, or set extra='forbid'"
        )

    def test_it_cannot_be_changed(self) -> None:
        if not self.plugin.model_config.get("frozen"):
            pytest.fail("it can be changed while it runs: set frozen=True, as Part does")

    def test_its_docstring_says_what_it_does(self) -> None:
        if not (self.plugin.__doc__ or "").strip().partition("\n")[0].endswith("."):
            pytest.fail("its docstring does not begin with a sentence, which `etl plugins` shows")

    def test_it_has_a_json_schema(self) -> None:
        try:
            self.plugin.model_json_schema()
        except PydanticInvalidForJsonSchema as error:
            pytest.fail(f"no JSON Schema can be made of it ({error}): see WithJsonSchema")

    def test_its_examples_are_valid(self) -> None:
        for name, field in self.plugin.model_fields.items():
            kind: TypeAdapter[Any] = TypeAdapter(_type(field))
            for example in field.examples or ():
                try:
                    kind.validate_python(example, context={"environment": _Everything()})
                except ValidationError as error:
                    pytest.fail(f"the example {example!r} of {name!r} is refused: {error}")

    def test_no_secret_is_shown(self) -> None:
        shown = repr(self.configured())
        for name, secret in self.secrets.items():
            if secret in shown:
                pytest.fail(f"repr() shows what {name} holds: make its field a Secret")


def _type(field: FieldInfo) -> Any:
    """A field's type, with what its values have to keep."""
    parts = (field.annotation, *field.metadata)
    return Annotated[parts] if field.metadata else field.annotation


class _Everything(dict[str, str]):
    """An environment in which every variable is set."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return f"what {name} holds"
