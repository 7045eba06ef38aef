"""A ranker's training set: rows as they were known at the time, never as they are known now.

By replay, where there is only history: every visitor's records are folded again by the reducer that serves, and before
each outcome the candidates are retrieved and described by the code that serves (`replayed_rows`). From decisions: the
rows that were logged when they were decided, joined to what came of them (`hub.train.logged`).
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError, RefusedError
from edgewise.profile.preferences import Preferences, state
from edgewise.profile.reduce import apply
from edgewise.profile.state import Profile
from edgewise.records import EventRecord, PreferenceRecord
from hub.site.recipes import Outcome
from hub.train.contexts import context_of
from hub.train.history import History
from hub.train.rewards import Rewards
from hub.train.shop import Choice, Matrix, Shop

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, how much there is."""


@dataclass(frozen=True, slots=True)
class RankingRows:
    """Rows of several choices, one behind the other, oldest choice first."""

    names: tuple[str, ...]
    """Columns."""
    matrix: Matrix
    """Float32 (n, F)."""
    label: NDArray[np.float32]
    """(n,): 1 where wanted, else 0."""
    gain: NDArray[np.float32]
    """(n,): what it is worth that it was wanted, 1 where the site does not say; 0 where it was not wanted."""
    size: NDArray[np.int64]
    """(choices,): rows of each; they add up to n."""
    retrieved: NDArray[np.int64]
    """(choices,): how many of its rows, the first ones, were retrieved and not added because they were wanted."""
    visitor: NDArray[np.int32]
    """(choices,)"""
    deed: NDArray[np.int64]
    """(choices,): the number of the outcome in the history; rows know nothing of it or of anything later."""
    rank_by_rule: NDArray[np.int64]
    """(choices,): see `Choice`."""
    rank_by_retrieval: NDArray[np.int64]
    """(choices,)"""

    def __len__(self) -> int:
        return len(self.matrix)

    @property
    def choices(self) -> int:
        """How many choices there are."""
        return len(self.size)


class Replayed(NamedTuple):
    """Rows, and how many outcomes made none."""

    rows: RankingRows
    unavailable: int
    """Outcomes of visitors who may not be personalised, or with an item that could not have been shown to them."""


def replayed_rows(
    history: History,
    shop: Shop,
    outcome: Outcome | Rewards,
    *,
    since: int,
    whole_from: int,
    most: int,
    negatives: int,
    seed: int,
    later: Sequence[Shop] = (),
    progress: Progress = lambda _what, _done, _of: None,
) -> Replayed:
    """Rows of the outcomes from deed `since` on, at most the latest `most`.

    An outcome is described by the latest of `shop` and `later` whose items were fitted on nothing but what came before
    it: nodes know items as of the last release, not as of half a year ago, and a model must learn what that is worth.

    An outcome before deed `whole_from` gets, beside what was wanted, `negatives` of the other retrieved candidates,
    drawn without replacement; later ones get all.

    Raises:
        RefusedError: `leakage`: items were fitted on deeds that the rows are made of.
        InputError: no outcome made a row.
    """
    if shop.fitted.through > since:
        raise RefusedError(
            "leakage",
            f"items were fitted on the first {shop.fitted.through:,} records and rows asked from {since:,} on; "
            "a row would contain its own outcome",
        )
    rewards = outcome if isinstance(outcome, Rewards) else Rewards(outcome)
    numbers = rewards.outcomes(history, since, most)
    draw = _Draw(negatives, seed)
    choices: list[_Made] = []
    done = 0
    shops = sorted([shop, *later], key=lambda one: one.fitted.through)
    for made in _choices(history, shops, rewards, frozenset(numbers), whole_from=whole_from, draw=draw):
        done += 1
        if made is not None:
            choices.append(made)
        progress("replaying", done, len(numbers))
    if not choices:
        raise InputError(f"no outcome of {rewards.outcome.kind!r} among {len(history) - since:,} records could be used")
    choices.sort(key=lambda made: made.deed)
    return Replayed(_joined(choices, tuple(feature.name for feature in shop.features.features)), done - len(choices))


def sampled(rows: RankingRows, negatives: int, seed: int) -> RankingRows:
    """Of each choice all wanted rows and at most `negatives` others, drawn without replacement."""
    draw = _Draw(negatives, seed)
    keep = np.zeros(len(rows), np.bool_)
    start = 0
    for size in rows.size.tolist():
        keep[start : start + size] = draw(rows.label[start : start + size] > 0)
        start += size
    starts = np.cumsum(rows.size) - rows.size
    was_retrieved = np.arange(len(rows)) - np.repeat(starts, rows.size) < np.repeat(rows.retrieved, rows.size)
    return _kept(
        rows,
        keep,
        np.ones(rows.choices, np.bool_),
        np.add.reduceat(keep, starts, dtype=np.int64),
        np.add.reduceat(keep & was_retrieved, starts, dtype=np.int64),
    )


def part(rows: RankingRows, choices: NDArray[np.bool_]) -> RankingRows:
    """The rows of some choices."""
    return _kept(rows, np.repeat(choices, rows.size), choices, rows.size[choices], rows.retrieved[choices])


def together(early: RankingRows, late: RankingRows) -> RankingRows:
    """Both, one behind the other."""
    columns = {
        name: np.concatenate([getattr(early, name), getattr(late, name)])
        for name in (field.name for field in fields(RankingRows))
        if name != "names"
    }
    return RankingRows(names=early.names, **columns)


def _kept(
    rows: RankingRows,
    keep: NDArray[np.bool_],
    choices: NDArray[np.bool_],
    size: NDArray[np.int64],
    retrieved: NDArray[np.int64],
) -> RankingRows:
    return RankingRows(
        names=rows.names,
        matrix=rows.matrix[keep],
        label=rows.label[keep],
        gain=rows.gain[keep],
        size=size,
        retrieved=retrieved,
        visitor=rows.visitor[choices],
        deed=rows.deed[choices],
        rank_by_rule=rows.rank_by_rule[choices],
        rank_by_retrieval=rows.rank_by_retrieval[choices],
    )


class _Made(NamedTuple):
    deed: int
    visitor: int
    choice: Choice


class _Draw:
    """Keeps what was wanted and some of the rest."""

    def __init__(self, negatives: int, seed: int) -> None:
        self._negatives = negatives
        self._draw = np.random.default_rng(seed)

    def __call__(self, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which rows to keep; bool (n,) like `wanted`."""
        keep = wanted.copy()
        unwanted = np.flatnonzero(~wanted)
        if len(unwanted) > self._negatives:
            unwanted = self._draw.choice(unwanted, self._negatives, replace=False, shuffle=False)
        keep[unwanted] = True
        return keep


def _choices(
    history: History,
    shops: Sequence[Shop],
    rewards: Rewards,
    numbers: frozenset[int],
    *,
    whole_from: int,
    draw: _Draw,
) -> Iterator[_Made | None]:
    """Visitor by visitor, because a row depends on its own visitor's past only."""
    throughs = [shop.fitted.through for shop in shops]
    for visitor, own in enumerate(history.by_visitor()):
        last = max((number for number in own if number in numbers), default=-1)
        profile, said = Profile(), Preferences()
        for number in own:
            if number > last:
                break
            moment_ms, _, record = history.deeds[number]
            if number in numbers and isinstance(record, EventRecord):
                gains = rewards.gains(number, record)
                choice = shops[bisect.bisect_right(throughs, number) - 1].choice(
                    profile,
                    said,
                    record.grants,
                    moment_ms,
                    wanted=list(gains),
                    gains=list(gains.values()),
                    context=context_of(record),
                    draw=draw if number < whole_from else None,
                )
                yield None if choice is None else _Made(number, visitor, choice)
            if isinstance(record, PreferenceRecord):
                state(said, record)
            else:
                apply(profile, record)


def _joined(made: list[_Made], names: tuple[str, ...]) -> RankingRows:
    choices = [entry.choice for entry in made]
    return RankingRows(
        names=names,
        matrix=np.concatenate([choice.matrix for choice in choices]),
        label=np.concatenate([choice.wanted for choice in choices]).astype(np.float32),
        gain=np.concatenate([choice.gain for choice in choices]),
        size=np.array([len(choice.wanted) for choice in choices], np.int64),
        retrieved=np.array([choice.retrieved for choice in choices], np.int64),
        visitor=np.array([entry.visitor for entry in made], np.int32),
        deed=np.array([entry.deed for entry in made], np.int64),
        rank_by_rule=np.array([choice.rank_by_rule for choice in choices], np.int64),
        rank_by_retrieval=np.array([choice.rank_by_retrieval for choice in choices], np.int64),
    )
