"""The door for whoever gives out keys: `keys` of every service's command line."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import orjson
import sqlalchemy as sa
import typer
from rich.console import Console
from rich.table import Column, Table

from triptych.core.documents import nearest
from triptych.core.durations import parse_duration, parse_moment
from triptych.core.errors import Kind, TriptychError
from triptych.service.keys import ApiKey, Scope, mint, rotate
from triptych.service.sql_keys import SqlKeys


class UnknownKey(TriptychError):
    """There is no key of this id."""

    kind = Kind.NOT_FOUND


class KeyEnded(TriptychError):
    """The key has ended: it has no rights to hand on."""

    kind = Kind.CONFLICT


@dataclass(frozen=True)
class Place:
    """Where keys are."""

    service: str
    database: Callable[[], AbstractContextManager[sa.Engine]]
    """Opens the service's database, with its tables."""

    @contextmanager
    def opened(self) -> Iterator[SqlKeys]:
        """The keys there."""
        with self.database() as engine:
            yield SqlKeys(engine)


def keys_cli(
    service: str, database: Callable[[], AbstractContextManager[sa.Engine]]
) -> typer.Typer:
    """The commands of a service, for the keys in its database."""
    cli = typer.Typer(help="Who may do what: API keys.", no_args_is_help=True)

    @cli.callback()
    def place(context: typer.Context) -> None:
        context.obj = Place(service, database)

    cli.command()(create)
    cli.command("list")(list_keys)
    cli.command()(revoke)
    cli.command("rotate")(rotate_key)
    return cli


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; several are possible.")],
    type: Annotated[  # noqa: A002  # the option's name
        list[str] | None,
        typer.Option(help="Events that it may send to ingestion, such as shop.*; else all."),
    ] = None,
    expires_in: Annotated[str | None, typer.Option(help="Such as 90d; else never.")] = None,
    expires_at: Annotated[str | None, typer.Option(help="Such as 2030-01-01T00:00:00Z.")] = None,
) -> None:
    """Make a key, and print it. Nobody sees it again: only a hash of it is kept."""
    now = datetime.now(UTC)
    ends = [now + parse_duration(expires_in)] if expires_in else []
    ends += [parse_moment(expires_at)] if expires_at else []
    with _place(context).opened() as keys:
        end = min(ends, default=None)
        key, text = mint(name, scope, now=now, expires_at=end, event_types=type or ())
        keys.add(key)
    _print_once(key, text)


def list_keys(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """List all keys that were ever made; never their secrets."""
    now = datetime.now(UTC)
    with _place(context).opened() as keys:
        found = [_described(key, now) for key in keys.all()]
    if json:
        for described in found:
            typer.echo(orjson.dumps(described))
        return
    table = Table(*map(_column, _COLUMNS), box=None, padding=(0, 1, 0, 0))
    for described in found:
        table.add_row(*(described[column] or "" for column in _COLUMNS))
    Console(markup=False).print(table)  # a name may have brackets


def revoke(context: typer.Context, id: str) -> None:  # noqa: A002  # the argument's name
    """End a key. Services refuse it within five seconds."""
    place = _place(context)
    with place.opened() as keys:
        if not keys.revoke(id, datetime.now(UTC)):
            raise _unknown(id, keys, place)
    typer.echo(f"{id} is revoked.", err=True)


def rotate_key(
    context: typer.Context,
    id: str,  # noqa: A002  # the argument's name
    grace: Annotated[str, typer.Option(help="How long the old key still works.")] = "1h",
) -> None:
    """Make a key with the same rights, print it, and let the old one end."""
    now = datetime.now(UTC)
    ends = now + parse_duration(grace)
    place = _place(context)
    with place.opened() as keys:
        old = next((key for key in keys.all() if key.id == id), None)
        if old is None:
            raise _unknown(id, keys, place)
        if not old.active(now):
            hint = f"Make another: {place.service} keys create."
            raise KeyEnded(f"{id} is {_state(old, now)}", hint=hint)
        new, text = rotate(old, now=now)
        keys.add(new)
        keys.expire(id, ends)
    typer.echo(f"{id} ends at {ends:%Y-%m-%d %H:%M:%S} UTC.", err=True)
    _print_once(new, text)


_COLUMNS = ("id", "name", "scopes", "types", "created", "expires", "last used", "state")


def _place(context: typer.Context) -> Place:
    place: Place = context.obj
    return place


def _column(name: str) -> Column:
    """Other columns may take several lines in a narrow terminal; nothing is cut off."""
    return Column(name, overflow="fold", no_wrap=name in ("id", "state"))


def _print_once(key: ApiKey, text: str) -> None:
    scopes = ", ".join(sorted(key.scopes))
    typer.echo(f"{key.id} ({key.name}) may {scopes}. Keep this, it is not shown again:", err=True)
    typer.echo(text)


def _unknown(id_: str, keys: SqlKeys, place: Place) -> UnknownKey:
    known = [key.id for key in keys.all()]
    return UnknownKey(f"{id_!r}: {nearest(id_, known)}", hint=f"See: {place.service} keys list.")


def _described(key: ApiKey, now: datetime) -> dict[str, str | None]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": " ".join(sorted(key.scopes)),
        "types": " ".join(key.event_types) or "all",
        "created": _moment(key.created_at),
        "expires": _moment(key.expires_at),
        "last used": _moment(key.last_used_at),
        "state": _state(key, now),
    }


def _state(key: ApiKey, now: datetime) -> str:
    return "active" if key.active(now) else "revoked" if key.revoked_at else "expired"


def _moment(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z") if at else None
