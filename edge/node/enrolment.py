"""A node's first contact with its site: it pins the site's root and takes over its keys. Once, then never again.

Who hands out the root is trusted for ever after, so the first contact must be safe: a hub on this machine (nobody
can stand in between), or a file that the site's owner handed over: `EnrolResponse` as protobuf writes it in JSON, and
beside its fields the node's token for the hub.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
from google.protobuf import json_format
from msgspec import Meta
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization import DeserializationError

from edge.node.bundles import BundleStore
from edge.node.durable import replace_file
from edge.node.keys import SiteKeys, load_site_keys, replace_site_keys
from edge.node.layout import NodePaths
from edge.node.trust import fingerprint, pin_root, pinned_root
from edgewise.errors import MALFORMED, InputError, RefusedError
from edgewise.ids import SiteName
from edgewise.v1.distribution_pb2 import EnrolResponse

ENROLLED: Final = 75
"""The agent's exit code after an enrolment: profiles cached under the node's own keys must go."""


class _Beside(msgspec.Struct, frozen=True):
    """What an enrolment file holds that no hub answers."""

    token: Annotated[str, Meta(pattern=r"^[!-~]*$(?!\n)")] = msgspec.field(default="", name="enrolToken")


class Enrolment(NamedTuple):
    """A site's trust anchor, checked as far as it can vouch for itself."""

    keys: SiteKeys
    root: bytes
    token: str = ""
    """What the node shows the hub at every call; empty where none was given."""


def is_enrolled(paths: NodePaths) -> bool:
    """Whether a site's root is pinned and its keys are here."""
    return pinned_root(paths) is not None and load_site_keys(paths).site is not None


def is_loopback(address: str) -> bool:
    """Whether HOST:PORT is this machine, so that nobody can stand in between."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_enrolment(file: Path) -> Enrolment:
    """The enrolment in a file.

    Raises:
        InputError: the file cannot be read, or is no enrolment.
    """
    try:
        text = file.read_text("utf-8")
        answer = json_format.Parse(text, EnrolResponse(), ignore_unknown_fields=True)
        token = msgspec.json.decode(text, type=_Beside).token
    except OSError as missing:
        raise InputError(f"--trust {file}: {missing.strerror}") from missing
    except (json_format.ParseError, *MALFORMED) as wrong:
        raise InputError(
            f"--trust {file}: expected JSON with site, root, subjectKey and visitorKey (base64): {wrong}"
        ) from wrong
    return checked(answer, f"--trust {file}")._replace(token=token)


def checked(answer: EnrolResponse, where: str) -> Enrolment:
    """An enrolment that is whole.

    Raises:
        InputError: the root is none, or does not vouch for itself, or a key or the site's name is missing.
    """
    try:
        root = Metadata[Root].from_bytes(answer.root)
        root.verify_delegate(Root.type, root)
    except (RepositoryError, DeserializationError, ValueError) as wrong:
        raise InputError(f"{where}: no valid root metadata: {wrong}") from wrong
    if not answer.site or not answer.subject_key or not answer.visitor_key:
        raise InputError(f"{where}: site, subject key and visitor key are expected, one is missing")
    return Enrolment(SiteKeys(SiteName(answer.site), answer.subject_key, answer.visitor_key), answer.root)


def take_over(paths: NodePaths, enrolment: Enrolment) -> None:
    """Belong to this site from now on. Doing it again with the same enrolment changes nothing.

    The pinned root comes last: a crash before it leaves a node that enrols again.

    Raises:
        RefusedError: `other_root`: the node has pinned another one.
    """
    pinned = pinned_root(paths)
    if pinned is not None and pinned != enrolment.root:
        raise RefusedError(
            "other_root",
            f"this node ({paths.root}) has pinned the root {fingerprint(pinned)[:16]}… of the site "
            f"{load_site_keys(paths).site!r}, and {enrolment.keys.site!r} offers the root "
            f"{fingerprint(enrolment.root)[:16]}…; a node that moves to another site starts with a new --data-dir",
        )
    if pinned is None:
        # What served before belongs to no site or to another: an invented starter site must not show up on a real one.
        BundleStore(paths).clear()
        paths.facts.unlink(missing_ok=True)
    if load_site_keys(paths) != enrolment.keys:
        replace_site_keys(paths, enrolment.keys)
    if enrolment.token and enrolment.token != kept_token(paths):
        replace_file(paths.token, enrolment.token.encode())
    if pinned is None:
        pin_root(paths, enrolment.root)


def kept_token(paths: NodePaths) -> str:
    """The token that came with an enrolment file; empty when none did. A newer file replaces it."""
    try:
        return paths.token.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
