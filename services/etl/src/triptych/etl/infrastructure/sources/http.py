"""The source `http`: the pages of a JSON API.

Every page is remembered as it arrives, with how to ask for the next: that is the checkpoint. A run
that dies goes on with the page after it, no page is asked for twice, and rows that are read again,
by another output or after a crash, are the ones that were read before, whatever the server says now.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, Self, TypeAlias, cast

import httpx2
import orjson
import pyarrow as pa
from pydantic import Field, SecretStr, model_validator
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.application.ports import Batches, QueryFailed, Reading
from triptych.etl.domain.members import MemberColumns, Members, is_object
from triptych.etl.domain.plugins import Rule
from triptych.etl.domain.relation import Relation, column
from triptych.etl.domain.secrets import FromEnvironment, Hidden, Secret
from triptych.etl.infrastructure.web import Browser, Refused

_RECORD: Final = "record"
_SCHEMA: Final = pa.schema({_RECORD: pa.string()})
_POINTER: Final = r"^(/[^/]+)*$"

Page: TypeAlias = dict[str, Any]
"""What is remembered: the `rows`, as JSON; the address of the `next` page, none after the last one;
the position of the page `before` it, and of the `earlier` fetch's last; the `last` value of `since`."""


class Numbers(Part):
    """Pages have numbers: the first page without records is the last one."""

    parameter: str = "page"
    first: int = 1
    step: int = Field(default=1, ge=1, description="The page's size, where it is an offset.")


class Cursor(Part):
    """Each answer says what to ask for next: the answer that does not is the last one."""

    parameter: str = Field(examples=["cursor"])
    at: str = Field(pattern=_POINTER, description="Where in the answer.", examples=["/next"])


class Since(Part):
    """Records have a value that grows: only those after the last one are asked for."""

    parameter: str = Field(examples=["since"])
    at: str = Field(pattern=_POINTER, description="Where in a record.", examples=["/updated_at"])
    initial: str = Field(description="What to begin with.", examples=["2030-01-01T00:00:00Z"])


class Basic(Part):
    """A user and a password."""

    user: FromEnvironment
    password: Secret


class HttpRows(Part):
    """Read the pages of a JSON API over HTTP: what is new, or all of them."""

    url: FromEnvironment = Field(
        pattern=r"^https?://[^/?#@]+(/[^?#]*)?$",
        description="Without parameters, users or passwords: they have fields of their own.",
        examples=["https://api.example.com/orders"],
    )
    records: str = Field(
        default="", pattern=_POINTER, description="Where in an answer the array of records is."
    )
    columns: Members = Field(
        min_length=1,
        description="The columns to read from each record: name and type.",
        examples=[{"id": "text", "total": {"type": "decimal(18, 2)", "at": "/amount/total"}}],
    )
    pages: Literal["none", "link"] | Numbers | Cursor = Field(
        default="none",
        description="How to come to the next page: not, by the header `Link` (RFC 8288), by number,"
        " or by a cursor.",
    )
    since: Since | None = Field(default=None, description="How to ask for what is new only.")
    parameters: dict[str, Hidden] = Field(default={}, examples=[{"status": "paid"}])
    headers: dict[str, Hidden] = Field(default={}, examples=[{"X-Api-Key": "${API_KEY}"}])
    bearer: Secret | None = Field(default=None, examples=["${API_TOKEN}"])
    basic: Basic | None = None
    requests_per_second: float = Field(default=5, gt=0, le=1000)
    seconds: float = Field(default=30, gt=0, le=600, description="How long an answer may take.")
    most_pages: int = Field(default=10_000, ge=1, description="In one run.")
    page_bytes: int = Field(default=16 * 1024 * 1024, ge=1, description="Of an answer, unpacked.")
    private: bool = Field(
        default=False,
        description="Whether the server may be on a private network, or this machine.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.bearer is not None and self.basic is not None:
            raise ValueError("either 'bearer' or 'basic'")
        return self

    @property
    def whole(self) -> bool:
        """See `Source.whole`."""
        return self.since is None

    @property
    def origin(self) -> str:
        """See `Source.origin`."""
        return f"http/{httpx2.URL(self.url).copy_with(query=None, userinfo=b'', fragment=None)}"

    def newest(self, reading: Reading, after: int) -> int:
        """See `Source.newest`: whatever is new is fetched, a page at a time.

        Raises:
            ServerAway, Refused, ForbiddenAddress, AnswerTooLarge: it cannot be fetched.
            QueryFailed: an answer is not what it should be.
        """
        memory = reading.memory
        position = memory.newest()
        page = cast("Page | None", memory.recall(position))
        begins = page is None or page["next"] is None
        earlier = (position if begins else page["earlier"]) if page else 0
        if page and begins and self.whole:
            memory.forget(page["earlier"])  # an output that is behind needs the last fetch at most
        address = page["next"] if page and not begins else self._begin(page)
        with self._browser() as browser:
            for _ in range(self.most_pages):
                found = self._fetch(browser, httpx2.URL(address), page)
                if begins and not self.whole and not found["rows"]:
                    return max(after, position)
                before = 0 if begins and self.whole else position
                page = {**found, "before": before, "earlier": earlier}
                position, begins = memory.remember(page), False
                if (address := page["next"]) is None:
                    return position
        raise QueryFailed(f"source http: there are more than {self.most_pages} pages")

    def read(self, reading: Reading, after: int, until: int) -> Batches:
        """See `Source.read`."""
        positions: list[int] = []
        position = until
        while position > after:
            positions.append(position)
            position = int(cast("Page", reading.memory.recall(position))["before"])

        def batches() -> Iterator[pa.RecordBatch]:
            for place in reversed(positions):
                yield _batch(cast("Page", reading.memory.recall(place))["rows"])

        return Batches(_SCHEMA, batches())

    def given(self, rows: Sequence[Mapping[str, Any]]) -> Batches:
        """See `Source.given`."""
        records = [orjson.dumps(row, default=str).decode() for row in rows]
        return Batches(_SCHEMA, [_batch(records)])

    def written(self, raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """See `Source.written`."""
        record = json.loads(raw[_RECORD])
        return record if isinstance(record, dict) else None

    def decode(self, raw: Relation) -> exp.Select:
        """See `Source.decode`."""
        members = MemberColumns(self.columns, _RECORD)
        parsed = raw.select([column(_RECORD), members.parsed()]).subquery("parsed")
        return raw.select(members.columns(), of=parsed)

    def rules(self, raw: Relation) -> Iterator[Rule]:
        """See `Source.rules`."""
        yield Rule("it is no JSON object", is_object(_RECORD))
        yield from MemberColumns(self.columns, _RECORD).rules()

    def _begin(self, page: Page | None) -> str:
        """The address of the first page: of all, or of what is new."""
        parameters: dict[str, str] = {}
        if isinstance(self.pages, Numbers):
            parameters[self.pages.parameter] = str(self.pages.first)
        if self.since is not None:
            last = None if page is None else page["last"]
            parameters[self.since.parameter] = self.since.initial if last is None else last
        return str(httpx2.URL(self.url).copy_merge_params(parameters))

    def _fetch(self, browser: Browser, url: httpx2.URL, before: Page | None) -> Page:
        # What may be secret is added to an address when it is asked, and remembered nowhere.
        asked = url.copy_merge_params(_shown(self.parameters))
        headers = {"Accept": "application/json", **_shown(self.headers)}
        if self.bearer is not None:
            headers["Authorization"] = f"Bearer {self.bearer.get_secret_value()}"
        body, answer = browser.get(asked, headers, self._auth())
        try:
            document = json.loads(body, parse_float=_exact, parse_int=_exact)
        except ValueError as error:
            raise QueryFailed(f"source http: the answer is no JSON: {error}") from None
        rows = _find(document, self.records)
        if not isinstance(rows, list):
            raise QueryFailed(f"source http: there is no array at {self.records!r} of the answer")
        return {
            "rows": [orjson.dumps(row).decode() for row in rows],
            "next": self._next(url, answer, document, rows),
            "last": self._last(rows, before["last"] if before else None),
        }

    def _auth(self) -> httpx2.Auth | None:
        if self.basic is None:
            return None
        return httpx2.BasicAuth(self.basic.user, self.basic.password.get_secret_value())

    def _next(
        self, url: httpx2.URL, answer: httpx2.Response, document: object, rows: list[object]
    ) -> str | None:
        match self.pages:
            case Numbers(parameter=parameter, step=step):
                number = int(url.params[parameter]) + step
                return str(url.copy_set_param(parameter, str(number))) if rows else None
            case Cursor(parameter=parameter, at=at):
                value = _find(document, at)
                return str(url.copy_set_param(parameter, _text(value))) if value else None
            case "link":
                target = answer.links.get("next", {}).get("url")
                return self._same_server(url, url.join(target)) if target else None
            case _:
                return None

    def _same_server(self, url: httpx2.URL, target: httpx2.URL) -> str:
        """Credentials are for one server: no other one gets them, whoever leads there."""
        if (url.scheme, url.netloc) != (target.scheme, target.netloc):
            raise Refused("the header Link leads to another server")
        return str(target)

    def _last(self, rows: list[object], last: str | None) -> str | None:
        if self.since is None:
            return None
        for row in rows:
            value = _find(row, self.since.at)
            last = last if value is None else _text(value)
        return last

    @contextmanager
    def _browser(self) -> Iterator[Browser]:
        with httpx2.Client(timeout=self.seconds, trust_env=False) as client:
            yield Browser(client, self.private, self.page_bytes, 1 / self.requests_per_second)


def _batch(records: Sequence[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(records, pa.string())], schema=_SCHEMA)


def _exact(number: str) -> int | str | orjson.Fragment:
    """A number that is written again as it was read: no price is rounded on the way.

    One that an engine's floating point would round is written as text, which reads the same.
    """
    if sum(map(str.isdigit, number)) > _DOUBLE_DIGITS:
        return number
    return int(number) if number.isdigit() else orjson.Fragment(number)


_DOUBLE_DIGITS: Final = 15  # of decimal digits, 64 bits of floating point hold so many


def _text(value: object) -> str:
    return str(value.contents) if isinstance(value, orjson.Fragment) else str(value)


def _shown(values: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in values.items()}


def _find(document: object, pointer: str) -> object:
    """What a JSON pointer leads to (RFC 6901); none where it leads nowhere."""
    for step in pointer.split("/")[1:]:
        if not isinstance(document, dict):
            return None
        document = document.get(step.replace("~1", "/").replace("~0", "~"))
    return document
