"""Target policies: how likely each would have shown each action.

logged               what the log did; its value is the mean reward
uniform              every known action alike
constant:ACTION      always this one
probabilities:FILE   columns `action, probability`, optionally `position` and `decision_id`
model:…, bundle:…    on our own decisions only (`hub.evaluation.bundles`)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from edgewise.errors import InputError
from hub.evaluation.logged import Choices, Floats, Integers, LoggedDecisions
from hub.evaluation.probability_file import Situations, read_probabilities

SYNTAX: Final = "logged, uniform, constant:ACTION, probabilities:FILE, model:NAME[@VERSION] or bundle:VERSION[:ARM]"
_OF_BUNDLES: Final = frozenset({"model", "bundle"})


@dataclass(frozen=True, slots=True)
class Target:
    """A policy's probabilities for the decisions of one log.

    Rows that share a situation share a row of `table`; what the policy gives to actions that no row of the log
    shows is in `elsewhere`.
    """

    policy: str
    group: Integers
    """(rows,): each logged row's row of `table`."""
    table: Floats
    """(groups, actions): P(action) in the order of the log's `actions`."""
    elsewhere: Floats
    """(groups,): probability of actions that the log does not know at all."""
    beyond: Floats | None = None
    """(rows,): probability of what the logging policy could not have shown there, where that is known of it.

    None: it is told by what the log shows, so that what it might have shown and did not counts as well."""

    def of_rows(self, rows: Integers) -> Target:
        """The same policy for some of the rows, by their places."""
        return replace(self, group=self.group[rows], beyond=None if self.beyond is None else self.beyond[rows])

    def of_logged(self, log: LoggedDecisions) -> Floats:
        """(rows,): probability of what was shown."""
        return self.table[self.group, log.action]

    def unsupported(self, log: LoggedDecisions) -> Floats:
        """(rows,): probability of actions that the log never shows in this row's position, or that it could not.

        No estimator that weighs rewards can see these: their mass is missing from the estimate.
        """
        if self.beyond is not None:
            return self.beyond
        places, place = np.unique(log.position, return_inverse=True)
        shown = np.zeros((len(places), len(log.actions)), np.bool_)
        shown[place, log.action] = True
        could = log.choices or Choices(np.zeros(log.rows, np.int64), np.ones((1, len(log.actions)), np.bool_))
        key = (self.group * len(places) + place) * len(could.open) + could.group
        kind, row_pair = np.unique(key, return_inverse=True)
        group, where = np.divmod(kind, len(places) * len(could.open))
        pair_place, choice = np.divmod(where, len(could.open))
        mass = np.array(
            [
                self.table[g][~(shown[p] & could.open[c])].sum()
                for g, p, c in zip(group, pair_place, choice, strict=True)
            ]
        )
        return np.asarray((mass + self.elsewhere[group])[row_pair], np.float64)


def is_policy(text: str) -> bool:
    """Whether `text` is written like a policy, whatever it names."""
    kind, colon, argument = text.partition(":")
    if kind == "bundle":
        return argument.partition(":")[0].isdecimal()
    if colon:
        return bool(argument) and kind in {"constant", "probabilities", *_OF_BUNDLES}
    return kind in {"logged", "uniform"}


def asks_a_bundle(text: str) -> bool:
    """Whether the policy is one of ours, which `hub.evaluation.bundles` asks."""
    return text.partition(":")[0] in _OF_BUNDLES


def target_policy(text: str, log: LoggedDecisions, delimiter: str | None = None) -> Target | None:
    """The policy that `text` names, on this log; None for `logged`, whose weights are 1 by definition.

    `delimiter`: of a file of probabilities, where it is not found out.

    Raises InputError for an unknown policy, and as `from_file`.
    """
    kind, _, argument = text.partition(":")
    if not is_policy(text):
        raise InputError(f"policy {text!r}: expected {SYNTAX}")
    match kind:
        case "logged":
            return None
        case "uniform":
            return uniform(log)
        case "constant":
            return constant(log, argument)
        case "probabilities":
            return from_file(log, Path(argument), delimiter)
        case _:
            cure = "evaluate it on our own decisions, `--decisions placement:NAME`"
            raise InputError(f"policy {text!r}: an imported log does not say what a model would have seen; {cure}")


def uniform(log: LoggedDecisions) -> Target:
    """Every action that could be shown, with the same probability: of a log that tells what could, else of all.

    All are those that the log or its action features name.
    """
    if log.choices is not None:
        is_open = log.choices.open.astype(np.float64)
        table = is_open / is_open.sum(axis=1, keepdims=True)
        return Target("uniform", log.choices.group, table, np.zeros(len(table)))
    count = len(log.actions)
    return _everywhere("uniform", log, np.full(count, 1 / count), 0.0)


def constant(log: LoggedDecisions, action: str) -> Target:
    """Always the same action; where it could not be shown it stands for what the log cannot know."""
    chosen = np.array([known == action for known in log.actions], np.float64)
    if log.choices is not None:
        table = log.choices.open * chosen
        return Target(f"constant:{action}", log.choices.group, table, 1 - table.sum(axis=1))
    return _everywhere(f"constant:{action}", log, chosen, 1 - chosen.sum())


def from_file(log: LoggedDecisions, path: Path, delimiter: str | None = None) -> Target:
    """Probabilities from a file, for every position and decision that the log has.

    An action without a line has probability 0. Raises InputError when the file is none of probabilities, or has
    none for a situation of the log.
    """
    table = read_probabilities(path, delimiter)
    index = {action: place for place, action in enumerate(log.actions)}
    # one more column gathers what the log does not know
    place = np.array([index.get(action, len(index)) for action in table.actions], np.int64)[table.action]
    full = np.zeros((len(table.situations), len(index) + 1))
    np.add.at(full, (table.situation, place), table.probability)
    known = {situation: row for row, situation in enumerate(table.situations)}
    situations = Situations.of(log, by_decision=table.by_decision, by_position=table.by_position)
    absent = [situation for situation in situations.distinct if situation not in known]
    if absent:
        hint = "; a log without positions has position 0" if table.by_position else ""
        raise InputError(
            f"{path}: no probabilities for {len(absent):,} situations of the log, first: {absent[0]}{hint}"
        )
    group = np.array([known[situation] for situation in situations.distinct], np.int64)[situations.row]
    return Target(f"probabilities:{path}", group, full[:, :-1], full[:, -1])


def _everywhere(policy: str, log: LoggedDecisions, probabilities: Floats, elsewhere: float) -> Target:
    return Target(policy, np.zeros(log.rows, np.int64), probabilities[None, :], np.array([elsewhere]))
