"""A model of items alone: neighbours, visits, vectors and statistics out of the ledger, without a score.

What it is good for is judged by who uses it: a ranker's card compares with the retrieval that stands before it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from edgewise.ids import ModelName
from hub.artefacts import Artefacts
from hub.ledger.ledger import Ledger
from hub.packages import packages_digest
from hub.registry import ModelRegistry
from hub.site.loading import SiteContents
from hub.site.overriding import recipe_in
from hub.site.recipes import ItemsRecipe
from hub.train.history import History, read_history
from hub.train.items import FittedItems, fit_items


class TrainedItems(msgspec.Struct, frozen=True):
    """What `edgewise train items` reports."""

    model: ModelName
    version: int
    sha256: str
    made: dict[str, dict[str, int]]
    """What was made -> how many items it knows, and of what else it consists."""
    card: dict[str, Any]


def train_items(
    contents: SiteContents,
    ledger: Ledger,
    registry: ModelRegistry,
    name: ModelName,
    *,
    by: str,
) -> TrainedItems:
    """Learn the model `name` of a site from the ledger and register it; a person has to approve it.

    Raises:
        InputError: the site does not say how, or nobody has touched anything.
        ModelRefused: what came out is no resource that a node would take.
    """
    recipe = recipe_in(contents.item_recipes, name, "items")
    history = read_history(ledger)
    fitted = fit_items(history, recipe, len(history), contents)
    artefacts = Artefacts(
        neighbours=fitted.neighbours_bytes,
        sets=fitted.sets,
        sessions=fitted.sessions_bytes,
        statistics=fitted.statistics,
    )
    made = _made(fitted)
    card = item_card(history, recipe, made)
    registered = contents.models[name].model
    row = registry.row(registered, registry.register(registered, artefacts, card, by=by))
    return TrainedItems(row.name, row.version, row.sha256, made, card)


def item_card(history: History, recipe: ItemsRecipe, made: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Sections by name, as `edgewise model card` prints them; depends on nothing but the data."""
    return {
        "summary": "Tells of items: which go together, what visits went on to. It scores nothing by itself.",
        "kind": "items",
        "data": {"records": len(history), "visitors": history.visitors, "items touched": len(history.touches.items)},
        "made": made,
        "consent": {
            "purposes": ["personalisation"],
            "learned from": "records of visitors who granted personalisation, tied to keyed hashes",
        },
        "known_limits": [
            "It is not judged by itself. A ranker's card says how good the order of its retrieval is.",
            "Visits travel as sets of items without their order; items that few visitors touched are in none.",
        ],
        "settings": msgspec.to_builtins(recipe),
        "reproduction": {"data_sha256": history.digest(), "packages_sha256": packages_digest()},
    }


def _made(fitted: FittedItems) -> dict[str, dict[str, int]]:
    learned = fitted.learned(None)
    made: dict[str, dict[str, int]] = {}
    for name, rows in learned.neighbours.items():
        made[f"neighbours {name}".strip()] = {"items": len(rows.items), "entries": len(rows.indices)}
    for name, vectors in learned.vectors.items():
        made[f"vectors {name}"] = {"items": len(vectors.items), "components": vectors.width}
    if learned.sessions is not None:
        made["sessions"] = {"items": len(learned.sessions.items), "visits": len(learned.sessions.indptr) - 1}
    return made
