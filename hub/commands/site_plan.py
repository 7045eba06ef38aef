"""`edgewise site plan`: what a site would change, and in how many of the decisions that were made lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from edgewise.errors import EdgewiseError
from edgewise.terminal import Json, Quiet, Terminal
from hub.commands.progress import progress_bar
from hub.commands.site_words import Folder, lines, shown_plan
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.evaluation.planned import Replayed
    from hub.release.plan import Plan
    from hub.release.releases import Releases
    from hub.site.loading import SiteContents

MOST = 500
_TASK = "asking decisions again"


def plan(
    folder: Folder,
    data_dir: DataDir,
    *,
    replay: Annotated[
        int, typer.Option(metavar="N", min=0, max=100_000, help="Ask the latest N decisions again; 0: none.")
    ] = MOST,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a site would change against the release that serves, and in which share of the latest decisions."""
    from hub.release.releases import open_releases
    from hub.site.loading import load_site

    terminal = Terminal(json=json, quiet=quiet)
    contents = load_site(folder)
    with open_releases(data_dir) as releases:
        planned = releases.plan(contents)
        replayed, why_not = _replayed(releases, contents, planned, replay, terminal)
    told = {**msgspec.to_builtins(planned), "replayed": msgspec.to_builtins(replayed), "not_replayed": why_not}
    terminal.result(told, lines(*shown_plan(planned, folder), *_lines(replayed, why_not), *contents.notes))


def _replayed(
    releases: Releases, contents: SiteContents, planned: Plan, most: int, terminal: Terminal
) -> tuple[Replayed | None, str]:
    """What the latest decisions say of it, or why nothing can be said."""
    from hub.evaluation.planned import replayed_share
    from hub.release.releases import NOTHING_TRAINED
    from hub.replay import Replayer
    from hub.scoring_child import ScoringChild

    if not most or planned.live is None:
        return None, "" if most == 0 else "nothing serves yet that decisions could have changed against"
    if not planned.changes:
        return None, ""
    if not releases.ledger.latest_decisions(1):
        return None, "no node has reported a decision yet that could be asked again"
    try:
        built = releases.preview(contents, NOTHING_TRAINED)
        with ScoringChild() as child, progress_bar(terminal, [_TASK]) as progress:
            return replayed_share(
                releases.ledger,
                Replayer(releases.ledger, releases, child),
                releases.bundle(planned.live),
                built,
                most=most,
                progress=lambda done, of: progress(_TASK, done, of),
            ), ""
    except EdgewiseError as refused:
        # The plan stands without; what a node would refuse, `apply` refuses with the same words.
        return None, f"decisions cannot be asked again: {refused}"


def _lines(replayed: Replayed | None, why_not: str) -> list[str]:
    from hub.evaluation.planned import said_of

    return ([why_not] if why_not else []) if replayed is None else said_of(replayed)
