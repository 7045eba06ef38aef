"""`edgewise hub rewards`: what became of decisions, placement by placement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgewise.terminal import Json, Quiet, Terminal, table
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.rewards.view import PlacementRewards

_HOUR_MS = 3_600_000
_HEADINGS = ["placement", "made", "shown", "waiting", "rewarded", "late", "left out", "to learn", "mean reward"]


def rewards(
    data_dir: DataDir,
    *,
    placement: Annotated[str | None, typer.Option(metavar="NAME", help="Only this one.")] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 400, help="Decisions of the last so many hours.")] = 48.0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what became of decisions: made, shown, rewarded, dropped and why, sampled, and whose they were.

    By the reward definitions of the live release; a placement without one counts a click as 1.
    """
    from edgewise.clock import SystemClock
    from edgewise.ids import PlacementName
    from hub.ledger.ledger import open_ledger
    from hub.release.live_policy import LivePolicy
    from hub.release.repository import Repository
    from hub.rewards.view import rewards_view

    terminal = Terminal(json=json, quiet=quiet)
    clock = SystemClock()
    now_ms = clock.now_ms()
    with open_ledger(data_dir) as ledger, terminal.working("joining"):
        view = rewards_view(
            ledger,
            LivePolicy(Repository(data_dir, clock))(),
            since_ms=now_ms - round(hours * _HOUR_MS),
            now_ms=now_ms,
            placement=None if placement is None else PlacementName(placement),
        )
    notes = [f"{each.placement}: {note}" for each in view.placements for note in _notes(each)]
    terminal.result(
        view,
        table(_HEADINGS, [_row(each) for each in view.placements], title=f"decisions of the last {hours:g} hours"),
        "\n".join(notes) if view.placements else "no decision was made",
    )


def _row(each: PlacementRewards) -> list[str]:
    counts = (each.made, each.shown, each.waiting, each.rewarded, each.late, each.sampled, each.learnable)
    mean = "" if each.mean_reward is None else f"{each.mean_reward:.4g}"
    return [each.placement, *(f"{count:,}" for count in counts), mean]


def _notes(each: PlacementRewards) -> list[str]:
    """What is not as it should be, in words."""
    notes = [] if each.defined else ["no reward is defined; a click counts 1"]
    notes += [f"{count:,} dropped: {why}" for why, count in each.dropped.items()]
    notes += [f"{count:,} of {whose} traffic" for whose, count in each.traffic.items() if whose != "visitor"]
    notes += [f"{count:,} bad inputs: {why}" for why, count in each.bad.items()]
    return notes
