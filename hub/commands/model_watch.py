"""`edgewise model watch`: whether a model still meets what it was trained for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewise.ids import ModelName
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import demand_folders, put
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.monitor.watch import WatchReport

ALARM = 1


def watch(
    model: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="The version that is live, without.")],
    data_dir: DataDir,
    *,
    hours: Annotated[
        float, typer.Option(min=0.01, max=8_784, help="Length of the stretches that are compared.")
    ] = 24.0,
    past: Annotated[int, typer.Option(min=1, max=1_000, help="How many before the last one are compared with.")] = 28,
    settle_hours: Annotated[
        float, typer.Option(min=0, max=8_784, help="How long outcomes are waited for before they are counted.")
    ] = 24.0,
    html: Annotated[Path | None, typer.Option(help="Where the report is written as a page with plots.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare what a model sees, scores and brings with its own past, and whether anything comes; exit 1 on an alarm.

    Thresholds come from the site's own past: an alarm says that the last stretch is farther from the others than any of
    them. With 28 in the past chance alone says so once in 29 looks. What was found is kept for the hub's /metrics.
    """
    from edgewise.clock import SystemClock
    from hub.monitor.keeping import keep
    from hub.monitor.page import watch_page
    from hub.monitor.watch import WatchPlan, watch, watched
    from hub.release.releases import open_releases

    terminal = Terminal(json=json, quiet=quiet)
    demand_folders(html)
    name, at, number = model.partition("@")
    if at and not number.isdecimal():
        raise typer.BadParameter(f"{model!r}, expected NAME or NAME@VERSION", param_hint="MODEL")
    plan = WatchPlan(hours=hours, past=past, settle_hours=settle_hours)
    with open_releases(data_dir) as releases, terminal.working("reading") as say:
        version = int(number) if at else watched(releases, ModelName(name))
        found = watch(releases.ledger, releases, ModelName(name), version, plan, now_ms=SystemClock().now_ms(), say=say)
    keep(data_dir, found)
    if html is not None:
        put(html, watch_page(found))
    terminal.result(found, *_shown(found))
    for alarm in found.alarms:
        terminal.error(alarm)
    if found.alarms:
        raise typer.Exit(ALARM)


def _shown(found: WatchReport) -> list[Any]:
    facts: list[list[Any]] = [
        [
            what,
            drift.verdict,
            drift.past,
            "-" if drift.false_alarm_rate is None else f"1 in {1 / drift.false_alarm_rate:.0f}",
        ]
        for what, drift in (("features", found.features), ("score", found.score), ("calibration", found.calibration))
    ]
    fresh = found.freshness
    facts.append(["freshness", "alarm" if fresh.alarms else "ok", len(fresh.decisions) - 1, "-"])
    title = f"{found.model}@{found.version}: {found.rows[0]:,} items in the last {found.hours:g} hours"
    shown: list[Any] = [table(["", "verdict", "compared with", "false alarms"], facts, title=title)]
    far = [column for column in [*found.features.columns, *found.score.columns] if column.is_alarm]
    if far:
        from hub.monitor.page import columns_table

        columns, rows = columns_table(far)
        shown.append(table(columns, [list(row) for row in rows], title="\nfarther than ever"))
    return shown
