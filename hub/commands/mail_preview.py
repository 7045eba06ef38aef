"""`edgewise mail preview`: the mail of a journey as a visitor or a cart would get it, by the site as its files are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from edgewise.terminal import Json, Quiet, Terminal
from hub.commands import previewing
from hub.commands.options import demand_folders, put
from hub.commands.previewing import (
    Arm,
    At,
    Events,
    Serve,
    SiteFolder,
    Somebody,
    Viewed,
    VisitorId,
    changed,
    entropy,
    lines_of,
    moment,
    pairs,
)
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.commands.previewing import Opened
    from hub.mail.composing import House
    from hub.preview.mails import AskedMail, SeenMail
    from hub.site.journey_file import JourneyFile, StepFile

_HINT = "?locale=de, ?visitor=ID, ?cart=ITEM,ITEM, ?viewed=ITEM,ITEM, ?arm=, ?step=2 or ?journey="


class _Wanted(NamedTuple):
    """What is asked for; a served page's address may ask for others."""

    journey: str
    step: str
    who: Somebody
    attributes: Mapping[str, str]
    locale: str
    arm: str | None
    at_ms: int | None
    site: str


def preview(
    folder: SiteFolder,
    data_dir: DataDir,
    *,
    journey: Annotated[str, typer.Option("--journey", metavar="NAME", help="Whose mail.")],
    step: Annotated[int, typer.Option("--step", min=1, max=100, help="Its first mail, its second…")] = 1,
    visitor: VisitorId = None,
    cart: Annotated[
        list[str] | None, typer.Option("--cart", metavar="ITEM", help="It lies in the cart; repeatable.")
    ] = None,
    viewed: Viewed = None,
    events: Events = None,
    attributes: Annotated[
        list[str] | None, typer.Option("--attributes", metavar="NAME=VALUE", help="Of the context: weather=sunny.")
    ] = None,
    locale: Annotated[str, typer.Option("--locale", metavar="TAG", help="As de or de-AT; else the reader's own.")] = "",
    arm: Arm = None,
    at: At = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="The hub's settings: who writes."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write a page of it to a file.")] = None,
    serve: Serve = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="With --serve; 0: any.")] = 8095,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the mail that somebody would get, subject, text and HTML; nothing is sent, promised or written.

    Without --visitor he is made up: he agrees to everything, and did what --events, --viewed and --cart say. With it,
    his own cart counts where --cart names none. Live facts are not asked for.
    """
    from hub.mail.configured import house_of
    from hub.preview.mail_page import mail_page
    from hub.preview.mails import UNKNOWN_HOUSE
    from hub.settings import load_settings

    terminal = Terminal(json=json, quiet=quiet)
    demand_folders(out)
    who = Somebody(visitor, viewed=viewed or (), cart=cart or (), calls=lines_of(events))
    settings = load_settings(config, os.environ)
    wanted = _Wanted(journey, str(step), who, pairs(attributes or []), locale, arm, moment(at), settings.mail_site)
    said = house_of(settings) if settings.mail_from else UNKNOWN_HOUSE
    house = said._replace(counts_opens=False, counts_clicks=False, links=said.links or UNKNOWN_HOUSE.links)
    with previewing.opened(data_dir) as opened:
        if serve:

            def show(query: Mapping[str, str]) -> str:
                texts = {name: query[name] for name in ("journey", "step", "locale", "arm") if name in query}
                other = wanted._replace(who=changed(wanted.who, query), **texts)  # type: ignore[arg-type]  # all texts
                return mail_page(*_see(opened, folder, other, house))

            previewing.serve(port, show, terminal, _HINT)
            return
        asked, seen = _see(opened, folder, wanted, house)
        if out is not None:
            put(out, mail_page(asked, seen))
        terminal.result(_plain(asked, seen, out), *_shown(asked, seen, out))


def _see(opened: Opened, folder: Path, wanted: _Wanted, house: House) -> tuple[AskedMail, SeenMail]:
    """Read the site as it is now, and decide."""
    from edgewise.clock import SystemClock
    from edgewise.ids import ArmName, ItemId
    from hub.journeys.writing import LOCALE
    from hub.preview.mails import AskedMail, Reader, known_reader, see_mail
    from hub.preview.visitors import context_of

    contents, bundle = opened.read(folder)
    journey = _journey(contents.journeys, wanted.journey)
    now_ms = SystemClock().now_ms() if wanted.at_ms is None else wanted.at_ms
    visitor = opened.visitor(wanted.who, bundle, now_ms)
    is_known = wanted.who.visitor is not None
    reader = known_reader(opened.ledger, visitor, journey, now_ms) if is_known else Reader()
    if wanted.who.cart:
        reader = reader._replace(cart=[ItemId(item) for item in wanted.who.cart])
    locale = wanted.locale or str(reader.contact.get(LOCALE) or "")
    asked = AskedMail(
        wanted.journey,
        _step(journey, wanted),
        visitor,
        reader,
        context_of(wanted.attributes, locale),
        locale,
        wanted.site,
        None if wanted.arm is None else ArmName(wanted.arm),
    )
    return asked, see_mail(bundle, asked, house, opened.run, now_ms=now_ms, entropy=entropy())


def _journey(journeys: Mapping[str, JourneyFile], name: str) -> JourneyFile:
    from edgewise.errors import InputError
    from hub.site.converting import did_you_mean

    mails = {of: journey for of, journey in journeys.items() if journey.kind == "mail"}
    if name in mails:
        return mails[name]
    what = f"the journey {name!r} writes no mails" if name in journeys else f"the site has no journey {name!r}"
    cure = did_you_mean(name, mails) if mails else "write one of `kind: mail`"
    raise InputError(f"{what}; {cure}")


def _step(journey: JourneyFile, wanted: _Wanted) -> StepFile:
    from edgewise.errors import InputError

    if not wanted.step.isdecimal() or not 1 <= int(wanted.step) <= len(journey.steps):
        raise InputError(f"{wanted.journey} has no step {wanted.step}; expected 1 to {len(journey.steps)}")
    return journey.steps[int(wanted.step) - 1]


def _plain(asked: AskedMail, seen: SeenMail, out: Path | None) -> dict[str, Any]:
    from hub.preview.mail_page import warnings

    return {
        "journey": asked.journey,
        "visitor": asked.visitor.name,
        "locale": asked.locale,
        "reason": seen.treatment.reason,
        "arm": seen.treatment.policy,
        "experiment": seen.treatment.experiment,
        "items": seen.items,
        "cart": seen.cart,
        "warnings": warnings(asked, seen),
        "subject": seen.subject,
        "text": seen.text,
        "html": seen.html,
        "out": None if out is None else str(out),
    }


def _shown(asked: AskedMail, seen: SeenMail, out: Path | None) -> list[Any]:
    from rich.text import Text

    from hub.preview.mail_page import told, warnings

    lines = [f"for {asked.visitor.name}", told(asked.step.treatments, seen.treatment), *warnings(asked, seen)]
    if seen.subject:
        lines += ["", f"Subject: {seen.subject}", "", seen.text]
    lines += ["`--out FILE` or `--serve` shows the HTML"] if out is None else [f"written to {out}"]
    return [Text("\n".join(lines))]
