"""From a letter to one message to one address (RFC 5322), read again before anybody gets it.

Whatever a letter holds, item names and traits of visitors among it, the message has the header fields listed here, each
once, and two parts. That is made sure of twice: values are made harmless before (`hub.mail.headers`), and the bytes are
parsed again and compared with what was meant. A message that does not read as it was meant is not sent.
"""

from __future__ import annotations

import datetime as dt
import re
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import format_datetime
from typing import Any, Final, NamedTuple

import msgspec
from typing_extensions import override

from edgewise.errors import InputError
from edgewise.ids import DecisionId, ItemId, PlacementName, SubjectId
from edgewise.mail_links import LinkKind, MailLink, MailSeal, safe_target
from hub.mail import headers
from hub.mail.letters import Due, Letter
from hub.mail.pages import Below, Place, as_text, inlined, text_with_below, with_below, with_targets
from hub.mail.sending import Composer, address_hash
from hub.mail.ways import Prepared
from hub.mail.words import words_of

ONE_CLICK: Final = "List-Unsubscribe=One-Click"
PREFERENCES: Final = "/v1/mail/preferences"
UNSUBSCRIBE: Final = "/v1/mail/unsubscribe"
"""Paths, behind the address of edges, that a letter writes for its reader's own links."""
MOST_HTML_BYTES: Final = 512 << 10
"""Mail programs cut off what is longer than about 100 kB; this is to keep mistakes of a template small."""
_MOST_LINE_BYTES: Final = 998
"""RFC 5322, 2.1.1."""


class _Policy(policy.EmailPolicy):
    """Leaves the URL of `List-Unsubscribe` whole.

    The library would fold it into encoded words, which no mail program takes for a URL.
    """

    @override
    def fold(self, name: str, value: Any) -> str:
        return f"{name}: {value}{self.linesep}" if name == "List-Unsubscribe" else super().fold(name, value)

    @override
    def fold_binary(self, name: str, value: Any) -> bytes:
        if name == "List-Unsubscribe":
            return f"{name}: {value}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)


_POLICY: Final = _Policy(linesep="\r\n", max_line_length=100)


class House(NamedTuple):
    """Who writes, and under which addresses; the same in every mail."""

    sender: str
    """Bare address; bounces go there."""
    sender_name: str
    links: str
    """Where edges are reached: `https://edge.shop.example`."""
    reply_to: str = ""
    imprint: str = ""
    """Postal address, where the law asks for one."""
    counts_opens: bool = True
    counts_clicks: bool = True


class MessageComposer(Composer):
    """For one house."""

    def __init__(self, house: House, seal: MailSeal, subject_key: bytes) -> None:
        """Raises InputError for a house whose own addresses cannot stand in a mail."""
        self._sender = headers.address(house.sender)
        self._reply_to = headers.address(house.reply_to) if house.reply_to else ""
        if not safe_target(house.links):
            raise InputError(f"mail_links: {house.links!r}, expected https://HOST under which visitors reach an edge")
        self._house = house
        self._links = house.links.rstrip("/")
        self._seal = seal
        self._subject_key = subject_key

    @override
    def compose(self, due: Due, letter: Letter, message_id: str, now_ms: int) -> Prepared:
        """Raises InputError for a letter that cannot be one message to one address."""
        to = headers.address(letter.to)
        address = address_hash(self._subject_key, to)
        links = _Links(self._seal, self._links, letter, person=due.person, address=address, mail=message_id)
        words = words_of(letter.locale)
        below = Below(
            lines=(
                (words.why, links.why()),
                (words.preferences, links.preferences()),
                (words.unsubscribe, links.unsubscribe()),
            ),
            imprint=self._house.imprint,
            pixel=links.pixel() if self._house.counts_opens else "",
        )
        content = with_targets(letter.html, links.click if self._house.counts_clicks else links.plain)
        content = inlined(with_below(content, below))
        text = text_with_below(links.in_text(letter.text or as_text(letter.html)), below)
        if len(content.encode()) > MOST_HTML_BYTES:
            raise InputError(f"{len(content.encode()):,} bytes of HTML; expected at most {MOST_HTML_BYTES:,}")
        domain = self._sender.rpartition("@")[2]
        fields: dict[str, str | Address] = {
            "From": Address(headers.plain(self._house.sender_name), addr_spec=self._sender),
            "To": Address(addr_spec=to),
            **({"Reply-To": Address(addr_spec=self._reply_to)} if self._reply_to else {}),
            "Subject": headers.plain(letter.subject),
            "Date": format_datetime(dt.datetime.fromtimestamp(now_ms // 1_000, dt.UTC)),
            "Message-ID": f"<{message_id}@{domain}>",
            "List-Unsubscribe": f"<{links.unsubscribe()}>",
            "List-Unsubscribe-Post": ONE_CLICK,
            "Auto-Submitted": "auto-generated",
            "Content-Language": headers.locale(letter.locale),
        }
        data = message_of(fields, text=text, html=content, boundary=message_id)
        return Prepared(
            due=due,
            letter=letter,
            sender=self._sender,
            to=to,
            message_id=message_id,
            data=data,
            html=content,
            text=text,
            unsubscribe=links.unsubscribe(),
        )


def message_of(fields: dict[str, str | Address], *, text: str, html: str, boundary: str) -> bytes:
    """The bytes of a message with exactly these fields and parts.

    Raises InputError where they cannot be put together so that a reader finds the same.
    """
    message = EmailMessage(policy=_POLICY)
    try:
        message.set_content(text, cte="quoted-printable")
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        # Behind the parts: `add_alternative` would move `Content-Language` into the first one.
        for name, value in fields.items():
            message[name] = value
        message.set_boundary(f"=_{boundary}")  # which no quoted-printable part can hold
        data = message.as_bytes()
    except (ValueError, UnicodeError, LookupError, IndexError) as refused:
        raise InputError(f"this cannot be a message: {refused}") from refused
    if (flaw := flaw_of(data, fields, text=text, html=html)) is not None:
        raise InputError(f"this would not be the message that was meant: {flaw}")
    return data


def flaw_of(data: bytes, fields: dict[str, str | Address], *, text: str, html: str) -> str | None:
    """What a reader of these bytes finds that was not meant; None: nothing."""
    if re.search(rb"\r(?!\n)|(?<!\r)\n", data):
        return "a line break that is none of mail's"
    if max(map(len, data.split(b"\r\n"))) > _MOST_LINE_BYTES:
        return f"a line of more than {_MOST_LINE_BYTES} bytes"
    head = data.partition(b"\r\n\r\n")[0]
    starts = [line.partition(b":")[0].decode("ascii", "replace") for line in head.split(b"\r\n") if line[:1] > b" "]
    if sorted(starts) != sorted([*fields, "MIME-Version", "Content-Type"]):
        return f"the header fields {starts}"
    read = BytesParser(policy=policy.default).parsebytes(data)
    for name, value in fields.items():
        # folding may put a space where a line was broken; it may not take any other mark away
        if _squeezed(str(read[name])) != _squeezed(str(value)):
            return f"{name} reads {str(read[name])!r:.200}"
    if len(read["To"].addresses) != 1 or len(read["From"].addresses) != 1:
        return "more than one address"
    return _flaw_of_parts(read, text, html)


def _flaw_of_parts(read: EmailMessage, text: str, html: str) -> str | None:
    parts = list(read.iter_parts())
    if [part.get_content_type() for part in parts] != ["text/plain", "text/html"] or read.defects:
        return "other parts than text and HTML"
    for part, meant in zip(parts, (text, html), strict=True):
        assert isinstance(part, EmailMessage)
        if _lines(part.get_content()) != _lines(meant) or set(part.keys()) - _PART_FIELDS:
            return "a part that reads otherwise"
    return None


_PART_FIELDS: Final = frozenset({"Content-Type", "Content-Transfer-Encoding", "MIME-Version"})


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _lines(text: str) -> str:
    return "\n".join(text.splitlines()).rstrip("\n")


class _Links:
    """The links of one mail."""

    def __init__(
        self, seal: MailSeal, base: str, letter: Letter, *, person: SubjectId, address: SubjectId, mail: str
    ) -> None:
        self._seal = seal
        self._base = base
        self._about = MailLink(
            kind=LinkKind.WILL,
            subject=person,
            mail=mail,
            address=address,
            decision_id=letter.decisions[0].decision_id if letter.decisions else DecisionId(""),
            locale=headers.locale(letter.locale),
        )
        self._placement_of = {
            record.decision_id: record.placements[0].name for record in letter.decisions if len(record.placements) == 1
        }
        self._why = letter.why

    def unsubscribe(self) -> str:
        return self._url("unsubscribe", self._token(LinkKind.WILL))

    def preferences(self) -> str:
        return self._url("preferences", self._token(LinkKind.WILL))

    def why(self) -> str:
        return self._url("why", self._token(LinkKind.WHY, why=tuple(headers.plain(each) for each in self._why[:8])))

    def pixel(self) -> str:
        return self._url("open", self._token(LinkKind.OPEN))

    def click(self, url: str, place: Place) -> str:
        """A link of the content; one that no header can hold stays as it is, and is not counted."""
        own = self._own(url)
        if own:
            return own
        if not safe_target(url) or url.startswith(f"{self._base}/v1/mail/"):
            return url
        decision_id = place.decision_id or self._about.decision_id
        return self._url(
            "click",
            self._token(
                LinkKind.CLICK,
                url=url,
                decision_id=decision_id,
                placement=self._placement_of.get(decision_id, PlacementName("")),
                item=place.item or ItemId(""),
            ),
        )

    def plain(self, url: str, _place: Place) -> str:
        """A link of the content where clicks are not counted."""
        return self._own(url) or url

    def in_text(self, text: str) -> str:
        """A letter's plain part, with its reader's own links in it."""
        stands = rf"{re.escape(self._base)}/v1/(?:why/\w+|mail/(?:preferences|unsubscribe))(?![\w/])"
        return re.sub(stands, lambda found: self._own(found[0]) or found[0], text)

    def _own(self, url: str) -> str:
        """The reader's own link that a letter's URL stands for; blank: for none."""
        if url.startswith(f"{self._base}/v1/why/"):
            return self.why()  # no edge knows a decision of the hub: the mail brings its reasons with it
        if url == f"{self._base}{PREFERENCES}":
            return self.preferences()
        return self.unsubscribe() if url == f"{self._base}{UNSUBSCRIBE}" else ""

    def _url(self, what: str, token: str) -> str:
        return f"{self._base}/v1/mail/{what}/{token}"

    def _token(self, kind: LinkKind, **changes: object) -> str:
        return self._seal.token(msgspec.structs.replace(self._about, kind=kind, **changes))
