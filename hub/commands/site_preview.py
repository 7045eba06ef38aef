"""`edgewise site preview`: what a visitor would see of a site as its files are now, and why."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import demand_folders, put
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from edgewise.admission.load import Bundle
    from hub.ledger.ledger import Ledger
    from hub.preview.deciding import Asked, Run, Seen

_ENTROPY_BYTES = 10


class _Wanted(NamedTuple):
    """What is asked for; a served page's address may ask for others."""

    placement: str
    visitor: str | None
    viewed: list[str]
    calls: list[bytes]
    attributes: Mapping[str, str]
    locale: str
    most: int | None
    arm: str | None
    at_ms: int | None


def preview(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The site's folder.", file_okay=False)],
    data_dir: DataDir,
    *,
    placement: Annotated[str, typer.Option("--placement", metavar="NAME", help="What to look at.")],
    visitor: Annotated[
        str | None, typer.Option("--visitor", metavar="ID", help="Somebody the hub knows, by any identifier.")
    ] = None,
    viewed: Annotated[
        list[str] | None, typer.Option("--viewed", metavar="ITEM", help="A made-up visitor looked at it; repeatable.")
    ] = None,
    events: Annotated[
        Path | None, typer.Option("--events", metavar="FILE", help="What he did, a Segment envelope a line.")
    ] = None,
    attributes: Annotated[
        list[str] | None,
        typer.Option("--attributes", metavar="NAME=VALUE", help="Of the page view: device.type=mobile, weather=sunny."),
    ] = None,
    locale: Annotated[str, typer.Option("--locale", metavar="TAG", help="As de or de-AT.")] = "",
    count: Annotated[int | None, typer.Option("--count", min=1, max=100, help="How many items.")] = None,
    arm: Annotated[str | None, typer.Option("--arm", metavar="NAME", help="As this arm would have it.")] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="MOMENT", help="As of 2026-12-01T09:00+01:00.")] = None,
    style: Annotated[
        list[str] | None, typer.Option("--style", metavar="URL", help="A style sheet of the site; repeatable.")
    ] = None,
    base: Annotated[
        str,
        typer.Option("--base", metavar="URL", help="Where pictures of relative addresses are: https://shop.example/"),
    ] = "",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the page to a file.")] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve it here until Ctrl-C, made anew at each reload.")
    ] = False,
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
        visitor,
        list(viewed or ()),
        [] if events is None else [line for line in events.read_bytes().splitlines() if line.strip()],
        _pairs(attributes or []),
        locale,
        count,
        arm,
        _moment(at),
    )
    look = Look(tuple(style or ()), base)
    with _opened(data_dir, folder) as opened:
        if serve:
            _serve(opened, wanted, port, terminal, lambda asked, seen: preview_page(asked, seen, look))
            return
        asked, seen = opened.see(wanted)
        if out is not None:
            put(out, preview_page(asked, seen, look))
        terminal.result(_plain(asked, seen, out), *_shown(asked, seen, out))


class _Opened:
    """The site and the hub's data, for one or many looks."""

    def __init__(self, folder: Path, build: Callable[[Path], Bundle], ledger: Ledger, key: bytes, run: Run) -> None:
        self._folder = folder
        self._build = build
        self._ledger = ledger
        self._key = key
        self._run = run

    def see(self, wanted: _Wanted) -> tuple[Asked, Seen]:
        """Read the site as it is now, and decide."""
        from edgewise.clock import SystemClock
        from edgewise.ids import ArmName, ItemId, PlacementName
        from hub.preview.deciding import Asked, see
        from hub.preview.visitors import context_of, invented_visitor, known_visitor

        bundle = self._build(self._folder)
        now_ms = SystemClock().now_ms() if wanted.at_ms is None else wanted.at_ms
        if wanted.visitor is not None:
            somebody = known_visitor(self._ledger, self._key, wanted.visitor, bundle)
        else:
            viewed = [ItemId(item) for item in wanted.viewed]
            somebody = invented_visitor(bundle, now_ms, viewed=viewed, calls=wanted.calls)
        asked = Asked(
            PlacementName(wanted.placement),
            somebody,
            context_of(wanted.attributes, wanted.locale),
            wanted.locale,
            wanted.most,
            None if wanted.arm is None else ArmName(wanted.arm),
        )
        return asked, see(bundle, asked, self._run, now_ms=now_ms, entropy=secrets.token_bytes(_ENTROPY_BYTES))


@contextmanager
def _opened(data_dir: Path, folder: Path) -> Iterator[_Opened]:
    from edgewise.admission.load import load_bundle
    from hub.keys import KeyFolder
    from hub.ledger.ledger import open_ledger
    from hub.release.releases import NOTHING_TRAINED, Releases
    from hub.scoring_child import ScoringChild
    from hub.site.loading import load_site

    with open_ledger(data_dir) as ledger, ScoringChild() as child:
        releases = Releases(data_dir, ledger)

        def build(site: Path) -> Bundle:
            built = releases.preview(load_site(site, as_if_all_approved=True), NOTHING_TRAINED)
            return load_bundle(built.manifest, built.digest, built.resources)

        yield _Opened(folder, build, ledger, KeyFolder(data_dir).secrets().subject_key, child.score)


def _serve(opened: _Opened, wanted: _Wanted, port: int, terminal: Terminal, page: Callable[[Asked, Seen], str]) -> None:
    from hub.preview.serving import HOST, preview_server

    def show(query: Mapping[str, str]) -> str:
        texts = {name: query[name] for name in ("placement", "visitor", "locale", "arm") if name in query}
        changed = wanted._replace(**texts)  # type: ignore[arg-type]  # texts, all of them
        if "viewed" in query:
            changed = changed._replace(visitor=None, viewed=[item for item in query["viewed"].split(",") if item])
        return page(*opened.see(changed))

    with preview_server(port, show) as server:
        address = f"http://{HOST}:{server.server_address[1]}/"
        terminal.result(
            {"url": address},
            f"preview at {address} until Ctrl-C; add ?locale=de, ?visitor=ID, ?viewed=ITEM,ITEM, ?arm= or ?placement=",
        )
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def _pairs(given: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r}; expected NAME=VALUE", param_hint="--attributes")
        pairs[name] = value
    return pairs


def _moment(text: str | None) -> int | None:
    import datetime as dt

    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as wrong:
        raise typer.BadParameter(f"{text!r} is no moment; write 2026-12-01T09:00+01:00", param_hint="--at") from wrong
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no time zone; write {text}+01:00 or {text}Z", param_hint="--at")
    return round(moment.timestamp() * 1_000)


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
