"""Whether every feature of a table can be computed. What the edge cannot evaluate is refused, not guessed."""

from __future__ import annotations

from edgewise.attributes import is_context_field
from edgewise.bundle.manifest import FEATURES, NEIGHBOURS
from edgewise.bundle.refusal import require
from edgewise.events import DIMENSIONS, Kind
from edgewise.features import table as declared


def check_features(table: declared.FeatureTable, *, has_neighbours: bool) -> None:
    """Raises BundleRefused."""
    for position, feature in enumerate(table.features):
        path, name = f"$.features[{position}]", feature.name
        match feature:
            case declared.NeighbourScore() | declared.NeighbourMax():
                message = f"feature {name!r} needs {NEIGHBOURS}"
                require(has_neighbours, "missing_resource", FEATURES, message, path)
            case declared.Affinity(dimension=dimension) | declared.AffinityMatch(dimension=dimension):
                message = f"no dimension {dimension!r}; a profile keeps {', '.join(DIMENSIONS)}"
                require(dimension in DIMENSIONS, "dangling", FEATURES, message, f"{path}.dimension")
            case declared.WindowCount(kind=kind):
                message = f"no kind of event {kind!r}; there are {', '.join(Kind)}"
                require(kind in list(Kind), "dangling", FEATURES, message, f"{path}.kind")
            case declared.ContextIs(field=field):
                message = f"no context field {field!r}"
                require(is_context_field(field), "dangling", FEATURES, message, f"{path}.field")
            case (
                declared.ItemAttribute(attribute=attribute)
                | declared.ItemIs(attribute=attribute)
                | declared.ContextValue(attribute=attribute)
            ):
                message = f"feature {name!r} names no attribute"
                require(bool(attribute), "blank", FEATURES, message, f"{path}.attribute")
            case declared.DaysSinceItem() | declared.DaysSinceVisit() | declared.HistoryLength():
                pass
