"""Whether every feature of a table can be computed. What the edge cannot evaluate is refused, not guessed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from edgewise.attributes import is_context_field
from edgewise.bundle.learned import neighbours_path
from edgewise.bundle.manifest import FEATURES, SESSIONS, VECTORS
from edgewise.bundle.refusal import require
from edgewise.events import DIMENSIONS, Kind
from edgewise.features import table as declared
from edgewise.features.encodings import CONTEXT, ITEM, TRAITS, is_source, wrong_cross
from edgewise.profile.habits import COUNTABLE

_OfBundle = declared.NeighbourScore | declared.NeighbourMax | declared.SessionScore | declared.ContentCosine


def check_features(table: declared.FeatureTable, *, optional: Collection[str]) -> None:
    """Raises BundleRefused. `optional`: which of the resources that a bundle may lack are there."""
    of = {feature.name: feature for feature in table.features}
    for position, feature in enumerate(table.features):
        path, name = f"$.features[{position}]", feature.name
        if isinstance(feature, _OfBundle):
            needed = _needed(feature)
            require(needed in optional, "missing_resource", FEATURES, f"feature {name!r} needs {needed}", path)
            continue
        if isinstance(feature, declared.OfDimension):
            message = f"no dimension {feature.dimension!r}; a profile keeps {', '.join(DIMENSIONS)}"
            require(feature.dimension in DIMENSIONS, "dangling", FEATURES, message, f"{path}.dimension")
            continue
        match feature:
            case declared.Cross() | declared.Code() | declared.Hash() | declared.TraitValue() | declared.TraitIs():
                _check_encoding(feature, of, path)
            case declared.WindowCount() | declared.DecayedCount() | declared.Rate() | declared.DistinctCount():
                _check_counted(feature, path)
            case declared.ContextIs(field=field):
                message = f"no context field {field!r}"
                require(is_context_field(field), "dangling", FEATURES, message, f"{path}.field")
            case (
                declared.ItemAttribute(attribute=attribute)
                | declared.ItemIs(attribute=attribute)
                | declared.ContextValue(attribute=attribute)
                | declared.PriceDistance(attribute=attribute)
                | declared.Freshness(attribute=attribute)
                | declared.ScoreMatch(attribute=attribute)  # `check_scores` knows the models
            ):
                message = f"feature {name!r} names no attribute"
                require(bool(attribute), "blank", FEATURES, message, f"{path}.attribute")
            case (
                declared.DaysSinceItem()
                | declared.Touched()
                | declared.DaysSinceVisit()
                | declared.DaysSinceOrder()
                | declared.HistoryLength()
                | declared.Spent()
                | declared.TimeShare()
                | declared.CartSize()
                | declared.CartValue()
                | declared.OpenTickets()
                | declared.TicketMood()
                | declared.Visits()
                | declared.ActiveDays()
                | declared.LocalHour()
                | declared.LocalWeekday()
                | declared.Position()
                | declared.TopicSeconds()
                | declared.Score()  # `check_scores` knows the models
            ):
                pass


def _check_counted(
    feature: declared.WindowCount | declared.DecayedCount | declared.Rate | declared.DistinctCount, path: str
) -> None:
    match feature:
        case declared.WindowCount(kind=kind) | declared.DecayedCount(kind=kind):
            _require_kind(kind, f"{path}.kind")
        case declared.Rate(kind=kind, per=per):
            _require_kind(kind, f"{path}.kind")
            _require_kind(per, f"{path}.per")
            message = f"feature {feature.name!r} expects more successes than trials before anything happens"
            is_sound = feature.prior_successes <= feature.prior_trials
            require(is_sound, "invalid", FEATURES, message, f"{path}.prior_successes")
        case declared.DistinctCount(of=of):
            message = f"nothing counts different {of!r}; there are {', '.join(COUNTABLE)}"
            require(of in COUNTABLE, "dangling", FEATURES, message, f"{path}.of")


def _check_encoding(
    feature: declared.Cross | declared.Code | declared.Hash | declared.TraitValue | declared.TraitIs,
    of: Mapping[str, declared.Feature],
    path: str,
) -> None:
    match feature:
        case declared.Cross():
            wrong = wrong_cross(feature, of)
            require(wrong is None, "dangling", FEATURES, f"feature {feature.name!r}: {wrong}", f"{path}.of")
        case declared.Code(of=named) | declared.Hash(of=named):
            message = f"no value {named!r}; expected {ITEM}NAME, {CONTEXT}FIELD or {TRAITS}NAME"
            require(is_source(named), "dangling", FEATURES, message, f"{path}.of")
        case declared.TraitValue(trait=trait) | declared.TraitIs(trait=trait):
            require(bool(trait), "blank", FEATURES, f"feature {feature.name!r} names no trait", f"{path}.trait")


def _needed(feature: _OfBundle) -> str:
    match feature:
        case declared.NeighbourScore(source=source) | declared.NeighbourMax(source=source):
            return neighbours_path(source)
        case declared.SessionScore():
            return SESSIONS
        case declared.ContentCosine():
            return VECTORS


def _require_kind(kind: str, path: str) -> None:
    require(kind in list(Kind), "dangling", FEATURES, f"no kind of event {kind!r}; there are {', '.join(Kind)}", path)
