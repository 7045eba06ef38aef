"""Who a record is about, without saying who: a keyed hash of an identifier.

The key belongs to a site and is known to its hub and nodes. Without it a subject id cannot be computed from an
identifier, and destroying it makes every record anonymous.
"""

from __future__ import annotations

import hashlib
from typing import Final

from edgewise.ids import SubjectId

KEY_BYTES: Final = 32


def subject_of(key: bytes, kind: str, identifier: str) -> SubjectId:
    """BLAKE2b-128 (RFC 7693) keyed with the site's key, over the kind and the identifier, as 32 hex digits.

    `kind` is `anonymousId`, `userId`, `email`, …: equal strings of different kinds are different subjects.
    """
    digest = hashlib.blake2b(key=key, digest_size=16, person=b"ew.subject.v1")
    digest.update(kind.encode("utf-8", "surrogatepass") + b"\0" + identifier.encode("utf-8", "surrogatepass"))
    return SubjectId(digest.hexdigest())
