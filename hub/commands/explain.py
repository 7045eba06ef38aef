"""`edgewise explain DECISION_ID`: what was asked and shown, and why."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from edgewise.consent import Purpose
from edgewise.ids import DecisionId, ItemId, PlacementName
from edgewise.terminal import Json, Quiet, Terminal, table
from hub.commands.options import By
from hub.data_dir import DataDir

if TYPE_CHECKING:
    from edgewise.records import Shadow
    from hub.explain import ExplainedItem, ExplainedPlacement, Explanation
    from hub.ledger.flags import Flag

app = typer.Typer(add_completion=False)
ABREAST: Final = 5
"""Items whose features stand side by side; they fit into a terminal of 80 columns."""


@app.command()
def explain(
    decision: Annotated[str, typer.Argument(metavar="DECISION_ID", help="As the answer of /v1/decide names it.")],
    data_dir: DataDir,
    *,
    flag: Annotated[
        str | None, typer.Option(metavar="WORDS", help="Flag an item as wrong, in words; releases must answer.")
    ] = None,
    item: Annotated[str | None, typer.Option(help="Which item is flagged, where it showed several.")] = None,
    placement: Annotated[str | None, typer.Option(help="In which placement the flagged item stands.")] = None,
    by: By = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what a logged decision was asked, what it showed, with which probability, and why.

    With --flag an item of it is kept as a case: the next release is asked the same, and is not approved while the item
    stands at that place again, unless somebody answers (`edgewise release approve --answer`).
    """
    if flag is not None:
        flagged = _flag(data_dir, DecisionId(decision), flag, item=item, placement=placement, by=by)
        where = f"{flagged.item} at place {flagged.rank} of {flagged.placement}"
        said = f"flag {flagged.number}: {where}; the next release must answer"
        Terminal(json=json, quiet=quiet).result({"flag": flagged}, said)
        return
    if item is not None or placement is not None:
        raise typer.BadParameter("they say what --flag is about", param_hint="--item, --placement")
    from hub.explain import explain_decision, plain

    explained = explain_decision(data_dir, DecisionId(decision))
    Terminal(json=json, quiet=quiet).result(plain(explained), *_shown(explained))


def _flag(
    data_dir: Path, decision: DecisionId, words: str, *, item: str | None, placement: str | None, by: str | None
) -> Flag:
    from edgewise.clock import SystemClock
    from hub.audit import person
    from hub.flagging import flag_item
    from hub.ledger.ledger import open_ledger

    who = person(by, os.environ)
    with open_ledger(data_dir) as ledger:
        return flag_item(
            ledger,
            decision,
            words,
            by=who,
            now_ms=SystemClock().now_ms(),
            placement=None if placement is None else PlacementName(placement),
            item=None if item is None else ItemId(item),
        )


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
    facts += [
        [f"flag {flag.number}", f"{flag.item}: {flag.words} ({flag.who}, {flag.state})"] for flag in explained.flags
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
                + (f", variant {item.variant}" if item.variant else "")
                + (f", as {item.representation}" if item.representation else ""),
                item.reason,
                f"{item.score:.4g}",
                f"{item.propensity:.4g}",
                "; ".join(cause.text for cause in item.why),
            ]
            for item in placed.items
        ]
        + _emptied(placed),
        title=f"\n{name}: {placed.reason}{arm}{experiment}; probability of the slate {placed.propensity:.4g}",
    )
    parts = [placed.items[start : start + ABREAST] for start in range(0, len(placed.items), ABREAST)]
    seen = [_seen(items) for items in parts if any(item.features for item in items)]
    return [slate, *seen, *([] if placed.shadow is None else [_shadow(placed.shadow)])]


def _emptied(placed: ExplainedPlacement) -> list[list[Any]]:
    """The row of a slot that was left empty on purpose."""
    chosen = placed.nothing
    if chosen is None:
        return []
    why = "; ".join(cause.text for cause in chosen.why)
    return [[chosen.rank, "nothing", chosen.reason, f"{chosen.score:.4g}", f"{chosen.propensity:.4g}", why]]


def _shadow(shadow: Shadow) -> Any:
    """What the challenger would have shown; and, slot by slot, how probably what was shown in fact."""
    slots = zip_longest(shadow.items, shadow.scores, shadow.propensities, shadow.agreements)
    return table(
        ["", "its item", "score", "probability", "of what was shown"],
        [
            [
                rank,
                "-" if item is None else item or "nothing",
                *("-" if number is None else f"{number:.4g}" for number in numbers),
            ]
            for rank, (item, *numbers) in enumerate(slots, 1)
        ],
        title=f"\nthe challenger {shadow.arm}, asked beside: {shadow.reason}",
    )


def _seen(items: Sequence[ExplainedItem]) -> Any:
    """Feature values of a few items, one column a slot; all of a long list abreast would be cut off."""
    columns = list(dict.fromkeys(column for item in items for column in item.features))
    rows = [[column, *(_value(item.features.get(column)) for item in items)] for column in columns]
    return table(["feature", *(str(item.rank) for item in items)], rows, title="\nwhat the model saw, by slot")


def _value(of: float | None) -> str:
    return "-" if of is None else f"{of:.4g}"
