"""Mail as a hub's settings describe it; secrets come from the environment, or from the keys of the data folder."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parseaddr
from pathlib import Path
from typing import Final, NamedTuple

from edgewise.errors import InputError
from edgewise.mail_links import MailSeal
from hub.keys import KeyFolder
from hub.mail.composing import House, MessageComposer
from hub.mail.dkim import Signer
from hub.mail.platform import ByPlatform
from hub.mail.smtp import BySmtp, server_of
from hub.mail.ways import Way
from hub.settings import HubSettings

SECRET: Final = "EDGEWISE_MAIL_SECRET"  # noqa: S105  # the name of a variable
SECRET_FILE: Final = "mail.secret"  # noqa: S105  # the name of a file


class PostOffice(NamedTuple):
    """What writing and sending needs."""

    way: Way
    composer: MessageComposer
    subject_key: bytes


def is_configured(settings: HubSettings) -> bool:
    """Whether this hub sends mail at all."""
    return bool(settings.mail_url)


def post_office(settings: HubSettings, data_dir: Path, environment: Mapping[str, str]) -> PostOffice:
    """As it is configured.

    Raises:
        InputError: nothing is, or it cannot be used as it is; nobody should find that out when a mail is due.
        UnavailableError: the site's keys cannot be read.
    """
    if not settings.mail_url:
        raise InputError(
            "no way to send mail; expected mail_url: smtp://[USER@]HOST[:PORT], smtps://… or a platform's https URL"
        )
    house = house_of(settings)
    secrets = KeyFolder(data_dir).secrets()
    try:
        composer = MessageComposer(house, MailSeal(secrets.visitor_key), secrets.subject_key)
    except InputError as wrong:
        raise InputError(f"mail_from or mail_reply_to cannot be used: {wrong}") from wrong
    way = _way(settings, data_dir, environment, house.sender.rpartition("@")[2])
    return PostOffice(way, composer, secrets.subject_key)


def house_of(settings: HubSettings) -> House:
    """Who writes, by the settings."""
    name, sender = parseaddr(settings.mail_from)
    return House(
        sender=sender,
        sender_name=name,
        links=settings.mail_links,
        reply_to=settings.mail_reply_to,
        imprint=settings.mail_imprint,
        counts_opens=settings.mail_counts_opens,
        counts_clicks=settings.mail_counts_clicks,
    )


def _way(settings: HubSettings, data_dir: Path, environment: Mapping[str, str], domain: str) -> Way:
    keys = data_dir / "keys"
    secret = environment.get(SECRET, "").strip() or _read(keys / SECRET_FILE)
    if settings.mail_url.startswith(("https://", "http://")):
        return ByPlatform(settings.mail_url, secret.encode())
    server = server_of(settings.mail_url, secret)
    if server.user and not server.password:
        raise InputError(
            f"no password for {server.user}: neither the variable {SECRET} nor {keys / SECRET_FILE} has it"
        )
    selector = settings.mail_dkim_selector
    return BySmtp(server, signer=Signer.of(selector, domain, keys / "mail-dkim.pem") if selector else None)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as wrong:
        raise InputError(f"the secret {path} cannot be read: {wrong}") from wrong
