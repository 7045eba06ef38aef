"""`/v1/mail/*`: what the links of a mail lead to. GET and HEAD change nothing of a reader's will; POST does."""

from __future__ import annotations

from base64 import b64decode
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from edge.worker import mail_pages as pages
from edge.worker.desk import Desk
from edge.worker.endpoint import NO_STORE, PRIVATE, Exchange, Handler
from edge.worker.mail import MailDesk
from edge.worker.openapi import Operation, RouteSpec
from edge.worker.problems import Answer
from edgewise.dial import DIAL_EVERYTHING
from edgewise.errors import InputError
from edgewise.mail_links import LinkKind, MailLink, MailSeal, safe_target
from edgewise.profile.preferences import Preferences
from edgewise.subjects import subject_of

HTML: Final = "text/html"
FORM: Final = "application/x-www-form-urlencoded"
_DOT: Final = b64decode(b"R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A transparent GIF of one pixel."""


class MailRoutes:
    """The links of mails, for one worker."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._mail = MailDesk(desk)
        self._seals: list[MailSeal] = []

    def table(self) -> list[RouteSpec]:
        """Every path."""

        def get(handler: Handler, summary: str, media: str, *, status: int = 200) -> Operation:
            return Operation("GET", handler, summary, media, problems=(400,), status=status)

        def post(handler: Handler, summary: str) -> Operation:
            return Operation(
                "POST",
                handler,
                summary,
                HTML,
                FORM,
                problems=(400, 503),
                is_body_optional=True,
            )

        return [
            RouteSpec(
                "/v1/mail/unsubscribe/{token}",
                "anybody",
                (
                    get(self.ask, "A page with a button; unsubscribes nobody", HTML),
                    post(self.unsubscribe, "End these mails (RFC 8058: one click, no proof but the link)"),
                ),
            ),
            RouteSpec(
                "/v1/mail/preferences/{token}",
                "anybody",
                (
                    get(self.preferences, "How often, and how personal: what holds, and what may be chosen", HTML),
                    post(self.choose, "Choose less than before"),
                ),
            ),
            RouteSpec("/v1/mail/why/{token}", "anybody", (get(self.why, "Why the mail said what it said", HTML),)),
            RouteSpec(
                "/v1/mail/click/{token}",
                "anybody",
                (get(self.click, "Go where the link of a mail goes, and count that", HTML, status=302),),
            ),
            RouteSpec("/v1/mail/open/{token}", "anybody", (get(self.open, "One pixel", "image/gif"),)),
        ]

    async def ask(self, exchange: Exchange) -> Answer:
        """A page with a button."""
        link = self._link(exchange, LinkKind.WILL)
        return pages.damaged() if link is None else pages.ask_to_unsubscribe(link.locale)

    async def unsubscribe(self, exchange: Exchange) -> Answer:
        """End these mails. What the body says does not matter: the link is all."""
        link = self._link(exchange, LinkKind.WILL)
        if link is None:
            return pages.damaged()
        await self._mail.unsubscribe(link)
        return pages.unsubscribed(link.locale)

    async def preferences(self, exchange: Exchange) -> Answer:
        """What holds."""
        link = self._link(exchange, LinkKind.WILL)
        if link is None:
            return pages.damaged()
        said = await self._mail.heard(link)
        return pages.later(link.locale) if said is None else self._shown(exchange, link, said, is_saved=False)

    async def choose(self, exchange: Exchange) -> Answer:
        """State what lowers; a proven visitor may also raise."""
        link = self._link(exchange, LinkKind.WILL)
        if link is None:
            return pages.damaged()
        before = await self._mail.heard(link)
        if before is None:
            return pages.later(link.locale)
        after = await self._mail.lower(
            link,
            before,
            dial=_chosen(exchange.body, "dial", before.dial.value, range(DIAL_EVERYTHING + 1)),
            days=_chosen(exchange.body, "days", before.mail_days, pages.DAYS),
            is_proven=self._is_his(exchange, link),
        )
        return self._shown(exchange, link, after, is_saved=True)

    async def why(self, exchange: Exchange) -> Answer:
        """The sentences that the mail brought with it."""
        link = self._link(exchange, LinkKind.WHY)
        return pages.damaged() if link is None else pages.why(link.locale, link.why)

    async def click(self, exchange: Exchange) -> Answer:
        """Nowhere but where the mail's own link says."""
        link = self._link(exchange, LinkKind.CLICK)
        if link is None or not safe_target(link.url):
            return pages.damaged()
        if not exchange.is_head:
            await self._mail.clicked(link, exchange.headers, opts_out=exchange.caller.opts_out)
        headers = [(b"location", link.url.encode()), (b"referrer-policy", b"no-referrer"), PRIVATE]
        return Answer(HTTPStatus.FOUND.value, b"", headers)

    async def open(self, exchange: Exchange) -> Answer:
        """A pixel, whatever is wrong: a mail must not show a broken picture."""
        link = self._link(exchange, LinkKind.OPEN)
        if link is not None and not exchange.is_head:
            await self._mail.opened(link, exchange.headers, opts_out=exchange.caller.opts_out)
        return Answer(HTTPStatus.OK.value, _DOT, [(b"content-type", b"image/gif"), NO_STORE])

    def _shown(self, exchange: Exchange, link: MailLink, said: Preferences, *, is_saved: bool) -> Answer:
        is_his = self._is_his(exchange, link)
        return pages.preferences(
            link.locale,
            dial=said.dial.value,
            days=said.mail_days,
            least_days=0 if is_his else said.mail_days,
            most_dial=DIAL_EVERYTHING if is_his else said.dial.value,
            is_saved=is_saved,
        )

    def _is_his(self, exchange: Exchange, link: MailLink) -> bool:
        """Whether the browser itself proves to be the one that the mail was for."""
        visitor = exchange.caller.visitor
        return visitor is not None and subject_of(self._desk.keys.subject_key, "anonymousId", visitor) == link.subject

    def _link(self, exchange: Exchange, kind: LinkKind) -> MailLink | None:
        if not self._seals:
            self._seals.append(MailSeal(self._desk.keys.visitor_key))
        try:
            return self._seals[0].read(exchange.path["token"], kind)
        except InputError:
            return None


def _chosen(body: bytes, name: str, stands: int, among: range | tuple[int, ...]) -> int:
    """A choice of the form; what stands, where it is none of those that may be chosen."""
    said = parse_qs(body[:1_000].decode("ascii", "replace")).get(name, [""])[0]
    return int(said) if said.isascii() and said.isdigit() and len(said) <= 3 and int(said) in among else stands  # noqa: PLR2004
