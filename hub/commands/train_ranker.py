"""`edgewise train ranker`: learn from the ledger how to rank a placement, judge it, register it for approval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group

from edgewise.errors import InputError
from edgewise.ids import ModelName
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.training import Name, Seed, Settings, SiteFolder, TrainedBy, training, training_bars
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.train.judging import Estimate
    from hub.train.ranker import TrainedRanker


def ranker(
    name: Name,
    data_dir: DataDir,
    *,
    site: SiteFolder,
    seed: Seed = 0,
    settings: Settings = None,
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Only add what came since the latest version: a day in seconds.")
    ] = False,
    parent: Annotated[
        int | None, typer.Option("--from", min=1, metavar="VERSION", help="Which version to add it to.")
    ] = None,
    tune: Annotated[
        int, typer.Option(min=0, max=1_000, help="Try so many settings of the trees first; needs edgewise[tune].")
    ] = 0,
    by: TrainedBy = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Learn to rank a placement from what visitors did, and keep the model for a person to approve.

    Every visitor's past is replayed as the edge would have known it. The latest outcomes are held back to judge by:
    how often was the item that was wanted next among those shown? The exported model is compared with the trained one
    by the scorer that runs on the edge; a model that differs is refused.
    With --incremental the trees of an earlier version stay, a few are added for what came since, and neighbours and
    statistics are fitted again. Without anything new it says so, and the version that was there stays.
    """
    if (parent is not None and not incremental) or (incremental and tune):
        raise InputError("--from goes with --incremental, and --tune with training in full")
    from hub.train.ranker import How, train_ranker

    terminal = Terminal(json=json, quiet=quiet)
    with training(data_dir, site, by) as given, training_bars(terminal) as say:
        trained = train_ranker(
            given.contents,
            given.ledger,
            given.registry,
            ModelName(name),
            by=given.by,
            seed=seed,
            settings=settings or [],
            how=How(incremental, parent, tune),
            progress=say,
        )
    terminal.result(_plain(trained), _shown(trained))


def _plain(trained: TrainedRanker) -> dict[str, Any]:
    return {
        "model": trained.model,
        "version": trained.version,
        "sha256": trained.sha256,
        "metrics": {group: judged.measures for group, judged in trained.judged.items()},
        "visitors": {group: judged.visitors for group, judged in trained.judged.items()},
        "choices": {group: judged.choices for group, judged in trained.judged.items()},
        "parity": trained.card["parity"],
        "data": trained.card["data"],
        "reproduction": trained.card["reproduction"],
    }


def _shown(trained: TrainedRanker) -> Group:
    measures = dict.fromkeys(measure for judged in trained.judged.values() for measure in judged.measures)
    rows = [
        [measure, *(_in_words(judged.measures.get(measure)) for judged in trained.judged.values())]
        for measure in measures
    ]
    columns = [f"{group} ({judged.choices:,} outcomes)" for group, judged in trained.judged.items()]
    parity = trained.card["parity"]
    return Group(
        table(["on later outcomes", *columns], rows, title=f"{trained.model}@{trained.version}"),
        f"parity: {parity['rows']:,} rows, {parity['mismatches']} mismatches; sha256 {trained.sha256[:12]}",
        f"next: edgewise model approve {trained.model}@{trained.version}",
    )


def _in_words(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{estimate.estimate:.4f} [{estimate.ci_low:.4f}, {estimate.ci_high:.4f}]"
