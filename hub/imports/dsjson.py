"""One line of a dsjson log, the format in which VW and Azure Personalizer logged their decisions.

A contextual bandit (CB) shows one action a decision; a conditional one (CCB) fills several slots, each with what the
earlier ones left over. The fields are those of VowpalWabbit's parser (`parse_example_json`) and of the joiner of its
reinforcement learning library: `_label_cost` is minus the reward, `a` and `p` list the actions as they were ranked,
the one shown first, from 1 in CB and from 0 in a CCB's `_outcomes`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from hub.imports.dsjson_features import Feature, action_names, features, is_number, taken
from hub.imports.rows import parsed_json

SINGLE_PRECISION: Final = 1e-6
"""By how much a probability that was a float32 may be above 1."""
_SUM_TOLERANCE: Final = 0.01
_SAME_PROBABILITY: Final = 1e-3
_UNDERSTOOD: Final = frozenset({"c", "a", "p", "_outcomes", "EventId", "Timestamp", "pdrop"})
_SHOWN_CHARACTERS: Final = 200


class LeftOut(msgspec.Struct, frozen=True):
    """How many sound decisions were not imported because their log says that nothing may be learned from them."""

    skip_learn: int = 0
    """`_skipLearn`: marked by whoever logged it."""
    not_activated: int = 0
    """`DeferredAction` without an observation that says `ActionTaken`: decided, but never shown."""

    @property
    def total(self) -> int:
        """Of all kinds."""
        return self.skip_learn + self.not_activated


class DsjsonSlot(NamedTuple):
    """What was shown in one place, and what might have been."""

    name: str | None
    """`_id` of a CCB's slot; None in a CB."""
    shown: str
    propensity: float
    """P(shown | the earlier slots), in (0, 1]."""
    reward: float
    choices: tuple[str, ...]
    """Every action that could stand here, in the order in which the log lists them."""
    probabilities: tuple[float, ...]
    """Of `choices`, as they were logged."""
    is_baseline: bool
    """Whether it is what the service would have shown without learning: the first action in a CB, `_ba` in a CCB."""


class DsjsonDecision(NamedTuple):
    """A whole line."""

    event_id: str | None
    timestamp: str | None
    """As it stands there."""
    user: str | None
    """Who the visitor was, as the log names him."""
    weight: float
    """For how many decisions it stands: 1 / (1 - pdrop)."""
    slots: tuple[DsjsonSlot, ...]
    context: dict[str, Feature]
    """Shared features by their path."""
    actions: dict[str, dict[str, Feature]]
    """Features of each action of the decision."""
    is_skipped: bool
    is_activated: bool
    audit: str
    """JSON of every field that is not in one of the above."""


class DsjsonFault(Exception):  # noqa: N818  # a fault of somebody's line, not an error of ours
    """Why a line is not imported: which field, what came, what was expected."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(expected)
        self.field = field
        self.value = _shown(value)
        self.expected = expected


def parsed(line: bytes, user_path: str | None = None) -> DsjsonDecision:
    """Read one line; `user_path` says where in the context its visitor is named, who is then nowhere else.

    Raises DsjsonFault for what is no decision, or contradicts itself.
    """
    try:
        value = parsed_json(line.decode("utf-8"))
    except UnicodeDecodeError as wrong:
        raise DsjsonFault("", line[:_SHOWN_CHARACTERS].decode("utf-8", "replace"), f"UTF-8 text: {wrong}") from None
    except (ValueError, RecursionError) as wrong:
        said = line[:_SHOWN_CHARACTERS].decode("utf-8")
        raise DsjsonFault("", said, f"one JSON object: {wrong}") from None
    if not isinstance(value, dict):
        raise DsjsonFault("", value, "a JSON object")
    if b"\\u" in line:
        _demand_text(line, value)
    context = value.get("c")
    if not isinstance(context, dict):
        raise DsjsonFault("c", context, "the context of a decision; an outcome alone belongs to none")
    listed = context.get("_multi")
    if not isinstance(listed, list) or not listed or not all(isinstance(action, dict) for action in listed):
        raise DsjsonFault("c._multi", listed, "one object for each action of a CB or CCB decision")
    if any("_slot_id" in action for action in listed):
        raise DsjsonFault("c._multi", "_slot_id", "a CB or CCB decision, not one of slates")
    user = None if user_path is None else taken(context, user_path)
    names = action_names(listed)
    is_ccb = "_outcomes" in value
    slots = tuple(_ccb_slots(value, names)) if is_ccb else (_cb_slot(value, names),)
    return DsjsonDecision(
        event_id=_text(value, "EventId"),
        timestamp=_text(value, "Timestamp"),
        user=user,
        weight=1 / (1 - _share_dropped(value)),
        slots=slots,
        context=dict(features({key: of for key, of in context.items() if not key.startswith("_")})),
        actions={name: dict(features(action)) for name, action in zip(names, listed, strict=True)},
        is_skipped=_flag(value, "_skipLearn"),
        is_activated=_is_activated(value),
        audit=msgspec.json.encode(_not_understood(value)).decode(),
    )


def _demand_text(line: bytes, value: dict[str, Any]) -> None:
    """Half of a character, escaped, is no text that could be stored."""
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        said = line[:_SHOWN_CHARACTERS].decode("utf-8", "replace")
        raise DsjsonFault("", said, "text without lone surrogates") from None


def _cb_slot(value: dict[str, Any], names: tuple[str, ...]) -> DsjsonSlot:
    ranked, probabilities = _ranking(value.get("a"), value.get("p"), "a", "p", first=1, names=names)
    shown = ranked[0]
    for field, first in (("_label_Action", 1), ("_labelIndex", 0)):
        if value.get(field) is not None and value[field] != shown + first:
            raise DsjsonFault(field, value[field], f"the action that `a` ranks first, {shown + first}")
    propensity = probabilities[0]
    if (labelled := value.get("_label_probability")) is not None:
        propensity = _probability(labelled, "_label_probability")
        if abs(propensity - probabilities[0]) > _SAME_PROBABILITY:
            raise DsjsonFault("_label_probability", labelled, f"the first probability of `p`, {probabilities[0]:g}")
    _check_observations(value.get("o"), value.get("EventId"), "o")
    return _slot(None, ranked, probabilities, propensity, _reward(value, "_label_cost"), names, is_baseline=shown == 0)


def _ccb_slots(value: dict[str, Any], names: tuple[str, ...]) -> Iterator[DsjsonSlot]:
    outcomes = value["_outcomes"]
    if not isinstance(outcomes, list) or not outcomes or not all(isinstance(outcome, dict) for outcome in outcomes):
        raise DsjsonFault("_outcomes", outcomes, "one object for each slot")
    baseline = value.get("_ba")
    for place, outcome in enumerate(outcomes):
        at = f"_outcomes[{place}]"
        ranked, probabilities = _ranking(
            outcome.get("_a"), outcome.get("_p"), f"{at}._a", f"{at}._p", first=0, names=names
        )
        _check_observations(outcome.get("_o"), value.get("EventId"), f"{at}._o")
        usual = baseline[place] if isinstance(baseline, list) and place < len(baseline) else None
        reward = _reward(outcome, f"{at}._label_cost")
        name = outcome.get("_id")
        yield _slot(
            None if name is None else str(name),
            ranked,
            probabilities,
            probabilities[0],
            reward,
            names,
            is_baseline=usual == ranked[0],
        )


def _slot(  # noqa: PLR0917  # one place that puts a slot together for both kinds
    name: str | None,
    ranked: list[int],
    probabilities: list[float],
    propensity: float,
    reward: float,
    names: tuple[str, ...],
    *,
    is_baseline: bool,
) -> DsjsonSlot:
    of = dict(zip(ranked, probabilities, strict=True))
    listed = sorted(of)
    return DsjsonSlot(
        name=name,
        shown=names[ranked[0]],
        propensity=propensity,
        reward=reward,
        choices=tuple(names[number] for number in listed),
        probabilities=tuple(of[number] for number in listed),
        is_baseline=is_baseline,
    )


def _ranking(
    ranked: Any, probabilities: Any, ranked_field: str, probabilities_field: str, *, first: int, names: tuple[str, ...]
) -> tuple[list[int], list[float]]:
    """Actions from 0 and their probabilities, the one shown first."""
    if not isinstance(ranked, list) or not ranked:
        raise DsjsonFault(ranked_field, ranked, "the ranked actions")
    if not all(_is_whole(number) and first <= number < first + len(names) for number in ranked):
        raise DsjsonFault(ranked_field, ranked, f"numbers from {first} to {first + len(names) - 1}")
    if len(set(ranked)) < len(ranked):
        raise DsjsonFault(ranked_field, ranked, "each action once")
    if not isinstance(probabilities, list) or len(probabilities) != len(ranked):
        raise DsjsonFault(probabilities_field, probabilities, f"{len(ranked)} probabilities, as many as actions")
    shown = _probability(probabilities[0], probabilities_field)
    others = probabilities[1:]
    if not all(is_number(one) and 0 <= one <= 1 + SINGLE_PRECISION for one in others):
        raise DsjsonFault(probabilities_field, probabilities, "probabilities from 0 to 1")
    total = shown + math.fsum(others)
    if abs(total - 1) > _SUM_TOLERANCE:
        raise DsjsonFault(probabilities_field, probabilities, f"probabilities that add up to 1, not {total:.4f}")
    return [number - first for number in ranked], [shown, *map(float, others)]


def _probability(value: Any, field: str) -> float:
    """Of what was shown: above 0. What is above 1 by the rounding of a float32 is 1."""
    if not is_number(value) or not 0 < value <= 1 + SINGLE_PRECISION:
        raise DsjsonFault(field, value, "a probability above 0 and at most 1")
    return min(float(value), 1.0)


def _reward(of: dict[str, Any], field: str) -> float:
    """Minus the cost, without a negative zero."""
    cost = of.get("_label_cost")
    if cost is None or not is_number(cost):
        raise DsjsonFault(field, cost, "a finite number, minus the reward")
    return 0.0 - float(cost)


def _check_observations(observations: Any, event_id: Any, field: str) -> None:
    """An outcome that was joined to another decision than its own makes the reward wrong."""
    for each in observations if isinstance(observations, list) else ():
        own = each.get("EventId") if isinstance(each, dict) else None
        if own is not None and event_id is not None and own != event_id:
            raise DsjsonFault(field, own, f"observations of decision {event_id}")


def _is_activated(value: dict[str, Any]) -> bool:
    if not _flag(value, "DeferredAction"):
        return True
    joined = [value.get("o"), *(outcome.get("_o") for outcome in value.get("_outcomes") or ())]
    observations = (each for some in joined if isinstance(some, list) for each in some)
    return any(isinstance(each, dict) and each.get("ActionTaken") is True for each in observations)


def _share_dropped(value: dict[str, Any]) -> float:
    dropped = value.get("pdrop", 0.0)
    if not is_number(dropped) or not 0 <= dropped < 1:
        raise DsjsonFault("pdrop", dropped, "a share from 0 and below 1")
    return float(dropped)


def _not_understood(value: dict[str, Any]) -> dict[str, Any]:
    """What an audit needs beside the stored columns: every field that has none of its own."""
    rest = {key: each for key, each in value.items() if key not in _UNDERSTOOD}
    hidden = {key: each for key, each in value["c"].items() if key.startswith("_") and key != "_multi"}
    if hidden:
        rest["c"] = hidden
    if "_outcomes" in value:
        rest["_outcomes"] = [
            {key: each for key, each in outcome.items() if key not in {"_a", "_p"}} for outcome in value["_outcomes"]
        ]
    return rest


def _text(value: dict[str, Any], field: str) -> str | None:
    text = value.get(field)
    if text is not None and not (isinstance(text, str) and text.strip()):
        raise DsjsonFault(field, text, "text")
    return text


def _flag(value: dict[str, Any], field: str) -> bool:
    flag = value.get(field, False)
    if not isinstance(flag, bool):
        raise DsjsonFault(field, flag, "true or false")
    return flag


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: object) -> str:
    text = "" if value is None else value if isinstance(value, str) else repr(value)
    return text[:_SHOWN_CHARACTERS]
