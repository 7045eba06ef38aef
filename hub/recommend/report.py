"""One trial of a method: learn from one part, recommend, judge by the other; the numbers that are reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.recommend.auto import Attempt, Choice, choose
from hub.recommend.interactions import Interactions, matrix
from hub.recommend.judging import Judged, judge
from hub.recommend.lessons import Lessons
from hub.recommend.methods import AUTO, method_named
from hub.recommend.metrics import NOTHING, bootstrap, coverage
from hub.recommend.split import Divided, parse_split
from hub.recommend.tuning import Tell

BASELINE: Final = "popular"
"""What anything personal must beat; every report has it beside."""
_FEW_USERS: Final = 50
_LENGTHS: Final = (0, 1, 5, 20, 50, 100)
"""Where groups of users by the length of their history begin."""


class Group(msgspec.Struct, frozen=True):
    """Judged users whose history in train has `least` to `most` items (None: any more)."""

    least: int
    most: int | None
    users: int
    value: float
    """NDCG cut at the largest k."""
    low: float
    high: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial found. `metrics` and `intervals` have one key `measure@k` each."""

    method: str
    settings: dict[str, float]
    split: str
    seed: int
    interactions: dict[str, int]
    """`train`, `valid` and `test` rows."""
    users: dict[str, int]
    """`all` of the file, `judged`, and of these `without_history`: they got the most popular items."""
    items: dict[str, int]
    """`all` of the file; `learned`, those with an interaction in train; `new`, those in test alone."""
    metrics: dict[str, float]
    """Means over the judged users. `coverage` is the share of the learned items in anybody's list."""
    intervals: dict[str, tuple[float, float]]
    """95 %, by bootstrap over users."""
    baseline: dict[str, float]
    """The same means for what is most popular in train."""
    above_baseline: dict[str, tuple[float, float, float]]
    """Mean and 95 % interval of the difference to it, user by user."""
    by_history: list[Group]
    """How good it is for those of whom little is known, and much."""
    new_items_found: float | None
    """Share of the held-back uses of new items that are in a list of the largest k; None: there are none."""
    chosen: str = ""
    """The method that `auto` chose."""
    tried: list[Attempt] = []
    """What `auto` tried, on a part of train."""
    warnings: list[str]

    def as_json(self) -> dict[str, Any]:
        """The report as a file or a program gets it: each metric stands at the top level, too."""
        return {**self.metrics, **msgspec.to_builtins(self)}


def trial(
    interactions: Interactions,
    divided: Divided,
    *,
    method: str,
    settings: dict[str, float],
    split: str,
    ks: tuple[int, ...],
    seed: int,
    content: npt.NDArray[np.float64] | None = None,
    tell: Tell = lambda _: None,
) -> Report:
    """Fit `method` on the train rows and judge it by the test rows, as `judge` does.

    `seed` draws the intervals, and the validation parts of `auto`. `content`: as `Lessons` has it.

    Raises InputError when no two items were used by one user, or when nobody is left to be judged.
    """
    everything = matrix(interactions, np.arange(len(interactions)))
    if np.diff(everything.indptr).max() < 2:  # noqa: PLR2004  # a pair
        raise InputError(f"each of {len(interactions.users):,} users has one item: nothing goes together")
    lessons = Lessons(interactions, divided.train, content)
    choice = Choice(method, settings, [])
    if method == AUTO:
        choice = choose(lessons, parse_split(split, seed=seed), seed=seed, tell=tell)
    chosen = method_named(choice.method)
    tell(choice.method)
    judged = judge(chosen.fit(lessons, choice.settings), interactions, divided, ks=ks, by_time=chosen.by_time)
    popular = method_named(BASELINE)
    baseline = judge(popular.fit(lessons, popular.defaults), interactions, divided, ks=ks).values
    learned = lessons.popularity > 0
    intervals = bootstrap(judged.values, seed=seed)
    above = bootstrap({name: values - baseline[name] for name, values in judged.values.items()}, seed=seed)
    without = int(np.count_nonzero(judged.history_length == 0))
    tested = np.unique(interactions.item[divided.test])
    return Report(
        method=method,
        settings=choice.settings,
        split=split,
        seed=seed,
        interactions={part: len(rows) for part, rows in divided._asdict().items()},
        users={"all": len(interactions.users), "judged": len(judged.users), "without_history": without},
        items={
            "all": len(interactions.items),
            "learned": int(np.count_nonzero(learned)),
            "new": int(np.count_nonzero(~learned[tested])),
        },
        metrics={
            **{name: found.mean for name, found in intervals.items()},
            **{f"coverage@{k}": coverage(judged.lists, k, learned) for k in ks},
        },
        intervals={name: (found.low, found.high) for name, found in intervals.items()},
        baseline={name: float(values.mean()) for name, values in baseline.items()},
        above_baseline={name: (found.mean, found.low, found.high) for name, found in above.items()},
        by_history=list(_by_history(judged, max(ks), seed)),
        new_items_found=_new_items_found(judged, interactions, divided, learned),
        chosen=choice.method if method == AUTO else "",
        tried=choice.tried,
        warnings=list(_warnings(len(judged.users), without)),
    )


def _by_history(judged: Judged, k: int, seed: int) -> Iterator[Group]:
    ends = [*(start - 1 for start in _LENGTHS[1:]), None]
    for least, most in zip(_LENGTHS, ends, strict=True):
        inside = judged.history_length >= least
        if most is not None:
            inside &= judged.history_length <= most
        if inside.any():
            found = bootstrap({"": judged.values[f"ndcg_cut@{k}"][inside]}, seed=seed)[""]
            yield Group(least, most, int(inside.sum()), found.mean, found.low, found.high)


def _new_items_found(
    judged: Judged, interactions: Interactions, divided: Divided, learned: npt.NDArray[np.bool_]
) -> float | None:
    """Nothing that learns from use alone finds any of them."""
    user, item = interactions.user[divided.test], interactions.item[divided.test]
    is_new = ~learned[item]
    place = np.searchsorted(judged.users, user[is_new])
    wanted = item[is_new]
    if not len(wanted):
        return None
    # Whoever wants a new item has something held back that he has not seen, and so is judged.
    return float(
        np.mean([code != NOTHING and code in judged.lists[at] for at, code in zip(place, wanted, strict=True)])
    )


def _warnings(judged: int, without_history: int) -> Iterator[str]:
    if without_history:
        yield (
            f"{without_history:,} of {judged:,} judged users have no interaction in train: they got the most "
            "popular items"
        )
    if judged < _FEW_USERS:
        yield f"only {judged} users are judged: the intervals are rough"
