"""Bring a ledger's tables to what this code expects; nothing to do is found out without importing alembic."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from edgewise.errors import UnavailableError
from hub.ledger.dialect import Storage

HEAD: Final = "0016"
"""Newest revision under `migrations/versions`."""
SCRIPTS: Final = Path(__file__).parent / "migrations"


def migrate(storage: Storage) -> None:
    """Upgrade to HEAD in one transaction.

    Raises UnavailableError for a ledger that a newer Edgewise has upgraded: its rows may mean something else.
    """
    with storage.reading() as connection:
        if _revision(connection) == HEAD:
            return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    with storage.writing() as connection:
        found = _revision(connection)
        known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
        if found is not None and found not in known:
            raise UnavailableError(
                f"{storage.place}: written by a newer Edgewise (revision {found}); this one knows them up to {HEAD}"
            )
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
