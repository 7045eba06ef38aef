"""Which database a ledger's URL means."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from edgewise.errors import InputError
from hub.ledger.dialect import Storage

EXPECTED: Final = "expected sqlite:///PATH or postgresql://USER@HOST/DATABASE"
POSTGRESQL: Final = ("postgresql", "postgresql+psycopg")


def parsed_url(text: str) -> sa.URL:
    """A database URL taken apart. Raises InputError, which never quotes what may be a password."""
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        shown = "" if "@" in text else f"{text[:200]!r} "
        raise InputError(f"{shown}is no database URL; {EXPECTED}".lstrip()) from None
    if url.drivername not in ("sqlite", *POSTGRESQL):
        raise InputError(f"a ledger at {without_password(url)}; {EXPECTED}")
    if url.drivername in POSTGRESQL and not url.database:
        raise InputError(f"{without_password(url)} names no database; {EXPECTED}")
    return url


def without_password(url: sa.URL) -> str:
    """A URL for messages and files. libpq takes a password among the parameters as well."""
    bare = url.difference_update_query(["password"])
    return sa.URL.create(
        bare.drivername, bare.username, None, bare.host, bare.port, bare.database, bare.query
    ).render_as_string()


def storage_at(text: str, lake_dir: Path | None = None) -> Storage:
    """Connect. `lake_dir` is where PostgreSQL's old records lie; a file has them beside it.

    Raises InputError for a URL that is none, UnavailableError when the database cannot be used.
    """
    url = parsed_url(text)
    if url.drivername == "sqlite":
        from hub.ledger.sqlite import SqliteStorage

        return SqliteStorage(url)
    try:
        from hub.ledger.postgres import PostgresStorage
    except ImportError:
        raise InputError("a ledger in PostgreSQL needs psycopg: install edgewise[postgres]") from None
    return PostgresStorage(url, without_password(url), lake_dir)
