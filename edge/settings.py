"""A node's settings: a TOML file, over it the environment, over it the command line; typed, units in names.

The supervisor decides once and hands the outcome to its children as one JSON argument, so that all processes of a
node run under the same settings whatever happens to the file meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from edge.node.layout import NodePaths, default_data_dir
from edgewise.configuration import Configuration
from edgewise.errors import MALFORMED, InputError

PREFIX: Final = "EDGEWISE_EDGE_"
ENROL_TOKEN: Final = f"{PREFIX}ENROL_TOKEN"
"""Handed to the agent in its environment, not among the arguments, which every user of the machine can read."""

Port = Annotated[int, Meta(ge=0, le=65_535)]
Address = Annotated[str, Meta(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^:\s/]+):[0-9]{1,5}$", description="HOST:PORT")]
KeyDigest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256 of a key, hex digits")]
PurgeUrl = Annotated[str, Meta(pattern=r"^(https?://[^\s]+)?$(?!\n)", description="http:// or https://")]
PurgeHeader = Annotated[str, Meta(pattern=r"^([A-Za-z0-9-]+: ?[ -~]+)?$(?!\n)", description="NAME: VALUE")]
Token = Annotated[str, Meta(pattern=r"^[!-~]*$(?!\n)", description="as `edgewise hub trust` makes one: no spaces")]


class EdgeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set about a node. `null` where the field's text says what happens without it."""

    # Processes and addresses
    host: str = "127.0.0.1"
    """Address that the workers listen on."""
    port: Port = 8090
    """0 takes any free port."""
    workers: Annotated[int, Meta(ge=1, le=256)] = 2
    server: Literal["edgewise", "granian"] = "edgewise"
    """`edgewise`: the node's own, which refuses what two readers could take for different requests and holds every
    limit of this file. `granian`: the one written in Rust. Known gaps of its framing: line feeds alone, Content-Length
    in a trailer or twice, unknown transfer codings and no Host are answered and the connection kept; broken chunks get
    500; it does not tell a head's time from an idle connection's, so a slow head lasts `idle_timeout_ms`; it sheds no
    load. Behind a proxy that frames requests anew, these matter less."""
    data_dir: str = ""
    """Empty: $XDG_STATE_HOME/edgewise/edge, or ~/.local/state/edgewise/edge."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """A reload changes it for all processes but the supervisor."""
    log_to: Literal["stderr", "files"] = "stderr"
    """`files`: run/PROCESS.log below the data folder."""
    drain_timeout_ms: Annotated[int, Meta(ge=100, le=600_000)] = 10_000
    """How long a worker may take to finish what it has begun, when it is told to stop."""
    farewell_ms: Annotated[int, Meta(ge=0, le=60_000)] = 500
    """Of that, at most half: for so long a worker that stops asks who holds a connection to come again on a new one,
    before it closes what is idle."""
    tls_certificate: str | None = None
    """PEM file: the node's certificate, behind it those that vouch for it. Without: plain HTTP."""
    tls_key: str | None = None
    """PEM file with the certificate's key, without a password."""

    # Hub
    hub: Address | None = None
    """Without: no gRPC at all; the node serves the bundle that it holds, or the starter bundle."""
    trust: str | None = None
    """File with the site's enrolment. Without: the root that a hub on loopback hands out at the first contact."""
    enrol_token: Token = ""
    """Shown to the hub at every call; one that other machines can reach asks for it. Empty: what came with `trust`."""
    bundle: str | None = None
    """Folder with a bundle to serve instead of a hub's."""
    heartbeat_ms: Annotated[int, Meta(ge=100, le=60_000)] = 5_000
    reconnect_ms: Annotated[int, Meta(ge=10, le=60_000)] = 500
    """Pause after the first failure, doubled at each further one, with full jitter."""
    reconnect_most_ms: Annotated[int, Meta(ge=10, le=600_000)] = 10_000
    answer_timeout_ms: Annotated[int, Meta(ge=10)] = 30_000
    """A hub that has taken records and says nothing about them for so long is asked anew."""
    live_facts: bool = True
    """False: this node decides by the released catalogue alone, whatever the hub says is sold out or dearer now."""
    metadata_refresh_ms: Annotated[int, Meta(ge=1_000)] = 600_000
    """Signed metadata is asked for this often even when nothing is offered."""
    refused_retry_ms: Annotated[int, Meta(ge=10)] = 5_000
    """A release that was refused for a cause that may pass is tried again after this, then after twice as long, …"""
    stale_after_ms: Annotated[int, Meta(ge=100)] = 60_000
    """STALE when the hub was not heard for so long."""
    worker_swap_timeout_ms: Annotated[int, Meta(ge=100)] = 10_000
    """A new bundle is refused when not all workers serve it in time."""

    # Bounds
    bundle_most_bytes: Annotated[int, Meta(ge=1_024)] = 256 << 20
    trial_memory_bytes: Annotated[int, Meta(ge=256 << 20)] = 2 << 30
    """Address space of the child process that tries a new bundle."""
    trial_cpu_seconds: Annotated[int, Meta(ge=1)] = 60
    trial_idle_ms: Annotated[int, Meta(ge=0, le=600_000)] = 10_000
    """How long a trial makes do with processor time that nobody else wants, before it takes its part: a little of
    visitors' answers. 0 on a node without a pause, where it would wait in vain."""
    spool_most_bytes: Annotated[int, Meta(ge=1 << 20)] = 1 << 30
    """What waits for the hub, of all workers together. As it nears this, or the disk its end, less and less is taken:
    from 50 % on no feature matrices, from 75 % no impressions, from 90 % no exposures, from 95 % only conversions and
    what visitors state; of the latter 1 MiB more."""
    segment_bytes: Annotated[int, Meta(ge=4_096)] = 4 << 20
    segment_most_ms: Annotated[int, Meta(ge=100)] = 600_000
    """What the hub has stored leaves the disk of this node after about so long, also where little is going on."""
    profile_map_bytes: Annotated[int, Meta(ge=1 << 20)] = 1 << 30
    """Of the profile cache. Above 60 % of it, visitors who were away longest are evicted."""
    body_most_bytes: Annotated[int, Meta(ge=1_024)] = 1 << 20
    header_timeout_ms: Annotated[int, Meta(ge=100)] = 5_000
    """From the first byte of a request's head to its last, however many come in between."""
    body_timeout_ms: Annotated[int, Meta(ge=100)] = 10_000
    """From the head's last byte to the body's."""
    idle_timeout_ms: Annotated[int, Meta(ge=100)] = 75_000
    """For a connection between two requests: longer than proxies keep theirs (nginx: 60 s), so that it is the proxy
    who lets go, and no request meets a connection that is just being closed."""
    connections_most: Annotated[int, Meta(ge=1, le=1_000_000)] = 20_000
    """Of each worker, as far as its limit of open files allows; who comes then is told 503."""

    deadline_ms: Annotated[float, Meta(gt=0, le=10_000)] = 10.0
    """How long a decision may take whose question says nothing of it (`options.deadlineMs`). What is not ready by then
    is left out: ranking by models first."""
    queue_delay_target_ms: Annotated[float, Meta(ge=0.1, le=10_000)] = 5.0
    """How long requests may wait before anybody looks at them. When even the one that waited least waits longer, the
    `edgewise` server sheds, step by step: debug and explanations, ranking by models, all but default content, requests
    (503 with Retry-After). Never consent."""
    queue_delay_most_ms: Annotated[float, Meta(ge=0.1, le=10_000)] = 8.0
    """Who waits longer gets default content; where that is shown anyhow, or beyond four times as long, 503."""

    # Visitors' surroundings
    place_databases: list[str] = []
    """MaxMind DB files (.mmdb) that tell a country, or a kind of network, by address; the first one that knows tells.
    Asked where a request's context does not say; the address itself is never kept. Read again by a reload: replace a
    file by renaming, never by writing into it."""
    trusted_proxies: list[str] = []
    """Addresses or networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` is believed. Nobody else's is."""

    # Proxies
    purge_url: PurgeUrl = ""
    """Where a proxy or network is asked to forget shared fragments, by `POST` with `Surrogate-Key`: everything when
    another release serves, an item when a live fact of it changes. Empty: nobody is asked; they last as long as they
    say."""
    purge_header: PurgeHeader = ""
    """Sent along, such as `Fastly-Key: …`."""

    # Keys
    operator_keys_sha256: list[KeyDigest] = []
    """May use options.force, options.debug, /status and /metrics."""
    loopback_is_operator: bool | None = None
    """Whether this machine itself may so without a key. `null`: only while there are no operator keys. Behind a proxy
    on this machine that says nothing of its clients (a plain `proxy_pass`), true makes everybody an operator."""
    server_keys_sha256: list[KeyDigest] = []
    """Prove a visitor on his behalf."""

    @property
    def trusts_loopback(self) -> bool:
        """Whether requests from this machine itself are an operator's."""
        return not self.operator_keys_sha256 if self.loopback_is_operator is None else self.loopback_is_operator

    @property
    def paths(self) -> NodePaths:
        """The node's files."""
        folder = Path(self.data_dir).expanduser() if self.data_dir else default_data_dir(os.environ, Path.home())
        return NodePaths(folder)


FIELDS: Final = EdgeSettings.__struct_fields__
FIXED: Final = ("host", "port", "data_dir", "log_to", "hub", "trust", "bundle")
"""What cannot change while a node runs: its place, and whose it is."""


def load_settings(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, object] | None = None
) -> EdgeSettings:
    """From the file, EDGEWISE_EDGE_… variables and the flags that are not None; raises as `Configuration.load`."""
    return Configuration(EdgeSettings, PREFIX).load(file, environment, flags)


def encode_settings(settings: EdgeSettings) -> str:
    """For a child process's command line."""
    return msgspec.json.encode(settings).decode()


def decode_settings(text: str) -> EdgeSettings:
    """What the supervisor handed over.

    Raises:
        InputError: it is something else.
    """
    try:
        return msgspec.json.decode(text, type=EdgeSettings)
    except MALFORMED as wrong:
        raise InputError(f"--settings: {wrong}") from wrong


def schema() -> dict[str, Any]:
    """JSON Schema of the TOML file."""
    return msgspec.json.schema(EdgeSettings)
