"""Where the ledger of a data folder lies: decided once, here, for a hub and for every command on its folder.

The setting `database` (EDGEWISE_HUB_DATABASE, or `database` in a hub's TOML) names a PostgreSQL database. The folder
remembers it in `ledger.json`, with the schema that is this folder's own, so that a command finds the ledger of a hub
that was configured by a file. A password is never written down: who runs a command has it in the variable, in
PGPASSWORD or in ~/.pgpass.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from edgewise.errors import MALFORMED, InputError, UnavailableError
from hub.durable import locked, replace_file
from hub.ledger.opening import parsed_url, without_password

VARIABLE: Final = "EDGEWISE_HUB_DATABASE"
FILE: Final = "ledger.json"
SQLITE_FILE: Final = "ledger.db"


class Remembered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `ledger.json` holds."""

    database: str
    """URL without a password."""
    schema: str


def ledger_url(data_dir: Path, database: str = "", environment: Mapping[str, str] = os.environ) -> str:
    """URL of a data folder's ledger.

    `database` is a hub's setting; without it the variable counts, then what the folder remembers, then a SQLite file
    in the folder. The URL may hold a password: it is for opening, not for showing. A folder that has a ledger is not
    opened with another database: who moved a ledger says so by taking `ledger.json`, or the file, away.

    Raises:
        InputError: what is configured is no database URL, or not the database of the folder's ledger.
        UnavailableError: the folder cannot be read or written.
    """
    sqlite_file = data_dir.absolute() / SQLITE_FILE
    remembers = (data_dir / FILE).exists()
    configured = database or environment.get(VARIABLE, "")
    if not configured and not remembers:
        return f"sqlite:///{sqlite_file}"
    own_file = sqlite_file if sqlite_file.exists() and not remembers else None
    if configured and parsed_url(configured).drivername == "sqlite":
        path = Path(parsed_url(configured).database or "").absolute()
        if remembers or (own_file is not None and path != own_file):
            raise _another(own_file or data_dir / FILE)
        return configured
    if own_file is not None:
        raise _another(own_file)
    try:
        with locked(data_dir / "ledger.lock"):
            known = _remembered(data_dir / FILE)
            url = parsed_url(configured or (known.database if known else ""))
            schema = url.query.get("schema") or (known.schema if known else f"edgewise_{secrets.token_hex(6)}")
            now = Remembered(without_password(url.difference_update_query(["schema"])), str(schema))
            if known is not None and _where(now) != _where(known):
                raise _another(data_dir / FILE, f" in {known.database}")
            if now != known:
                replace_file(data_dir / FILE, msgspec.json.encode(now), mode=0o600)
    except OSError as refused:
        raise UnavailableError(f"{data_dir / FILE}: cannot be opened: {refused.strerror}") from None
    return url.update_query_dict({"schema": str(schema)}).render_as_string(hide_password=False)


def _where(ledger: Remembered) -> tuple[object, ...]:
    """What makes it another database; users, passwords and parameters of a connection may change."""
    url = parsed_url(ledger.database)
    host = url.host or url.query.get("host") or ""
    return host, url.port or url.query.get("port") or "5432", url.database, ledger.schema


def _another(holder: Path, where: str = "") -> InputError:
    return InputError(
        f"{holder} says that this hub's ledger lies there{where}, and {VARIABLE} or the hub's `database` names another "
        "database, which would begin empty or be another hub's; unset it, or move the file away"
    )


def _remembered(path: Path) -> Remembered | None:
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Remembered)
    except MALFORMED as damaged:
        raise UnavailableError(f"{path} is damaged: {damaged}") from damaged
