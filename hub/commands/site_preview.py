"""`edgewise site preview`: what a visitor would see of a site as its files are now, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
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
    from hub.preview.deciding import Asked, Seen

_HINT = "?locale=de, ?visitor=ID, ?viewed=ITEM,ITEM, ?arm= or ?placement="


class _Wanted(NamedTuple):
    """What is asked for; a served page's address may ask for others."""

    placement: str
    who: Somebody
    attributes: Mapping[str, str]
    locale: str
    most: int | None
    arm: str | None
    at_ms: int | None


def preview(
    folder: SiteFolder,
    data_dir: DataDir,
    *,
    placement: Annotated[str, typer.Option("--placement", metavar="NAME", help="What to look at.")],
    visitor: VisitorId = None,
    viewed: Viewed = None,
    events: Events = None,
    attributes: Annotated[
        list[str] | None,
        typer.Option("--attributes", metavar="NAME=VALUE", help="Of the page view: device.type=mobile, weather=sunny."),
    ] = None,
    locale: Annotated[str, typer.Option("--locale", metavar="TAG", help="As de or de-AT.")] = "",
    count: Annotated[int | None, typer.Option("--count", min=1, max=100, help="How many items.")] = None,
    arm: Arm = None,
    at: At = None,
    style: Annotated[
        list[str] | None, typer.Option("--style", metavar="URL", help="A style sheet of the site; repeatable.")
    ] = None,
    base: Annotated[
        str,
        typer.Option("--base", metavar="URL", help="Where pictures of relative addresses are: https://shop.example/"),
    ] = "",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the page to a file.")] = None,
    serve: Serve = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="With --serve; 0: any.")] = 8094,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what somebody would see in a placement, as if everything of the site were approved. Nothing is written.

    Without --visitor he is made up: he agrees to everything, and did what --events and --viewed say. Live facts are not
    asked for: what is sold out by them alone is still seen.
    """
    from hub.preview.page import Look, preview_page

    terminal = Terminal(json=json, quiet=quiet)
    demand_folders(out)
    wanted = _Wanted(
        placement,
        Somebody(visitor, viewed=viewed or (), calls=lines_of(events)),
        pairs(attributes or []),
        locale,
        count,
        arm,
        moment(at),
    )
    look = Look(tuple(style or ()), base)
    with previewing.opened(data_dir) as opened:
        if serve:

            def show(query: Mapping[str, str]) -> str:
                texts = {name: query[name] for name in ("placement", "locale", "arm") if name in query}
                other = wanted._replace(who=changed(wanted.who, query), **texts)  # type: ignore[arg-type]  # all texts
                return preview_page(*_see(opened, folder, other), look)

            previewing.serve(port, show, terminal, _HINT)
            return
        asked, seen = _see(opened, folder, wanted)
        if out is not None:
            put(out, preview_page(asked, seen, look))
        terminal.result(_plain(asked, seen, out), *_shown(asked, seen, out))


def _see(opened: Opened, folder: Path, wanted: _Wanted) -> tuple[Asked, Seen]:
    """Read the site as it is now, and decide."""
    from edgewise.clock import SystemClock
    from edgewise.ids import ArmName, PlacementName
    from hub.preview.deciding import Asked, see
    from hub.preview.visitors import context_of

    _, bundle = opened.read(folder)
    now_ms = SystemClock().now_ms() if wanted.at_ms is None else wanted.at_ms
    asked = Asked(
        PlacementName(wanted.placement),
        opened.visitor(wanted.who, bundle, now_ms),
        context_of(wanted.attributes, wanted.locale),
        wanted.locale,
        wanted.most,
        None if wanted.arm is None else ArmName(wanted.arm),
    )
    return asked, see(bundle, asked, opened.run, now_ms=now_ms, entropy=entropy())


def _plain(asked: Asked, seen: Seen, out: Path | None) -> dict[str, Any]:
    return {
        "placement": asked.placement,
        "visitor": asked.visitor.name,
        "locale": asked.locale,
        "reason": seen.reason,
        "arm": seen.arm,
        "experiment": seen.experiment,
        "items": seen.items,
        "left_out": seen.left_out,
        "html": seen.html,
        "fallback": seen.fallback,
        "out": None if out is None else str(out),
    }


def _shown(asked: Asked, seen: Seen, out: Path | None) -> list[Any]:
    from rich.text import Text

    rows = [
        [
            str(item.rank),
            seen.titles[item.id],
            item.reason,
            f"{item.propensity:.3g}",
            "; ".join(why.text for why in item.why),
        ]
        for item in seen.items
    ]
    lines = [f"{asked.placement} for {asked.visitor.name}: {seen.reason}, arm {seen.arm or 'none'}"]
    lines += [f"left out: {item}: {why}" for item, why in seen.left_out.items()]
    lines += ["", seen.html] if out is None else [f"written to {out}"]
    shown: list[Any] = [table(["rank", "item", "reason", "probability", "why"], rows)] if rows else []
    return [*shown, Text("\n".join(lines))]
