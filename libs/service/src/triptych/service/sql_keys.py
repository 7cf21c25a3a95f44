"""API keys in a SQL database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from triptych.database.engine import reading, writing
from triptych.service.keys import ApiKey, Scope
from triptych.service.tables import api_keys


@dataclass(frozen=True, slots=True)
class SqlKeys:
    """Keeps keys."""

    engine: sa.Engine

    def all(self) -> Sequence[ApiKey]:
        """See `KeyStore.all`."""
        with reading(self.engine) as connection:
            found = connection.execute(sa.select(api_keys).order_by(*_AGE))
            return [_key(row) for row in found]

    def add(self, key: ApiKey) -> None:
        """See `KeyStore.add`."""
        row = {
            "id": key.id,
            "name": key.name,
            "scopes": sorted(scope.value for scope in key.scopes),
            "digest": key.digest,
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "event_types": list(key.event_types),
        }
        with writing(self.engine) as connection:
            connection.execute(sa.insert(api_keys), row)

    def revoke(self, id_: str, at: datetime) -> bool:
        """See `KeyStore.revoke`."""
        first = sa.func.coalesce(api_keys.c.revoked_at, at)
        return self._change(id_, revoked_at=first)

    def expire(self, id_: str, at: datetime) -> bool:
        """See `KeyStore.expire`."""
        earlier = sa.case((api_keys.c.expires_at < at, api_keys.c.expires_at), else_=at)
        return self._change(id_, expires_at=earlier)

    def used(self, moments: Mapping[str, datetime]) -> None:
        """See `KeyStore.used`."""
        # Another process may know of a later use.
        news = sa.func.coalesce(api_keys.c.last_used_at < sa.bindparam("at"), sa.true())
        this = sa.update(api_keys).where(api_keys.c.id == sa.bindparam("this"), news)
        rows = [{"this": id_, "at": at} for id_, at in sorted(moments.items())]
        if rows:
            with writing(self.engine) as connection:
                connection.execute(this.values(last_used_at=sa.bindparam("at")), rows)

    def _change(self, id_: str, **values: sa.ColumnElement[datetime]) -> bool:
        with writing(self.engine) as connection:
            this = sa.update(api_keys).where(api_keys.c.id == id_)
            return connection.execute(this.values(**values)).rowcount > 0


_AGE: Final = (api_keys.c.created_at, api_keys.c.id)


def _key(row: sa.Row[tuple[object, ...]]) -> ApiKey:
    values = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it
    values["scopes"] = frozenset(Scope(scope) for scope in values["scopes"])
    values["event_types"] = tuple(values["event_types"])
    return ApiKey(**values)
