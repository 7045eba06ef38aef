"""`edgewise train score`: learn from the ledger what visitors will do, calibrate it, register it for approval."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.table import Table

from edgewise.ids import ModelName
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import demand_folders, put
from hub.commands.training import Seed, Settings, SiteFolder, TrainedBy, training, training_bars
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.train.scores.reliability import Reliability
    from hub.train.scores.score import TrainedScore


def score(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A score of the site: models/NAME.yaml says how.")],
    data_dir: DataDir,
    *,
    site: SiteFolder,
    seed: Seed = 0,
    settings: Settings = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a page with plots.")] = None,
    by: TrainedBy = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Learn a score of visitors from what they did, and keep the model for a person to approve.

    What it tells is in the site: whether the visitor orders or stays away, what he looks at next, why he left his
    cart, a trait that others have stated. The latest rows are held back to judge by, rows before them calibrate, so
    that what was said to come in one case of five comes in one of five. The exported model is compared with the
    trained one by the scorer that runs on the edge; a model that differs is refused.
    """
    from hub.train.scores.page import score_page
    from hub.train.scores.score import train_score

    terminal = Terminal(json=json, quiet=quiet)
    demand_folders(html)
    with training(data_dir, site, by) as given, training_bars(terminal) as say:
        trained, evidence = train_score(
            given.contents,
            given.ledger,
            given.registry,
            ModelName(name),
            by=given.by,
            seed=seed,
            settings=settings or [],
            progress=say,
        )
    if html is not None:
        put(html, score_page(f"{trained.model}@{trained.version}", evidence))
    terminal.result(_plain(trained), _shown(trained))


def _plain(trained: TrainedScore) -> dict[str, Any]:
    return {
        "model": trained.model,
        "version": trained.version,
        "sha256": trained.sha256,
        "classes": list(trained.classes),
        "metrics": trained.judged.measures,
        "calibration": {
            "error": trained.judged.error,
            "error_of_trees_alone": trained.judged.error_before,
            "tables": trained.judged.reliability,
        },
        "rows": trained.judged.rows,
        "visitors": trained.judged.visitors,
        "parity": trained.card["parity"],
        "data": trained.card["data"],
        **({"weak_labels": trained.card["weak_labels"]} if "weak_labels" in trained.card else {}),
    }


def _shown(trained: TrainedScore) -> Group:
    judged, parity = trained.judged, trained.card["parity"]
    rows = [
        [name, f"{of.estimate:.4f}", f"[{of.ci_low:.4f}, {of.ci_high:.4f}]"] for name, of in judged.measures.items()
    ]
    title = f"{trained.model}@{trained.version}: {trained.card['summary']}"
    return Group(
        table([f"{judged.rows:,} later rows, {judged.visitors:,} visitors", "", "95 %"], rows, title=title),
        _calibration(trained.judged.reliability),
        f"calibration error {judged.error:.4f}, by trees alone {judged.error_before:.4f}",
        f"parity: {parity['rows']:,} rows, {parity['mismatches']} mismatches; sha256 {trained.sha256[:12]}",
        f"next: edgewise model approve {trained.model}@{trained.version}",
    )


def _calibration(tables: Mapping[str, Reliability]) -> Table:
    """Every bin of one probability; of several classes, whose bins would be many, the highest one each."""
    of_one = len(tables) == 1
    rows = [
        [name, f"{held.rows:,}", f"{held.said:.3f}", f"{held.came:.3f}", f"[{held.low:.3f}, {held.high:.3f}]"]
        for name, reliability in tables.items()
        for held in (reliability.bins if of_one else reliability.bins[-1:])
    ]
    return table(["calibration" if of_one else "where it was said most", "rows", "said", "came", "95 %"], rows)
