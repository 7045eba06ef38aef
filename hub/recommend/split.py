"""Which interactions are learned from, and which are held back to judge by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from edgewise.errors import InputError
from hub.recommend.interactions import Interactions, Rows

SYNTAX: Final = (
    "random:TEST[:SEED], per-user:TEST[:SEED], per-user:TEST,VALID[:SEED], leave-one-out, time:TRAIN or file:PATH "
    "(TEST, VALID and TRAIN are shares between 0 and 1)"
)


class Divided(NamedTuple):
    """Row numbers; each row is in exactly one part."""

    train: Rows
    valid: Rows
    """Held back from learning and from judging: what a user has here is not recommended either."""
    test: Rows


@dataclass(frozen=True, slots=True)
class RandomSplit:
    """`random:0.2[:SEED]`: a row is train when its draw is below 1 - 0.2."""

    test: float
    seed: int


@dataclass(frozen=True, slots=True)
class PerUserSplit:
    """`per-user:0.25[:SEED]`, or `per-user:0.1,0.1[:SEED]` with a validation part: each user's rows apart."""

    test: float
    valid: float | None
    seed: int


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """`leave-one-out`: the last row of each user who has at least two."""


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """`time:0.8`: the first 80 % of the rows by time are train."""

    train: float


@dataclass(frozen=True, slots=True)
class FileSplit:
    """`file:TEST`: the interactions to judge by are in a file of their own, with the same columns."""

    path: Path


Split = RandomSplit | PerUserSplit | LeaveOneOut | TimeSplit | FileSplit


def parse_split(text: str, *, seed: int = 0) -> Split:
    """The split that `text` writes; `seed` where it names none. Raises InputError with the syntax."""
    kind, colon, rest = text.partition(":")
    if kind == "leave-one-out" and not colon:
        return LeaveOneOut()
    if kind == "file" and rest:
        return FileSplit(Path(rest))
    shares, colon, seed_text = rest.partition(":")
    parts = [_share(part, text) for part in shares.split(",")] if shares else []
    if colon:
        if not (seed_text.isascii() and seed_text.isdigit()):
            raise InputError(f"split {text!r}: seed {seed_text!r} is not a whole number; expected {SYNTAX}")
        seed = int(seed_text)
    match kind, parts:
        case "random", [test]:
            return RandomSplit(test, seed)
        case "per-user", [test]:
            return PerUserSplit(test, None, seed)
        case "per-user", [test, valid] if test + valid < 1:
            return PerUserSplit(test, valid, seed)
        case "time", [train] if not colon:
            return TimeSplit(train)
        case _:
            raise InputError(f"split {text!r} is none of {SYNTAX}")


def divide(interactions: Interactions, split: Split, *, first_of_file: int | None = None) -> Divided:
    """Put each row into train, valid or test.

    `first_of_file`: for a `FileSplit`, the first row that came from the test file.

    Raises InputError when a part that is needed stays empty, or `time:` meets interactions without times.
    """
    divided = _parts(interactions, split, first_of_file)
    if not len(divided.train):
        raise InputError(f"the split leaves none of {len(interactions)} interactions to learn from")
    if not len(divided.test):
        raise InputError(f"the split leaves none of {len(interactions)} interactions to judge by")
    return divided


def _parts(interactions: Interactions, split: Split, first_of_file: int | None) -> Divided:
    match split:
        case RandomSplit():
            return _random(interactions, split)
        case PerUserSplit():
            return _per_user(interactions, split)
        case LeaveOneOut():
            return _leave_one_out(interactions)
        case TimeSplit():
            return _by_time(interactions, split)
        case FileSplit():
            rows = np.arange(len(interactions))
            return Divided(rows[:first_of_file], rows[:0], rows[len(rows[:first_of_file]) :])


def _random(interactions: Interactions, split: RandomSplit) -> Divided:
    train = np.random.default_rng(split.seed).random(len(interactions)) < 1 - split.test
    return Divided(np.flatnonzero(train), np.zeros(0, dtype=np.intp), np.flatnonzero(~train))


def _per_user(interactions: Interactions, split: PerUserSplit) -> Divided:
    """Users in the order of their ids share one generator, as the reference figures of MovieLens were made."""
    generator = np.random.default_rng(split.seed)
    train: list[Rows] = []
    valid: list[Rows] = []
    test: list[Rows] = []
    for rows in _rows_by_user(interactions):
        generator.shuffle(rows)
        if split.valid is None:
            kept = round((1 - split.test) * len(rows))
            train.append(rows[:kept])
            test.append(rows[kept:])
        else:
            tested = int(split.test * len(rows))
            checked = tested + int(split.valid * len(rows))
            test.append(rows[:tested])
            valid.append(rows[tested:checked])
            train.append(rows[checked:])
    return Divided(np.concatenate(train), np.concatenate([train[0][:0], *valid]), np.concatenate(test))


def _leave_one_out(interactions: Interactions) -> Divided:
    last = [rows[-1] for rows in _rows_by_user(interactions, by_time=True) if len(rows) > 1]
    test = np.array(sorted(last), dtype=np.intp)
    train = np.ones(len(interactions), dtype=np.bool_)
    train[test] = False
    return Divided(np.flatnonzero(train), test[:0], test)


def _by_time(interactions: Interactions, split: TimeSplit) -> Divided:
    if interactions.time is None:
        raise InputError("split time: needs a time column; name it with --time")
    order = np.argsort(interactions.time, kind="stable")
    kept = round(split.train * len(order))
    return Divided(order[:kept], order[:0], order[kept:])


def _rows_by_user(interactions: Interactions, *, by_time: bool = False) -> list[Rows]:
    """Per user in the order of the ids: the user's rows in file order, or by time and then file order."""
    order = np.arange(len(interactions))
    if by_time and interactions.time is not None:
        order = np.argsort(interactions.time, kind="stable")
    order = order[np.argsort(interactions.user[order], kind="stable")]
    per_user = np.bincount(interactions.user, minlength=len(interactions.users))
    return np.split(order, np.cumsum(per_user)[:-1])


def _share(text: str, split: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = float("nan")
    if not 0 < share < 1:
        raise InputError(f"split {split!r}: {text!r} is not a share between 0 and 1; expected {SYNTAX}")
    return share
