"""How `edgewise site` tells of plans, for people who have to approve them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.text import Text

    from hub.release.plan import Plan

SHOWN_CHANGES = 60

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The site's folder.", file_okay=False)]


def shown_plan(planned: Plan, folder: Path) -> list[str]:
    """A plan, kind by kind and thing by thing."""
    from hub.release.plan_words import told

    against = "nothing serves yet" if planned.live is None else f"against release {planned.live}, which serves"
    if planned.damage:
        against = f"against nothing, because what serves is damaged: {planned.damage}"
    count = "1 change" if len(planned.changes) == 1 else f"{len(planned.changes)} changes"
    told_changes = told(planned.changes)
    shown = [f"{count}, {against}", *(f"  {line}" for line in told_changes[:SHOWN_CHANGES])]
    if len(told_changes) > SHOWN_CHANGES:
        shown.append(f"  … and {len(told_changes) - SHOWN_CHANGES} more lines (all with --json)")
    return [*shown, *shown_waiting(planned.waiting, folder)]


def shown_waiting(waiting: tuple[str, ...], folder: Path) -> list[str]:
    """Which items wait for an approval, and the command that gives it."""
    if not waiting:
        return []
    few = ", ".join(waiting[:5]) + (", …" if len(waiting) > 5 else "")  # noqa: PLR2004
    count = "1 item waits" if len(waiting) == 1 else f"{len(waiting)} items wait"
    return [f"{count} for an approval, out of every answer until then ({few}): edgewise site approve {folder}"]


def lines(*texts: str) -> Text:
    """Lines as they are: what a site's owner wrote is no markup."""
    from rich.text import Text

    return Text("\n".join(texts))
