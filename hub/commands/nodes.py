"""`edgewise nodes`: which nodes there are, what they run, and what they refused."""

from __future__ import annotations

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.data_dir import DataDir

app = typer.Typer(help="Nodes, what they run, and what they refused.")


@app.callback(invoke_without_command=True)
def nodes(data_dir: DataDir, *, json: Json = False, quiet: Quiet = False) -> None:
    """List every node that this hub has heard of, as it was last heard of.

    AWAY: it is not connected, or nothing was heard of it for more than a minute.
    """
    from edgewise.clock import SystemClock
    from hub.ledger.ledger import open_ledger

    with open_ledger(data_dir) as ledger:
        now_ms = SystemClock().now_ms()
        found = [node.at(now_ms) for node in ledger.nodes()]
    rows = [
        [
            node.node,
            node.shown_state,
            node.bundle_version,
            "-" if node.facts_version is None else node.facts_version,
            f"{max(0, now_ms - node.last_seen_ms) / 1_000:,.0f} s ago",
            f"{node.decisions:,}",
            f"{node.spool_bytes:,}",
            "; ".join(
                f"{code}: {detail}"
                for code, detail in ((node.nack_code, node.nack_detail), (node.facts_code, node.facts_detail))
                if code
            ),
        ]
        for node in found
    ]
    columns = ["node", "state", "release", "facts", "heard", "decisions", "spool bytes", "refused"]
    Terminal(json=json, quiet=quiet).result(
        {"nodes": found}, table(columns, rows) if rows else "no node has connected to this hub yet"
    )
