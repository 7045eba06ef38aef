"""A site's keys on a node: what turns identifiers into subjects, and what signs visitors' cookies.

Enrolment brings the site's own; until then a node has random ones of its own, because it must be able to decide
and to record before it has ever met a hub.
"""

from __future__ import annotations

import secrets
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.node.durable import create_file, replace_file
from edge.node.layout import NodePaths
from edgewise.errors import MALFORMED, UnavailableError
from edgewise.ids import SiteName

KEY_BYTES = 32

_Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2}){16,64}$")]


class SiteKeys(msgspec.Struct, frozen=True):
    """`site` is None while the keys are the node's own."""

    site: SiteName | None
    subject_key: bytes
    visitor_key: bytes


class _Stored(msgspec.Struct, frozen=True):
    site: SiteName | None
    subject_key: _Hex
    visitor_key: _Hex


def load_site_keys(paths: NodePaths) -> SiteKeys:
    """The keys in force, made at the first call on a folder.

    Raises:
        UnavailableError: trust/site.json is there and cannot be read.
    """
    if not paths.site.exists():
        own = SiteKeys(None, secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES))
        create_file(paths.site, _encode(own))
    try:
        stored = msgspec.json.decode(paths.site.read_bytes(), type=_Stored)
    except (OSError, *MALFORMED) as wrong:
        raise UnavailableError(f"{paths.site}: {wrong}; delete trust/ to enrol again") from wrong
    return SiteKeys(stored.site, bytes.fromhex(stored.subject_key), bytes.fromhex(stored.visitor_key))


def replace_site_keys(paths: NodePaths, keys: SiteKeys) -> None:
    """Take over the keys of a site. Profiles cached under other keys are to be dropped by the caller.

    Raises:
        ValueError: a key is shorter than 16 or longer than 64 bytes.
    """
    encoded = _encode(keys)
    try:
        msgspec.json.decode(encoded, type=_Stored)
    except msgspec.ValidationError as wrong:
        raise ValueError(f"keys of 16 to 64 bytes are expected: {wrong}") from wrong
    replace_file(paths.site, encoded)


def _encode(keys: SiteKeys) -> bytes:
    return msgspec.json.encode(_Stored(keys.site, keys.subject_key.hex(), keys.visitor_key.hex())) + b"\n"
