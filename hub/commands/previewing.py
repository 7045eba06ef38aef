"""What previews of pages and of mails share: the site and the hub's data, whom it is for, and a page that is served."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from edgewise.terminal import Terminal

if TYPE_CHECKING:
    from edgewise.admission.load import Bundle
    from edgewise.ids import ItemId
    from hub.ledger.ledger import Ledger
    from hub.preview.deciding import Run
    from hub.preview.visitors import Visitor
    from hub.site.loading import SiteContents

SiteFolder = Annotated[Path, typer.Argument(metavar="DIR", help="The site's folder.", file_okay=False)]
VisitorId = Annotated[
    str | None, typer.Option("--visitor", metavar="ID", help="Somebody the hub knows, by any identifier.")
]
Viewed = Annotated[
    list[str] | None, typer.Option("--viewed", metavar="ITEM", help="A made-up visitor looked at it; repeatable.")
]
Events = Annotated[
    Path | None, typer.Option("--events", metavar="FILE", help="What he did, a Segment envelope a line.")
]
Arm = Annotated[str | None, typer.Option("--arm", metavar="NAME", help="As this arm would have it.")]
At = Annotated[str | None, typer.Option("--at", metavar="MOMENT", help="As of 2026-12-01T09:00+01:00.")]
Serve = Annotated[bool, typer.Option("--serve", help="Serve it here until Ctrl-C, made anew at each reload.")]

_ENTROPY_BYTES = 10


class Somebody(NamedTuple):
    """Whom a preview is for, as it is asked."""

    visitor: str | None
    """Any identifier of somebody the hub knows; None: he is made up, and did the rest."""
    viewed: Sequence[str] = ()
    cart: Sequence[str] = ()
    calls: Sequence[bytes] = ()


class Opened:
    """The hub's data, for one or many looks."""

    def __init__(self, build: Callable[[SiteContents], Bundle], ledger: Ledger, key: bytes, run: Run) -> None:
        self._build = build
        self._key = key
        self.ledger = ledger
        self.run = run

    def read(self, folder: Path) -> tuple[SiteContents, Bundle]:
        """A site as its files are now, as if everything of it were approved."""
        from hub.site.loading import load_site

        contents = load_site(folder, as_if_all_approved=True)
        return contents, self._build(contents)

    def visitor(self, who: Somebody, bundle: Bundle, now_ms: int) -> Visitor:
        """Raises InputError for nobody, or for what a visitor cannot have done."""
        from hub.preview.visitors import invented_visitor, known_visitor

        if who.visitor is not None:
            return known_visitor(self.ledger, self._key, who.visitor, bundle)
        viewed, cart = _items(who.viewed), _items(who.cart)
        return invented_visitor(bundle, now_ms, viewed=viewed, cart=cart, calls=who.calls)


@contextmanager
def opened(data_dir: Path) -> Iterator[Opened]:
    """For as long as somebody looks."""
    from edgewise.admission.load import load_bundle
    from hub.keys import KeyFolder
    from hub.ledger.ledger import open_ledger
    from hub.release.releases import NOTHING_TRAINED, Releases
    from hub.scoring_child import ScoringChild

    with open_ledger(data_dir) as ledger, ScoringChild() as child:
        releases = Releases(data_dir, ledger)

        def build(contents: SiteContents) -> Bundle:
            built = releases.preview(contents, NOTHING_TRAINED)
            return load_bundle(built.manifest, built.digest, built.resources)

        yield Opened(build, ledger, KeyFolder(data_dir).secrets().subject_key, child.score)


def serve(port: int, show: Callable[[Mapping[str, str]], str], terminal: Terminal, hint: str) -> None:
    """Serve a preview on this machine until Ctrl-C; `hint` says what its address may ask for."""
    from hub.preview.serving import HOST, preview_server

    with preview_server(port, show) as server:
        address = f"http://{HOST}:{server.server_address[1]}/"
        terminal.result({"url": address}, f"preview at {address} until Ctrl-C; add {hint}")
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def changed(who: Somebody, query: Mapping[str, str]) -> Somebody:
    """Whom the address of a served preview asks for: who has viewed something by it is made up."""
    if "visitor" in query:
        who = who._replace(visitor=query["visitor"])
    for what in ("viewed", "cart"):
        if what in query:
            items = [item for item in query[what].split(",") if item]
            who = who._replace(visitor=None, **{what: items})  # type: ignore[arg-type]  # both are lists of items
    return who


def entropy() -> bytes:
    """Of a decision's id."""
    return secrets.token_bytes(_ENTROPY_BYTES)


def lines_of(events: Path | None) -> list[bytes]:
    """Segment envelopes of a file, one a line."""
    return [] if events is None else [line for line in events.read_bytes().splitlines() if line.strip()]


def pairs(given: list[str]) -> dict[str, str]:
    """`NAME=VALUE` of --attributes."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r}; expected NAME=VALUE", param_hint="--attributes")
        found[name] = value
    return found


def moment(text: str | None) -> int | None:
    """Epoch milliseconds of --at; None where it is not said."""
    import datetime as dt

    if text is None:
        return None
    try:
        said = dt.datetime.fromisoformat(text)
    except ValueError as wrong:
        raise typer.BadParameter(f"{text!r} is no moment; write 2026-12-01T09:00+01:00", param_hint="--at") from wrong
    if said.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no time zone; write {text}+01:00 or {text}Z", param_hint="--at")
    return round(said.timestamp() * 1_000)


def _items(named: Sequence[str]) -> list[ItemId]:
    from edgewise.ids import ItemId

    return [ItemId(item) for item in named]
