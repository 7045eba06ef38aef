"""How a placement explores, whether it may be left empty, and how it learns: settings that must fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from edgewise.attributes import texts_of
from edgewise.bundle.exploration import Greedy, Thompson
from edgewise.bundle.policy import Arm, ByModel, Placement
from edgewise.errors import Problem
from edgewise.ids import ItemId
from edgewise.ranking import ranker_of
from hub.site.converting import did_you_mean
from hub.site.documents import Say
from hub.site.reading import Files


def check_exploration(files: Files, placement: Placement, candidates: Sequence[ItemId], say: Say) -> Iterator[Problem]:
    """What is wrong with it; `candidates` are the collection's items, none where it is not known."""
    for name, arm in placement.arms.items():
        path = ("arms", name)
        if placement.safe and not isinstance(arm.exploration, Greedy):
            message = "the placement is safe, which means never explored on; explore greedily, or say `safe: false`"
            yield say((*path, "exploration"), message)
        if isinstance(arm.exploration, Thompson):
            yield from _uncertain(files, arm, (*path, "exploration"), say)
        yield from _nothing(placement, arm, (*path, "nothing"), say)
    yield from _diversity(files, placement, candidates, say)
    yield from _challenger(placement, say)
    if placement.learning == "logging-only":
        yield from _logging_only(placement, say)


def _uncertain(files: Files, arm: Arm, path: tuple[str, ...], say: Say) -> Iterator[Problem]:
    """Thompson's policy needs to know how sure a score is."""
    if not isinstance(arm.ranking, ByModel):
        message = "`thompson` needs a ranking by a model that says how sure it is; rank by `model`"
        yield say(path, f"{message}, or explore otherwise")
        return
    named = arm.ranking.model
    known = files.models.get(named)
    if known is None or known[0].train is None:
        return  # what comes from elsewhere may say anything; the release looks at it
    if known[0].train.uncertainty is None:
        cure = f"write `uncertainty: {{}}` into `train` of models/{named}.yaml"
        yield say(path, f"`thompson` needs standard errors, and the model {named!r} says none; {cure}")


def _nothing(placement: Placement, arm: Arm, path: tuple[str, ...], say: Say) -> Iterator[Problem]:
    if not isinstance(arm.nothing, msgspec.UnsetType) and not placement.may_be_empty:
        message = "the arm may show nothing, but the placement may not be empty; say `may_be_empty: true` of it"
        yield say(path, f"{message}, or remove `nothing`")


def _diversity(files: Files, placement: Placement, candidates: Sequence[ItemId], say: Say) -> Iterator[Problem]:
    if placement.diversity is None or not candidates:
        return
    attribute, known = placement.diversity.attribute, set[str]()
    for item in candidates:
        if item in files.items:
            known |= {name for name, value in files.items[item][0].attributes.items() if texts_of(value)}
    if attribute not in known:
        cure = did_you_mean(attribute, known) if known else "give the items one"
        yield say(("diversity", "attribute"), f"no item of the collection has a text {attribute!r}; {cure}")


def _challenger(placement: Placement, say: Say) -> Iterator[Problem]:
    challenger = placement.challenger
    if placement.learning != "apprentice":
        if challenger is not None:
            message = f"a challenger is only asked where `learning: apprentice` is said, not {placement.learning}"
            yield say(("challenger",), f"{message}; say so, or remove it")
    elif challenger is None:
        yield say(("learning",), "an apprentice needs an arm that is asked beside; name it as `challenger`")
    elif challenger not in placement.arms:
        yield say(("challenger",), f"no arm {challenger!r}; {did_you_mean(challenger, placement.arms)}")
    elif challenger == placement.arm:
        yield say(("challenger",), f"{challenger!r} is the arm that serves; name another one")
    if placement.learning == "apprentice" and placement.experiment is not None:
        message = "where an apprentice learns one arm serves; remove the experiment, or say `learning: online`"
        yield say(("experiment",), message)


def _logging_only(placement: Placement, say: Say) -> Iterator[Problem]:
    for name, arm in placement.arms.items():
        if ranker_of(arm.ranking) is not None:
            message = "only rules serve where `learning: logging-only` is said; rank by a rule"
            yield say(("arms", name, "ranking"), message)
        if not isinstance(arm.exploration, Greedy):
            message = "nothing is explored where `learning: logging-only` is said; remove `exploration`"
            yield say(("arms", name, "exploration"), message)
