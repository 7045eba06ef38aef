"""Links in mails: what they stand for is sealed in them, so that any edge can act on one and nobody can make one.

    https://edge.example/v1/mail/unsubscribe/TOKEN

A token is a small MessagePack array under AES-SIV (RFC 5297) with a key of its own, derived from the site's visitor
key: it is proof, and tells whoever sees it in a log nothing. AES-SIV needs no nonce, so the same link of the same mail
is the same text at every try. Tokens do not expire: who finds an old mail must still be able to end it.

What a link may do is in its kind. None of them can name a place that the mail does not hold, and none raises what its
owner has lowered.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from enum import StrEnum
from typing import Final

import msgspec

from edgewise.errors import InputError
from edgewise.ids import DecisionId, ItemId, PlacementName, SubjectId

MOST_TOKEN_CHARACTERS: Final = 6_000
"""Of a target that a node reads, 8 KiB (`edge.worker.guard`)."""
MOST_URL_CHARACTERS: Final = 2_000
_KEY_BYTES: Final = 64
"""AES-SIV takes two keys of 256 bits."""
_LABEL: Final = b"edgewise mail link 1"
_PERSON: Final = b"ew.mail.link.v1"


class LinkKind(StrEnum):
    """What a link is for."""

    WILL = "w"
    """Unsubscribe, and lower how often and how personally."""
    WHY = "y"
    CLICK = "c"
    OPEN = "o"


class MailLink(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What one link of one mail stands for."""

    kind: LinkKind
    subject: SubjectId
    """Whom the mail was for."""
    mail: str
    """What the mail is called (its Message-ID, without the domain)."""
    address: SubjectId = SubjectId("")
    """Keyed hash of the address that it went to."""
    decision_id: DecisionId = DecisionId("")
    placement: PlacementName = PlacementName("")
    item: ItemId = ItemId("")
    """The item that the link stands at."""
    url: str = ""
    """Where a click goes."""
    why: tuple[str, ...] = ()
    """Why the mail says what it says, in sentences."""
    locale: str = "en"


class MailSeal:
    """Makes and reads the tokens of one site."""

    def __init__(self, visitor_key: bytes) -> None:
        """`visitor_key` is the site's secret of 32 bytes that hub and nodes share."""
        # imported here: a worker loads it with the first mail, and most never see one
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        derived = hashlib.blake2b(key=visitor_key, digest_size=_KEY_BYTES, person=_PERSON)
        self._siv = AESSIV(derived.digest())

    def token(self, link: MailLink) -> str:
        """A link's text: URL-safe, without padding.

        Raises InputError for a link that does not fit into what a node reads.
        """
        sealed = self._siv.encrypt(_encoder.encode(link), [_LABEL])
        text = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
        if len(text) > MOST_TOKEN_CHARACTERS:
            raise InputError(f"a link of {len(text)} characters; expected at most {MOST_TOKEN_CHARACTERS}")
        return text

    def read(self, token: str, *kinds: LinkKind) -> MailLink:
        """What a token stands for.

        Raises InputError for one that this site did not make, that was changed on its way, or that is of another kind.
        """
        from cryptography.exceptions import InvalidTag

        try:
            if len(token) > MOST_TOKEN_CHARACTERS:
                raise ValueError  # noqa: TRY301  # as all the others
            text = token.encode("ascii")
            data = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
            link = _decoder.decode(self._siv.decrypt(data, [_LABEL]))
        except (ValueError, binascii.Error, InvalidTag, msgspec.DecodeError):
            raise InputError("this link is damaged, or not of this site") from None
        if kinds and link.kind not in kinds:
            raise InputError("this link is for something else")
        return link


def safe_target(url: str) -> bool:
    """Whether a click may go there: an absolute http or https URL without anything that could end a header."""
    return (
        url.startswith(("https://", "http://"))
        and len(url) <= MOST_URL_CHARACTERS
        and url.isascii()
        and all(33 <= ord(mark) < 127 for mark in url)  # noqa: PLR2004  # printable ASCII without the space
    )


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(MailLink)
