#!/bin/sh
# Run once, when PostgreSQL makes its cluster: the services own their database, and are nobody else in it.
set -eu
psql --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname="$POSTGRES_DB" \
    --set=password="$(cat "$POSTGRES_PASSWORD_FILE")" <<'SQL'
CREATE ROLE triptych LOGIN PASSWORD :'password';
ALTER DATABASE triptych OWNER TO triptych;
SQL
