"""`edgewise replay DECISION_ID`: make a logged decision again and compare it to the byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgewise.ids import DecisionId
from edgewise.terminal import Json, Quiet, Terminal
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.replay import Replay

app = typer.Typer(add_completion=False)


@app.command()
def replay(
    decision: Annotated[str, typer.Argument(metavar="DECISION_ID", help="As the answer of /v1/decide names it.")],
    data_dir: DataDir,
    *,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a logged decision again: same bundle, same profile, same question; exit 1 if anything differs.

    The visitor's profile is folded from the ledger up to what the node had applied; the scores come from the edge's
    own scorer. The decision's canonical bytes, the logged feature rows and the impressions must come out equal.
    """
    from hub.replay import replay_decisions

    terminal = Terminal(json=json, quiet=quiet)
    (replayed,) = replay_decisions(data_dir, [DecisionId(decision)])
    terminal.result(replayed, _shown(replayed))
    if not replayed.identical:
        terminal.error(f"{decision} does not come out as it was logged")
        raise typer.Exit(1)


def _shown(replayed: Replay) -> str:
    made = f"bundle {replayed.bundle_version} ({replayed.bundle_digest[:12]})"
    if replayed.difference is None:
        lines = [f"{replayed.decision_id} is identical, made with {made}", f"sha256 {replayed.sha256}"]
    else:
        difference = replayed.difference
        lines = [
            f"{replayed.decision_id} differs, made with {made}",
            f"at {difference.path}:",
            f"  logged    {difference.logged!r}",
            f"  replayed  {difference.replayed!r}",
        ]
    lines += [f"the profile could not be rebuilt: {missing}" for missing in replayed.missing]
    return "\n".join([*lines, *(f"note: {note}" for note in replayed.notes)])
