"""The hub's settings: a TOML file, over it the environment, over it the command line; typed, units in names."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from edgewise.configuration import Configuration
from edgewise.errors import InputError

PREFIX: Final = "EDGEWISE_HUB_"

_ADDRESS: Final = r"^(\[[0-9A-Fa-f:.]+\]|[^:\s/]+):[0-9]{1,5}$"
Address = Annotated[str, Meta(pattern=_ADDRESS, description="HOST:PORT")]
KeyDigest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256 of a key, hex digits")]
AdminKey = Annotated[
    str,
    Meta(
        pattern=r"^(admin|publisher|approver|analyst|viewer|node):[A-Za-z0-9._-]{1,64}:[0-9a-f]{64}$",
        description="ROLE:NAME:SHA256 of a bearer key",
    ),
]


class Role(StrEnum):
    """What a bearer key may do; each role may also read what a viewer reads, but for `node`."""

    ADMIN = "admin"
    PUBLISHER = "publisher"
    APPROVER = "approver"
    ANALYST = "analyst"
    VIEWER = "viewer"
    NODE = "node"


class KeyHolder(NamedTuple):
    """One entry of `admin_keys`, taken apart."""

    role: Role
    name: str
    sha256: str


class HubSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set about a hub but its data folder."""

    # Addresses
    grpc: Address = "127.0.0.1:8091"
    """Port 0 takes any free port, here and below."""
    admin: Address = "127.0.0.1:8092"
    admin_hosts: list[str] = []
    """Names by which the admin API may be called, beside the address that it listens on (a proxy's name)."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    # Keys: only digests. `printf %s "$KEY" | sha256sum` makes one.
    admin_keys: list[AdminKey] = []
    """Without any, whoever reaches the admin address on loopback may read."""
    enrol_tokens_sha256: list[KeyDigest] = []
    """A node must show one of these at every call, unless gRPC listens on loopback only."""

    # Storage
    database: str = ""
    """postgresql://USER@HOST/DATABASE; without it the ledger is a SQLite file in the data folder. Every command on the
    folder finds it there. A password belongs into PGPASSWORD, ~/.pgpass or the variable EDGEWISE_HUB_DATABASE, for it
    is not written down."""

    lake_after_days: Annotated[int, Meta(ge=0, le=36_500)] | None = None
    """Events and decisions that were received longer ago move from the database into Parquet files. By default 30 with
    SQLite, whose files lie beside it, and never with PostgreSQL: the files lie on the hub's own disk, in `lake` in the
    data folder, and what is backed up of the database alone would lack them."""
    lake_every_ms: Annotated[int, Meta(ge=100)] = 60_000
    """How often a hub looks for such; it moves at most 16,384 of each at a time."""

    # Journeys (`edgewise journey`): what they offer is decided when a mail is sent; only enabled ones are looked at.
    journeys_every_ms: Annotated[int, Meta(ge=0)] = 30_000
    """How often a running hub goes over them; 0: only `edgewise journey run` does."""

    # The learning loop (`edgewise hub learn`): it trains, judges and proposes; nothing serves before a person approves.
    learn_every_ms: Annotated[int, Meta(ge=0)] = 0
    """How often a running hub goes once around; 0: only `edgewise hub learn` does."""
    learn_site: str = ""
    """The site's folder, whose models are learned."""
    learn_fewest: Annotated[int, Meta(ge=1)] = 100
    """So many new outcomes, or settled decisions, begin a turn."""
    learn_alpha: Annotated[float, Meta(gt=0, lt=0.5)] = 0.01
    """Chance, over all challengers of one champion, that one which earns no more is recommended all the same."""
    learn_judge_share: Annotated[float, Meta(gt=0, lt=1)] = 0.33
    """Share of the decisions, the latest, that a challenger does not learn from, so that they can judge it."""
    learn_least_ess: Annotated[float, Meta(ge=30)] = 200.0
    """The effective number of visitors whose decisions must speak of a challenger; less only where there are fewer."""
    learn_stale_hours: Annotated[float, Meta(gt=0, le=8_784)] = 168.0
    """A candidate that nobody approved for so long is refused, and another turn begins."""
    learn_incremental: bool = False
    """Add what is new to the latest version of a model, where it can be continued."""
    learn_canary_share: Annotated[float, Meta(gt=0, le=0.5)] = 0.1
    """Of the nodes, at least one, that run an approved candidate first."""
    learn_canary_hours: Annotated[float, Meta(ge=0, le=8_784)] = 24.0
    learn_canary_decisions: Annotated[int, Meta(ge=1)] = 500
    """So long, and so many decisions, they are watched at least."""
    learn_webhook: str = ""
    """URL that is told when a person is needed. The secret that signs it is the variable EDGEWISE_LEARN_WEBHOOK_SECRET,
    or `keys/learn-webhook.secret` in the data folder."""
    learn_mail_to: list[str] = []
    """Who gets a mail when a person is needed."""
    learn_mail_from: str = ""
    learn_smtp: Address = "127.0.0.1:25"
    learn_smtp_starttls: bool = False
    learn_smtp_user: str = ""
    """The password is the variable EDGEWISE_LEARN_SMTP_PASSWORD, or `keys/learn-smtp.secret`."""

    # Mail of journeys. What each says, and to whom it goes, is the site's; see `deploy/mail`.
    mail_url: str = ""
    """smtp://[USER@]HOST[:PORT] (STARTTLS), smtps://…, or the https URL of a platform that takes signed webhooks;
    empty: no mail is sent. The password, or the webhook's secret, is the variable EDGEWISE_MAIL_SECRET, or
    `keys/mail.secret` in the data folder."""
    mail_from: str = ""
    """`Shop <news@shop.example>`; bounces go to this address."""
    mail_reply_to: str = ""
    mail_links: str = ""
    """https://HOST under which readers reach an edge: links to unsubscribe, to the dial, to why, and counted clicks."""
    mail_imprint: str = ""
    """Name and postal address below every mail, where the law asks for them."""
    mail_site: str = ""
    """https://HOST/ of the site's own pages: where relative links and pictures of its contents lead in a mail."""
    mail_counts_opens: bool = True
    """Put a picture of one dot into mails, so that an open is told; only of readers who granted analytics."""
    mail_counts_clicks: bool = True
    """Let links of a mail go over an edge, so that a click is told; of the same readers."""
    mail_dkim_selector: str = ""
    """Sign with `keys/mail-dkim.pem` under this selector; empty: the mail server signs."""
    mail_most_per_week: Annotated[int, Meta(ge=0, le=100)] = 3
    """To one person within seven days, over all journeys; a journey may ask for fewer."""
    mail_every_ms: Annotated[int, Meta(ge=100)] = 10_000
    """How often it is looked for mails that are due."""
    mail_inbox: str = ""
    """A Maildir into which the mail server delivers what comes back to `mail_from`: bounces and complaints."""

    # Bounds and pauses
    most_streams: Annotated[int, Meta(ge=1)] = 20_000
    """Open gRPC streams, over all nodes."""
    most_profiles_per_node: Annotated[int, Meta(ge=1)] = 200_000
    inbox_most_bytes: Annotated[int, Meta(ge=1 << 20)] = 64 << 20
    """Records that wait to be stored; beyond it, nodes wait."""
    offer_poll_ms: Annotated[int, Meta(ge=10)] = 100
    """How soon a release that another process promoted is offered."""
    profile_poll_ms: Annotated[int, Meta(ge=10)] = 250
    """How soon profiles that another process changed are pushed."""
    metadata_refresh_ms: Annotated[int, Meta(ge=1_000)] = 60_000
    """How often it is looked whether signatures are due again."""
    facts_keep_ms: Annotated[int, Meta(ge=1_000)] = 30_000
    """How often trends and counts of items are told to nodes, and it is looked whether live facts must be renewed."""
    facts_history_days: Annotated[int, Meta(ge=1, le=3_650)] = 30
    """How long versions of live facts are remembered; decisions that were made with older ones cannot be replayed."""
    erasure_poll_ms: Annotated[int, Meta(ge=10)] = 1_000
    """How soon a visitor who asked a node to be erased is erased here, and everywhere."""
    compact_every_ms: Annotated[int, Meta(ge=0)] = 3_600_000
    """The least time between two rewritings of the ledger's files, after which no byte of an erased visitor is in them.
    Nothing is stored meanwhile: about a minute for 10 GB."""
    retention_every_ms: Annotated[int, Meta(ge=1_000)] = 86_400_000
    """How often it is looked for what is too old to be kept (`edgewise data retain`)."""
    connection_age_ms: Annotated[int, Meta(ge=1_000)] = 45 * 60_000
    """After about so long a node is asked to connect anew, so that a fleet spreads over hubs."""
    drain_timeout_ms: Annotated[int, Meta(ge=100, le=600_000)] = 5_000

    def key_holders(self) -> list[KeyHolder]:
        """Who may use the admin API."""
        parts = (key.split(":") for key in self.admin_keys)
        return [KeyHolder(Role(role), name, digest) for role, name, digest in parts]


FIELDS: Final = HubSettings.__struct_fields__


def load_settings(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, object] | None = None
) -> HubSettings:
    """From the file, EDGEWISE_HUB_… variables and the flags that are not None; raises as `Configuration.load`."""
    return Configuration(HubSettings, PREFIX).load(file, environment, flags)


def host_port(address: str) -> tuple[str, int]:
    """`127.0.0.1:8091` or `[::1]:8091` taken apart. Raises InputError for what is no address or no port."""
    if not re.fullmatch(_ADDRESS, address):
        raise InputError(f"{address!r}, expected HOST:PORT")
    host, _, port = address.rpartition(":")
    if int(port) > 65_535:  # noqa: PLR2004  # 16 bits
        raise InputError(f"{address}: port {port}, expected 0 to 65535")
    return host.strip("[]"), int(port)


def on_loopback(address: str) -> bool:
    """Whether only this machine can reach an address."""
    host, _ = host_port(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"  # any other name may mean any machine, `127.example` too


def schema() -> dict[str, Any]:
    """JSON Schema of the TOML file."""
    return msgspec.json.schema(HubSettings)
