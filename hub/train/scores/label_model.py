"""How far weak rules can be believed, found out from how they agree, without one true label.

A latent class model in the manner of Dawid and Skene ("Maximum likelihood estimation of observer error-rates using the
EM algorithm", 1979) for rules that speak for one class each, as data programming has them (Ratner et al., 2016). A
cart has one reason; given it, rules speak independently: each with a chance `found` where its own reason holds, and
`mistaken` where another does. That a rule is silent says something as well.

A plain vote was rejected: it takes two rules that see the same page for two witnesses of equal worth with one that is
nearly always right, and gives no odds.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError

Floats = NDArray[np.float64]
ROUNDS: Final = 500
SETTLED: Final = 1e-9
FEWEST_CARTS: Final = 100
_FOUND: Final = (6.0, 4.0)
"""Counts of (spoken, silent) that every rule begins with where its reason holds: it is meant to speak there."""
_MISTAKEN: Final = (1.0, 19.0)
"""The same where another reason holds. Without these beginnings the classes could be exchanged."""
_PRIOR: Final = 2.0
"""Carts that every reason begins with."""


class LabelModel(NamedTuple):
    """What was found out about the rules."""

    prior: Floats
    """(K,): how frequent each class is."""
    found: Floats
    """(R,): how often a rule speaks where its own class holds."""
    mistaken: Floats
    """(R,): how often where another class holds."""
    of_class: NDArray[np.int64]
    """(R,): whom each rule speaks for."""

    def belief(self, speaks: NDArray[np.bool_]) -> Floats:
        """(n, K): the odds of each class, given which rules speak, (n, R)."""
        return _belief(self, speaks)[0]


def fit_label_model(speaks: NDArray[np.bool_], of_class: NDArray[np.int64], classes: int) -> LabelModel:
    """Expectation maximisation from the rules' own meaning; the same rows give the same model.

    Raises InputError: too few carts to see rules agree.
    """
    if len(speaks) < FEWEST_CARTS:
        raise InputError(f"{len(speaks)} carts that were left; expected at least {FEWEST_CARTS} to weigh rules by")
    rules = len(of_class)
    model = LabelModel(
        np.full(classes, 1.0 / classes),
        np.full(rules, _FOUND[0] / sum(_FOUND)),
        np.full(rules, _MISTAKEN[0] / sum(_MISTAKEN)),
        of_class,
    )
    before = -np.inf
    for _ in range(ROUNDS):
        belief, likelihood = _belief(model, speaks)
        if abs(likelihood - before) < SETTLED * len(speaks):
            break
        before = likelihood
        model = _maximised(belief, speaks, of_class)
    return model


def _belief(model: LabelModel, speaks: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Odds (n, K), and the log-likelihood of what was spoken."""
    own = np.arange(len(model.prior))[:, None] == model.of_class  # (K, R)
    chance = np.where(own, model.found, model.mistaken)
    logs = np.log(model.prior) + speaks @ np.log(chance).T + ~speaks @ np.log1p(-chance).T
    total = np.logaddexp.reduce(logs, axis=1)
    return np.exp(logs - total[:, None]), float(total.sum())


def _maximised(belief: Floats, speaks: NDArray[np.bool_], of_class: NDArray[np.int64]) -> LabelModel:
    own = belief[:, of_class]  # (n, R)
    spoke_own, spoke_other = (own * speaks).sum(axis=0), ((1.0 - own) * speaks).sum(axis=0)
    held, other = own.sum(axis=0), (1.0 - own).sum(axis=0)
    count = belief.sum(axis=0) + _PRIOR
    return LabelModel(
        count / count.sum(),
        (spoke_own + _FOUND[0]) / (held + sum(_FOUND)),
        (spoke_other + _MISTAKEN[0]) / (other + sum(_MISTAKEN)),
        of_class,
    )
