"""A contract: what the data of one type and version of event has to look like."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from triptych.core.domain.event import Event
from triptych.core.domain.json import Json, Violation, pointer
from triptych.core.errors import Kind, TriptychError

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class NotASchema(TriptychError):
    """A contract has to be a JSON Schema, draft 2020-12."""

    kind = Kind.INVALID
    hint = "Mend the schema at the place that is named."


@dataclass(frozen=True)
class Contract:
    """A JSON Schema (2020-12) for the data of one event type, in one version.

    Formats are asserted, and nothing is ever fetched to resolve a reference.

    Raises:
        NotASchema: with the place in the schema that is wrong.
    """

    type: str
    version: int
    schema: Mapping[str, Json]
    _validator: jsonschema_rs.Draft202012Validator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.version < 1:
            raise NotASchema(f"{self.id}: versions count from 1")
        dialect = self.schema.get("$schema", DIALECT)
        if dialect != DIALECT:
            raise NotASchema(f"{self.id}: $schema is {dialect!r}", hint=f"Use {DIALECT!r}.")
        object.__setattr__(self, "_validator", _compile(self.id, dict(self.schema)))

    @property
    def id(self) -> str:
        """What the contract is called in outcomes and logs, such as `shop.invoice/1`."""
        return f"{self.type}/{self.version}"

    @property
    def uri(self) -> str | None:
        """The schema's `$id`: an event chooses this contract by its `dataschema`."""
        uri = self.schema.get("$id")
        return uri if isinstance(uri, str) else None

    def violations(self, event: Event) -> tuple[Violation, ...]:
        """Every rule that the event's data breaks; pointers start at the event."""
        if isinstance(event.data, bytes):
            return (Violation("/data", "type", "the contract asks for JSON, the data is binary"),)
        return tuple(
            Violation(
                pointer("data", *error.instance_path), str(error.schema_path[-1]), error.message
            )
            for error in self._validator.iter_errors(event.data)
        )


def _compile(name: str, schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    try:
        return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, offline=True)
    except jsonschema_rs.ValidationError as error:
        where = pointer(*error.instance_path) or "the schema"
        raise NotASchema(f"{name}: {where}: {error.message}") from None
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise NotASchema(f"{name}: {error}") from None
