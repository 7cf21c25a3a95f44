"""A contract: what the data of one type and version of event has to look like."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

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

    Formats are asserted, and nothing is ever fetched to resolve a reference: what the schema refers
    to is among its `parts`. Data that is no JSON is seen as its Base64 (RFC 4648), by a schema that
    says `"contentEncoding": "base64"`; then `contentMediaType` is what `datacontenttype` has to be.

    Raises:
        NotASchema: with the place in the schema that is wrong.
    """

    type: str
    version: int
    schema: Mapping[str, Json]
    parts: Mapping[str, Mapping[str, Json]] = field(default_factory=dict, repr=False)
    """Other schemas, by their URIs."""
    _validator: jsonschema_rs.Draft202012Validator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.version < 1:
            raise NotASchema(f"{self.id}: versions count from 1")
        dialect = self.schema.get("$schema", DIALECT)
        if dialect != DIALECT:
            raise NotASchema(f"{self.id}: $schema is {dialect!r}", hint=f"Use {DIALECT!r}.")
        object.__setattr__(self, "_validator", _compile(self))

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
        data = event.data
        if isinstance(data, bytes):
            if wrong := self._not_binary(event):
                return (wrong,)
            data = base64.b64encode(data).decode()
        if self._validator.is_valid(data):
            return ()
        return tuple(
            Violation(
                pointer("data", *error.instance_path),
                str(error.schema_path[-1]),
                _short(error.message),
            )
            for error in self._validator.iter_errors(data)
        )

    def _not_binary(self, event: Event) -> Violation | None:
        """What is wrong with data that is no JSON, before it is looked at."""
        if self.schema.get("contentEncoding") != "base64":
            return Violation("/data", "type", "the contract asks for JSON, the data is binary")
        wanted = self.schema.get("contentMediaType")
        if wanted is not None and event.datacontenttype != wanted:
            message = f"the contract asks for {wanted}, the data is {event.datacontenttype}"
            return Violation("/datacontenttype", "contentMediaType", message)
        return None


_LONGEST: Final = 500  # characters of a message: it repeats the value


def _short(message: str) -> str:
    return message if len(message) <= _LONGEST else f"{message[:_LONGEST]}…"


# Patterns may look ahead, as JSON Schema's may (ECMA-262), and no text makes them go on for ever.
_PATTERNS: Final = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000)


def _compile(contract: Contract) -> jsonschema_rs.Draft202012Validator:
    name = contract.id
    parts = [(uri, dict(schema)) for uri, schema in contract.parts.items()]
    try:
        return jsonschema_rs.Draft202012Validator(
            dict(contract.schema),
            validate_formats=True,
            offline=True,
            registry=jsonschema_rs.Registry(parts, draft=jsonschema_rs.Draft202012),
            pattern_options=_PATTERNS,
        )
    except jsonschema_rs.ValidationError as error:
        where = pointer(*error.instance_path) or "the schema"
        raise NotASchema(f"{name}: {where}: {error.message}") from None
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise NotASchema(f"{name}: {error}") from None
