"""`edgewise explain DECISION_ID`: what was asked and shown, and why."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from edgewise.consent import Purpose
from edgewise.ids import DecisionId
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from hub.explain import ExplainedItem, ExplainedPlacement, Explanation

app = typer.Typer(add_completion=False)
ABREAST: Final = 5
"""Items whose features stand side by side; they fit into a terminal of 80 columns."""


@app.command()
def explain(
    decision: Annotated[str, typer.Argument(metavar="DECISION_ID", help="As the answer of /v1/decide names it.")],
    data_dir: DataDir,
    *,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what a logged decision was asked, what it showed, with which probability, and why."""
    from hub.explain import explain_decision, plain

    explained = explain_decision(data_dir, DecisionId(decision))
    Terminal(json=json, quiet=quiet).result(plain(explained), *_shown(explained))


def _shown(explained: Explanation) -> list[Any]:
    granted = [purpose for purpose in Purpose if explained.grants.allows(purpose)]
    mutes = "; ".join(f"{kind}: {', '.join(of)}" for kind, of in explained.mute.items())
    moment = dt.datetime.fromtimestamp(explained.time_ms / 1_000, dt.UTC).isoformat(timespec="milliseconds")
    facts: list[list[Any]] = [
        ["made", f"{moment} by {explained.producer}"],
        ["bundle", f"{explained.bundle_version} ({explained.bundle_digest[:12] or 'none'})"],
        ["for", explained.subject or "nobody in particular"],
        ["granted", ", ".join(granted) or "nothing"],
        ["dial", explained.dial],
        *([["mutes", mutes]] if mutes else []),
        *([["left out", explained.degradation]] if explained.degradation != "NONE" else []),
        ["profile", ", ".join(f"{source} up to {seq:,}" for source, seq in explained.applied.items()) or "empty"],
        *([["estimated", _estimated(explained)]] if explained.scores else []),
        ["page", explained.context.page.path or "not said"],
        ["came of it", ", ".join(f"{one.kind} {one.item}" for one in explained.outcomes) or "nothing yet"],
        ["causes", explained.causes],
    ]
    shown: list[Any] = [table(["what", explained.decision_id], facts)]
    for name, placed in explained.placements.items():
        shown += _placement(name, placed)
    return shown


def _estimated(explained: Explanation) -> str:
    """Visitor scores in one line: `churn 0.72; mood: buying 0.6, leaving 0.4`."""
    return "; ".join(
        f"{name} {said:.4g}"
        if isinstance(said, float)
        else f"{name}: " + ", ".join(f"{of_class} {number:.4g}" for of_class, number in said.items())
        for name, said in explained.scores.items()
    )


def _placement(name: str, placed: ExplainedPlacement) -> list[Any]:
    arm = f", arm {placed.policy}" if placed.policy else ""
    experiment = "" if placed.experiment is None else f" of experiment {placed.experiment.key}"
    slate = table(
        ["", "item", "reason", "score", "probability", "why"],
        [
            [
                item.rank,
                (item.id if item.title == item.id else f"{item.title} ({item.id})")
                + (f", variant {item.variant}" if item.variant else ""),
                item.reason,
                f"{item.score:.4g}",
                f"{item.propensity:.4g}",
                "; ".join(cause.text for cause in item.why),
            ]
            for item in placed.items
        ],
        title=f"\n{name}: {placed.reason}{arm}{experiment}; probability of the slate {placed.propensity:.4g}",
    )
    parts = [placed.items[start : start + ABREAST] for start in range(0, len(placed.items), ABREAST)]
    return [slate, *(_seen(items) for items in parts if any(item.features for item in items))]


def _seen(items: Sequence[ExplainedItem]) -> Any:
    """Feature values of a few items, one column a slot; all of a long list abreast would be cut off."""
    columns = list(dict.fromkeys(column for item in items for column in item.features))
    rows = [[column, *(_value(item.features.get(column)) for item in items)] for column in columns]
    return table(["feature", *(str(item.rank) for item in items)], rows, title="\nwhat the model saw, by slot")


def _value(of: float | None) -> str:
    return "-" if of is None else f"{of:.4g}"
